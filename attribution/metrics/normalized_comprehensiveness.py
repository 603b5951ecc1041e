from __future__ import annotations

from typing import Annotated

from attribution.metrics import Measurement, metric, no_value
from attribution.metrics.common.case import Case
from attribution.metrics.common.path import NO_SCALE, SMALLEST
from attribution.metrics.common.shares import NO_ORDER, SHARE_HELP, counts
from attribution.models.features import HIDE_HELP, Hide
from attribution.registry import Between


@metric(
    title="Normalized comprehensiveness",
    summary="How much of what the text tells the model is lost without the words with the highest scores.",
    caveat="It is not defined where hiding every word changes nothing, or makes the model surer.",
    kind="faithfulness",
    better="higher",
    low=0.0,
    high=1.0,
    cost="3 forward passes",
    needs=("model",),
)
def normalized_comprehensiveness(
    case: Case,
    *,
    share: Annotated[float, Between(0.01, 1.0), SHARE_HELP] = 0.2,
    hide: Annotated[Hide, HIDE_HELP] = "auto",
) -> Measurement:
    """Normalized comprehensiveness: max(0, p(x) − p(x without r)) / d, with d = p(x) − p(no word).

    r are the words with the highest scores. Carton, Rathore & Tan 2020, "Evaluating and Characterizing Human
    Rationales", clipped to 0 … 1; p is the probability of the explained label.
    """
    if case.constant:
        return no_value(NO_ORDER)
    scale = case.full - case.empty(hide)
    if scale < SMALLEST:
        return no_value(NO_SCALE)
    fall = max(0.0, case.full - float(case.values(case.without(counts(len(case.words), [share])), hide)[0]))
    return Measurement(min(1.0, max(0.0, fall / scale)))
