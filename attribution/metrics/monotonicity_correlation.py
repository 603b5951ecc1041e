from __future__ import annotations

import numpy as np

from attribution.metrics import Measurement, metric, no_value
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
def monotonicity_correlation(case: Case) -> Measurement:
    """Monotonicity as a correlation: Spearman's ρ of |s_i| and e_i.

    e_i is the mean of (p(x) − p(x with i replaced))² over all ways of hiding a word.

    Nguyen & Martínez 2020, "On Quantitative Aspects of Model Interpretability", with the ways of hiding that
    the model supports in place of a distribution of words, and the squared change of the probability as the
    loss.
    """
    count = len(case.words)
    changes = [(case.full - case.values(~np.eye(count, dtype=bool), way)) ** 2 for way in ways(case)]
    rho = spearman(case.strength, np.mean(changes, axis=0))
    if rho is None:
        return no_value("There is one word only, or all scores or all changes are equal.")
    return Measurement(rho)
