"""The one place where models compute: rows of all requests, one batch after another.

A request asks for its rows and waits. Whoever has waited longest computes next, in its own thread, and takes
along what others ask of the same model, as far as the token budget goes: the points of a path, samples, texts
and the requests of several visitors are all rows of one batch. Two computations at once would only take the
cores from each other.

Where many threads ask, one of them may compute for all (``Worker.serve``), as the thread that waits for the
answers of ``attribute_many`` does: OpenMP keeps a team of threads for each thread that computes, and as soon
as the teams together are larger than the machine, all of them sleep at each barrier instead of waiting for
each other. The app has no such thread: beside a busy browser on the same cores, a team that does not sleep
lost more than it gained (``benchmarks/README.md``).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from attribution.models.deadline import Deadline
from attribution.models.scoring import batches
from attribution.models.scoring.queue import Queue
from attribution.models.scoring.tickets import Call, Job, Ticket, Turn

Result = TypeVar("Result")

TICK = 0.05
"""Seconds after which a waiting thread checks its deadline."""
GATHER = 0.003
"""Seconds that a batch with room waits for requests that are under way and have not asked yet. What comes
is then part of a larger batch, and its own Python code does not run while the batch computes."""


class _Thread(threading.local):
    """What a thread knows of itself."""

    computes = False


class Worker:
    """Lets one thread compute at a time, in the order of asking."""

    def __init__(self) -> None:
        self._requests = 0
        self._server: object | None = None
        self._queue = Queue()
        self._changed = threading.Condition()
        self._thread = _Thread()

    @property
    def waiting(self) -> int:
        """Computations that wait."""
        return len(self._queue)

    @property
    def is_served(self) -> bool:
        """Whether one thread computes for all others."""
        return self._server is not None

    @contextmanager
    def request(self) -> Iterator[None]:
        """Context manager: a request is under way. Batches wait a moment for what it is about to ask."""
        with self._changed:
            self._requests += 1
        try:
            yield
        finally:
            with self._changed:
                self._requests -= 1

    def serve(self, until: Callable[[], bool]) -> None:
        """Compute in the calling thread what others ask for, until ``until()``: see ``wake``.

        While another thread does so already, this one only waits.
        """
        server = object()
        try:
            while (ticket := self._next(server, until)) is not None:
                with self._computing():
                    self._perform(ticket)
        finally:
            with self._changed:
                if self._server is server:
                    self._server = None
                self._changed.notify_all()

    def wake(self) -> None:
        """Let waiting threads check their conditions."""
        with self._changed:
            self._changed.notify_all()

    def run(self, job: Job, deadline: Deadline) -> Job:
        """The job, computed.

        Raises what computing it raised, ``Cancelled``, ``DeadlineExceeded`` and ``NotEnoughMemory``.
        """
        deadline.check()
        if self._thread.computes:
            batches.compute([job])
        else:
            self._wait_for(job, deadline)
        if job.error is not None:
            raise job.error
        return job

    def call(self, work: Callable[[], Result], deadline: Deadline) -> Result:
        """The result of a computation that cannot share a batch.

        Nothing else computes meanwhile; it may run in another thread.
        """
        deadline.check()
        if self._thread.computes:
            return work()
        call = Call(work)
        self._wait_for(call, deadline)
        if call.error is not None:
            raise call.error
        return call.result

    @contextmanager
    def exclusive(self, deadline: Deadline) -> Iterator[None]:
        """Context manager: compute in the calling thread; nothing else computes meanwhile."""
        deadline.check()
        if self._thread.computes:
            yield
            return
        self._wait_for_turn(Turn(), deadline)
        with self._computing():
            yield

    def _wait_for(self, ticket: Job | Call[Result], deadline: Deadline) -> None:
        """Until another thread has computed it; compute it where none will."""
        if self._wait_for_turn(ticket, deadline):
            with self._computing():
                self._perform(ticket)

    def _perform(self, ticket: Ticket) -> None:
        """Compute a ticket that was taken, with those that share its batch.

        They are done afterwards, whatever happens.
        """
        try:
            if isinstance(ticket, Job):
                batches.compute(self._take_batch(ticket))
            elif isinstance(ticket, Call):
                ticket.run()
        except BaseException as error:
            ticket.finish(error)
            raise

    def _wait_for_turn(self, ticket: Ticket, deadline: Deadline) -> bool:
        """Whether to compute the ticket now, in this thread. False if another one has done it meanwhile."""
        with self._changed:
            self._queue.submit(ticket)
            self._changed.notify_all()
            try:
                while not ticket.is_done and not self._is_turn_of(ticket):
                    self._changed.wait(TICK)
                    deadline.check()
            except BaseException:
                self._queue.withdraw(ticket)
                self._changed.notify_all()
                raise
            if ticket.is_done:
                return False
            self._queue.take_first()
            return True

    def _is_turn_of(self, ticket: Ticket) -> bool:
        """Whether the thread that asks has to compute its ticket now."""
        return self._queue.next is ticket and (ticket.in_asking_thread or self._server is None)

    def _next(self, server: object, until: Callable[[], bool]) -> Ticket | None:
        """The next ticket for the thread that serves; None as soon as ``until()``."""
        with self._changed:
            while not until():
                self._server = self._server or server
                ticket = self._queue.next
                if self._server is server and ticket is not None and not ticket.in_asking_thread:
                    return self._queue.take_first()
                self._changed.wait(TICK)
        return None

    @contextmanager
    def _computing(self) -> Iterator[None]:
        self._thread.computes = True
        try:
            yield
        finally:
            self._thread.computes = False
            with self._changed:
                self._queue.release()
                self._changed.notify_all()

    def _take_batch(self, job: Job) -> list[Job]:
        """The job and those that wait for the same model.

        While there is room, it waits for more as long as they keep coming.
        """
        with self._changed:
            while not self._queue.is_full(job) and len(self._queue) + 1 < self._requests:
                if not self._another_comes():
                    break
            return self._queue.take_batch(job)

    def _another_comes(self) -> bool:
        """Wait a moment, the lock released, for one more to ask; whether it did."""
        waiting = len(self._queue)
        return self._changed.wait_for(lambda: len(self._queue) > waiting, GATHER)


WORKER = Worker()
"""The process has one: its cores, or its accelerator, are shared by all engines."""
