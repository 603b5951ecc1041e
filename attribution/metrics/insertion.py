from __future__ import annotations

from typing import Annotated

from attribution.metrics import Measurement, metric
from attribution.metrics.common.case import Case
from attribution.metrics.common.path import NORMALIZE_HELP, measure_area
from attribution.models.features import HIDE_HELP, Hide


@metric(
    title="Insertion",
    summary="The area under the probability while words come back into the hidden text one after "
    "another, the highest score first.",
    caveat="Its value depends on how sure the model is of the text with and without words: compare "
    "methods on the same texts only, or normalize.",
    kind="faithfulness",
    better="higher",
    low=0.0,
    high=1.0,
    cost="a forward pass for each word, and one more, in batches",
    needs=("model",),
)
def insertion(
    case: Case,
    *,
    normalize: Annotated[bool, NORMALIZE_HELP] = False,
    hide: Annotated[Hide, HIDE_HELP] = "auto",
) -> Measurement:
    """Insertion: ∫ p(the first t of the words of x alone) dt, t from 0 to 1, by trapezoids at every word.

    Petsiuk, Das & Saenko 2018, "RISE: Randomized Input Sampling for Explanation of Black-box Models", with
    words for pixels; p is the probability of the explained label. A model that gives no probability is
    measured by its own number.
    """
    return measure_area(
        case, ~case.without(range(len(case.words) + 1)), normalize, hide, "share of words shown"
    )
