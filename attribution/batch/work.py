"""What one process has still to compute of a run, and how fast it goes."""

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
from attribution.batch.journal import Answer, Journal, State, Stored, key_of
from attribution.batch.result import Progress, Result
from attribution.errors import AttributionError, Cancelled, Unsupported
from attribution.models.base_adapter import BaseAdapter
from attribution.tables import Row

if TYPE_CHECKING:
    from attribution.engine import Engine
    from attribution.models.adapter import Adapter
    from attribution.models.function import Function

WINDOW = 256
"""Rows that one method goes through before the next does: what is shown first has all of them."""
RATED_SECONDS = 30.0
"""The time that the rate is taken over."""
LOOK_SECONDS = 5.0
"""How often a process looks how far the others are."""


class Work:
    """What one process has still to compute, and what it is waiting for."""

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
        self._known: list[tuple[bytes, Answer, tuple[int, int]]] = []
        self._revisions = run.revisions()
        self._journals = run.journals()
        settled = [entry.answer.state for entry in run.entries(bodies=False) if entry.settled]
        self._pace = Pace(
            run,
            journal,
            settled.count(State.DONE),
            settled.count(State.FAILED) + run.rows.bad() * len(self.plan.pairs),
        )

    @property
    def finished(self) -> bool:
        return self._pace.progress(()).finished

    def check(self) -> None:
        """Raise what is wrong with a model, and ``Unsupported`` for a method that does not work with it."""
        seen: dict[str, str] = {}
        for model in self.plan.models:
            for method in self.plan.methods:
                self.engine.request("text", self._model(model), method, **self._asked(model, method))
            with ExitStack() as held:
                adapter: Any = self.models.get(model)
                if adapter is None:
                    adapter = held.enter_context(self.engine.store.lease(self._source(model)))
                for method in self.plan.methods:
                    if reason := self.engine.find_method(method).why_not(adapter.task, adapter.gives):
                        raise Unsupported(
                            f"{method} and {model}: {reason}", "Leave one of them out of the run."
                        )
                # A server's models have none.
                revision = adapter.info.revision if isinstance(adapter, BaseAdapter) else None
                if model not in self.models and revision:
                    seen[model] = revision
        if not (self.run.folder / REVISIONS).exists():
            write_file(self.run.folder / REVISIONS, json.dumps(seen).encode())

    def items(self, model: str) -> Iterator[Mapping[str, Any]]:
        """What to ask the engine for: each new request once."""
        pairs = [(pair, method) for pair, (name, method) in enumerate(self.plan.pairs) if name == model]
        self._sent, self._count = {}, 0
        for start in range(0, self.plan.count, WINDOW):
            settled = {
                entry.task for entry in self.run.entries(start, start + WINDOW, bodies=False) if entry.settled
            }
            rows = [
                row
                for row in self.run.rows.between(start, start + WINDOW)
                if row.error is None and self._mine(row)
            ]
            for pair, method in pairs:
                for row in rows:
                    if (row.place, pair) not in settled and (
                        item := self._new((row.place, pair), self._given(row, model, method))
                    ):
                        yield item

    def keep(self, answers: Iterable[tuple[int, Any]]) -> list[Result]:
        """Write answers, and those that were known, in one transaction; their results."""
        own = [(self._sent.pop(place), answer) for place, answer in answers]
        fresh = [(key, answer, self._waiting.pop(key)) for key, answer in own]
        known, self._known = self._known, []
        newest: list[Result] = []
        with self.journal.transaction():
            for key, answer, tasks in fresh:
                if not isinstance(answer, Cancelled):
                    stored = Answer.of(answer)
                    self.journal.write(key, stored, tasks)
                    newest += [self._result(task, stored, answer) for task in tasks]
            for key, stored, task in known:
                self.journal.write(key, stored, [task])
                newest.append(self._result(task, stored, None))
        self._pace.count(newest)
        return newest

    def progress(self, newest: list[Result]) -> Progress:
        return self._pace.progress(tuple(newest))

    def _new(self, task: tuple[int, int], given: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The request, unless its answer is there already or on its way."""
        key = self._key(given)
        if key in self._waiting:
            self._waiting[key].append(task)
            return None
        if (answer := self._answer(key)) is not None:
            self._known.append((key, answer, task))
            return None
        self._waiting[key] = [task]
        self._sent[self._count] = key
        self._count += 1
        return given

    def _given(self, row: Stored, model: str, method: str) -> dict[str, Any]:
        sample = self.plan.columns.read(Row(row.place, row.line, row.values))
        asked = self._asked(model, method)
        asked |= {"text": sample.text, "model": self._model(model), "method": method}
        return asked if sample.second is None else {**asked, "second": sample.second}

    def _asked(self, model: str, method: str) -> dict[str, Any]:
        asked = {**self.plan.arguments, "options": self.plan.options.get(method, {})}
        return {**asked, "revision": self._revision(model)}

    def _revision(self, model: str) -> str | None:
        return self.plan.arguments.get("revision") or self._revisions.get(model)

    def _model(self, name: str) -> Any:
        return self.models.get(name, name)

    def _source(self, model: str) -> Any:
        return self.engine.store.source(model, self.plan.arguments.get("task"), self._revision(model))

    def _key(self, given: Mapping[str, Any]) -> bytes:
        try:
            return key_of(self.engine.request(**given))
        except AttributionError:  # it will be said again, in its turn
            return hashlib.sha256(
                repr(sorted((name, str(value)) for name, value in given.items())).encode()
            ).digest()

    def _answer(self, key: bytes) -> Answer | None:
        return next((answer for journal in self._journals if (answer := journal.answer(key))), None)

    def _mine(self, row: Stored) -> bool:
        """Whether this process answers the row: equal texts are all one process's."""
        return (
            zlib.crc32(str(row.values.get(self.plan.columns.text)).encode("utf-8", "replace")) % self.part[1]
            == self.part[0]
        )

    def _result(self, task: tuple[int, int], stored: Answer, answer: Any) -> Result:
        place, pair = task
        row = next(self.run.rows.between(place, place + 1))
        attribution = stored.attribution if answer is None else answer if not stored.state else None
        return self.run.result(row, pair, attribution, stored.error)


class Pace:
    """Counts what is done, here and by other processes, and how fast."""

    def __init__(self, run: RunFolder, journal: Journal, done: int, failed: int) -> None:
        self._run, self._mine = run, journal.path
        self._done, self._failed = done, failed
        self._elsewhere = self._looked = self._others()
        self._at = time.monotonic()
        self._times = deque([(self._at, done + failed)])

    def count(self, newest: list[Result]) -> None:
        failed = sum(result.attribution is None for result in newest)
        self._failed += failed
        self._done += len(newest) - failed

    def progress(self, newest: tuple[Result, ...]) -> Progress:
        now = time.monotonic()
        if now - self._at > LOOK_SECONDS:
            self._at, self._elsewhere = now, self._others()
        done = self._done + self._elsewhere[0] - self._looked[0]
        failed = self._failed + self._elsewhere[1] - self._looked[1]
        total = self._run.plan.total
        while len(self._times) > 1 and now - self._times[0][0] > RATED_SECONDS:
            self._times.popleft()
        begun, before = self._times[0]
        rate = (done + failed - before) / (now - begun) if done + failed > before and now > begun else None
        self._times.append((now, done + failed))
        left = None if rate is None else max(0, total - done - failed) / rate
        return Progress(done, failed, total, rate, left, newest)

    def _others(self) -> tuple[int, int]:
        """What the other processes have done, and what has failed there."""
        counts = [journal.counts() for journal in self._run.journals(but=self._mine)]
        return sum(c.get(State.DONE, 0) for c in counts), sum(c.get(State.FAILED, 0) for c in counts)
