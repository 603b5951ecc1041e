from __future__ import annotations

import numpy as np

from attribution.metrics import Measured, metric, undefined
from attribution.metrics.common.case import Case
from attribution.metrics.common.correlation import kendall
from attribution.metrics.common.marks import ALIKE, compared


@metric(
    title="Kendall's τ-b with people",
    summary="Whether words are in the order in which people marked them.",
    caveat="People mark few words and leave the rest alike, so scores without ties cannot reach 1: the "
    "ceiling says what they could reach. "
    "Agreement with people says nothing about what the model does.",
    kind="plausibility",
    better="higher",
    low=-1.0,
    high=1.0,
    cost="none",
    needs=("rationale",),
)
def kendall_tau(case: Case) -> Measured:
    """Kendall's τ-b of scores and marks: (C − D) / √(n_s · n_m), over C pairs in the same and D pairs in the opposite order.

    Kendall 1945, "The Treatment of Ties in Ranking Problems", section 3. n_s and n_m are the pairs that are
    not tied in the scores and in the marks. The ceiling is τ-b of the same scores dealt out in the order of
    the marks, which no other order exceeds.
    """
    both = compared(case)
    found, best = kendall(both.scores, both.marks), kendall(np.sort(both.scores), np.sort(both.marks))
    if found is None:
        return undefined(
            ALIKE if np.ptp(both.marks) == 0 else "There is one word only, or all scores are equal."
        )
    return Measured(found, ceiling=best)
