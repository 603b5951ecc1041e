"""The folder of a run: its plan, its rows, and the results of all processes that compute it.

::

    plan.json          what is computed; written last, so a folder without it holds no run
    rows.sqlite        the table's rows as they were read; the table itself is no longer needed
    revisions.json     the commits of the models of the Hub when the run began, used when it is resumed
    part-0000.sqlite   the results of one process (of several with accelerate), as they are ready
    0000-of-0001.lock  held by the process that computes that part
    results.jsonl, results.parquet, summary.csv, wrong.csv, words.csv, report.html, results.zip
                       written from the results: see ``files``
"""

from __future__ import annotations

import heapq
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from attribution.batch.disk import as_batch_errors
from attribution.batch.journal import Entry, Journal, Rows, State, StoredRow
from attribution.batch.plan import Plan
from attribution.batch.result import Progress, Result, label_of
from attribution.errors import BatchError, UnknownRun, quote
from attribution.tables import Row

REVISIONS = "revisions.json"
"""The file with the commits of the models of the Hub when the run began."""


class RunFolder:
    """Read access to the folder of a run, also while it is being computed."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder, self.plan = folder, plan
        self.rows = Rows(folder / "rows.sqlite")
        self._journals: dict[Path, Journal] = {}

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Self:
        """Open the run in a folder. Raises ``UnknownRun``, ``BatchError`` and ``BadFile``."""
        path = Path(folder)
        try:
            content = json.loads((path / "plan.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UnknownRun(
                f"There is no run in {quote(path, 200)}.", "Name the folder in which it was started."
            ) from error
        return cls(path, Plan.from_dict(content))

    def revisions(self) -> dict[str, str]:
        """The commit of each model of the Hub when the run began."""
        with suppress(OSError, ValueError):
            return dict(json.loads((self.folder / REVISIONS).read_text(encoding="utf-8")))
        return {}

    def progress(self) -> Progress:
        """How far the run is, over all processes."""
        states = [entry.answer.state for entry in self.entries(bodies=False)]
        done = states.count(State.DONE)
        return Progress(
            done, len(states) - done + self.rows.count_bad() * len(self.plan.pairs), self.plan.total
        )

    def results(self, start: int = 0, stop: int | None = None) -> Iterator[Result]:
        """The results of these rows so far, in the table's order, then in the order of ``plan.pairs``."""
        return self._results(start, stop, lambda _: True)

    def errors(self) -> Iterator[Result]:
        """The results that are errors."""
        return self._results(0, None, lambda state: state != State.DONE)

    def close(self) -> None:
        """Close the files; results are stored in any case."""
        self.rows.close()
        for journal in self._journals.values():
            journal.close()
        self._journals = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _results(self, start: int, stop: int | None, wanted: Callable[[State], bool]) -> Iterator[Result]:
        entries = self.entries(start, stop)
        entry = next(entries, None)
        for row in self.rows.read(start, stop):
            for pair in range(len(self.plan.pairs)):
                if row.error is not None and wanted(State.FAILED):
                    yield self.result(row, pair, None, row.error)
                while entry is not None and entry.task <= (row.place, pair):
                    if entry.task == (row.place, pair) and wanted(entry.answer.state):
                        yield self.result(row, pair, entry.answer.attribution, entry.answer.error)
                    entry = next(entries, None)

    def result(self, row: StoredRow, pair: int, attribution: Any, error: Mapping[str, str] | None) -> Result:
        """The result of one task."""
        model, method = self.plan.pairs[pair]
        columns, values = self.plan.columns, row.values
        sample = None
        label: str | None = None
        if row.error is None:
            sample = columns.read(Row(row.place, row.line, values))
            label = label_of(sample.label, attribution.prediction.labels if attribution is not None else ())
        return Result(
            place=row.place,
            line=row.line,
            row=values,
            model=model,
            method=method,
            text=sample.text if sample else str(values.get(columns.text, "")),
            second=sample.second if sample else None,
            label=label,
            attribution=attribution,
            error=error,
            rationale=sample.rationale if sample else None,
        )

    def part_path(self, number: int) -> Path:
        return self.folder / f"part-{number:04}.sqlite"

    def journals(self, but: Path | None = None) -> list[Journal]:
        """The journals that exist now, without that at the path ``but``."""
        for path in sorted(self.folder.glob("part-*.sqlite")):
            if path not in self._journals:
                self._journals[path] = Journal(path)
        return [journal for path, journal in self._journals.items() if path != but]

    def entries(self, start: int = 0, stop: int | None = None, *, bodies: bool = True) -> Iterator[Entry]:
        """The states of the tasks of these rows, in order, from all journals."""
        parts = [journal.entries(start, stop, bodies=bodies) for journal in self.journals()]
        return _merge_entries(heapq.merge(*parts, key=lambda entry: entry.task))

    @contextmanager
    def claim(self, number: int, of: int) -> Iterator[None]:
        """Context manager: hold the lock of a part. Raises ``BatchError`` where another process holds it."""
        if not 0 <= number < of:
            raise BatchError(f"There is no part {number} of {of}.", "Parts are counted from 0.")
        part_lock = FileLock(self.folder / lock_name(number, of))
        with ExitStack() as stack:
            with as_batch_errors(self.folder):
                try:
                    stack.enter_context(part_lock.acquire(timeout=0))
                    for path in self.folder.glob("*-of-*.lock"):
                        if not path.stem.endswith(f"-of-{of:04}"):
                            FileLock(path).acquire(timeout=0).lock.release()
                except Timeout:
                    raise BatchError(
                        f"Another process is computing the run in {self.folder}.",
                        "Wait for it, or stop it first.",
                    ) from None
            yield


def lock_name(number: int, of: int) -> str:
    """The name of the lock file of a part."""
    return f"{number:04}-of-{of:04}.lock"


def _merge_entries(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Yield one entry for each task of sorted entries: the best where two processes have computed it."""
    best: Entry | None = None
    for entry in entries:
        if best is not None and best.task != entry.task:
            yield best
            best = None
        if best is None or entry.answer.state < best.answer.state:
            best = entry
    if best is not None:
        yield best
