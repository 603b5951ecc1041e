from __future__ import annotations

from typing import Annotated

from attribution.metrics import Measurement, metric
from attribution.metrics.common.case import Case
from attribution.metrics.common.marks import K_HELP, THRESHOLD_HELP, compare_with_marks
from attribution.registry import Between


@metric(
    title="Token F1",
    summary="How well the words with the highest scores and those that people marked cover each other.",
    caveat="The number of words matters a lot; by default it is the number that people marked.",
    kind="plausibility",
    better="higher",
    low=0.0,
    high=1.0,
    cost="none",
    needs=("rationale",),
)
def token_f1(
    case: Case,
    *,
    k: Annotated[int, Between(0, 1000), K_HELP] = 0,
    threshold: Annotated[float, Between(0.0, 4.0), THRESHOLD_HELP] = 0.5,
) -> Measurement:
    """Token F1: 2 |A ∩ B| / (|A| + |B|).

    A are the k words with the highest scores, B those that people marked.

    DeYoung et al. 2020, "ERASER: A Benchmark to Evaluate Rationalized NLP Models", section 4 (agreement with
    human rationales), there with the data set's mean number of marks for k.
    """
    pair = compare_with_marks(case)
    marked = pair.mask_marked(threshold)
    top = pair.mask_top(k or int(marked.sum()))
    size = int(top.sum() + marked.sum())
    most = 2 * min(int(top.sum()), int(marked.sum())) / size
    return Measurement(float(2 * (top & marked).sum() / size), ceiling=most)
