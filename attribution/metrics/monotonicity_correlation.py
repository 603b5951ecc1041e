from __future__ import annotations

import numpy as np

from attribution.metrics import Measured, metric, undefined
from attribution.metrics.common.case import Case
from attribution.metrics.common.correlation import spearman
from attribution.metrics.common.hiding import ways


@metric(
    title="Monotonicity (correlation)",
    summary="Whether words are in the order of how much the model's answer varies with what stands in "
    "their place.",
    caveat="One word is replaced at a time, by a few tokens that stand for nothing.",
    kind="faithfulness",
    better="higher",
    low=-1.0,
    high=1.0,
    cost="a forward pass for each word and each way of hiding it, in batches",
    needs=("model",),
)
def monotonicity_correlation(case: Case) -> Measured:
    """Monotonicity as a correlation: Spearman's ρ of |s_i| and e_i = the mean of (p(x) − p(x with i replaced))² over all ways to hide a word.

    Nguyen & Martínez 2020, "On Quantitative Aspects of Model Interpretability", with the ways of hiding that
    the model knows in place of a distribution of words, and the squared change of the probability as loss.
    """
    count = len(case.words)
    changes = [(case.full - case.values(~np.eye(count, dtype=bool), way)) ** 2 for way in ways(case)]
    found = spearman(case.strength, np.mean(changes, axis=0))
    if found is None:
        return undefined("There is one word only, or all scores or all changes are equal.")
    return Measured(found)
