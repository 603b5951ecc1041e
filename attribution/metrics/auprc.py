from __future__ import annotations

from typing import Annotated

import numpy as np

from attribution.metrics import Measured, metric
from attribution.metrics.common.case import Case
from attribution.metrics.common.marks import THRESHOLD_HELP, compared
from attribution.registry import Between


@metric(
    title="AUPRC",
    summary="How purely the words that people marked come first: the mean precision over the places where "
    "they are found.",
    caveat="Scores at random get the share of marked words, so texts with many marks look better. "
    "Agreement with people says nothing about "
    "what the model does.",
    kind="plausibility",
    better="higher",
    low=0.0,
    high=1.0,
    cost="none",
    needs=("rationale",),
)
def auprc(case: Case, *, threshold: Annotated[float, Between(0.0, 4.0), THRESHOLD_HELP] = 0.5) -> Measured:
    """Area under the precision-recall curve, as average precision: Σ_n (R_n − R_{n−1}) P_n over the distinct scores, highest first.

    DeYoung et al. 2020, "ERASER: A Benchmark to Evaluate Rationalized NLP Models", section 4 (agreement with
    human rationales, soft scores). Words with equal scores are found together.
    """
    both = compared(case)
    marked = both.marked(threshold)
    levels = np.unique(both.scores)[::-1]
    found = np.array([(both.scores >= level).sum() for level in levels])
    right = np.array([marked[both.scores >= level].sum() for level in levels])
    recall = np.concatenate([[0.0], right / marked.sum()])
    return Measured(float((np.diff(recall) * right / found).sum()))
