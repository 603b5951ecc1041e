from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor

from attribution.methods import Scores, method
from attribution.models.objective import Objective
from attribution.registry import Between
from attribution.types import Completeness

FIRST = 16
"""Intervals that the adaptive rule begins with."""


@method(
    title="Integrated gradients",
    summary="What each token adds to the prediction on the way from an empty text to this one.",
    caveat="'Empty' has to mean something: another baseline gives other scores. How far the scores are from adding up is shown.",
    cost="17 to 257 forward and backward passes, in batches",
    signed=True,
    unit="{quantity}",
    needs="gradients",
    aliases=("ig", "integrated_gradient"),
)
def integrated_gradients(
    f: Objective,
    *,
    rule: Annotated[
        Literal["adaptive", "gausslegendre", "trapezoid"],
        "How the points on the path are placed. adaptive: twice as many until the scores add up.",
    ] = "adaptive",
    steps: Annotated[int, Between(2, 513), "Points on the path; for the adaptive rule the most that are taken."] = 257,
    tolerance: Annotated[
        float, Between(0.0001, 1.0), "Adaptive rule: the residual that is small enough, as a share of the sum of absolute scores."
    ] = 0.01,
    baseline: Annotated[
        Literal["auto", "pad", "mask", "unk", "eos", "mean", "zero"],
        "What stands for 'no token'; special tokens stay. auto: the first the model has of pad, mask and end token.",
    ] = "auto",
) -> Scores:
    """Integrated gradients: s_i = (e_i − b_i) · ∫₀¹ ∂f/∂e_i(b + α(e − b)) dα over the embeddings e, from a baseline b.

    Sundararajan, Taly & Yan 2017, "Axiomatic Attribution for Deep Networks", equation 1. The integral is a weighted sum over
    points of the path; embeddings are interpolated, never token ids. The residual is f(x) − f(b) − Σ s_i, which is 0 for the exact
    integral (their proposition 1, completeness). The adaptive rule is the trapezoid rule with 16, 32, 64 ... intervals; each
    doubling keeps the earlier points.
    """
    path = Path(f, f.baseline(baseline))
    if rule != "adaptive":
        mean, count = path.mean(*nodes(steps, rule)), steps
        notes: tuple[str, ...] = ()
    else:
        intervals = min(FIRST, 2 ** int(np.log2(steps - 1)))
        mean, count = path.mean(*nodes(intervals + 1, "trapezoid")), intervals + 1
        while path.share(mean) > tolerance and 2 * intervals + 1 <= steps:
            middles = (np.arange(intervals) + 0.5) / intervals
            mean = (mean + path.mean(middles, np.full(intervals, 1 / intervals))) / 2
            intervals *= 2
            count = intervals + 1
        reached = "which was enough" if path.share(mean) <= tolerance else "the most allowed: the residual is still larger"
        notes = (
            f"Taken: {count} points on the path, {reached} for a residual of at most {tolerance:.2%} of all absolute scores.",
        )
    rows = zip(f.values.tolist(), path.empty.tolist(), path.residual(mean).tolist(), strict=True)
    return Scores(path.scores(mean), tuple(Completeness(*row) for row in rows), notes)


class Path:
    """The straight line from a baseline to the text, in embedding space. Means of gradients are [outputs, inputs, hidden]."""

    def __init__(self, f: Objective, start: Tensor) -> None:
        self.f, self.start, self.step = f, start, f.embeddings - start
        self.empty = f.evaluate(start[None])[:, 0]

    def mean(self, places: np.ndarray, weights: np.ndarray) -> Tensor:
        """The weighted sum of the gradients at ``places`` on [0, 1]."""
        alphas = torch.tensor(places, dtype=self.step.dtype, device=self.step.device)
        share = torch.tensor(weights, dtype=torch.float32, device=self.step.device)
        total = torch.zeros(len(self.f.outputs), *self.step.shape, device=self.step.device)
        for rows, _, gradients in self.f.gradients(self.start + alphas[:, None, None] * self.step):
            total += torch.einsum("p,opih->oih", share[rows], gradients.float())
        return total

    def scores(self, mean: Tensor) -> Tensor:
        """[outputs, inputs]"""
        return (mean * self.step).sum(-1)

    def residual(self, mean: Tensor) -> Tensor:
        """f(x) − f(b) − Σ scores, [outputs]"""
        return self.f.values.double() - self.empty.double() - self.scores(mean).double().sum(-1)

    def share(self, mean: Tensor) -> float:
        """The largest |residual| / Σ|score| over the outputs."""
        total = self.scores(mean).double().abs().sum(-1).clamp_min(1e-12)
        return float((self.residual(mean).abs() / total).max())


def nodes(steps: int, rule: str) -> tuple[np.ndarray, np.ndarray]:
    """Points on [0, 1] and weights that add up to 1, [steps] each."""
    if rule == "gausslegendre":
        points, weights = np.polynomial.legendre.leggauss(steps)
        return (points + 1) / 2, weights / 2
    weights = np.full(steps, 1 / (steps - 1))
    weights[[0, -1]] /= 2
    return np.linspace(0, 1, steps), weights
