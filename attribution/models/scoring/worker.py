"""The worker: computes the rows of all requests, one batch after another.

A request submits its rows and waits. The thread that has waited longest computes next and includes the rows
that others need of the same model, up to the token budget: the points of a path, samples, texts and the
requests of several visitors are all rows of one batch. Concurrent computations would only compete for cores.

With many threads, one of them may compute for all (``Worker.serve``), such as the thread that waits for the
results of ``attribute_many``: OpenMP keeps a thread team per computing thread, and once the teams together
exceed the number of cores, all of them sleep at every barrier instead of spinning. The app has no such
thread: next to a busy browser on the same cores, a spinning team lost more than it gained
(``benchmarks/README.md``).
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
"""Seconds that a batch with room waits for requests in progress that have not submitted rows yet. Their rows
then join a larger batch, and their Python code does not compete with the batch."""


class _Thread(threading.local):
    """Thread-local state."""

    computes = False


class Worker:
    """Lets one thread compute at a time, in order of submission."""

    def __init__(self) -> None:
        self._requests = 0
        self._server: object | None = None
        self._queue = Queue()
        self._changed = threading.Condition()
        self._thread = _Thread()

    @property
    def waiting(self) -> int:
        """Number of waiting computations."""
        return len(self._queue)

    @property
    def is_served(self) -> bool:
        """Whether one thread computes for all others."""
        return self._server is not None

    @contextmanager
    def request(self) -> Iterator[None]:
        """Context manager: a request is in progress. Batches wait briefly for its rows."""
        with self._changed:
            self._requests += 1
        try:
            yield
        finally:
            with self._changed:
                self._requests -= 1

    def serve(self, until: Callable[[], bool]) -> None:
        """Compute in the calling thread what others submit, until ``until()`` is true: see ``wake``.

        While another thread is already serving, this one only waits.
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
        """Compute a job and return it.

        Raises what its computation raised, ``Cancelled``, ``DeadlineExceeded`` and ``NotEnoughMemory``.
        """
        deadline.check()
        if self._thread.computes:
            batches.compute([job])
        else:
            self._wait_for(job, deadline)
        if job.error is not None:
            raise job.error
        deadline.meter.advance(len(job.points))
        return job

    def call(self, work: Callable[[], Result], deadline: Deadline) -> Result:
        """Run a computation that cannot share a batch and return its result.

        Nothing else computes at the same time; it may run in another thread.
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
        """Context manager: compute in the calling thread, exclusively."""
        deadline.check()
        if self._thread.computes:
            yield
            return
        self._wait_for_turn(Turn(), deadline)
        with self._computing():
            yield

    def _wait_for(self, ticket: Job | Call[Result], deadline: Deadline) -> None:
        """Wait until another thread has computed the ticket, or compute it here when its turn comes."""
        if self._wait_for_turn(ticket, deadline):
            with self._computing():
                self._perform(ticket)

    def _perform(self, ticket: Ticket) -> None:
        """Compute a ticket that was taken, with those that share its batch.

        All of them are finished afterwards, also after an exception.
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
        """Wait; return True to compute the ticket in this thread, False if another thread has done it."""
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
        """Whether the submitting thread has to compute its ticket now."""
        return self._queue.next is ticket and (ticket.in_own_thread or self._server is None)

    def _next(self, server: object, until: Callable[[], bool]) -> Ticket | None:
        """Take the next ticket for the serving thread; None as soon as ``until()`` is true."""
        with self._changed:
            while not until():
                self._server = self._server or server
                ticket = self._queue.next
                if self._server is server and ticket is not None and not ticket.in_own_thread:
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
        """Take a job's batch: the job and compatible ones.

        While there is room, wait for further jobs as long as they keep arriving.
        """
        with self._changed:
            while not self._queue.is_full(job) and len(self._queue) + 1 < self._requests:
                if not self._another_comes():
                    break
            return self._queue.take_batch(job)

    def _another_comes(self) -> bool:
        """Wait ``GATHER`` seconds, the lock released, for another ticket; return whether one arrived."""
        waiting = len(self._queue)
        return self._changed.wait_for(lambda: len(self._queue) > waiting, GATHER)


WORKER = Worker()
"""One per process: all engines share its cores or its accelerator."""
