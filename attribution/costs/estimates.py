"""What a run will take, and how that is said: importable without torch, for the client."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

ABOUT = 1.5
"""A range narrower than this is said as one number."""
LEAST = 0.1
"""Seconds below which no number is said."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run will take.

    ``seconds_low`` and ``seconds_high`` differ where the method decides on the way how much it computes. ``bytes_peak`` counts the
    weights, the largest batch with what its backward pass needs, and the points that the method holds. ``passes`` and ``rows`` are
    the most forward passes (batches) and rows in them; None where a method cannot be counted from outside. ``sentence`` is for a person.
    """

    seconds_low: float
    seconds_high: float
    bytes_peak: int
    passes: int | None
    rows: int | None
    sentence: str

    @property
    def middle(self) -> float:
        """Seconds in the middle of the range, by their ratio."""
        return math.sqrt(self.seconds_low * self.seconds_high)

    def said(self) -> str:
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
    """Two digits below ten seconds: more would claim too much. ``0.42 s``, ``3.1 s``, ``45 s``, ``4 min``, ``3 h``."""
    for unit, length in (("s", 1.0), ("min", 60.0), ("h", 3600.0)):
        if seconds < 90 * length or unit == "h":
            amount = seconds / length
            return f"{float(f'{amount:.1g}' if amount < 1 else f'{amount:.2g}'):g} {unit}"
    raise AssertionError


def size(amount: int) -> str:
    """``90 MB``, ``1.2 GB``."""
    large = amount >= 0.95e9
    return f"{float(f'{amount / (1e9 if large else 1e6):.2g}'):g} {'GB' if large else 'MB'}"
