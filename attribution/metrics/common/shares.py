"""Shares of the words as counts, and the shares that ERASER averages over."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

BINS = (0.01, 0.05, 0.1, 0.2, 0.5)
"""DeYoung et al. 2020, section 4: 1, 5, 10, 20 and 50 per cent."""
SHARE_HELP = "Share of the words, rounded to whole words, at least one."
NO_ORDER = "All words have the same score, so none comes first."


def counts(words: int, shares: Sequence[float]) -> np.ndarray:
    """How many of ``words`` each share is, rounded half up, at least one: int [shares]."""
    numbers: np.ndarray = np.array([min(words, max(1, int(share * words + 0.5))) for share in shares])
    return numbers
