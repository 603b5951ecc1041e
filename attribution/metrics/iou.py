from __future__ import annotations

from typing import Annotated

from attribution.metrics import Measured, metric
from attribution.metrics.common.case import Case
from attribution.metrics.common.marks import K_HELP, THRESHOLD_HELP, compared
from attribution.registry import Between


@metric(
    title="IOU",
    summary="Of the words that have the highest scores or were marked by people, the share that is both.",
    caveat="How many words are taken decides much; by default it is told how many people marked.",
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
) -> Measured:
    """Intersection over union: |A ∩ B| / |A ∪ B|, A the k words with the highest scores and B those that people marked.

    DeYoung et al. 2020, "ERASER: A Benchmark to Evaluate Rationalized NLP Models", section 4, over words of
    the whole text and not span by span: attribution scores have no spans.
    """
    both = compared(case)
    marked = both.marked(threshold)
    taken = both.taken(k or int(marked.sum()))
    fewer, more = sorted((int(taken.sum()), int(marked.sum())))
    return Measured(float((taken & marked).sum() / (taken | marked).sum()), ceiling=fewer / more)
