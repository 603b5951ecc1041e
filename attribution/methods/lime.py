"""LIME: a local linear model of f over which features are present."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch

from attribution.methods import Scores, method
from attribution.models.features import HIDE_HELP, SPANS, SPANS_HELP, UNIT_HELP, Hide, Unit, features_of
from attribution.models.perturbable import Perturbable
from attribution.registry import Between


@method(
    title="LIME",
    summary="Hides random words many times and fits a linear model to what the prediction does.",
    caveat="It is a random sample: the standard errors say how far another one could differ. R² says how "
    "well the linear model fits.",
    cost="one forward pass for each different sample",
    signed=True,
    unit="{quantity}",
    needs="texts",
)
def lime(
    f: Perturbable,
    *,
    samples: Annotated[int, Between(10, 5000), "Perturbed texts."] = 500,
    parts: Annotated[
        int,
        Between(1, 20),
        "Parts of the samples that are fitted separately for the standard errors; 1: no standard errors.",
    ] = 10,
    kernel_width: Annotated[
        float, Between(0.1, 1000.0), "Width of the kernel over 100 × cosine distance."
    ] = 25.0,
    features: Annotated[Unit, UNIT_HELP] = "words",
    spans: Annotated[str, SPANS, SPANS_HELP] = "",
    hide: Annotated[Hide, HIDE_HELP] = "auto",
    seed: Annotated[int, Between(0, 2**31 - 1), "Seed of the random samples."] = 0,
) -> Scores:
    """LIME: the coefficients of a locally weighted ridge regression on which features are present.

    Ribeiro, Singh & Guestrin 2016, "'Why Should I Trust You?'", equation 1 and algorithm 1. Samples are drawn
    as the ``lime`` package draws them (how many to hide, then which) and fitted as it fits them. A feature's
    coefficient is shared equally by its tokens, so that it is again the sum over the feature. Standard errors
    come from independent fits of parts of the samples (batch means): their standard deviation / √parts.
    """
    groups = features_of(f, features, spans)
    present = _samples(samples, len(groups), np.random.RandomState(seed))
    values = f.evaluate_features(groups, present, hide).double().cpu().numpy()
    norms = np.linalg.norm(present, axis=1)
    distances = 100 * (1 - present.sum(axis=1) / np.maximum(norms * np.sqrt(len(groups)), 1e-12))
    weights = np.sqrt(np.exp(-(distances**2) / kernel_width**2))
    coefficients, goodness = fit_ridge(present, values, weights)
    inputs, visible = len(f.tokens), f.visible.cpu()
    scores = groups.spread(torch.tensor(coefficients), inputs, visible)
    note = f"From {samples} samples; duplicates were computed once."
    if parts == 1 or len(present) < 2 * parts:
        return Scores(scores, notes=(note,), fit=tuple(goodness.tolist()))
    separate = [fit_ridge(present[k::parts], values[:, k::parts], weights[k::parts])[0] for k in range(parts)]
    spread = np.std(separate, axis=0, ddof=1)
    errors = groups.spread(torch.tensor(spread / np.sqrt(parts)), inputs, visible)
    return Scores(scores, notes=(note,), errors=errors, fit=tuple(goodness.tolist()))


def fit_ridge(present: np.ndarray, values: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted ridge regression with an intercept that is not penalised, and α = 1 as in ``lime.lime_base``.

    Parameters
    ----------
    present : [samples, features].
    values : float64 [outputs, samples].
    weights : of the samples, float64 [samples].

    Returns the coefficients, float64 [outputs, features], and the weighted R² of each output.
    """
    shares = weights / (weights.sum() or 1.0)  # a narrow kernel underflows to 0 everywhere
    data = present - shares @ present
    centred = values.T - values @ shares
    gram = data.T @ (weights[:, None] * data) + np.eye(data.shape[1])
    coefficients: np.ndarray = np.linalg.solve(gram, data.T @ (weights[:, None] * centred))
    errors = weights @ (centred - data @ coefficients) ** 2
    total = weights @ centred**2
    # As scikit-learn has it where there is nothing to explain: 1 for a perfect fit, otherwise 0.
    fallback = (errors == 0).astype(np.float64)
    goodness = 1 - np.divide(errors, total, out=1 - fallback, where=total > 0)
    return coefficients.T, goodness


def _samples(count: int, features: int, random: np.random.RandomState) -> np.ndarray:
    """Which features are present, bool [count, features]; the first row has all."""
    present: np.ndarray = np.ones((count, features), dtype=bool)
    for row, hidden in enumerate(random.randint(1, features + 1, count - 1), start=1):
        present[row, random.choice(features, hidden, replace=False)] = False
    return present
