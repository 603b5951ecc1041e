"""The layers that sentence-transformers puts around pooling, with frozen weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from attribution.errors import Unsupported, quote

TRUSTED = "torch.nn."
"""Activations of a checkpoint are classes of torch, never code of its own."""


class Dense(nn.Module):
    """activation(W x + b), plus x or a projection of it where the checkpoint asks for a residual."""

    def __init__(self, name: str, config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        sizes = int(config["in_features"]), int(config["out_features"])
        self.linear = nn.Linear(*sizes, bias=bool(config.get("bias", True)))
        self.activation = read_activation(config.get("activation_function", "torch.nn.Tanh"), name)
        self.adds_input = bool(config.get("use_residual", False))
        if self.adds_input and sizes[0] != sizes[1]:
            self.residual: nn.Module = nn.Linear(*sizes, bias=False)
        else:
            self.residual = nn.Identity()
        self.load_state_dict(dict(weights))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.activation(self.linear(x))
        return y + self.residual(x) if self.adds_input else y


class LayerNorm(nn.Module):
    """A layer norm of the pooled vector."""

    def __init__(self, config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(int(config["dimension"]))
        self.load_state_dict(dict(weights))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(x)
        return y


class Normalize(nn.Module):
    """Vectors of length 1. In basic operations, which the rules of ``models.inside`` know."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt((x * x).sum(-1, keepdim=True).clamp_min(1e-24))


def read_activation(name: object, layer: str) -> nn.Module:
    """The activation module of that full name. Raises ``Unsupported`` for any that is not torch's own."""
    kind = getattr(nn, str(name).rpartition(".")[2], None)
    if str(name).startswith(TRUSTED) and isinstance(kind, type) and issubclass(kind, nn.Module):
        try:
            return kind()
        except TypeError:  # a layer with sizes is no activation
            pass
    raise Unsupported(
        f"{layer} of this bi-encoder has the activation {quote(name)}.", "It must be one of torch.nn."
    )
