"""Backward rules: non-linear functions keep their values and get modified gradients.

Torch functions are intercepted by a ``TorchFunctionMode``, in one thread and within one ``with`` block, so
that a rule is stated once per function instead of once per architecture. No class and no user's model is
modified.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode, handle_torch_function, has_torch_function_unary
from transformers import PreTrainedModel

from attribution.errors import Unsupported
from attribution.models.calls import differentiate
from attribution.models.objective import Objective
from attribution.models.twin import make_twin

KINDS = MappingProxyType(
    {
        name: kind
        for kind, names in {
            "elementwise": "gelu silu relu relu6 leaky_relu elu selu celu mish tanh hardtanh hardswish "
            "hardsigmoid sigmoid softplus "
            "softsign logsigmoid exp expm1 log log1p erf sin cos abs square clamp clamp_min clamp_max",
            "normaliser": "rsqrt sqrt reciprocal",
            "power": "pow __pow__",
            "product": "mul multiply __mul__ __rmul__ matmul __matmul__ __rmatmul__ bmm mm einsum",
            "affine_product": "addmm baddbmm",
            "quotient": "div divide true_divide __truediv__ __div__",
            "inverse_quotient": "__rdiv__ __rtruediv__",
            "softmax": "softmax",
            "log_softmax": "log_softmax",
            "linear": "linear conv1d",
            "layer_norm": "layer_norm",
            "rms_norm": "rms_norm",
            "cosine_similarity": "cosine_similarity",
            "attention": "scaled_dot_product_attention",
            "other": "topk sort max amax min amin logsumexp prod cumprod norm vector_norm normalize std var "
            "prelu glu group_norm "
            "batch_norm multi_head_attention_forward",
            "activation": "call_activation",
        }.items()
        for name in names.split()
    }
)
"""Name of a torch function → the method of ``Rules`` that handles it. All others are linear."""

ACTIVATIONS = ("transformers.activations.", "BloomGelu")
"""Prefixes and suffixes of the full names of modules that are one element-wise function, possibly computed in
several steps."""

Function = Callable[..., Tensor]


def has_gradient(x: object) -> bool:
    """Whether ``x`` depends on the embeddings: in a transparent twin nothing else has a gradient."""
    return isinstance(x, Tensor) and x.requires_grad


def surrogate(value: Tensor, linear: Tensor) -> Tensor:
    """Return ``value`` with the gradient of ``linear``."""
    return value.detach() + (linear - linear.detach()).to(value.dtype)


def derivative(function: Function, x: Tensor) -> Tensor:
    """f′(x) of an element-wise function."""
    with torch.enable_grad():
        point = x.detach().requires_grad_()
        return torch.autograd.grad(function(point).sum(), point)[0]


class Rules(TorchFunctionMode):
    """Ordinary gradients; subclasses override the rule of each kind of function.

    Used as ``with rules: model(...)``. Composite functions such as norms are decomposed here into the basic
    kinds, always in the same way, so that two passes make the same sequence of calls.
    """

    def __torch_function__(
        self,
        function: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kind = KINDS.get(getattr(function, "__name__", ""))
        if kind is None:
            return function(*args, **(kwargs or {}))
        return getattr(self, kind)(function, *args, **(kwargs or {}))

    # Rules that a subclass may override.

    def elementwise(self, function: Function, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """An element-wise function of x."""
        return function(x, *args, **kwargs)

    def normaliser(self, function: Function, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """An element-wise normalisation factor, such as ``rsqrt`` in a norm."""
        return self.elementwise(function, x, *args, **kwargs)

    def product(self, function: Function, *factors: Any, **kwargs: Any) -> Tensor:
        """A function that is linear in each of its factors."""
        return function(*factors, **kwargs)

    def quotient(self, function: Function, a: Any, b: Any, **kwargs: Any) -> Tensor:
        """The quotient a / b."""
        return function(a, b, **kwargs)

    def softmax(self, function: Function, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Softmax of x along ``kwargs["dim"]`` or ``args[0]``."""
        return function(x, *args, **kwargs)

    def log_softmax(self, function: Function, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Log-softmax of x, as above."""
        return function(x, *args, **kwargs)

    def linear(self, function: Function, *args: Any, **kwargs: Any) -> Tensor:
        """A linear layer, whose weights are constants."""
        return function(*args, **kwargs)

    def other(self, function: Function, *args: Any, **kwargs: Any) -> Any:
        """A non-linear function of none of the kinds above."""
        return function(*args, **kwargs)

    # Composite functions.

    def power(self, function: Function, x: Any, exponent: Any, **kwargs: Any) -> Tensor:
        if not isinstance(x, Tensor) or isinstance(exponent, Tensor):
            return function(x, exponent, **kwargs)
        rule = self.normaliser if exponent < 0 else self.elementwise
        return rule(function, x, exponent, **kwargs)

    def affine_product(
        self,
        function: Function,
        bias: Tensor,
        *factors: Any,
        beta: float = 1,
        alpha: float = 1,
        **kwargs: Any,
    ) -> Tensor:
        a, b = factors or kwargs.values()
        if isinstance(b, torch.nn.Parameter):
            return self.linear(function, bias, a, b, beta=beta, alpha=alpha)
        with self:
            result = torch.matmul(a, b) * alpha
            return result if beta == 0 else result + beta * bias

    def inverse_quotient(self, function: Function, b: Tensor, a: Any) -> Tensor:
        with self:
            return torch.reciprocal(b) * a

    def layer_norm(
        self,
        function: Function,
        x: Tensor,
        normalized_shape: Sequence[int],
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        eps: float = 1e-5,
    ) -> Tensor:
        with self:
            centred = x.float() - x.float().mean(_last(normalized_shape), keepdim=True)
            return _divide_by_rms(centred, normalized_shape, weight, bias, eps).to(x.dtype)

    def rms_norm(
        self,
        function: Function,
        x: Tensor,
        normalized_shape: Sequence[int],
        weight: Tensor | None = None,
        eps: float | None = None,
    ) -> Tensor:
        with self:
            small = torch.finfo(x.dtype).eps if eps is None else eps
            return _divide_by_rms(x.float(), normalized_shape, weight, None, small).to(x.dtype)

    def cosine_similarity(
        self, function: Function, a: Tensor, b: Tensor, dim: int = 1, eps: float = 1e-8
    ) -> Tensor:
        with self:
            squares = ((t * t).sum(dim).clamp_min(eps * eps) for t in (a, b))
            first, second = (torch.rsqrt(square) for square in squares)
            return (a * b).sum(dim) * first * second

    def attention(
        self,
        function: Function,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        if enable_gqa:
            key, value = (t.repeat_interleave(query.shape[-3] // t.shape[-3], -3) for t in (key, value))
        if is_causal:
            attn_mask = torch.ones(
                query.shape[-2], key.shape[-2], dtype=torch.bool, device=query.device
            ).tril()
        with self:
            scores = torch.matmul(query, key.transpose(-2, -1)) * (
                query.shape[-1] ** -0.5 if scale is None else scale
            )
            if attn_mask is not None and attn_mask.dtype == torch.bool:
                scores = scores.masked_fill(~attn_mask, torch.finfo(scores.dtype).min)
            elif attn_mask is not None:
                scores = scores + attn_mask
            return torch.matmul(torch.softmax(scores, -1), value)

    def activation(self, function: Function, forward: Function, x: Tensor) -> Tensor:
        return self.elementwise(forward, x)


def _last(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(range(-len(shape), 0))


def _divide_by_rms(
    x: Tensor, shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, eps: float
) -> Tensor:
    """Divide x by its root mean square, times ``weight``, plus ``bias``."""
    result = x * torch.rsqrt(x.pow(2).mean(_last(shape), keepdim=True) + eps)
    result = result if weight is None else result * weight
    return result if bias is None else result + bias


def call_activation(forward: Function, x: Tensor) -> Tensor:
    """Call an activation module's ``forward`` as a single function that rules can intercept."""
    if has_torch_function_unary(x):
        return handle_torch_function(call_activation, (x,), forward, x)
    return forward(x)


def make_transparent(model: PreTrainedModel) -> PreTrainedModel:
    """Make a twin of ``model`` whose functions rules can intercept.

    Attention is computed by basic torch functions, an activation module is one function, and parameters are
    constants, so that only tensors that depend on the embeddings have a gradient. Weights are shared with
    ``model``.
    """
    private = make_twin(model)
    private.set_attn_implementation("eager")
    for module in private.modules():
        for name, parameter in module._parameters.items():  # noqa: SLF001 - hooks must not run
            if parameter is not None and parameter.is_floating_point():  # 8-bit weights are whole numbers
                constant = torch.nn.Parameter(parameter.detach(), requires_grad=False)
                module._parameters[name] = constant  # noqa: SLF001
        name = f"{type(module).__module__}.{type(module).__qualname__}"
        if name.startswith(ACTIVATIONS) or name.endswith(ACTIVATIONS):
            module.forward = functools.partial(call_activation, module.forward)
    return private


def check_values(f: Objective, values: Iterable[float]) -> None:
    """Raise ``Unsupported`` where a pass under rules gave values that differ from the model's own."""
    tolerance = 1e-3 if f.embeddings.dtype == torch.float32 else 0.05
    for got, own in zip(values, f.values.tolist(), strict=True):
        if not abs(got - own) <= tolerance * max(1.0, abs(own)):
            raise Unsupported(
                f"The model computed step by step gives {got:.6g}, not {own:.6g}: "
                "one of its functions is not supported.",
                "Gradient methods and those that only change the text work for it.",
            )


def pull_back(f: Objective, leaf: Tensor, values: Tensor) -> Tensor:
    """Backpropagate each value to ``leaf`` [1, inputs, hidden]: gradients [outputs, inputs, hidden]."""
    rows = []
    for value in values:
        f.deadline.check()
        rows.append(differentiate(f.model, value, leaf, retain_graph=True)[0][0])
    return torch.stack(rows)
