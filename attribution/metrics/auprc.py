from __future__ import annotations

from typing import Annotated

import numpy as np

from attribution.metrics import Measurement, metric
from attribution.metrics.common.case import Case
from attribution.metrics.common.marks import THRESHOLD_HELP, compare_with_marks
from attribution.registry import Between


@metric(
    title="AUPRC",
    summary="How purely the words that people marked come first: the mean precision over the places "
    "where they are found.",
    caveat="Scores at random get the share of marked words, so texts with many marks look better. "
    "Agreement with people says nothing about what the model does.",
    kind="plausibility",
    better="higher",
    low=0.0,
    high=1.0,
    cost="none",
    needs=("rationale",),
)
def auprc(case: Case, *, threshold: Annotated[float, Between(0.0, 4.0), THRESHOLD_HELP] = 0.5) -> Measurement:
    """Area under the precision-recall curve, as average precision: Σ_n (R_n − R_{n−1}) P_n.

    The sum runs over the distinct scores, highest first; R is recall, P is precision.

    DeYoung et al. 2020, "ERASER: A Benchmark to Evaluate Rationalized NLP Models", section 4 (agreement with
    human rationales, soft scores). Words with equal scores enter together.
    """
    pair = compare_with_marks(case)
    marked = pair.mask_marked(threshold)
    levels = np.unique(pair.scores)[::-1]
    retrieved = np.array([(pair.scores >= level).sum() for level in levels])
    hits = np.array([marked[pair.scores >= level].sum() for level in levels])
    recall = np.concatenate([[0.0], hits / marked.sum()])
    return Measurement(float((np.diff(recall) * hits / retrieved).sum()))
