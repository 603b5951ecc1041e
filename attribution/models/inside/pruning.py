"""Pruning the last layer: skip the positions that a classification head does not read.

In an encoder's last layer everything after the attention works on each position independently, and a
classification head reads the first position only. The point at which a layer can be cut is found by trial,
not by a table of architectures: the first module after which all positions but the first can be dropped
without changing the model's output.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

MAX_CANDIDATES = 16
"""Modules of the last layer to try at most."""
TOLERANCE = 1e-5
"""Largest difference of the logits, relative to the largest of them."""


def prune(make: Callable[[], PreTrainedModel], points: Tensor, depth: int) -> PreTrainedModel | None:
    """Make a twin that ends its last layer at the first position only, with the same logits.

    ``make`` returns a new twin; ``points`` are embeddings [batch, inputs, hidden] to try it with; ``depth``
    is the number of layers. None where no layer can be cut.
    """
    with torch.no_grad():
        return _cut(make, points, depth)


def _cut(make: Callable[[], PreTrainedModel], points: Tensor, depth: int) -> PreTrainedModel | None:
    model = make()
    expected = model(inputs_embeds=points).logits
    for name in _candidates(model, points, depth):
        private = make()
        lengths: list[int] = []
        layer, _, inner = name.rpartition("/")
        private.get_submodule(f"{layer}.{inner}").register_forward_hook(_first_place)
        handle = private.get_submodule(layer).register_forward_hook(_make_length_recorder(lengths))
        try:
            answer = private(inputs_embeds=points).logits
        except Exception:  # architectures raise anything for states of another shape
            continue
        handle.remove()
        # A cut that a later sum over all positions broadcasts back would save nothing.
        if (
            lengths == [1]
            and answer.shape == expected.shape
            and bool(((answer - expected).abs() <= TOLERANCE * expected.abs().max()).all())
        ):
            return private
    return None


def _candidates(model: PreTrainedModel, points: Tensor, depth: int) -> list[str]:
    """``layer/module`` names in the last layer whose output covers all positions, in calling order."""
    stacks = [
        (name, list(m))
        for name, m in model.named_modules()
        if isinstance(m, nn.ModuleList) and len(m) == depth
    ]
    if not stacks:
        return []
    name, layers = max(stacks, key=lambda stack: sum(p.numel() for p in nn.ModuleList(stack[1]).parameters()))
    layer = f"{name}.{depth - 1}"
    called: list[str] = []
    handles = []
    for inner, module in layers[-1].named_modules():
        if inner:
            handles.append(
                module.register_forward_hook(_make_recorder(called, f"{layer}/{inner}", points.shape))
            )
    model(inputs_embeds=points)
    for handle in handles:
        handle.remove()
    return called[:MAX_CANDIDATES]


def _make_recorder(called: list[str], name: str, shape: torch.Size) -> Callable[..., None]:
    def note(_module: nn.Module, _args: Any, output: Any) -> None:
        states = output[0] if isinstance(output, tuple) and output else output
        if isinstance(states, Tensor) and states.ndim == 3 and states.shape[:2] == shape[:2]:
            called.append(name)

    return note


def _make_length_recorder(lengths: list[int]) -> Callable[..., None]:
    def measure(_module: nn.Module, _args: Any, output: Any) -> None:
        lengths.append((output[0] if isinstance(output, tuple) else output).shape[1])

    return measure


def _first_place(_module: nn.Module, _args: Any, output: Any) -> Any:
    return (output[0][:, :1], *output[1:]) if isinstance(output, tuple) else output[:, :1]
