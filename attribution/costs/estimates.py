"""What a computation will take, as numbers and in words. Needs no torch: the client reads it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

ABOUT = 1.5
"""A range whose ends have a smaller ratio is written as one number."""
LEAST = 0.1
"""Seconds below which no number is written."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a computation will take.

    Attributes
    ----------
    seconds_low, seconds_high : they differ where the method decides on the way how much it computes.
    bytes_peak : the weights, the largest batch with what its backward pass needs, and the method's points.
    passes, rows : the most forward passes (batches) and rows in them; None where a method looks inside the
        model.
    sentence : for people.
    """

    seconds_low: float
    seconds_high: float
    bytes_peak: int
    passes: int | None
    rows: int | None
    sentence: str

    @property
    def middle(self) -> float:
        """The geometric mean of the range, in seconds."""
        return math.sqrt(self.seconds_low * self.seconds_high)

    def describe(self) -> str:
        """In a few words: ``about 0.4 s, about 90 MB``, ``1 to 6 s, about 0.9 GB``."""
        return f"{span(self.seconds_low, self.seconds_high)}, about {size(self.bytes_peak)}"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {name: getattr(self, name) for name in self.__slots__}


def span(low: float, high: float) -> str:
    """``about 0.4 s``, ``1 to 6 s``, ``less than 0.1 s``."""
    if high < LEAST:
        return f"less than {LEAST:g} s"
    if high <= ABOUT * low:
        return f"about {duration(math.sqrt(low * high))}"
    if low < LEAST:
        return f"at most {duration(high)}"
    first, second = duration(low), duration(high)
    (a, unit), other = first.split(), second.split()[1]
    return f"{a if unit == other else first} to {second}"


def duration(seconds: float) -> str:
    """Two digits below ten seconds: more would claim too much.

    ``0.42 s``, ``3.1 s``, ``45 s``, ``4 min``, ``3 h``.
    """
    for unit, length in (("s", 1.0), ("min", 60.0), ("h", 3600.0)):
        if seconds < 90 * length or unit == "h":
            amount = seconds / length
            return f"{float(f'{amount:.1g}' if amount < 1 else f'{amount:.2g}'):g} {unit}"
    raise AssertionError


def size(amount: int) -> str:
    """``90 MB``, ``1.2 GB``."""
    large = amount >= 0.95e9
    return f"{float(f'{amount / (1e9 if large else 1e6):.2g}'):g} {'GB' if large else 'MB'}"
