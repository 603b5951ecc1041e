from __future__ import annotations

from typing import Annotated

import numpy as np

from attribution.metrics import Measurement, metric, no_value
from attribution.metrics.common.case import Case
from attribution.models.features import HIDE_HELP, Hide
from attribution.registry import Between


@metric(
    title="Infidelity",
    summary="How badly the sum of the hidden words' scores predicts the drop of the explained number, "
    "for random sets of words.",
    caveat="It asks whether scores add up like a linear model's, which a ranking need not. Scores "
    "without signs can hardly do it.",
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
    samples: Annotated[int, Between(8, 1000), "Random sets of words."] = 64,
    relative: Annotated[
        bool, "Scale the scores as fits best, and divide by the mean squared change: from 0 to 1."
    ] = True,
    hide: Annotated[Hide, HIDE_HELP] = "auto",
) -> Measurement:
    """Infidelity: E[(Iᵀs − (f(x) − f(x without I)))²] over random sets of words I.

    The size of I is drawn uniformly, then its members.

    Yeh et al. 2019, "On the (In)fidelity and Sensitivity of Explanations", definition 2.1, with f in the
    attribution's own quantity and I in units of words. ``relative`` scales the scores by the β ≥ 0 that fits
    best, so that their unit does not matter, and divides by E[(f(x) − f(x without I))²]: 0 is exact, 1 is no
    better than scores of 0. In the paper, β may be negative.
    """
    random = np.random.default_rng(case.seed)
    count = len(case.words)
    rank = random.random((samples, count)).argsort(axis=1).argsort(axis=1)
    hidden = rank < random.integers(1, count + 1, samples)[:, None]
    full = case.values(np.ones((1, count), dtype=bool), hide, "explained")
    falls = full - case.values(~hidden, hide, "explained")
    predicted = hidden @ case.scores
    if not relative:
        return Measurement(float(np.mean((predicted - falls) ** 2)))
    if not falls.any():
        return no_value("The explained number does not change, whatever is hidden.")
    size = float(predicted @ predicted)
    scale = max(0.0, float(predicted @ falls) / size) if size else 0.0
    return Measurement(min(1.0, float(np.mean((scale * predicted - falls) ** 2) / np.mean(falls**2))))
