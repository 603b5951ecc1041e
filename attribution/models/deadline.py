"""Deadlines and cancellation of computations."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from attribution.errors import Cancelled, DeadlineExceeded


class Meter(Protocol):
    """Counts the rows of a computation."""

    def expect(self, count: int) -> None:
        """So many rows more are going to be computed."""

    def advance(self, count: int) -> None:
        """So many rows more are computed."""


class _NoMeter:
    def expect(self, count: int) -> None:
        """Nobody looks."""

    advance = expect


NO_METER: Meter = _NoMeter()


@dataclass(frozen=True)
class Deadline:
    """When to stop: after ``seconds``, or as soon as ``cancelled()`` is true; and how far the work is."""

    seconds: float = float("inf")
    cancelled: Callable[[], bool] = lambda: False
    started: float = field(default_factory=time.monotonic)
    meter: Meter = NO_METER

    def restart(self) -> Deadline:
        """The same deadline, counted from now."""
        return replace(self, started=time.monotonic())

    def check(self) -> None:
        """Raises ``DeadlineExceeded`` or ``Cancelled``."""
        if self.cancelled():
            raise Cancelled("The request was cancelled.")
        if time.monotonic() - self.started > self.seconds:
            raise DeadlineExceeded(
                f"The computation took longer than {self.seconds:g} seconds.",
                "Use a shorter text, fewer steps or samples.",
            )
