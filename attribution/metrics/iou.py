from __future__ import annotations

from typing import Annotated

from attribution.metrics import Measurement, metric
from attribution.metrics.common.case import Case
from attribution.metrics.common.marks import K_HELP, THRESHOLD_HELP, compare_with_marks
from attribution.registry import Between


@metric(
    title="IOU",
    summary="Of the words that have the highest scores or were marked by people, the share that is both.",
    caveat="The number of words matters a lot; by default it is the number that people marked.",
    kind="plausibility",
    better="higher",
    low=0.0,
    high=1.0,
    cost="none",
    needs=("rationale",),
)
def iou(
    case: Case,
    *,
    k: Annotated[int, Between(0, 1000), K_HELP] = 0,
    threshold: Annotated[float, Between(0.0, 4.0), THRESHOLD_HELP] = 0.5,
) -> Measurement:
    """Intersection over union: |A ∩ B| / |A ∪ B|.

    A are the k words with the highest scores, B those that people marked.

    DeYoung et al. 2020, "ERASER: A Benchmark to Evaluate Rationalized NLP Models", section 4, over words of
    the whole text and not span by span: attribution scores have no spans.
    """
    pair = compare_with_marks(case)
    marked = pair.mask_marked(threshold)
    top = pair.mask_top(k or int(marked.sum()))
    smaller, larger = sorted((int(top.sum()), int(marked.sum())))
    return Measurement(float((top & marked).sum() / (top | marked).sum()), ceiling=smaller / larger)
