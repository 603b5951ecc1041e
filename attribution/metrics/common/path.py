"""What deletion and insertion share: the area under what the model says on a way from all words to none."""

from __future__ import annotations

import numpy as np

from attribution.metrics import Curve, Measured, undefined
from attribution.metrics.common.case import Case
from attribution.metrics.common.shares import NO_ORDER

NORMALIZE_HELP = "Stretch the probability so that it is 0 with no word and 1 with all of them."
SMALLEST = 1e-3
"""A probability that changes less than this when all words are hidden is no scale to measure by."""
NO_SCALE = "The model says almost the same of the text without any words, so there is no scale."


def area(case: Case, present: np.ndarray, normalize: bool, hide: str, x_title: str) -> Measured:
    """The mean height of the curve of f over ``present``, bool [words + 1, words]: one word more changes from row to row."""
    if case.constant:
        return undefined(NO_ORDER)
    values = case.values(present, hide)
    if normalize:
        scale = case.full - case.empty(hide)
        if abs(scale) < SMALLEST:
            return undefined(NO_SCALE)
        values = (values - case.empty(hide)) / scale
    x = np.linspace(0.0, 1.0, len(values))
    title = "probability" if case.probable else "the model's number"
    curve = Curve(
        tuple(x.tolist()), tuple(values.tolist()), x_title, f"{title}, stretched" if normalize else title
    )
    return Measured(float(np.trapezoid(values, x)), curve=curve)
