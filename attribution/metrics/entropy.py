from __future__ import annotations

import numpy as np

from attribution.metrics import Measurement, metric, no_value
from attribution.metrics.common.case import Case


@metric(
    title="Entropy",
    summary="Over how many words the scores are spread: the entropy of their shares, 0 where one word "
    "has all of it.",
    caveat="It says nothing about whether the words are the right ones, and longer texts have more of it.",
    kind="complexity",
    better="lower",
    low=0.0,
    high=None,
    cost="none",
)
def entropy(case: Case) -> Measurement:
    """Entropy: −Σ p_i ln p_i, p_i = |s_i| / Σ |s_j|, in nats; ln n where n words have the same strength.

    Bhatt, Weller & Moura 2020, "Evaluating and Aggregating Feature-based Model Explanations" (complexity).
    """
    total = float(case.strength.sum())
    if not total:
        return no_value("All scores are 0.")
    shares = case.strength[case.strength > 0] / total
    return Measurement(max(0.0, float(-(shares * np.log(shares)).sum())))
