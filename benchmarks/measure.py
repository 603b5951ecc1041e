"""Clock, turns, agreement, slopes and tables: what every comparison is made of."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch


@dataclass(frozen=True)
class Outcome:
    """What one call gave:

    ``scores`` of any shape (nan where it says nothing), and named ``facts`` such as a residual.
    """

    scores: np.ndarray
    facts: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "facts", {name: float(value) for name, value in self.facts.items()})


Call = Callable[[], Outcome]


@dataclass(frozen=True)
class Duel:
    """Ours and theirs for one text, ready to be called repeatedly; ``theirs`` is None if no peer does it."""

    ours: Call
    theirs: Call | None


@dataclass(frozen=True)
class Round:
    """One turn of each: seconds, and what was found."""

    seconds: tuple[float, float]
    outcomes: tuple[Outcome, Outcome]

    @property
    def ratio(self) -> float:
        """Theirs / ours."""
        return self.seconds[1] / self.seconds[0]


def timed(call: Callable[[], Outcome]) -> tuple[float, Outcome]:
    """Seconds of one call, and what it gave."""
    started = time.perf_counter()
    result = call()
    return time.perf_counter() - started, result


def turns(duels: Iterator[Duel], rounds: int, seconds: float) -> list[Round]:
    """Ours, theirs, ours, theirs ...: at least one duel, until ``rounds`` are done or ``seconds`` are used.

    A first round warms both up and does not count, unless it alone used half of the time.
    """
    started = time.monotonic()
    done: list[Round] = []
    for number in range(rounds + 1):
        duel = next(duels)
        assert duel.theirs
        (mine, ours), (other, theirs) = timed(duel.ours), timed(duel.theirs)
        used = time.monotonic() - started
        if number or used > seconds / 2:
            done.append(Round((mine, other), (ours, theirs)))
        if done and used + used / (number + 1) > seconds:
            break
    return done


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Smallest, median, largest."""
    return min(values), statistics.median(values), max(values)


def difference(ours: Outcome, theirs: Outcome) -> float:
    """The largest difference of two score arrays / the largest absolute score."""
    return float(np.nanmax(np.abs(ours.scores - theirs.scores)) / np.nanmax(np.abs(theirs.scores)))


def ranked(ours: Outcome, theirs: Outcome) -> float:
    """Spearman's rank correlation over what both say something about; nan where one of them is constant."""
    from scipy.stats import spearmanr

    both = ~(np.isnan(ours.scores) | np.isnan(theirs.scores))
    mine, other = ours.scores[both], theirs.scores[both]
    return (
        float("nan") if np.ptp(mine) == 0 or np.ptp(other) == 0 else float(spearmanr(mine, other).statistic)
    )


def facts_of(results: Sequence[Outcome]) -> dict[str, tuple[float, float]]:
    """The smallest and largest value of each fact."""
    names = dict.fromkeys(name for result in results for name in result.facts)
    values = {name: [result.facts[name] for result in results if name in result.facts] for name in names}
    return {name: (min(v), max(v)) for name, v in values.items()}


def slope(sizes: Sequence[float], amounts: Sequence[float]) -> float:
    """The exponent k of amount ∝ size^k: the slope of a straight line through the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(amounts), 1)[0])


@contextmanager
def threads(count: int) -> Iterator[None]:
    """So many threads for torch and for numpy's linear algebra."""
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        with threadpool_limits(count, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(before)


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table for a terminal: the first column to the left, the others to the right, the last one free."""
    widths = [max(len(row[k]) for row in [head, *rows]) for k in range(len(head))]
    last = len(head) - 1

    def line(row: Sequence[str]) -> str:
        cells = [
            cell if k == last else cell.ljust(width) if k == 0 else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    return "\n".join(line(row) for row in [head, *rows])


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The same table in Markdown."""
    marks = ["---", *("---:" for _ in head[1:])]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in [head, marks, *rows]
    )


def written(value: float, unit: str = "s") -> str:
    """A time in seconds, or another amount, for people."""
    if unit != "s":
        return f"{value:,.0f} {unit}"
    return (
        f"{1000 * value:.3g} ms"
        if value < 0.9995
        else f"{value:.3g} s"
        if value < 999.5
        else f"{value:,.0f} s"
    )
