"""Latest wins, step by step: one job for each visitor, whose newest answer waits until the page takes it.

A keystroke starts a job in a thread. The job computes its answers, rough ones first, and keeps only the
newest. The keystroke is answered with the first; the page then asks for the one after it, and that request
waits without holding a thread. So the computation never waits for the page, and a slow page is never sent an
outdated answer.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Answer = TypeVar("Answer")
Superseded = Callable[[], bool]
"""Whether a newer request makes this one pointless."""
Work = Callable[[Superseded], Generator[Answer, None, None]]
"""Yields answers; calls ``superseded()`` now and then, and stops when it is true."""
Merge = Callable[[Answer, Answer], Answer]
"""Combines an answer that the page has not taken with the next one."""

PATIENCE = 0.4
"""Seconds for the first answer of a superseded job: the picture follows a fast typist, and a slow method
makes way."""

VISITORS = 2_000
"""Visitors that are remembered; the ones idle for longest are forgotten first."""

THREADS = 32
"""Jobs that run at the same time; further ones wait."""


@dataclass(frozen=True)
class Snapshot(Generic[Answer]):
    """An answer of a job; ``step`` counts the job's answers from 1."""

    step: int
    answer: Answer


class Job(Generic[Answer]):
    """One computation: its thread runs ``run``; everything else belongs to the event loop that created it."""

    def __init__(self, sequence: int, patience: float, merge: Merge[Answer]) -> None:
        self.sequence, self.patience, self._merge = sequence, patience, merge
        self.begun = self.dropped = self.ended = False
        self._steps = 0
        self._started = 0.0
        self._pending: Snapshot[Answer] | None = None
        self._error: Exception | None = None
        self._lock = threading.Lock()
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()

    def run(self, work: Work[Answer]) -> None:
        """Compute answers until there are no more or the job is superseded.

        The generator is closed in any case.
        """
        self._started = time.monotonic()
        try:
            with closing(work(self.superseded)) as answers:
                for answer in answers:
                    self._put(answer)
                    if self.superseded():
                        break
        except Exception as error:
            self._error = error

    def superseded(self) -> bool:
        """Whether to stop: a newer job waits, and this one has answered once or used up its time for that."""
        due = self._steps > 0 or time.monotonic() - self._started > self.patience
        return self.ended or (self.dropped and due)

    def drop(self) -> None:
        """A newer job waits, or the visitor is forgotten.

        A request that waits for a further answer gets none.
        """
        self.dropped = True
        self._changed.set()

    def end(self) -> None:
        """No answer follows."""
        self.ended = True
        self._changed.set()

    async def first(self) -> Snapshot[Answer] | None:
        """The newest answer, as soon as there is one; None if there will be none. Raises what the job raised.

        A job that is dropped before its turn returns at once: a browser has few connections, and the newer
        request needs one.
        """
        while not (self._pending or self.ended or (self.dropped and not self.begun)):
            await self._change()
        return self._take()

    async def after(self, step: int) -> Snapshot[Answer] | None:
        """The newest answer after ``step``, or None if there will be none. Raises what the job raised."""
        while not (self.dropped or self.ended or (self._pending and self._pending.step > step)):
            await self._change()
        return None if self.dropped else self._take()

    def _put(self, answer: Answer) -> None:
        with self._lock:
            self._steps += 1
            if self._pending:
                answer = self._merge(self._pending.answer, answer)
            self._pending = Snapshot(self._steps, answer)
        self._loop.call_soon_threadsafe(self._changed.set)

    def _take(self) -> Snapshot[Answer] | None:
        """Remove and return the pending answer. An error comes after the last answer."""
        with self._lock:
            snapshot, self._pending = self._pending, None
        if snapshot is None and self._error:
            raise self._error
        return snapshot

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()


@dataclass
class _Visitor:
    job: Job | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Latest:
    """Runs the jobs of each visitor one after the other; of those that wait, only the newest."""

    def __init__(self, patience: float = PATIENCE, merge: Merge = lambda _, newer: newer) -> None:
        self.patience, self.merge = patience, merge
        self._visitors: OrderedDict[str, _Visitor] = OrderedDict()
        self._threads = ThreadPoolExecutor(THREADS, "live")
        self._tasks: set[asyncio.Task[None]] = set()

    async def first(self, name: str, sequence: int, work: Work[Answer]) -> Snapshot[Answer] | None:
        """The first answer of ``work``, run in a thread; None if a newer request came before its turn.

        ``sequence`` comes from the browser and only grows: an older request that arrives late is dropped.
        Raises what ``work`` raised.
        """
        visitor = self._visitors.setdefault(name, _Visitor())
        self._visitors.move_to_end(name)
        while len(self._visitors) > VISITORS:
            self.forget(next(iter(self._visitors)))
        if visitor.job:
            if visitor.job.sequence > sequence:
                return None
            visitor.job.drop()
        job: Job[Answer] = Job(sequence, self.patience, self.merge)
        visitor.job = job
        task = asyncio.create_task(self._run(visitor, job, work))
        # The event loop itself does not keep a task alive.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await job.first()

    async def after(self, name: str, sequence: int, step: int) -> Snapshot | None:
        """The newest answer to that request after ``step``; None if there will be none."""
        visitor = self._visitors.get(name)
        if visitor is None or visitor.job is None or visitor.job.sequence != sequence:
            return None
        return await visitor.job.after(step)

    def forget(self, name: str) -> None:
        """Stop a visitor's job and remember nothing of it."""
        visitor = self._visitors.pop(name, None)
        if visitor and visitor.job:
            visitor.job.drop()

    async def _run(self, visitor: _Visitor, job: Job[Answer], work: Work[Answer]) -> None:
        try:
            async with visitor.turn:
                if not job.dropped:
                    job.begun = True
                    await asyncio.get_running_loop().run_in_executor(self._threads, job.run, work)
        finally:
            # Also when the server stops: the thread then stops as well.
            job.end()
