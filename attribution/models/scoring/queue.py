"""Which computation comes next, and with which others: the states of the queue, without threads."""

from __future__ import annotations

from collections.abc import Iterator

from attribution.models.scoring.tickets import Job, Ticket


class Queue:
    """Tickets in the order of asking, and whether somebody computes.

    A ticket waits until it is taken or withdrawn. Every method is one step under the caller's lock. Above
    all, what is taken as a batch is chosen and removed in the same step, so that no batch names a ticket that
    has been withdrawn meanwhile.
    """

    def __init__(self) -> None:
        self.busy = False
        """Whether somebody computes: from ``take_first`` until ``release``."""
        self._waiting: list[Ticket] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Ticket]:
        return iter(self._waiting)

    def submit(self, ticket: Ticket) -> None:
        self._waiting.append(ticket)

    def withdraw(self, ticket: Ticket) -> bool:
        """Take back a ticket that waits; whether it still did."""
        if ticket not in self._waiting:
            return False
        self._waiting.remove(ticket)
        return True

    @property
    def next(self) -> Ticket | None:
        """What may be computed now: the ticket that has waited longest, if nobody computes."""
        return None if self.busy or not self._waiting else self._waiting[0]

    def take_first(self) -> Ticket:
        """Begin with the next ticket: nobody else begins until ``release``."""
        assert not self.busy
        self.busy = True
        return self._waiting.pop(0)

    def release(self) -> None:
        self.busy = False

    def is_full(self, job: Job) -> bool:
        """Whether those who wait fill the batch of a job that was taken."""
        return self._batch(job)[1]

    def take_batch(self, job: Job) -> list[Job]:
        """A job that was taken with those that share its batch, which are taken now."""
        batch, _ = self._batch(job)
        self._waiting = [ticket for ticket in self._waiting if ticket not in batch]
        return batch

    def _batch(self, job: Job) -> tuple[list[Job], bool]:
        """The job and those that share its batch, nearest in length first; whether the budget is used up."""
        fitting = [other for other in self._waiting if isinstance(other, Job) and other.key == job.key]
        batch, rows, width, budget = [job], len(job.points), job.width, job.f.adapter.budget
        for other in sorted(fitting, key=lambda other: abs(other.width - job.width)):
            rows, width = rows + len(other.points), max(width, other.width)
            if rows * width > budget:
                return batch, True
            batch.append(other)
        return batch, rows * width >= budget
