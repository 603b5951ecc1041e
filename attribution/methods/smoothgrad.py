"""SmoothGrad: the mean gradient over noisy copies of the embeddings."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from attribution.methods import Scores, method
from attribution.models.objective import Objective
from attribution.registry import Between

GROUPS = 10
"""Groups of samples whose spread gives the standard errors; only one gradient per group is stored."""
BLOCK = 32
"""Samples in memory at once."""


@method(
    title="SmoothGrad",
    summary="How strongly the prediction reacts to each token's embedding, averaged over slightly noisy "
    "copies of the text.",
    caveat="It has no sign. Noisy embeddings are no tokens, and too much noise describes another "
    "prediction than this one: the note says what the model makes of the noisy copies.",
    cost="one forward and one backward pass for each sample, in batches",
    signed=False,
    unit="change of {quantity} per unit of embedding",
    needs="gradients",
    aliases=("smooth_grad",),
)
def smoothgrad(
    f: Objective,
    *,
    samples: Annotated[int, Between(2, 1000), "Noisy copies."] = 50,
    noise: Annotated[
        float, Between(0.0, 1.0), "Standard deviation of the noise, as a share of the embeddings' range."
    ] = 0.02,
    seed: Annotated[int, Between(0, 2**31 - 1), "Seed of the noise."] = 0,
) -> Scores:
    """SmoothGrad: s_i = ‖1/n Σ_k ∂f/∂e_i(e + δ_k)‖₂ with δ_k ~ N(0, σ²) for the embeddings e.

    σ = noise · (max e − min e).

    Smilkov, Thorat, Kim, Viégas & Wattenberg 2017, "SmoothGrad: removing noise by adding noise", the equation
    of section 3, followed by the norm over the embedding. Every input gets noise, special tokens too. The
    range is taken over all numbers of the text's embeddings; a few are outliers, so the 10 to 20 % that the
    paper uses for images would drown a text.

    The standard error of a norm is that of the mean gradient along its own direction, from up to 10 groups of
    samples. The norm of a mean is biased upwards where the noise is large against the mean gradient.
    """
    spread = noise * float(f.embeddings.float().max() - f.embeddings.float().min())
    sums, counts, value = _sums(f, samples, spread, seed)
    mean = sums.sum(0) / samples  # [outputs, inputs, hidden]
    scores = mean.norm(dim=-1)
    direction = mean / scores.clamp_min(torch.finfo(torch.float32).tiny)[..., None]
    deviations = torch.einsum("goih,oih->goi", sums, direction) - counts[:, None, None] * scores
    groups = len(counts)
    errors = (deviations.square().sum(0) * groups / (groups - 1)).sqrt() / samples
    comparison = ", ".join(
        f"{a:.3g} (here {b:.3g})" for a, b in zip(value.tolist()[:3], f.values.tolist()[:3], strict=True)
    )
    ellipsis = " ..." if len(value) > 3 else ""
    return Scores(
        scores,
        errors=errors,
        notes=(
            f"Mean {f.quantity} over {samples} noisy copies: {comparison}{ellipsis}; the noise has a "
            f"standard deviation of {spread:.3g}.",
        ),
    )


def _sums(f: Objective, samples: int, spread: float, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Sums of gradients by group, samples in each [groups], and the mean of f [outputs].

    The sums are [groups, outputs, inputs, hidden].
    """
    generator = torch.Generator().manual_seed(seed)
    device, shape = f.embeddings.device, f.embeddings.shape
    groups = min(GROUPS, samples)
    sums = torch.zeros(groups, len(f.outputs), *shape, device=device)
    value = torch.zeros(len(f.outputs), device=device)
    group = torch.arange(samples, device=device) % groups
    for first in range(0, samples, BLOCK):
        count = min(BLOCK, samples - first)
        noise = spread * torch.randn(count, *shape, generator=generator)
        points = (f.embeddings.float() + noise.to(device)).to(f.embeddings.dtype)
        for rows, values, gradients in f.gradients(points):
            sums.index_add_(0, group[first : first + count][rows], gradients.float().transpose(0, 1))
            value += values.sum(1) / samples
    return sums, group.bincount(), value
