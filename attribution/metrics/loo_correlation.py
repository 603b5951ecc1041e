from __future__ import annotations

from typing import Annotated

import numpy as np

from attribution.metrics import Measurement, metric, no_value
from attribution.metrics.common.case import Case
from attribution.metrics.common.correlation import kendall
from attribution.models.features import HIDE_HELP, Hide


@metric(
    title="Correlation with leaving one out",
    summary="Whether words are in the order of how far the explained number falls when each of them "
    "alone is hidden.",
    caveat="Occlusion of single words is this very number, so its correlation is 1. Of two words that "
    "say the same thing, neither matters alone.",
    kind="faithfulness",
    better="higher",
    low=-1.0,
    high=1.0,
    cost="a forward pass for each word, and one more, in batches",
    needs=("model",),
)
def loo_correlation(case: Case, *, hide: Annotated[Hide, HIDE_HELP] = "auto") -> Measurement:
    """Correlation with leaving one out: Kendall's τ-b of the scores s_i and f(x) − f(x without i).

    f is in the attribution's own quantity.

    Jain & Wallace 2019, "Attention is not Explanation", section 4.1 (there with the total variation distance
    of the predictions). Scores without signs are compared with the size of the change.
    """
    count = len(case.words)
    full, *without_each = case.values(
        np.vstack([np.ones((1, count), dtype=bool), ~np.eye(count, dtype=bool)]), hide, "explained"
    )
    falls = full - np.array(without_each)
    tau = kendall(case.scores, falls if case.signed else np.abs(falls))
    if tau is None:
        return no_value("There is one word only, or all scores or all changes are equal.")
    return Measurement(tau)
