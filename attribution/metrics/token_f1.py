from __future__ import annotations

from typing import Annotated

from attribution.metrics import Measured, metric
from attribution.metrics.common.case import Case
from attribution.metrics.common.marks import K_HELP, THRESHOLD_HELP, compared
from attribution.registry import Between


@metric(
    title="Token F1",
    summary="How well the words with the highest scores and those that people marked cover each other.",
    caveat="How many words are taken decides much; by default it is told how many people marked.",
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
) -> Measured:
    """Token F1: 2 |A ∩ B| / (|A| + |B|), A the k words with the highest scores and B those that people marked.

    DeYoung et al. 2020, "ERASER: A Benchmark to Evaluate Rationalized NLP Models", section 4 (agreement with
    human rationales), there with the data set's mean number of marks for k.
    """
    both = compared(case)
    marked = both.marked(threshold)
    taken = both.taken(k or int(marked.sum()))
    size = int(taken.sum() + marked.sum())
    most = 2 * min(int(taken.sum()), int(marked.sum())) / size
    return Measured(float(2 * (taken & marked).sum() / size), ceiling=most)
