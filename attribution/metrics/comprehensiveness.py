from __future__ import annotations

from typing import Annotated

from attribution.metrics import Measurement, metric, no_value
from attribution.metrics.common.case import Case
from attribution.metrics.common.shares import NO_ORDER, SHARE_HELP, counts
from attribution.models.features import HIDE_HELP, Hide
from attribution.registry import Between


@metric(
    title="Comprehensiveness",
    summary="How far the probability falls when the words with the highest scores are hidden.",
    caveat="A text with holes is not like those that the model was trained on: part of the fall is due "
    "to the holes. One share says little of a long text.",
    kind="faithfulness",
    better="higher",
    low=-1.0,
    high=1.0,
    cost="2 forward passes",
    needs=("model",),
)
def comprehensiveness(
    case: Case,
    *,
    share: Annotated[float, Between(0.01, 1.0), SHARE_HELP] = 0.2,
    hide: Annotated[Hide, HIDE_HELP] = "auto",
) -> Measurement:
    """Comprehensiveness: p(x) − p(x without r).

    r are the words with the highest scores, p is the probability of the explained label.

    DeYoung et al. 2020, "ERASER: A Benchmark to Evaluate Rationalized NLP Models", section 4. A model that
    gives no probability is measured by its own number.
    """
    if case.constant:
        return no_value(NO_ORDER)
    remaining = case.values(case.without(counts(len(case.words), [share])), hide)
    return Measurement(float(case.full - remaining[0]))
