"""DeepLift: multipliers instead of derivatives, from a baseline to the text."""

from __future__ import annotations

from collections import deque
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from attribution.errors import Unsupported
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
from attribution.types import Completeness


@method(
    title="DeepLift",
    summary="What each token adds to the prediction compared with an empty text, handed back step by "
    "step through the model.",
    caveat="'Empty' has to mean something: another baseline gives other scores. Where a step depends on "
    "two things at once, each gets half of their common effect, which is a convention.",
    cost="2 forward passes, and 1 backward pass for each output",
    signed=True,
    unit="{quantity}",
    needs="gradients",
    aliases=("deep_lift", "rescale"),
)
def deeplift(
    f: Objective,
    *,
    baseline: Annotated[
        Literal["auto", "pad", "mask", "unk", "eos", "mean", "zero"],
        "What stands for 'no token'; special tokens stay. auto: the first the model has of pad, mask and "
        "end token.",
    ] = "auto",
) -> Scores:
    """DeepLift, rescale rule: s_i = Σ_h m_ih · (e_ih − b_ih) with multipliers m.

    The multipliers lead from the baseline's embeddings b to the text's embeddings e.

    Shrikumar, Greenside & Kundaje 2017, "Learning Important Features Through Propagating Activation
    Differences": multipliers are chained like derivatives (equation 3); a function y of one number x has m =
    Δy / Δx (rescale rule, section 3.5.2), its derivative where Δx = 0; a linear function has its own factor
    (section 3.5.1). A product a · b has m_a = (b + b₀) / 2 and m_b = (a + a₀) / 2: Δa · m_a and Δb · m_b are
    its Shapley values, which Lundberg & Lee 2017, "A Unified Approach to Interpreting Model Predictions",
    section 4.2, take for single steps.

    A transformer computes nothing but these steps. A layer norm is centring, square, mean, inverse
    square root and product; attention is two matrix products and a softmax; a softmax is exp(t − log Σ exp
    t), where t is the input less its mean over the places that are not masked. That form keeps a softmax's
    multipliers within ±2; exp(t) · (1 / Σ exp t) adds up just as exactly, but its huge multipliers of either
    sign drown the scores.

    Each step passes on exactly what it receives, so that Σ s_i = f(x) − f(b) up to rounding (their equation
    1), for log-probabilities and probabilities too. Raises ``Unsupported`` where the model makes a step
    that no rule covers.
    """
    start = f.baseline(baseline)
    g = f.on(make_transparent(f.model))
    rules = Multipliers()
    with f.in_this_thread():  # the rules are thread-local
        with rules:
            empty = g.evaluate(start[None])[:, 0]
        rules.follow()
        with rules:
            leaf, values = g.traced()
    check_values(f, values.tolist())
    scores = (pull_back(f, leaf, values) * (f.embeddings - start)).float().sum(-1)
    scores = scores * f.visible.to(scores)
    residual = f.values.double() - empty.double() - scores.double().sum(-1)
    missed = float((residual.abs() / scores.double().abs().sum(-1).clamp_min(1e-3)).max())
    if missed > (0.01 if leaf.dtype == torch.float32 else 0.1):
        raise Unsupported(
            f"DeepLift's scores miss {missed:.0%} of what they should add up to: this model makes a step "
            "that its rules do not cover.",
            "Integrated gradients work for it.",
        )
    rows = zip(f.values.tolist(), empty.tolist(), residual.tolist(), strict=True)
    return Scores(scores, tuple(Completeness(*row) for row in rows))


