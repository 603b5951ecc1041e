from __future__ import annotations

import numpy as np

from attribution.metrics import Measurement, metric, no_value
from attribution.metrics.common.case import Case
from attribution.metrics.common.marks import ALIKE, compare_with_marks


@metric(
    title="Somers' D with people",
    summary="Of the pairs of words that people ranked differently, the share in the same order less the "
    "share in the opposite one.",
    caveat="It ignores the order among words that people marked alike. Agreement with people says "
    "nothing about what the model does.",
    kind="plausibility",
    better="higher",
    low=-1.0,
    high=1.0,
    cost="none",
    needs=("rationale",),
)
def somers_d(case: Case) -> Measurement:
    """Somers' D of the scores given the marks: (C − D) / n_m, over the n_m pairs of words whose marks differ.

    Somers 1962, "A New Asymmetric Measure of Association for Ordinal Variables", equation 1. A pair with
    equal scores counts as half right. For marks of 0 and 1 it is 2 · AUC − 1. Unlike τ-b it reaches 1 however
    many words people marked alike.
    """
    pair = compare_with_marks(case)
    higher = pair.marks[:, None] > pair.marks
    if not higher.any():
        return no_value(ALIKE)
    order = np.sign(pair.scores[:, None] - pair.scores)
    return Measurement(float(order[higher].mean()))
