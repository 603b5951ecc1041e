"""Kernel SHAP: Shapley values by weighted least squares."""

from __future__ import annotations

from math import comb
from typing import Annotated

import numpy as np
import torch

from attribution.methods import Scores, method
from attribution.methods.common.games import find_visible_features, measure_completeness, subsets
from attribution.models.features import (
    HIDE_HELP,
    SPANS,
    SPANS_HELP,
    UNIT_HELP,
    Hide,
    Unit,
    check_count,
    features_of,
)
from attribution.models.perturbable import Perturbable
from attribution.registry import Between


@method(
    title="Kernel SHAP",
    summary="Hides random words many times and fits the linear model whose weights are the words' "
    "Shapley values.",
    caveat="It is a random sample: the standard errors say how far another one could differ. R² says how "
    "far the prediction is from a sum over single words; what is missing are words that act together, "
    "shared among them.",
    cost="one forward pass for each different sample",
    signed=True,
    unit="{quantity}",
    needs="texts",
    aliases=("kernelshap",),
)
def kernel_shap(
    f: Perturbable,
    *,
    samples: Annotated[
        int,
        Between(16, 8192),
        "Texts with hidden words; all subsets are computed where there are no more than this.",
    ] = 256,
    features: Annotated[Unit, UNIT_HELP] = "words",
    spans: Annotated[str, SPANS, SPANS_HELP] = "",
    hide: Annotated[Hide, HIDE_HELP] = "auto",
    seed: Annotated[int, Between(0, 2**31 - 1), "Seed of the random samples."] = 0,
) -> Scores:
    """Kernel SHAP: φ minimises Σ_S π(S) [v(S) − v(∅) − Σ_{i∈S} φ_i]² subject to Σ φ_i = v(N) − v(∅).

    The kernel is π(S) = (n − 1) / (C(n,|S|) |S| (n − |S|)).

    Lundberg & Lee 2017, "A Unified Approach to Interpreting Model Predictions", theorem 2 and its equation
    for π. v(S) is f where only the features S are present. The constraint holds exactly. Over all 2ⁿ − 2
    subsets φ are the Shapley values; where there are more than ``samples``, the sizes are drawn by their
    share of π, then the features, and each draw comes with its complement (Covert & Lee 2021, "Improving
    KernelSHAP: Practical Shapley Value Estimation Using Linear Regression", on paired sampling).

    An output sees only the generated tokens before it, so its model is fitted on the features that it sees.
    This is the same method: subsets drawn by π, restricted to some features, follow the π of those.
    Standard errors: the sandwich estimate over the pairs, with residuals corrected for their leverage (HC2;
    MacKinnon & White 1985).
    """
    groups = features_of(f, features, spans)
    count = len(groups)
    paired = 2**count - 2 > samples
    if paired:
        check_count(groups, samples // 2, f"Kernel SHAP with samples={samples}")
        present, weights = _draw_subsets(count, samples // 2, np.random.default_rng(seed))
        note = f"{len(present)} of 2^{count} − 2 subsets of the features."
    else:
        present = subsets(count)[1:-1]
        weights = _kernel(count)[present.sum(1)]
        note = f"Exact: all {len(present)} subsets of the {count} features."
    rows = np.concatenate([np.zeros((1, count), bool), present])
    values = f.evaluate_features(groups, rows, hide).double().cpu().numpy()
    empty, full = values[:, 0], f.values.double().cpu().numpy()
    phi, errors, fit = np.zeros((len(values), count)), np.zeros((len(values), count)), []
    for k, visible_features in enumerate(find_visible_features(f, groups)):
        fitted = _LeastSquares(
            present[:, visible_features], weights, values[k, 1:] - empty[k], full[k] - empty[k]
        )
        phi[k, visible_features] = fitted.phi
        fit.append(fitted.goodness)
        if paired:
            errors[k, visible_features] = fitted.errors()
    inputs, visible = len(f.tokens), f.visible.cpu()
    scores = groups.spread(torch.from_numpy(phi), inputs, visible)
    deviations = groups.spread(torch.from_numpy(errors), inputs, visible) if paired else None
    return Scores(
        scores, measure_completeness(f, torch.from_numpy(empty), scores), (note,), deviations, tuple(fit)
    )


def _kernel(count: int) -> np.ndarray:
    """π of a subset by its size, [count + 1]; 0 for the empty and full sets, which the constraint covers."""
    inner = ((count - 1) / (comb(count, s) * s * (count - s)) for s in range(1, count))
    kernel: np.ndarray = np.array([0.0, *inner, 0.0])
    return kernel


def _draw_subsets(count: int, pairs: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Subsets drawn by π, each followed by its complement, bool [2 × pairs, count], and equal weights."""
    sizes = np.arange(1, count)
    mass = 1 / (sizes * (count - sizes))
    subset_sizes = random.choice(sizes, pairs, p=mass / mass.sum())
    places = random.permuted(np.tile(np.arange(count), (pairs, 1)), axis=1)
    half = places < subset_sizes[:, None]
    return np.stack([half, ~half], axis=1).reshape(-1, count), np.ones(2 * pairs)


class _LeastSquares:
    """The constrained least-squares fit of one output.

    ``present`` is bool [rows, features]; ``weights`` and ``gained`` are [rows]; ``total`` is Σ φ.
    """

    def __init__(self, present: np.ndarray, weights: np.ndarray, gained: np.ndarray, total: float) -> None:
        count = present.shape[1]
        share = present.mean(1)
        # With φ = total/n + φ' and Σ φ' = 0, the constraint holds by construction: the rows have no component
        # along 1, and the minimum-norm solution lies in the row space.
        self.rows = present - share[:, None]
        target = gained - share * total
        self.weights = weights
        self.inverse = np.linalg.pinv((self.rows * weights[:, None]).T @ self.rows, 1e-10, hermitian=True)
        self.phi = total / count + self.inverse @ (self.rows.T @ (weights * target))
        self.residuals = gained - present @ self.phi
        # Rows with none or all of the features that this output sees carry no information about it.
        weights = weights * ((share > 0) & (share < 1))
        spread = gained - (weights @ gained) / max(weights.sum(), 1e-300)
        around = float(weights @ spread**2)
        self.goodness = 1 - float(weights @ self.residuals**2) / around if around > 0 else 1.0

    def errors(self) -> np.ndarray:
        """Standard errors [features] for rows drawn in pairs of complements: a pair is one observation."""
        rows, residuals = self.rows[::2], (self.residuals[::2] - self.residuals[1::2]) / 2
        inverse = 2 * self.inverse
        leverage = np.einsum("rf,fg,rg->r", rows, inverse, rows)
        pulled = (rows @ inverse) * (residuals / np.sqrt(np.maximum(1 - leverage, 1e-6)))[:, None]
        errors: np.ndarray = np.sqrt((pulled**2).sum(0))
        return errors