class Multipliers(Rules):
    """Rules for two passes: the first records inputs at the baseline, the second uses them.

    Call ``follow()`` between the two.
    """

    def __init__(self) -> None:
        super().__init__()
        self._calls: deque[tuple[Function, tuple[Any, ...]]] = deque()
        self._following = False

    def follow(self) -> None:
        self._following = True

    def elementwise(self, function: Function, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        value = function(x, *args, **kwargs)
        before = self._before(function, x)
        if not before:
            return value
        return surrogate(value, x * slope(lambda t: function(t, *args, **kwargs), x, before[0]).to(x.dtype))

    def product(self, function: Function, *factors: Any, **kwargs: Any) -> Tensor:
        value = function(*factors, **kwargs)
        places = [i for i, factor in enumerate(factors) if isinstance(factor, Tensor)]
        moving = [i for i in places if has_gradient(factors[i])]
        before = self._before(function, *(factors[i] for i in places)) if len(places) > 1 else ()
        if not before or len(moving) < 2:
            return value
        if len(moving) > 2:
            raise Unsupported(
                "This model multiplies three activations at once, for which DeepLift has no rule here."
            )
        means = list(factors)
        for i, other in zip(places, before, strict=True):
            means[i] = (factors[i].detach() + other) / 2
        a, b = (
            function(*[factors[i] if i == k else mean for i, mean in enumerate(means)], **kwargs)
            for k in moving
        )
        return surrogate(value, a + b)

    def quotient(self, function: Function, a: Any, b: Any, **kwargs: Any) -> Tensor:
        value = function(a, b, **kwargs)
        if not isinstance(b, Tensor):
            return value
        before = self._before(function, torch.as_tensor(a), b)
        if not before or not has_gradient(b):
            return value
        (a0, b0), now = before, b.detach()
        linear = -b * ((torch.as_tensor(a).detach() + a0) / 2 / (now * b0))
        return surrogate(value, linear + a * (1 / now + 1 / b0) / 2 if has_gradient(a) else linear)

    def softmax(self, function: Function, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        value = function(x, *args, **kwargs)
        before = self._before(function, x)
        if not before:
            return value
        logs, now, other = log_shares(x, before[0], kwargs["dim"] if "dim" in kwargs else args[0])
        return surrogate(value, logs * slope(torch.exp, now, other))

    def log_softmax(self, function: Function, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        value = function(x, *args, **kwargs)
        before = self._before(function, x)
        if not before:
            return value
        return surrogate(value, log_shares(x, before[0], kwargs["dim"] if "dim" in kwargs else args[0])[0])

    def other(self, function: Function, *args: Any, **kwargs: Any) -> Any:
        if any(map(has_gradient, args)):
            raise Unsupported(
                f"This model uses the function {function.__name__}, for which DeepLift has no rule here.",
                "Integrated gradients work for it.",
            )
        return function(*args, **kwargs)

    def _before(self, function: Function, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Inputs of a call at the baseline; () in the first pass and where nothing depends on embeddings."""
        if not self._following:
            self._calls.append((function, tuple(t.detach() for t in inputs)))
            return ()
        recorded, before = self._calls.popleft() if self._calls else (None, ())
        if recorded != function or [t.shape for t in before] != [t.shape for t in inputs]:
            raise Unsupported(
                "This model computes different steps for the text and its baseline, as a mixture of "
                "experts does: DeepLift compares them step by step.",
                "Integrated gradients work for it.",
            )
        return before if any(map(has_gradient, inputs)) else ()


def slope(function: Function, x: Tensor, x0: Tensor) -> Tensor:
    """(f(x) − f(x₀)) / (x − x₀) for an element-wise f; f′(x) where x = x₀.

    Computed in float64, in which differences of float32 numbers are exact.
    """
    a, b = x.detach().double(), x0.double()
    step = a - b
    met = (a == b) | (step.abs() <= 1e-9 * (a.abs() + b.abs()))
    ratio = (function(a) - function(b)) / torch.where(met, 1.0, step)
    return torch.where(met, derivative(function, a), ratio) if met.any() else ratio


def log_shares(x: Tensor, x0: Tensor, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """Log softmax as t − log Σ exp t in float64, where t is x less its mean over the unmasked places.

    Returns a tensor whose gradient in x are the multipliers, and the values at x and at x₀. Masked places are
    constant.
    """
    masked = (x <= torch.finfo(x.dtype).min / 2) | (x0 <= torch.finfo(x.dtype).min / 2)
    counts = (~masked).sum(dim, keepdim=True).clamp_min(1)
    t, t0 = (y.double().masked_fill(masked, 0) for y in (x, x0))
    t, t0 = (y - y.sum(dim, keepdim=True) / counts for y in (t, t0))
    # exp(−top) is a factor of both sums: it does not change the weights, and keeps exponentials finite.
    top = torch.maximum(t.detach(), t0).masked_fill(masked, -torch.inf).amax(dim, keepdim=True)
    now, other = ((y - top).masked_fill(masked, -torch.inf) for y in (t.detach(), t0))
    s, s0 = (y.exp().sum(dim, keepdim=True) for y in (now, other))
    # The smaller sum may underflow, so its logarithm is computed separately.
    level, level0 = (y.logsumexp(dim, keepdim=True) for y in (now, other))
    met = (s - s0).abs() <= 1e-9 * (s + s0)
    chord = torch.where(met, 1 / s, (level - level0) / torch.where(met, 1, s - s0))
    weights = (slope(torch.exp, now, other) * chord).masked_fill(masked, 0)
    linear = (t - (t * weights).sum(dim, keepdim=True)).masked_fill(masked, 0)
    return linear, (now - level).masked_fill(masked, -1000), (other - level0).masked_fill(masked, -1000)
