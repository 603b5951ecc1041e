from __future__ import annotations

import numpy as np

from attribution.metrics import Measurement, metric, no_value
from attribution.metrics.common.case import Case
from attribution.metrics.common.correlation import kendall
from attribution.metrics.common.marks import ALIKE, compare_with_marks


@metric(
    title="Kendall's τ-b with people",
    summary="Whether words are in the order in which people marked them.",
    caveat="People mark few words and leave the rest alike, so scores without ties cannot reach 1: the "
    "ceiling says what they could reach. Agreement with people says nothing about what the model does.",
    kind="plausibility",
    better="higher",
    low=-1.0,
    high=1.0,
    cost="none",
    needs=("rationale",),
)
def kendall_tau(case: Case) -> Measurement:
    """Kendall's τ-b of scores and marks: (C − D) / √(n_s · n_m).

    C pairs of words are in the same order in both, D in the opposite order.

    Kendall 1945, "The Treatment of Ties in Ranking Problems", section 3. n_s and n_m are the pairs that are
    not tied in the scores and in the marks. The ceiling is the τ-b of the same scores, sorted in
    the order of the marks: the largest that any order reaches.
    """
    pair = compare_with_marks(case)
    tau, best = kendall(pair.scores, pair.marks), kendall(np.sort(pair.scores), np.sort(pair.marks))
    if tau is None:
        return no_value(
            ALIKE if np.ptp(pair.marks) == 0 else "There is one word only, or all scores are equal."
        )
    return Measurement(tau, ceiling=best)
