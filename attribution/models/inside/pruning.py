"""Leaving out what nothing is read from: the last layer's work on places that the head does not look at.

In an encoder's last layer everything after the attention works on each place by itself, and a classification
head reads the first place only. Where exactly a layer can be cut is not looked up in a table of architectures
but tried: the first of its modules behind which all places but the first can be dropped without a change of
the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

MOST_TRIED = 16
"""Modules of the last layer that are tried."""
SAME = 1e-5
"""Largest difference of the answers, as a share of the largest number in them."""


def prune(make: Callable[[], PreTrainedModel], points: Tensor, depth: int) -> PreTrainedModel | None:
    """A twin that answers the same from its first place alone, or None where no layer can be cut.

    ``make`` gives a new twin; ``points`` are embeddings [batch, inputs, hidden] to try it with; ``depth`` is
    the number of layers.
    """
    with torch.no_grad():
        return _cut(make, points, depth)


def _cut(make: Callable[[], PreTrainedModel], points: Tensor, depth: int) -> PreTrainedModel | None:
    model = make()
    expected = model(inputs_embeds=points).logits
    for name in _candidates(model, points, depth):
        private = make()
        seen: list[int] = []
        layer, _, inner = name.rpartition("/")
        private.get_submodule(f"{layer}.{inner}").register_forward_hook(_first_place)
        handle = private.get_submodule(layer).register_forward_hook(_make_length_recorder(seen))
        try:
            found = private(inputs_embeds=points).logits
        except Exception:  # whatever an architecture says to states of another shape
            continue
        handle.remove()
        # A cut that a later sum with all places undoes would save nothing.
        if (
            seen == [1]
            and found.shape == expected.shape
            and bool(((found - expected).abs() <= SAME * expected.abs().max()).all())
        ):
            return private
    return None


def _candidates(model: PreTrainedModel, points: Tensor, depth: int) -> list[str]:
    """``layer/module`` names inside the last layer whose output has all places, in the order of calling."""
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
    return called[:MOST_TRIED]


def _make_recorder(called: list[str], name: str, shape: torch.Size) -> Callable[..., None]:
    def note(_module: nn.Module, _args: Any, said: Any) -> None:
        states = said[0] if isinstance(said, tuple) and said else said
        if isinstance(states, Tensor) and states.ndim == 3 and states.shape[:2] == shape[:2]:
            called.append(name)

    return note


def _make_length_recorder(seen: list[int]) -> Callable[..., None]:
    def measure(_module: nn.Module, _args: Any, said: Any) -> None:
        seen.append((said[0] if isinstance(said, tuple) else said).shape[1])

    return measure


def _first_place(_module: nn.Module, _args: Any, said: Any) -> Any:
    return (said[0][:, :1], *said[1:]) if isinstance(said, tuple) else said[:, :1]
