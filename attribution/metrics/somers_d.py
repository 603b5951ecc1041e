from __future__ import annotations

import numpy as np

from attribution.metrics import Measured, metric, undefined
from attribution.metrics.common.case import Case
from attribution.metrics.common.marks import ALIKE, compared


@metric(
    title="Somers' D with people",
    summary="Of the pairs of words that people ranked differently, the share in the same order less the "
    "share in the opposite one.",
    caveat="It passes over the order among words that people marked alike. Agreement with people says "
    "nothing about what the model does.",
    kind="plausibility",
    better="higher",
    low=-1.0,
    high=1.0,
    cost="none",
    needs=("rationale",),
)
def somers_d(case: Case) -> Measured:
    """Somers' D of the scores given the marks: (C − D) / n_m, over the n_m pairs of words whose marks differ.

    Somers 1962, "A New Asymmetric Measure of Association for Ordinal Variables", equation 1. A pair with
    equal scores counts as half right. For marks of 0 and 1 it is 2 · AUC − 1. Unlike τ-b it reaches 1 however
    many words people marked alike.
    """
    both = compared(case)
    over = both.marks[:, None] > both.marks
    if not over.any():
        return undefined(ALIKE)
    order = np.sign(both.scores[:, None] - both.scores)
    return Measured(float(order[over].mean()))
