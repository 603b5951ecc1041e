"""Correlations of two score vectors: Kendall's τ-b and Spearman's ρ."""

from __future__ import annotations

import math

import numpy as np


def kendall(a: np.ndarray, b: np.ndarray) -> float | None:
    """Kendall's τ-b of two score vectors [words].

    None where a vector is constant or has fewer than two entries.

    τ_b = (C − D) / √(n_a · n_b): C pairs are in the same order in both vectors, D in the opposite one; n_a
    are not tied in a, n_b not in b. From −1 (reversed) to 1 (the same order). Kendall 1945, "The Treatment of
    Ties in Ranking Problems".
    """
    if is_undefined(a, b):
        return None
    over_a, over_b = (v[:, None] > v for v in (a, b))  # [i, j]: whether v_i is the larger one
    same, opposite = np.count_nonzero(over_a & over_b), np.count_nonzero(over_a & over_b.T)
    return clip((same - opposite) / math.sqrt(np.count_nonzero(over_a) * np.count_nonzero(over_b)))


def spearman(a: np.ndarray, b: np.ndarray) -> float | None:
    """Spearman's ρ of two score vectors [words].

    None where a vector is constant or has fewer than two entries.

    Pearson's correlation of the ranks; tied scores share their mean rank. Spearman 1904, "The Proof and
    Measurement of Association between Two Things".
    """
    if is_undefined(a, b):
        return None
    return clip(float(np.corrcoef(_mean_ranks(a), _mean_ranks(b))[0, 1]))


def is_undefined(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two score vectors have no correlation: fewer than two entries, or one is constant."""
    return len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0


def clip(value: float) -> float:
    """The value clipped to [−1, 1], against rounding."""
    return min(1.0, max(-1.0, float(value)))


def _mean_ranks(values: np.ndarray) -> np.ndarray:
    _, back, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: np.ndarray = (np.cumsum(counts) - (counts - 1) / 2)[back]
    return ranks
