from __future__ import annotations

from typing import Annotated

import numpy as np

from attribution.metrics import Measured, metric, undefined
from attribution.metrics.common.case import Case
from attribution.models.features import HIDE_HELP, Hide
from attribution.registry import Between


@metric(
    title="Infidelity",
    summary="How badly the sum of the hidden words' scores tells by how much the explained number falls, "
    "for sets of words at random.",
    caveat="It asks whether scores add up like a linear model's, which a ranking need not. Scores without "
    "signs can hardly do it.",
    kind="faithfulness",
    better="lower",
    low=0.0,
    high=1.0,
    cost="a forward pass for each sample, in batches",
    needs=("model",),
)
def infidelity(
    case: Case,
    *,
    samples: Annotated[int, Between(8, 1000), "Sets of words at random."] = 64,
    relative: Annotated[
        bool, "Scale the scores as fits best, and divide by the mean squared change: from 0 to 1."
    ] = True,
    hide: Annotated[Hide, HIDE_HELP] = "auto",
) -> Measured:
    """Infidelity: E[(Iᵀs − (f(x) − f(x without I)))²], where I is a set of words: its size and then its members are drawn evenly.

    Yeh et al. 2019, "On the (In)fidelity and Sensitivity of Explanations", definition 2.1, f in the
    attribution's own quantity and I in units of whole words. ``relative`` takes β·s for s with the β ≥ 0 that
    fits best, so that scores in other units count as much, and divides by E[(f(x) − f(x without I))²]: 0 is
    exact, 1 is no better than scores of 0. The β of the paper may be negative.
    """
    draw = np.random.default_rng(case.seed)
    count = len(case.words)
    rank = draw.random((samples, count)).argsort(axis=1).argsort(axis=1)
    hidden = rank < draw.integers(1, count + 1, samples)[:, None]
    whole = case.values(np.ones((1, count), dtype=bool), hide, "explained")
    falls = whole - case.values(~hidden, hide, "explained")
    said = hidden @ case.scores
    if not relative:
        return Measured(float(np.mean((said - falls) ** 2)))
    if not falls.any():
        return undefined("The explained number does not change, whatever is hidden.")
    size = float(said @ said)
    scale = max(0.0, float(said @ falls) / size) if size else 0.0
    return Measured(min(1.0, float(np.mean((scale * said - falls) ** 2) / np.mean(falls**2))))
