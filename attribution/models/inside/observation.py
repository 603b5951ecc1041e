"""Private twins whose attention modules hand over what they compute, or compute it another way.

transformers keeps a table of attention functions; one of ours, registered under a name of its own, calls the
observer that a module of a private twin carries, and the architecture's own eager function otherwise. No
class and no user's model is touched, and a twin is made for each call, so threads share nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import eager_mask

from attribution.errors import Unsupported
from attribution.models.twin import make_twin

NAME = "attribution_observed"

Observer = Callable[..., tuple[Tensor, Tensor]]
"""(eager, module, query, key, value, mask, **more) → the same pair; ``eager`` is the architecture's own.

query, key, value are [batch, heads, queries or keys, width]; ``mask`` is additive or None."""


def observe_attention(model: PreTrainedModel, observer: Observer) -> PreTrainedModel:
    """A new twin of ``model`` whose attention modules call ``observer`` with the eager attention function.

    Parameters are shared, module objects are not: hooks and replaced submodules on the twin stay there.
    Raises ``Unsupported`` for an architecture that does not use transformers' table of attention functions.
    """
    private = make_twin(model)
    seen = False
    for module in private.modules():
        if hasattr(sys.modules[type(module).__module__], "eager_attention_forward"):
            module._attribution_observer = observer  # noqa: SLF001 - a private twin's
            seen = True
    if not seen:
        raise Unsupported(
            f"{type(model).__name__} computes its attention in code of its own, which cannot be looked into.",
            "Gradient methods and those that only change the text work for it.",
        )
    private.set_attn_implementation(NAME)
    return private


def attention_modules(private: PreTrainedModel) -> Iterator[tuple[str, torch.nn.Module]]:
    """The names and modules of observe_attention's twin that may call the attention function."""
    for name, module in private.named_modules():
        if "_attribution_observer" in vars(module):
            yield name, module


def _attend(
    module: torch.nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **more: Any
) -> Any:
    eager = sys.modules[type(module).__module__].eager_attention_forward
    observer = vars(module).get("_attribution_observer")
    return (
        eager(module, query, key, value, mask, **more)
        if observer is None
        else observer(eager, module, query, key, value, mask, **more)
    )


AttentionInterface.register(NAME, _attend)
AttentionMaskInterface.register(NAME, eager_mask)
