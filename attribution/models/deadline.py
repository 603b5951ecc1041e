"""Deadlines and cancellation of computations."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from attribution.errors import Cancelled, DeadlineExceeded


@dataclass(frozen=True)
class Deadline:
    """When to stop: after ``seconds``, or as soon as ``cancelled()`` is true."""

    seconds: float = float("inf")
    cancelled: Callable[[], bool] = lambda: False
    started: float = field(default_factory=time.monotonic)

    def check(self) -> None:
        """Raises ``DeadlineExceeded`` or ``Cancelled``."""
        if self.cancelled():
            raise Cancelled("The request was cancelled.")
        if time.monotonic() - self.started > self.seconds:
            raise DeadlineExceeded(
                f"The computation took longer than {self.seconds:g} seconds.",
                "Use a shorter text, fewer steps or samples.",
            )
