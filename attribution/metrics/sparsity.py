from __future__ import annotations

import numpy as np

from attribution.metrics import Measurement, metric, no_value
from attribution.metrics.common.case import Case


@metric(
    title="Sparsity",
    summary="How unevenly the scores are spread: 0 where all words have the same strength, near 1 where "
    "one has all of it.",
    caveat="It says nothing about whether the words are the right ones.",
    kind="complexity",
    better="higher",
    low=0.0,
    high=1.0,
    cost="none",
)
def sparsity(case: Case) -> Measurement:
    """Sparsity, the Gini index of the absolute scores: Σ (2k − n − 1) a_k / (n Σ a_k).

    a_k is the k-th smallest of n.

    Hurley & Rickard 2009, "Comparing Measures of Sparsity", table I; for attributions Chalasani et al. 2020,
    "Concise Explanations of Neural Networks using Adversarial Training". One word with all of the score gives
    1 − 1/n.
    """
    sizes = np.sort(case.strength)
    count, total = len(sizes), float(sizes.sum())
    if not total:
        return no_value("All scores are 0.")
    index = float(((2 * np.arange(1, count + 1) - count - 1) * sizes).sum() / (count * total))
    return Measurement(max(0.0, index), ceiling=1.0 - 1.0 / count)
