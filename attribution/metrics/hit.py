from __future__ import annotations

from typing import Annotated

from attribution.metrics import Measurement, metric
from attribution.metrics.common.case import Case
from attribution.metrics.common.marks import THRESHOLD_HELP, compare_with_marks
from attribution.registry import Between


@metric(
    title="Hit at k",
    summary="Whether people marked any of the k words with the highest scores.",
    caveat="One lucky word is enough, the more easily the more words people marked.",
    kind="plausibility",
    better="higher",
    low=0.0,
    high=1.0,
    cost="none",
    needs=("rationale",),
)
def hit(
    case: Case,
    *,
    k: Annotated[int, Between(1, 1000), "How many words are compared."] = 1,
    threshold: Annotated[float, Between(0.0, 4.0), THRESHOLD_HELP] = 0.5,
) -> Measurement:
    """Hit at k: 1 if one of the k words with the highest scores was marked, else 0.

    The pointing game of Zhang et al. 2016, "Top-down Neural Attention by Excitation Backprop", section 4 (the
    pointing game), for k = 1; on words Poerner, Roth & Schütze 2018, "Evaluating neural network explanation
    methods using hybrid documents and morphosyntactic agreement".
    """
    pair = compare_with_marks(case)
    marked = pair.mask_marked(threshold)
    return Measurement(float((pair.mask_top(k) & marked).any()))
