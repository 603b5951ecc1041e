"""Saliency: the norm of the gradient."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor

from attribution.methods import Scores, method
from attribution.models.contexts import CONTEXTS_HELP, FADE_HELP, SEED_HELP, SHARE_HELP, make_copies
from attribution.models.objective import Objective
from attribution.registry import Between

NORM_HELP = "Norm over the embedding's dimensions. relative: the L2 norm times that of the embedding."


@method(
    title="Saliency",
    summary="How strongly the prediction reacts to a tiny change of each token's embedding.",
    caveat="It has no sign: a token that speaks against the prediction looks like one that speaks for "
    "it. It sees only the immediate surroundings of this text, so a saturated model shows little.",
    cost="1 forward and 1 backward pass",
    signed=False,
    unit="change of {quantity} per unit of embedding",
    needs="gradients",
    at_text=True,
    aliases=("gradient", "gradients", "vanilla_gradient"),
)
def saliency(
    f: Objective,
    *,
    norm: Annotated[Literal["l2", "l1", "relative"], NORM_HELP] = "l2",
    contexts: Annotated[int, Between(0, 500), CONTEXTS_HELP] = 0,
    share: Annotated[float, Between(0.01, 1.0), SHARE_HELP] = 0.5,
    fade: Annotated[bool, FADE_HELP] = False,
    seed: Annotated[int, Between(0, 2**31 - 1), SEED_HELP] = 0,
) -> Scores:
    """Saliency: the norm of the gradient, s_i = ‖∂f/∂e_i‖ for the embedding e_i of token i.

    Simonyan, Vedaldi & Zisserman 2014, "Deep Inside Convolutional Networks", equation 3, with the L2 norm
    over the embedding (Li et al. 2016, "Visualizing and Understanding Neural Models in NLP"). The relative
    norm ‖e_i‖ ‖∂f/∂e_i‖ is per change of the size of the embedding itself: embeddings of frequent tokens are
    short.

    With ``contexts``, the norm of the mean gradient over copies of the text that lack some of the words:
    SmoothGrad's average (Smilkov et al. 2017, section 3) with hidden words, and fading, in the place of
    noise.
    """
    gradient = (mean_gradient(f, contexts, share, seed, fade) if contexts else f.gradient()).float()
    scores = gradient.norm(p=1 if norm == "l1" else 2, dim=-1)
    if norm == "relative":
        scores = scores * f.embeddings.float().norm(dim=-1)
    return Scores(scores)


def mean_gradient(f: Objective, count: int, share: float, seed: int, fade: bool) -> Tensor:
    """∂f/∂embeddings [outputs, inputs, hidden], averaged for each input over the copies that contain it."""
    total = torch.zeros(len(f.outputs), *f.embeddings.shape, device=f.embeddings.device)
    appearances = torch.zeros(len(f.tokens), device=f.embeddings.device)
    for points, presence in make_copies(f, count, share, seed, fade=fade):
        appearances += presence.sum(0)
        for rows, _, gradients in f.gradients(points):
            total += torch.einsum("ri,orih->oih", presence[rows].float(), gradients.float())
    return total / appearances[:, None]
