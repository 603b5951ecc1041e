"""A line of requests: so many are worked on at once, so many more may wait, and the next one is told to come later."""

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from attribution.errors import QueueFull

Found = TypeVar("Found")


class Line:
    """For one event loop. Threads are taken by what is worked on only."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self._limiter, self._most, self._inside = CapacityLimiter(at_once), at_once + waiting, 0

    async def run(self, work: Callable[..., Found], *given: object) -> Found:
        """What ``work`` gives, in a thread and in its turn. Raises ``QueueFull``."""
        if self._inside >= self._most:
            raise QueueFull(f"{self._inside} such requests are under way.", "Please try again later.")
        self._inside += 1
        try:
            return await run_sync(work, *given, limiter=self._limiter)
        finally:
            self._inside -= 1
