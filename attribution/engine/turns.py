"""Who computes now and who waits: a bound on both."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from attribution.errors import QueueFull
from attribution.models.deadline import Deadline
from attribution.models.scoring.worker import WORKER

POLL_SECONDS = 0.05
"""How often a waiting request looks at its deadline."""


class Turns:
    """Places for ``places`` running requests; at most ``queue`` more wait for one.

    Attributes
    ----------
    running : requests that hold a place now.
    waiting : requests that wait for one now.
    """

    def __init__(self, places: int, queue: int) -> None:
        self.running = self.waiting = 0
        self._queue = queue
        self._places = threading.BoundedSemaphore(places)
        self._lock = threading.Lock()

    @contextmanager
    def take(self, deadline: Deadline) -> Iterator[None]:
        """Context manager: hold a place. Raises ``QueueFull``, ``Cancelled``, ``DeadlineExceeded``."""
        self._wait(deadline)
        try:
            deadline.check()
            with WORKER.request():
                yield
        finally:
            with self._lock:
                self.running -= 1
            self._places.release()

    def _wait(self, deadline: Deadline) -> None:
        with self._lock:
            if self.waiting >= self._queue:
                raise QueueFull(
                    f"{self.waiting} requests are waiting already.", "Please try again in a few seconds."
                )
            self.waiting += 1
        acquired = False
        try:
            while not (acquired := self._places.acquire(timeout=POLL_SECONDS)):
                deadline.check()
        finally:
            with self._lock:
                self.waiting -= 1
                self.running += acquired
