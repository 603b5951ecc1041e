"""Sequential integrated gradients: a separate path for each token."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor

from attribution.methods import Scores, method
from attribution.models.objective import Objective
from attribution.registry import Between

BLOCK = 64
"""Changed texts in memory at once."""


@method(
    title="Sequential integrated gradients",
    summary="What each token adds to the prediction on the path from 'hidden' to itself while all other "
    "tokens stay.",
    caveat="Each token is explained on its own, so the scores do not add up to the prediction, and of "
    "two tokens that say the same each may get little.",
    cost="4 to 64 forward and backward passes for each token, in batches",
    signed=True,
    unit="{quantity}",
    needs="gradients",
    at_text=True,
    aliases=("sig", "sequential_ig"),
)
def sequential_integrated_gradients(
    f: Objective,
    *,
    steps: Annotated[int, Between(5, 257), "Maximum number of points on the path of one token."] = 65,
    tolerance: Annotated[
        float,
        Between(0.0001, 1.0),
        "Largest acceptable residual of a token, as a share of the largest absolute score.",
    ] = 0.01,
    baseline: Annotated[
        Literal["auto", "pad", "mask", "unk", "eos", "mean", "zero"],
        "What stands for a hidden token. auto: the mask token, as in the paper, or else the first of pad "
        "and end token.",
    ] = "auto",
) -> Scores:
    """Sequential integrated gradients: s_i = (e_i − b_i) · ∫₀¹ ∂f/∂e_i(x̄ⁱ + α(e − x̄ⁱ)) dα.

    x̄ⁱ is e with only e_i set to b_i.

    Enguehard 2023, "Sequential Integrated Gradients: a simple but effective method for explaining language
    models", the equations of section 3, without the paper's scaling of all scores to length 1. The exact
    integral is f(x) − f(x̄ⁱ) for each token, so that each token's residual f(x) − f(x̄ⁱ) − s_i is known: a
    token's path gets 4, 8, 16 ... intervals (trapezoid rule; each doubling keeps the earlier points) until
    it is small. Special tokens are not changed and get 0.
    """
    kind = "mask" if baseline == "auto" and f.adapter.tokenizer.mask_token_id is not None else baseline
    paths = Paths(f, f.baseline(kind))
    tokens = torch.tensor([i for i, token in enumerate(f.tokens) if not token.special])
    scores = torch.zeros(len(f.outputs), len(f.tokens), dtype=torch.float64, device=f.embeddings.device)
    values, slopes = paths.at(tokens, torch.zeros(1))
    expected = torch.zeros_like(scores)
    expected[:, tokens] = f.values.double()[:, None] - values[..., 0]
    # Every path ends at the text itself.
    scores[:, tokens] = (slopes[..., 0] + paths.end[:, tokens]) / 2
    intervals, gradient_count = 1, len(tokens)
    unfinished = tokens
    while len(unfinished) and 2 * intervals + 1 <= steps:
        middles = (torch.arange(intervals) + 0.5) / intervals
        scores[:, unfinished] = (scores[:, unfinished] + paths.at(unfinished, middles)[1].mean(-1)) / 2
        gradient_count += len(unfinished) * intervals
        intervals *= 2
        if intervals >= 4:
            unfinished = unfinished[
                (paths.share(expected - scores, scores)[:, unfinished] > tolerance).any(0).cpu()
            ]
    largest_residual = float(paths.share(expected - scores, scores).max())
    excess = ""
    if largest_residual > tolerance:
        excess = f", above the tolerance of {tolerance:.2%}: increase steps"
    return Scores(
        scores,
        notes=(
            f"Computed {gradient_count} gradients. The largest residual of one token is "
            f"{largest_residual:.2%} of the largest absolute score{excess}.",
            "Scores of different tokens come from different paths: they are not meant to add up.",
        ),
    )


class Paths:
    """For each token the line from ``start`` to its embedding, with all other tokens as in the text."""

    def __init__(self, f: Objective, start: Tensor) -> None:
        self.f, self.start, self.step = f, start, f.embeddings - start
        self.end = torch.einsum("oih,ih->oi", f.gradient().double(), self.step.double())
        """The slope of f along each token's path at its end, [outputs, inputs]."""

    def at(self, tokens: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Values of f and slopes of each token's path at ``places`` on [0, 1]: [outputs, tokens, places]."""
        token, place = tokens.repeat_interleave(len(places)), places.repeat(len(tokens))
        values, slopes = [], []
        for begin in range(0, len(token), BLOCK):
            which, alpha = token[begin : begin + BLOCK], place[begin : begin + BLOCK]
            points = self.f.embeddings.repeat(len(which), 1, 1)
            points[torch.arange(len(which)), which] = (
                self.start[which] + alpha.to(self.start)[:, None] * self.step[which]
            )
            for rows, value, gradient in self.f.gradients(points):
                own = gradient[:, torch.arange(gradient.shape[1]), which[rows]]
                values.append(value.double())
                slopes.append(torch.einsum("oph,ph->op", own.double(), self.step[which[rows]].double()))
        shape = (len(self.f.outputs), len(tokens), len(places))
        return torch.cat(values, dim=1).reshape(shape), torch.cat(slopes, dim=1).reshape(shape)

    def share(self, residual: Tensor, scores: Tensor) -> Tensor:
        """The residual as a share of the output's largest score, [outputs, inputs].

        Rounding errors of f are ignored.
        """
        rounding = 1e-5 * self.f.values.double().abs().clamp_min(1e-3)
        largest = torch.maximum(scores.abs().amax(-1), rounding)
        return residual.abs() / largest[:, None]
