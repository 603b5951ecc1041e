from __future__ import annotations

from typing import Annotated

from attribution.metrics import Measured, metric, undefined
from attribution.metrics.common.case import Case
from attribution.metrics.common.shares import NO_ORDER, SHARE_HELP, counts
from attribution.models.features import HIDE_HELP, Hide
from attribution.registry import Between


@metric(
    title="Log-odds",
    summary="How the logarithm of the probability changes when the words with the highest scores are hidden.",
    caveat="Without a bound: a few texts whose probability falls to almost nothing may make up the mean.",
    kind="faithfulness",
    better="lower",
    low=None,
    high=None,
    cost="2 forward passes",
    needs=("model",),
)
def log_odds(
    case: Case,
    *,
    share: Annotated[float, Between(0.01, 1.0), SHARE_HELP] = 0.2,
    hide: Annotated[Hide, HIDE_HELP] = "auto",
) -> Measured:
    """Log-odds: log p(x without r) − log p(x), where r are the words with the highest scores and p is the probability of the explained label.

    Chen & Ji 2020, "Learning Variational Word Masks to Improve the Interpretability of Neural Text
    Classifiers", after Shrikumar et al. 2017, "Learning Important Features Through Propagating Activation
    Differences". Of a contrast it is the change of the difference of logarithms.
    """
    if not case.probable:
        return undefined("The model gives no probability.")
    if case.constant:
        return undefined(NO_ORDER)
    present = case.without([0, *counts(len(case.words), [share])])
    whole, gone = case.values(present, hide, "log_probability")
    return Measured(float(gone - whole))
