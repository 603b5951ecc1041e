"""PEFT adapters in a model, merged into a copy: methods that read weights then read those that compute."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from transformers import PreTrainedModel

from attribution.errors import Unsupported
from attribution.models.sources import offloading
from attribution.models.twin import copy_sharing


def merge_adapters(model: PreTrainedModel) -> PreTrainedModel:
    """The model itself if it has no adapters, else a copy with the active ones merged into its weights.

    The copy shares all weights that are not adapted. Merging changes numbers by rounding only. Raises
    ``Unsupported`` for adapters that cannot be merged.
    """
    adapted = {
        name: module
        for name, module in model.named_modules()
        if hasattr(module, "unload_and_optionally_merge_module")
        or (hasattr(module, "base_layer") and hasattr(module, "merge"))
    }
    if not adapted:
        return model
    outermost = [name for name in adapted if not any(name.startswith(f"{other}.") for other in adapted)]
    own = {
        id(tensor)
        for name in outermost
        for tensor in itertools.chain(adapted[name].parameters(), adapted[name].buffers())
    }
    shared = {key: item for key, item in offloading.shared_memo(model).items() if key not in own}
    merged = copy_sharing(model, shared).eval()
    _untie(model, merged, own, outermost)
    for name in outermost:
        parent, _, attribute = name.rpartition(".")
        holder = merged.get_submodule(parent)
        try:
            plain = _merge(holder.get_submodule(attribute))
        except (ValueError, NotImplementedError, RuntimeError, AttributeError, TypeError) as error:
            raise Unsupported(
                f"The adapters of this model cannot be merged ({type(error).__name__}: {str(error)[:100]}).",
                "Load it as a function of texts: load(function, labels=...).",
            ) from error
        setattr(holder, attribute, plain)
    return merged


def _untie(model: PreTrainedModel, merged: PreTrainedModel, adapted: set[int], layers: Sequence[str]) -> None:
    """Give weights that an adapted layer shares with others their own value in those: adapters leave them."""
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if id(parameter) in adapted and not any(name.startswith(f"{layer}.") for layer in layers):
            owner, _, attribute = name.rpartition(".")
            merged.get_submodule(owner).register_parameter(attribute, parameter)


def _merge(layer: Any) -> torch.nn.Module:
    """The layer without its adapters; those that are active and not disabled are merged into its weights."""
    disabled = bool(getattr(layer, "disable_adapters", False))
    if disabled and hasattr(layer, "original_module"):
        original: torch.nn.Module = layer.original_module
        return original
    if hasattr(layer, "unload_and_optionally_merge_module"):
        plain: torch.nn.Module = layer.unload_and_optionally_merge_module(
            merge=not disabled, safe_merge=False, adapter_names=None
        )
        return plain
    if disabled and layer.merged:
        layer.unmerge()
    elif not disabled and not layer.merged:
        layer.merge()
    base: torch.nn.Module = layer.get_base_layer()
    return base
