from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import torch

from attribution.methods import Scores, method
from attribution.models.objective import Objective
from attribution.registry import Between
from attribution.types import Completeness


@method(
    title="Integrated gradients",
    summary="What each token adds to the prediction on the way from an empty text to this one.",
    caveat="'Empty' has to mean something: another baseline gives other scores. How far the scores are from adding up is shown.",
    cost="one forward and one backward pass for each step",
    signed=True,
    unit="{quantity}",
    needs="gradients",
    aliases=("ig", "integrated_gradient"),
)
def integrated_gradients(
    f: Objective,
    *,
    steps: Annotated[int, Between(2, 512), "Points on the path; more points, smaller residual."] = 32,
    rule: Annotated[Literal["gausslegendre", "trapezoid"], "How the points are placed and weighted."] = "gausslegendre",
    baseline: Annotated[
        Literal["auto", "pad", "mask", "unk", "eos", "mean", "zero"],
        "What stands for 'no token'; special tokens stay. auto: the first the model has of pad, mask and end token.",
    ] = "auto",
) -> Scores:
    """Integrated gradients: s_i = (e_i − b_i) · ∫₀¹ ∂f/∂e_i(b + α(e − b)) dα over the embeddings e, from a baseline b.

    Sundararajan, Taly & Yan 2017, "Axiomatic Attribution for Deep Networks", equation 1. The integral is a weighted sum over
    ``steps`` points. Embeddings are interpolated, never token ids. The residual is f(x) − f(b) − Σ s_i (0 for the exact
    integral: their proposition 1, completeness).
    """
    start = f.baseline(baseline)
    path = f.embeddings - start
    alphas, weights = nodes(steps, rule)
    points = start + torch.tensor(alphas, dtype=path.dtype, device=path.device)[:, None, None] * path
    share = torch.tensor(weights, dtype=torch.float32, device=path.device)
    mean = torch.zeros(len(f.outputs), *path.shape, device=path.device)
    for rows, _, gradients in f.gradients(points):
        mean += torch.einsum("p,opih->oih", share[rows], gradients.float())
    scores = (mean * path).sum(-1)
    values, empty = f.values.double(), f.evaluate(start[None])[:, 0].double()
    residual = values - empty - scores.double().sum(-1)
    rows = zip(values.tolist(), empty.tolist(), residual.tolist(), strict=True)
    return Scores(scores, completeness=tuple(Completeness(*row) for row in rows))


def nodes(steps: int, rule: str) -> tuple[np.ndarray, np.ndarray]:
    """Points on [0, 1] and weights that add up to 1, [steps] each."""
    if rule == "gausslegendre":
        points, weights = np.polynomial.legendre.leggauss(steps)
        return (points + 1) / 2, weights / 2
    weights = np.full(steps, 1 / (steps - 1))
    weights[[0, -1]] /= 2
    return np.linspace(0, 1, steps), weights
