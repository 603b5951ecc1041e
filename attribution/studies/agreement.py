"""How similarly explanations rank the same words.

Measures: Kendall's τ-b, Spearman's ρ, rank-biased overlap, and the overlap of the strongest words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

from attribution.errors import BadOption, nearest, quote
from attribution.metrics.common.correlation import clip, is_undefined, kendall, spearman
from attribution.request.values import to_python

Item = TypeVar("Item")
Measure = Literal["kendall", "spearman", "overlap", "rbo"]
MOST = 5
"""Default maximum number of words that count as the strongest of a text."""
PERSISTENCE = 0.8
"""Parameter p of rank-biased overlap: the first five ranks have 86 % of the weight (Webber et al. 2010)."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """A measure between all pairs of rows.

    Parameters
    ----------
    values : [rows, rows]; None where undefined: a side is constant, or fewer than two words are in both.
    absolute : [rows, rows], whether absolute scores were compared because a side or the measure is unsigned.
    words : [rows, rows], the number of words that both sides score.
    k : for ``"overlap"``, the number of strongest words, None for ``strongest_count``; else None.
    """

    measure: Measure
    values: tuple[tuple[float | None, ...], ...]
    absolute: tuple[tuple[bool, ...], ...]
    words: tuple[tuple[int, ...], ...]
    k: int | None = None


def agreement(
    scores: np.ndarray, signed: Sequence[bool], measure: str = "kendall", k: int | None = None
) -> Agreement:
    """Compute the measure between all pairs of rows of ``scores`` [rows, words]; NaN: the row lacks the word.

    Kendall's τ and Spearman's ρ compare signed scores if both rows are ``signed``, else absolute ones; both
    overlaps always compare absolute scores. Raises ``BadOption`` for an unknown measure or a ``k`` below 1.
    """
    if measure not in MEASURES:
        raise BadOption(f"There is no measure {quote(measure)}.", nearest(measure, MEASURES))
    k = to_python(k)
    if k is not None and (isinstance(k, bool) or not isinstance(k, int) or k < 1):
        raise BadOption(f"k is {quote(k)}.", "It must be a whole number from 1.")
    count = len(scores)
    values: list[list[float | None]] = [[None] * count for _ in range(count)]
    absolute = [
        [measure in _UNSIGNED or not (signed[i] and signed[j]) for j in range(count)] for i in range(count)
    ]
    scored = ~np.isnan(scores)
    for i in range(count):
        for j in range(i + 1):
            both = scored[i] & scored[j]
            a, b = scores[i][both], scores[j][both]
            a, b = (np.abs(a), np.abs(b)) if absolute[i][j] else (a, b)
            values[i][j] = values[j][i] = (
                overlap(a, b, k) if measure == "overlap" else _MEASURES[measure](a, b)
            )
    words = (scored[:, None] & scored[None]).sum(axis=2).tolist()
    return Agreement(
        measure, _freeze(values), _freeze(absolute), _freeze(words), k if measure == "overlap" else None
    )


def overlap(a: np.ndarray, b: np.ndarray, k: int | None = None) -> float | None:
    """The share of strongest words that two score vectors [words] have in common: |A ∩ B| / max(|A|, |B|).

    A and B are the ``k`` words of each side with the largest absolute scores (``strongest_count`` by
    default). Scores of 0 are excluded, ties are resolved in reading order. Krishna et al. 2022, "The
    Disagreement Problem in Explainable Machine Learning", section 3.1 (feature agreement). None if a side is
    constant or has fewer than two entries.
    """
    a, b = np.abs(a), np.abs(b)
    if is_undefined(a, b):
        return None
    first, second = (set(top(v, strongest_count(len(v)) if k is None else k)) for v in (a, b))
    return len(first & second) / max(len(first), len(second))


def rbo(a: np.ndarray, b: np.ndarray, p: float = PERSISTENCE) -> float | None:
    """Rank-biased overlap of two score vectors [words], which weights high ranks more than low ones.

    RBO_ext = A_n pⁿ + (1 − p)/p Σ_d A_d p^d over the ranks d = 1 … n, with the agreement A_d = 2 |S_d ∩ T_d|
    / (|S_d| + |T_d|), where S_d and T_d are the words of each side at rank d or better. Webber, Moffat &
    Zobel 2010, "A Similarity Measure for Indefinite Rankings", extrapolated, with their treatment of ties:
    tied words share their best rank. Absolute scores are ranked. Both sides rank the same n words, so A_n = 1
    and the value is at least pⁿ. None if a side is constant or has fewer than two entries.
    """
    a, b = np.abs(a), np.abs(b)
    if is_undefined(a, b):
        return None
    depths = np.arange(1, len(a) + 1)
    in_a, in_b = (ranks(v)[None, :] <= depths[:, None] for v in (a, b))  # [depth, word]
    agreements = 2 * (in_a & in_b).sum(axis=1) / (in_a.sum(axis=1) + in_b.sum(axis=1))
    return clip(agreements[-1] * p ** len(a) + (1 - p) / p * float(agreements @ p**depths))


def strongest_count(words: int) -> int:
    """How many of ``words`` words count as the strongest: a third of them, from 1 to ``MOST``."""
    return max(1, min(MOST, words // 3))


def top(scores: np.ndarray, k: int) -> list[int]:
    """Indices of the ``k`` largest absolute scores other than 0, largest first; ties in reading order."""
    sizes = np.nan_to_num(np.abs(scores))
    return [int(index) for index in np.argsort(-sizes, kind="stable")[:k] if sizes[index] > 0]


def ranks(scores: np.ndarray) -> np.ndarray:
    """Ranks by absolute value, starting at 1; ties share the best rank, NaN stays NaN."""
    sizes = np.abs(scores)
    larger = (sizes[None, :] > sizes[:, None]).sum(axis=1)
    ranking: np.ndarray = np.where(np.isnan(sizes), np.nan, 1.0 + larger)
    return ranking


_MEASURES: dict[str, Callable[[np.ndarray, np.ndarray], float | None]] = {
    "kendall": kendall,
    "spearman": spearman,
    "rbo": rbo,
}
_UNSIGNED = ("overlap", "rbo")
"""Measures that compare absolute scores."""
MEASURES: tuple[Measure, ...] = ("kendall", "spearman", "overlap", "rbo")


def _freeze(rows: list[list[Item]]) -> tuple[tuple[Item, ...], ...]:
    return tuple(tuple(row) for row in rows)
