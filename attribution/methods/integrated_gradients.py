from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor

from attribution.methods import Scores, method
from attribution.models.objective import Objective
from attribution.registry import Between
from attribution.types import Completeness

FIRST, ROUND = 16, 8
"""Intervals that the adaptive rule begins with, and how many it halves at once at least."""


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
        "How the points on the path are placed. adaptive: more where it is needed, until the scores add up.",
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
    integral (their proposition 1, completeness). The adaptive rule is the trapezoid rule from 17 points on. Between two points the
    exact integral of all scores together is the difference of f, so it is known where on the path the residual arises: there
    the intervals are halved, the others are left alone, and no point is computed twice.
    """
    path = Path(f, f.baseline(baseline))
    notes: tuple[str, ...] = ()
    if rule == "adaptive":
        scores, count = refined(path, steps, tolerance)
        reached = "which was enough" if path.share(scores) <= tolerance else "the most allowed: the residual is still larger"
        notes = (
            f"Taken: {count} points on the path, {reached} for a residual of at most {tolerance:.2%} of all absolute scores.",
        )
    else:
        places, weights = nodes(steps, rule)
        scores = torch.einsum("n,oni->oi", torch.from_numpy(weights), path.at(places)[1])
    rows = zip(f.values.tolist(), path.empty.tolist(), path.residual(scores).tolist(), strict=True)
    return Scores(scores, tuple(Completeness(*row) for row in rows), notes)


class Path:
    """The straight line from a baseline to the text, in embedding space, and f on it."""

    def __init__(self, f: Objective, start: Tensor) -> None:
        self.f, self.start, self.step = f, start, f.embeddings - start

    @cached_property
    def empty(self) -> Tensor:
        """f at the baseline, [outputs]; set by who computes it on the way."""
        return self.f.evaluate(self.start[None])[:, 0]

    def at(self, places: np.ndarray) -> tuple[Tensor, Tensor]:
        """f at ``places`` on [0, 1], [outputs, places], and its gradient times the whole step, [outputs, places, inputs]."""
        alphas = torch.tensor(places, dtype=self.step.dtype, device=self.step.device)
        values, slopes = [], []
        for _, value, gradients in self.f.gradients(self.start + alphas[:, None, None] * self.step):
            values.append(value.double().cpu())
            slopes.append((gradients.float() * self.step.float()).sum(-1).double().cpu())
        return torch.cat(values, dim=1), torch.cat(slopes, dim=1)

    def residual(self, scores: Tensor) -> Tensor:
        """f(x) − f(b) − Σ scores, [outputs]"""
        return self.f.values.double().cpu() - self.empty.double().cpu() - scores.sum(-1)

    def share(self, scores: Tensor) -> float:
        """The largest |residual| / Σ|score| over the outputs."""
        return float((self.residual(scores).abs() / scores.abs().sum(-1).clamp_min(1e-12)).max())


def refined(path: Path, steps: int, tolerance: float) -> tuple[Tensor, int]:
    """Scores [outputs, inputs] by the trapezoid rule over at most ``steps`` points, placed where the residual arises; how many."""
    places = np.linspace(0, 1, min(FIRST, 2 ** int(np.log2(steps - 1))) + 1)
    values, slopes = path.at(places)
    path.empty = values[:, 0]
    while True:
        widths = torch.from_numpy(np.diff(places))
        means = (slopes[:, 1:] + slopes[:, :-1]) / 2 * widths[None, :, None]
        scores = means.sum(1)
        room = steps - len(places)
        if path.share(scores) <= tolerance or room == 0:
            return scores, len(places)
        # The residual of each interval, as a share of all absolute scores; of several outputs the worst.
        local = values.diff(dim=1) - means.sum(-1)
        shares = (local.abs() / scores.abs().sum(-1, keepdim=True).clamp_min(1e-12)).amax(0).numpy()
        order = np.argsort(-shares, kind="stable")
        left = shares.sum() - np.cumsum(shares[order])
        halved = order[: min(max(ROUND, int((left > tolerance / 2).sum()) + 1), room, len(order))]
        middles = (places[halved] + places[halved + 1]) / 2
        more_values, more_slopes = path.at(middles)
        places = np.concatenate([places, middles])
        order = np.argsort(places)
        places = places[order]
        index = torch.from_numpy(order)
        values, slopes = torch.cat([values, more_values], 1)[:, index], torch.cat([slopes, more_slopes], 1)[:, index]


def nodes(steps: int, rule: str) -> tuple[np.ndarray, np.ndarray]:
    """Points on [0, 1] and weights that add up to 1, [steps] each."""
    if rule == "gausslegendre":
        points, weights = np.polynomial.legendre.leggauss(steps)
        return (points + 1) / 2, weights / 2
    weights = np.full(steps, 1 / (steps - 1))
    weights[[0, -1]] /= 2
    return np.linspace(0, 1, steps), weights
