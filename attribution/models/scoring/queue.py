"""The queue of computations and the choice of batches, without any threading."""

from __future__ import annotations

from collections.abc import Iterator

from attribution.models.scoring.tickets import Job, Ticket


class Queue:
    """Tickets in order of submission, and whether a computation is running.

    A ticket waits until it is taken or withdrawn. Every method is one atomic step under the caller's lock. In
    particular a batch is chosen and removed in the same step, so that no batch contains a ticket that has
    been withdrawn in the meantime.
    """

    def __init__(self) -> None:
        self.busy = False
        """Whether a computation is running: from ``take_first`` until ``release``."""
        self._waiting: list[Ticket] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Ticket]:
        return iter(self._waiting)

    def submit(self, ticket: Ticket) -> None:
        self._waiting.append(ticket)

    def withdraw(self, ticket: Ticket) -> bool:
        """Remove a waiting ticket; return whether it was still waiting."""
        if ticket not in self._waiting:
            return False
        self._waiting.remove(ticket)
        return True

    @property
    def next(self) -> Ticket | None:
        """The ticket to compute now: the oldest one, or None while a computation is running."""
        return None if self.busy or not self._waiting else self._waiting[0]

    def take_first(self) -> Ticket:
        """Take the next ticket; no other may be taken until ``release``."""
        assert not self.busy
        self.busy = True
        return self._waiting.pop(0)

    def release(self) -> None:
        self.busy = False

    def is_full(self, job: Job) -> bool:
        """Whether the waiting jobs fill the batch of a job that was taken."""
        return self._batch(job)[1]

    def take_batch(self, job: Job) -> list[Job]:
        """Take the jobs that share the batch of ``job``, which was taken before; return the batch."""
        batch, _ = self._batch(job)
        self._waiting = [ticket for ticket in self._waiting if ticket not in batch]
        return batch

    def _batch(self, job: Job) -> tuple[list[Job], bool]:
        """The jobs that share a batch, nearest in length first, and whether the token budget is used up."""
        fitting = [other for other in self._waiting if isinstance(other, Job) and other.key == job.key]
        batch, rows, width, budget = [job], len(job.points), job.width, job.f.adapter.budget
        for other in sorted(fitting, key=lambda other: abs(other.width - job.width)):
            rows, width = rows + len(other.points), max(width, other.width)
            if rows * width > budget:
                return batch, True
            batch.append(other)
        return batch, rows * width >= budget
