"""How alike several explanations rank the same words: Kendall's τ-b, Spearman's ρ, rank-biased overlap, and shared strongest words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from attribution.errors import BadOption, nearest, quote
from attribution.metrics.common.correlation import clip, is_undefined, kendall, spearman

Measure = Literal["kendall", "spearman", "overlap", "rbo"]
MOST = 5
"""Words at most that count as the strongest ones of a text, unless a caller says otherwise."""
PERSISTENCE = 0.8
"""Of rank-biased overlap: the first five ranks have 86 % of the weight (Webber et al. 2010)."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """One measure between all pairs of ``rows``.

    Parameters ---------- values : [rows, rows]; None where the measure is undefined: one side is constant, or
    fewer than two words are scored by both. absolute : [rows, rows], whether absolute scores were compared:
    one side of the pair has no signs, or the measure takes none. words : [rows, rows], how many words both
    sides score. k : for ``"overlap"``, how many words count as the strongest of that many; None: as
    ``strongest`` says. Else None.
    """

    measure: Measure
    values: tuple[tuple[float | None, ...], ...]
    absolute: tuple[tuple[bool, ...], ...]
    words: tuple[tuple[int, ...], ...]
    k: int | None = None


def agreement(
    scores: np.ndarray, signed: Sequence[bool], measure: str = "kendall", k: int | None = None
) -> Agreement:
    """The measure between all pairs of rows of ``scores`` [rows, words], where NaN stands for a word that a row does not score.

    Kendall's and Spearman's compare scores as they are where both rows are ``signed``, else absolute ones;
    both overlaps always take absolute ones. Raises ``BadOption`` for another measure or a ``k`` below 1.
    """
    if measure not in MEASURES:
        raise BadOption(f"There is no measure {quote(measure)}.", nearest(measure, MEASURES))
    if k is not None and (isinstance(k, bool) or not isinstance(k, int) or k < 1):
        raise BadOption(f"k is {quote(k)}.", "It must be a whole number from 1.")
    count = len(scores)
    values: list[list[float | None]] = [[None] * count for _ in range(count)]
    absolute = [
        [measure in _STRENGTHS or not (signed[i] and signed[j]) for j in range(count)] for i in range(count)
    ]
    there = ~np.isnan(scores)
    for i in range(count):
        for j in range(i + 1):
            both = there[i] & there[j]
            a, b = scores[i][both], scores[j][both]
            a, b = (np.abs(a), np.abs(b)) if absolute[i][j] else (a, b)
            values[i][j] = values[j][i] = (
                overlap(a, b, k) if measure == "overlap" else _MEASURES[measure](a, b)
            )
    words = (there[:, None] & there[None]).sum(axis=2).tolist()
    return Agreement(
        measure, _frozen(values), _frozen(absolute), _frozen(words), k if measure == "overlap" else None
    )


def overlap(a: np.ndarray, b: np.ndarray, k: int | None = None) -> float | None:
    """The share of their strongest words that two score vectors [words] have in common: |A ∩ B| / max(|A|, |B|).

    A and B are the ``k`` words with the largest absolute scores of either side (``strongest`` of their number
    by default); a score of 0 is never one of them, and ties are taken in reading order. Krishna et al. 2022,
    "The Disagreement Problem in Explainable Machine Learning", section 3.1 (feature agreement). None where
    one side is constant or they have fewer than two entries.
    """
    a, b = np.abs(a), np.abs(b)
    if is_undefined(a, b):
        return None
    first, second = (set(top(v, strongest(len(v)) if k is None else k)) for v in (a, b))
    return len(first & second) / max(len(first), len(second))


def rbo(a: np.ndarray, b: np.ndarray, p: float = PERSISTENCE) -> float | None:
    """Rank-biased overlap of two score vectors [words], the strongest words first: the deeper a rank, the less it weighs.

    RBO_ext = A_n pⁿ + (1 − p)/p Σ_d A_d p^d over the ranks d = 1 … n, with the agreement A_d = 2 |S_d ∩ T_d|
    / (|S_d| + |T_d|), where S_d and T_d are the words of either side at rank d or better. Webber, Moffat &
    Zobel 2010, "A Similarity Measure for Indefinite Rankings", extrapolated, with ties as they propose: tied
    words share the best of their ranks and come in together. Absolute scores are ranked. Both sides rank the
    same n words, so A_n = 1 and the value is never below pⁿ. None where one side is constant or they have
    fewer than two entries.
    """
    a, b = np.abs(a), np.abs(b)
    if is_undefined(a, b):
        return None
    depths = np.arange(1, len(a) + 1)
    in_a, in_b = (ranks(v)[None, :] <= depths[:, None] for v in (a, b))  # [depth, word]
    agreed = 2 * (in_a & in_b).sum(axis=1) / (in_a.sum(axis=1) + in_b.sum(axis=1))
    return clip(agreed[-1] * p ** len(a) + (1 - p) / p * float(agreed @ p**depths))


def strongest(words: int) -> int:
    """How many of so many words count as the strongest: a third of them, at least 1, at most ``MOST``."""
    return max(1, min(MOST, words // 3))


def top(scores: np.ndarray, k: int) -> list[int]:
    """The places of the ``k`` largest absolute scores, largest first; ties in reading order; zeros and NaN never."""
    sizes = np.nan_to_num(np.abs(scores))
    return [int(place) for place in np.argsort(-sizes, kind="stable")[:k] if sizes[place] > 0]


def ranks(scores: np.ndarray) -> np.ndarray:
    """The rank of each score by its absolute value, 1 the largest; ties share the best rank; NaN stays NaN."""
    sizes = np.abs(scores)
    larger = (sizes[None, :] > sizes[:, None]).sum(axis=1)
    return np.where(np.isnan(sizes), np.nan, 1.0 + larger)


_MEASURES: dict[str, Callable[[np.ndarray, np.ndarray], float | None]] = {
    "kendall": kendall,
    "spearman": spearman,
    "rbo": rbo,
}
_STRENGTHS = ("overlap", "rbo")
"""Measures of absolute scores."""
MEASURES: tuple[Measure, ...] = ("kendall", "spearman", "overlap", "rbo")


def _frozen(rows: list[list]) -> tuple[tuple, ...]:
    return tuple(tuple(row) for row in rows)
