"""The folder of a run: its plan, its rows, and the answers of all processes that compute it.

::


    plan.json              what is computed; written last, so a folder without it holds no run
    rows.sqlite            the table's rows, as they were read: the table itself is no longer needed
    revisions.json         the commits that the models of the Hub had at first: a resumed run goes on with
    these
    part-0000.sqlite       the answers of one process, or of one of several (accelerate), as they are ready
    0000-of-0001.lock      held by the process that computes that part results.jsonl, results.parquet,
    summary.csv, wrong.csv, words.csv, report.html, results.zip     made of the answers: see ``files``
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
from attribution.batch.journal import Entry, Journal, Rows, State, Stored
from attribution.batch.plan import Plan
from attribution.batch.result import Progress, Result, label_of
from attribution.errors import BatchError, UnknownRun, quote
from attribution.tables import Row

REVISIONS = "revisions.json"
"""The file with the commits that models of the Hub had when the run began."""


class RunFolder:
    """What the folder of a run holds. Reading it computes nothing and disturbs nobody who computes."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder, self.plan = folder, plan
        self.rows = Rows(folder / "rows.sqlite")
        self._journals: dict[Path, Journal] = {}

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Self:
        """The run in that folder. Raises ``UnknownRun``, ``BatchError`` and ``BadFile``."""
        place = Path(folder)
        try:
            content = json.loads((place / "plan.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UnknownRun(
                f"There is no run in {quote(place, 200)}.", "Name the folder that it was begun in."
            ) from error
        return cls(place, Plan.from_dict(content))

    def revisions(self) -> dict[str, str]:
        """The commit of each model of the Hub that the run began with."""
        with suppress(OSError, ValueError):
            return dict(json.loads((self.folder / REVISIONS).read_text(encoding="utf-8")))
        return {}

    def progress(self) -> Progress:
        """How far the run is, by whatever process."""
        states = [entry.answer.state for entry in self.entries(bodies=False)]
        done = states.count(State.DONE)
        return Progress(done, len(states) - done + self.rows.bad() * len(self.plan.pairs), self.plan.total)

    def results(self, start: int = 0, stop: int | None = None) -> Iterator[Result]:
        """What is there for these rows, in the table's order; for each row in the order of ``plan.pairs``."""
        return self._results(start, stop, lambda _: True)

    def errors(self) -> Iterator[Result]:
        """The results that are errors."""
        return self._results(0, None, lambda state: state != State.DONE)

    def close(self) -> None:
        """Let go of the files. What was computed is kept in any case."""
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
        for row in self.rows.between(start, stop):
            for pair in range(len(self.plan.pairs)):
                if row.error is not None and wanted(State.FAILED):
                    yield self.result(row, pair, None, row.error)
                while entry is not None and entry.task <= (row.place, pair):
                    if entry.task == (row.place, pair) and wanted(entry.answer.state):
                        yield self.result(row, pair, entry.answer.attribution, entry.answer.error)
                    entry = next(entries, None)

    def result(self, row: Stored, pair: int, attribution: Any, error: Mapping[str, str] | None) -> Result:
        """One task's result."""
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
        """The journals that are there now."""
        for path in sorted(self.folder.glob("part-*.sqlite")):
            if path not in self._journals:
                self._journals[path] = Journal(path)
        return [journal for path, journal in self._journals.items() if path != but]

    def entries(self, start: int = 0, stop: int | None = None, *, bodies: bool = True) -> Iterator[Entry]:
        """What became of the tasks of these rows, in order, from all journals."""
        parts = [journal.entries(start, stop, bodies=bodies) for journal in self.journals()]
        return _best(heapq.merge(*parts, key=lambda entry: entry.task))

    @contextmanager
    def claim(self, number: int, of: int) -> Iterator[None]:
        """Keep others from computing the same rows. Raises ``BatchError`` where one does."""
        if not 0 <= number < of:
            raise BatchError(f"There is no part {number} of {of}.", "Parts are counted from 0.")
        mine = FileLock(self.folder / lock_name(number, of))
        with ExitStack() as held:
            with as_batch_errors(self.folder):
                try:
                    held.enter_context(mine.acquire(timeout=0))
                    for path in self.folder.glob("*-of-*.lock"):
                        if not path.stem.endswith(f"-of-{of:04}"):
                            FileLock(path).acquire(timeout=0).lock.release()
                except Timeout:
                    raise BatchError(
                        f"The run in {self.folder} is under way in another process.",
                        "Wait for it, or stop it first.",
                    ) from None
            yield


def lock_name(number: int, of: int) -> str:
    """The file that the process of that part holds while it computes."""
    return f"{number:04}-of-{of:04}.lock"


def _best(entries: Iterable[Entry]) -> Iterator[Entry]:
    """One entry for each task of sorted ones: the best where two processes have computed it."""
    held: Entry | None = None
    for entry in entries:
        if held is not None and held.task != entry.task:
            yield held
            held = None
        if held is None or entry.answer.state < held.answer.state:
            held = entry
    if held is not None:
        yield held
