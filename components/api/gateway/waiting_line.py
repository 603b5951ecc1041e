"""A line of requests: some are worked on at once, some more may wait, and any further one is refused."""

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from attribution.errors import QueueFull

Result = TypeVar("Result")


class WaitingLine:
    """For one event loop. Only requests that are worked on take threads."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self._limiter, self._capacity, self._count = CapacityLimiter(at_once), at_once + waiting, 0

    async def run(self, work: Callable[..., Result], *arguments: object) -> Result:
        """Run ``work`` in a thread, in its turn. Raises ``QueueFull``."""
        if self._count >= self._capacity:
            raise QueueFull(f"{self._count} such requests are under way.", "Please try again later.")
        self._count += 1
        try:
            return await run_sync(work, *arguments, limiter=self._limiter)
        finally:
            self._count -= 1
