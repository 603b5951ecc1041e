"""Layer-wise relevance propagation with the rules of AttnLRP."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from torch import Tensor

from attribution.methods import Scores, method
from attribution.models.inside.rules import (
    Function,
    Rules,
    check_values,
    derivative,
    has_gradient,
    make_transparent,
    pull_back,
    surrogate,
)
from attribution.models.objective import Objective
from attribution.registry import Between


@method(
    title="Layer-wise relevance propagation",
    summary="How the prediction, passed back layer by layer, is distributed over the tokens.",
    caveat="Biases, position embeddings and attention weights keep a part of the prediction, so the "
    "scores need not add up to it: the note says how far off they are.",
    cost="1 forward pass, and 1 backward pass for each output",
    signed=True,
    unit="relevance, in {quantity}",
    needs="gradients",
    aliases=("attnlrp", "attn_lrp", "layerwise_relevance_propagation"),
)
def lrp(
    f: Objective,
    *,
    epsilon: Annotated[
        float,
        Between(0.0, 1.0),
        "Damps relevance at outputs of linear layers that are small compared with it; 0: no damping.",
    ] = 0.0,
) -> Scores:
    """AttnLRP: s_i = Σ_h e_ih · g_ih, for the word embedding e_i and the gradient g_i under the rules below.

    Achtibat, Hatefi, Dreyer, Jain, Wiegand, Lapuschkin & Samek 2024, "AttnLRP: Attention-Aware Layer-Wise
    Relevance Propagation for Transformers", section 3.3. x · gradient is the relevance R of every
    intermediate x:

    - linear layers and sums z = Σ w_i x_i + b: R_i = w_i x_i R / (z + ε sign z), equation 8, with ε in linear
      layers only.
    - softmax p of x: R_i = x_i (R'_i − p_i Σ_j R'_j) for the relevance R' of p: linearised at x,
      proposition 3.1.
    - a product of n activations, as in gated layers: R / n to each, proposition 3.2; the
      matrix products of attention: this and the rule for sums, so half to each matrix, proposition 3.3.
    - layer norm and RMS norm: the factor that normalises is a constant, proposition 3.4; the
      rest is linear.
    - element-wise functions with f(0) = 0, such as GELU, SiLU, ReLU and tanh: R_x = R_f(x), the
      identity rule, equation 9. Others, such as the sigmoid, are linearised at x like the softmax.

    Relevance starts as the explained logit and is conserved except for biases and linearised functions, which
    absorb some, and for position embeddings, whose share goes to no token: the note has the numbers. For
    log-probabilities and probabilities the function of the logits is linearised too.

    Layer-wise relevance propagation may be subject to patents: clear that before commercial use.
    """
    g = f.on(make_transparent(f.model))
    with Relevance(epsilon):
        leaf, values = g.traced()
    check_values(f, values.tolist())
    scores = (pull_back(f, leaf, values) * leaf.detach()).float().sum(-1)
    scores = scores * f.visible.to(scores)
    return Scores(scores, notes=(conservation(f, scores),))


class Relevance(Rules):
    """The rules of ``lrp``: relevance is x · gradient everywhere."""

    def __init__(self, epsilon: float = 0.0) -> None:
        super().__init__()
        self.epsilon = epsilon

    def elementwise(self, function: Function, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        value = function(x, *args, **kwargs)
        if (
            not has_gradient(x)
            or float(function(torch.zeros_like(x[..., :1]), *args, **kwargs).abs().max()) > 1e-6
        ):
            return value
        at_zero = x == 0
        factor = value.detach() / torch.where(at_zero, 1, x.detach())
        if at_zero.any():
            factor = torch.where(at_zero, derivative(lambda t: function(t, *args, **kwargs), x), factor)
        return surrogate(value, x * factor)

    def normaliser(self, function: Function, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return function(x.detach(), *args, **kwargs)

    def product(self, function: Function, *factors: Any, **kwargs: Any) -> Tensor:
        count = sum(map(has_gradient, factors))
        shared = [
            f.detach() + (f - f.detach()) / count if has_gradient(f) and count > 1 else f for f in factors
        ]
        return function(*shared, **kwargs)

    def quotient(self, function: Function, a: Any, b: Any, **kwargs: Any) -> Tensor:
        return function(a, b.detach() if has_gradient(b) else b, **kwargs)

    def linear(self, function: Function, *args: Any, **kwargs: Any) -> Tensor:
        value = function(*args, **kwargs)
        if self.epsilon == 0 or not has_gradient(value):
            return value
        size = value.detach().abs()
        return surrogate(value, value * (size / (size + self.epsilon)))


def conservation(f: Objective, scores: Tensor) -> str:
    """A sentence on how much of each f(x) reached the tokens; each text varied apart starts with it."""
    sums = scores.double().sum(-1).tolist()
    starts = (f.values.double() * len(f.segments)).tolist()
    parts = [
        f"{total:.4g} of {value:.4g} (difference {value - total:.2g})"
        for value, total in list(zip(starts, sums, strict=True))[:3]
    ]
    which = "f(x)" if len(f.segments) == 1 else "f(x), which each text starts with"
    ellipsis = ", ..." if len(sums) > 3 else ""
    return (
        f"The scores add up to {', '.join(parts)}{ellipsis} of {which}; the rest went to biases, positions "
        "and linearised functions."
    )
