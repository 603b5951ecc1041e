"""Private twins whose attention modules pass their inputs to an observer, which may change the result.

transformers keeps a registry of attention functions. The function registered here calls the observer attached
to a module of a private twin, or the architecture's own eager function where there is none. No class and no
user's model is modified, and every call makes a twin of its own, so threads share nothing.
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
"""(eager, module, query, key, value, mask, **kwargs) → the same pair; ``eager`` is the architecture's own.

query, key, value are [batch, heads, queries or keys, width]; ``mask`` is additive or None."""


def observe_attention(model: PreTrainedModel, observer: Observer) -> PreTrainedModel:
    """Make a twin of ``model`` whose attention modules call ``observer`` with the eager attention function.

    Parameters are shared, module objects are not: hooks and replaced submodules affect the twin only. Raises
    ``Unsupported`` for an architecture that does not use transformers' registry of attention functions.
    """
    private = make_twin(model)
    uses_registry = False
    for module in private.modules():
        if hasattr(sys.modules[type(module).__module__], "eager_attention_forward"):
            module._attribution_observer = observer  # noqa: SLF001 - a private twin's
            uses_registry = True
    if not uses_registry:
        raise Unsupported(
            f"{type(model).__name__} implements its own attention, which cannot be observed.",
            "Gradient methods and those that only change the text work for it.",
        )
    private.set_attn_implementation(NAME)
    return private


def attention_modules(private: PreTrainedModel) -> Iterator[tuple[str, torch.nn.Module]]:
    """The names and modules of an observed twin that may call the attention function."""
    for name, module in private.named_modules():
        if "_attribution_observer" in vars(module):
            yield name, module


def _attend(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,  # some architectures (Doge, Afmoe) name it
    **kwargs: Any,
) -> Any:
    eager = sys.modules[type(module).__module__].eager_attention_forward
    observer = vars(module).get("_attribution_observer")
    return (
        eager(module, query, key, value, attention_mask, **kwargs)
        if observer is None
        else observer(eager, module, query, key, value, attention_mask, **kwargs)
    )


AttentionInterface.register(NAME, _attend)
AttentionMaskInterface.register(NAME, eager_mask)
