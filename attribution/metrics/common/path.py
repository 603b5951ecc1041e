"""The area under the probability while words are hidden or shown one after another."""

from __future__ import annotations

import numpy as np

from attribution.metrics import Curve, Measurement, no_value
from attribution.metrics.common.case import Case
from attribution.metrics.common.shares import NO_ORDER

NORMALIZE_HELP = "Scale the probability so that it is 0 with no word and 1 with all of them."
SMALLEST = 1e-3
"""A smaller change of the probability when all words are hidden is too small to normalize by."""
NO_SCALE = "The model says almost the same of the text without any words, so there is no scale."


def measure_area(case: Case, present: np.ndarray, normalize: bool, hide: str, x_title: str) -> Measurement:
    """The mean height of the curve of f over ``present``, bool [words + 1, words].

    From row to row one further word changes.
    """
    if case.constant:
        return no_value(NO_ORDER)
    values = case.values(present, hide)
    if normalize:
        scale = case.full - case.empty(hide)
        if abs(scale) < SMALLEST:
            return no_value(NO_SCALE)
        values = (values - case.empty(hide)) / scale
    x = np.linspace(0.0, 1.0, len(values))
    title = "probability" if case.probable else "the model's number"
    curve = Curve(
        tuple(x.tolist()), tuple(values.tolist()), x_title, f"{title}, scaled" if normalize else title
    )
    return Measurement(float(np.trapezoid(values, x)), curve=curve)
