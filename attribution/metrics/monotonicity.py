from __future__ import annotations

from typing import Annotated

import numpy as np

from attribution.metrics import Measurement, metric, no_value
from attribution.metrics.common.case import Case
from attribution.metrics.common.shares import NO_ORDER
from attribution.models.features import HIDE_HELP, Hide


@metric(
    title="Monotonicity",
    summary="The share of words that move the probability in the direction of their score when they are "
    "added to the hidden text, the weakest first.",
    caveat="It asks for the direction of each step and not for its size. Without signs, every word is "
    "expected to raise the probability.",
    kind="faithfulness",
    better="higher",
    low=0.0,
    high=1.0,
    cost="a forward pass for each word, and one more, in batches",
    needs=("model",),
)
def monotonicity(case: Case, *, hide: Annotated[Hide, HIDE_HELP] = "auto") -> Measurement:
    """Monotonicity: the share of steps at which p does not fall for a score ≥ 0, nor rise for one < 0.

    Words are added to the hidden text in order of rising |s|.

    Arya et al. 2019, "One Explanation Does Not Fit All: A Toolkit and Taxonomy of AI Explainability
    Techniques", where it is 1 if p never falls and 0 otherwise; here the signs of the scores count, and
    values in between are possible.
    """
    if case.constant:
        return no_value(NO_ORDER)
    order = np.argsort(case.strength, kind="stable")
    rank = np.argsort(order)
    present = rank[None, :] < np.arange(len(rank) + 1)[:, None]
    rises = np.diff(case.values(present, hide))
    right = np.where(case.scores[order] >= 0, rises >= 0, rises <= 0)
    return Measurement(float(right.mean()))
