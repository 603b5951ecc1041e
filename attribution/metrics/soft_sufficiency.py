from __future__ import annotations

from typing import Annotated

from attribution.metrics import Measurement, metric
from attribution.metrics.common.case import Case
from attribution.metrics.common.soft import SAMPLES_HELP, measure_drops
from attribution.registry import Between


@metric(
    title="Soft sufficiency",
    summary="How much of what the text tells the model is left when each embedding keeps a part as large "
    "as its score.",
    caveat="It takes scores for shares and so depends on their spread, not only on their order. It is "
    "not defined where embeddings of 0 change nothing, or make the model surer.",
    kind="faithfulness",
    better="higher",
    low=0.0,
    high=1.0,
    cost="a forward pass for each sample, and two more, in batches",
    needs=("model",),
)
def soft_sufficiency(
    case: Case, *, samples: Annotated[int, Between(1, 200), SAMPLES_HELP] = 16
) -> Measurement:
    """Soft sufficiency: 1 − E[max(0, p(x) − p(x′))] / d, with d = p(x) − p(all words' embeddings 0).

    x′ keeps each entry of a word's embedding with probability a, the word's score scaled to 0 … 1.

    Zhao & Aletras 2023, "Incorporating Attribution Importance for Improving Faithfulness Metrics", which
    draws once; here the mean of several draws, clipped to 0 … 1. Special tokens stay.
    """
    result = measure_drops(case, samples, keep=True)
    if isinstance(result, Measurement):
        return result
    drops, scale = result
    return Measurement(min(1.0, max(0.0, 1.0 - float(drops.mean()) / scale)))
