from __future__ import annotations

from typing import Annotated

from attribution.metrics import Measurement, metric, no_value
from attribution.metrics.common.case import Case
from attribution.metrics.common.shares import NO_ORDER, SHARE_HELP, counts
from attribution.models.features import HIDE_HELP, Hide
from attribution.registry import Between


@metric(
    title="Log-odds",
    summary="How the logarithm of the probability changes when the words with the highest scores are hidden.",
    caveat="It is unbounded: a few texts whose probability falls to almost nothing may dominate the mean.",
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
) -> Measurement:
    """Log-odds: log p(x without r) − log p(x).

    r are the words with the highest scores, p is the probability of the explained label.

    Chen & Ji 2020, "Learning Variational Word Masks to Improve the Interpretability of Neural Text
    Classifiers", after Shrikumar et al. 2017, "Learning Important Features Through Propagating Activation
    Differences". For a contrast: the change of the difference of the two logarithms.
    """
    if not case.probable:
        return no_value("The model gives no probability.")
    if case.constant:
        return no_value(NO_ORDER)
    present = case.without([0, *counts(len(case.words), [share])])
    full, remaining = case.values(present, hide, "log_probability")
    return Measurement(float(remaining - full))
