"""The work of one process on a run: the missing tasks, and the rate of progress."""

from __future__ import annotations

import hashlib
import json
import time
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from attribution.batch.disk import write_file
from attribution.batch.folder import REVISIONS, RunFolder
from attribution.batch.journal import Answer, Journal, State, StoredRow, key_of
from attribution.batch.result import Progress, Result
from attribution.errors import AttributionError, Cancelled, Unsupported
from attribution.models.base_adapter import BaseAdapter
from attribution.tables import Row

if TYPE_CHECKING:
    from attribution.engine import Engine
    from attribution.models.adapter import Adapter
    from attribution.models.function import Function

WINDOW = 256
"""Rows computed by one method before the next: early results cover all methods."""
RATE_SECONDS = 30.0
"""The time over which the rate is averaged."""
POLL_SECONDS = 5.0
"""The interval at which a process reads the progress of the others."""


class Work:
    """The tasks of one process that are missing, and those that are being computed."""

    def __init__(
        self,
        run: RunFolder,
        engine: Engine,
        models: Mapping[str, Adapter | Function],
        part: tuple[int, int],
        journal: Journal,
    ) -> None:
        self.run, self.plan, self.models, self.part, self.journal = run, run.plan, models, part, journal
        self.engine = engine.for_batch()
        self._waiting: dict[bytes, list[tuple[int, int]]] = {}
        self._sent: dict[int, bytes] = {}
        self._count = 0
        self._reused: list[tuple[bytes, Answer, tuple[int, int]]] = []
        self._revisions = run.revisions()
        self._journals = run.journals()
        states = [entry.answer.state for entry in run.entries(bodies=False) if entry.is_final]
        self._pace = Pace(
            run,
            journal,
            states.count(State.DONE),
            states.count(State.FAILED) + run.rows.count_bad() * len(self.plan.pairs),
        )

    @property
    def finished(self) -> bool:
        """Whether nothing is missing."""
        return self._pace.progress(()).finished

    def check(self) -> None:
        """Raise the error of a model, or ``Unsupported`` for a method that does not work with a model."""
        revisions: dict[str, str] = {}
        for model in self.plan.models:
            for method in self.plan.methods:
                self.engine.request(
                    "text", self._model(model), method, **self._build_arguments(model, method)
                )
            with ExitStack() as stack:
                adapter: Any = self.models.get(model)
                if adapter is None:
                    adapter = stack.enter_context(self.engine.store.lease(self._source(model)))
                for method in self.plan.methods:
                    if reason := self.engine.find_method(method).unsupported_reason(
                        adapter.task, adapter.gives
                    ):
                        raise Unsupported(
                            f"{method} and {model}: {reason}", "Leave one of the two out of the run."
                        )
                # Models of a server have no revision.
                revision = adapter.info.revision if isinstance(adapter, BaseAdapter) else None
                if model not in self.models and revision:
                    revisions[model] = revision
        if not (self.run.folder / REVISIONS).exists():
            write_file(self.run.folder / REVISIONS, json.dumps(revisions).encode())

    def items(self, model: str) -> Iterator[Mapping[str, Any]]:
        """Yield the requests of a model that are new, each once, as arguments of ``attribute``."""
        pairs = [(pair, method) for pair, (name, method) in enumerate(self.plan.pairs) if name == model]
        self._sent, self._count = {}, 0
        for start in range(0, self.plan.count, WINDOW):
            final = {
                entry.task
                for entry in self.run.entries(start, start + WINDOW, bodies=False)
                if entry.is_final
            }
            rows = [
                row
                for row in self.run.rows.read(start, start + WINDOW)
                if row.error is None and self._is_own(row)
            ]
            for pair, method in pairs:
                for row in rows:
                    if (row.place, pair) not in final and (
                        item := self._add_task((row.place, pair), self._build_item(row, model, method))
                    ):
                        yield item

    def store(self, answers: Iterable[tuple[int, Any]]) -> list[Result]:
        """Write new and reused answers in one transaction, and return their results."""
        answered = [(self._sent.pop(place), answer) for place, answer in answers]
        fresh = [(key, answer, self._waiting.pop(key)) for key, answer in answered]
        reused, self._reused = self._reused, []
        newest: list[Result] = []
        with self.journal.transaction():
            for key, answer, tasks in fresh:
                if not isinstance(answer, Cancelled):
                    stored = Answer.of(answer)
                    self.journal.write(key, stored, tasks)
                    newest += [self._result(task, stored, answer) for task in tasks]
            for key, stored, task in reused:
                self.journal.write(key, stored, [task])
                newest.append(self._result(task, stored, None))
        self._pace.count(newest)
        return newest

    def progress(self, newest: list[Result]) -> Progress:
        """The progress of the run over all processes."""
        return self._pace.progress(tuple(newest))

    def _add_task(self, task: tuple[int, int], item: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The item, unless its answer is stored already or being computed."""
        key = self._key(item)
        if key in self._waiting:
            self._waiting[key].append(task)
            return None
        if (answer := self._find_answer(key)) is not None:
            self._reused.append((key, answer, task))
            return None
        self._waiting[key] = [task]
        self._sent[self._count] = key
        self._count += 1
        return item

    def _build_item(self, row: StoredRow, model: str, method: str) -> dict[str, Any]:
        sample = self.plan.columns.read(Row(row.place, row.line, row.values))
        item = self._build_arguments(model, method)
        item |= {"text": sample.text, "model": self._model(model), "method": method, **sample.fields}
        return item if sample.second is None else {**item, "second": sample.second}

    def _build_arguments(self, model: str, method: str) -> dict[str, Any]:
        options = self.plan.options.get(method, {})
        return {**self.plan.arguments, "options": options, "revision": self._revision(model)}

    def _revision(self, model: str) -> str | None:
        return self.plan.arguments.get("revision") or self._revisions.get(model)

    def _model(self, name: str) -> Any:
        return self.models.get(name, name)

    def _source(self, model: str) -> Any:
        return self.engine.store.source(model, self.plan.arguments.get("task"), self._revision(model))

    def _key(self, item: Mapping[str, Any]) -> bytes:
        try:
            return key_of(self.engine.request(**item))
        except AttributionError:  # raised again when it is computed
            return hashlib.sha256(
                repr(sorted((name, str(value)) for name, value in item.items())).encode()
            ).digest()

    def _find_answer(self, key: bytes) -> Answer | None:
        return next((answer for journal in self._journals if (answer := journal.answer(key))), None)

    def _is_own(self, row: StoredRow) -> bool:
        """Whether this process computes the row; equal texts belong to the same process."""
        return (
            zlib.crc32(str(row.values.get(self.plan.columns.text)).encode("utf-8", "replace")) % self.part[1]
            == self.part[0]
        )

    def _result(self, task: tuple[int, int], stored: Answer, answer: Any) -> Result:
        place, pair = task
        row = next(self.run.rows.read(place, place + 1))
        attribution = stored.attribution if answer is None else answer if not stored.state else None
        return self.run.result(row, pair, attribution, stored.error)


class Pace:
    """Counts results of this process and of the others, and computes the rate."""

    def __init__(self, run: RunFolder, journal: Journal, done: int, failed: int) -> None:
        self._run, self._own_path = run, journal.path
        self._done, self._failed = done, failed
        self._elsewhere = self._elsewhere_at_start = self._count_others()
        self._polled_at = time.monotonic()
        self._times = deque([(self._polled_at, done + failed)])

    def count(self, newest: list[Result]) -> None:
        """Count results of this process."""
        failed = sum(result.attribution is None for result in newest)
        self._failed += failed
        self._done += len(newest) - failed

    def progress(self, newest: tuple[Result, ...]) -> Progress:
        """The progress over all processes."""
        now = time.monotonic()
        if now - self._polled_at > POLL_SECONDS:
            self._polled_at, self._elsewhere = now, self._count_others()
        done = self._done + self._elsewhere[0] - self._elsewhere_at_start[0]
        failed = self._failed + self._elsewhere[1] - self._elsewhere_at_start[1]
        total = self._run.plan.total
        while len(self._times) > 1 and now - self._times[0][0] > RATE_SECONDS:
            self._times.popleft()
        start, count_at_start = self._times[0]
        rate = (
            (done + failed - count_at_start) / (now - start)
            if done + failed > count_at_start and now > start
            else None
        )
        self._times.append((now, done + failed))
        seconds_left = None if rate is None else max(0, total - done - failed) / rate
        return Progress(done, failed, total, rate, seconds_left, newest)

    def _count_others(self) -> tuple[int, int]:
        """The numbers of done and failed tasks of the other processes."""
        counts = [journal.counts() for journal in self._run.journals(but=self._own_path)]
        return sum(c.get(State.DONE, 0) for c in counts), sum(c.get(State.FAILED, 0) for c in counts)
