"""Twins: private copies of a model's module tree that share its weights."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel, activations

from attribution.errors import Unsupported
from attribution.models.calls import translate_errors
from attribution.models.sources import offloading

Item = TypeVar("Item")

HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
)
"""Where a module keeps its hooks."""


def make_twin(model: PreTrainedModel) -> PreTrainedModel:
    """Copy the module tree and configuration, sharing the weights, in evaluation mode.

    What a configuration says about the form of answers (``return_dict``, ``output_attentions``,
    ``output_hidden_states``) is set to the usual one: the numbers are the same, and readers look for names.
    The twin calls the very hooks of the model, and shares with it what cannot be copied, such as locks.
    Weights that were made under ``torch.inference_mode`` are copied, since no gradient passes them.

    The tanh approximation of GELU is replaced by a single operation: in several operations, as in GPT-2, it
    takes half of the time of a pass.

    Raises ``Unsupported`` for a model without weights, on the meta device, and for one that cannot be copied.
    """
    _check_weights(model)
    with torch.inference_mode(False), offloading.take_turn(model):
        memo = offloading.shared_memo(model) | _normal_tensors(model)
        with translate_errors(model, "copy"):
            copied = copy_sharing(model, memo)
        copied = offloading.guard(copied).eval()
    for module in list(copied.modules()):
        _answer_by_name(getattr(module, "config", None))
        for name, inner in module.named_children():
            if isinstance(inner, activations.NewGELUActivation | activations.FastGELUActivation):
                setattr(module, name, activations.GELUTanh())
    return copied


def _answer_by_name(config: Any) -> None:
    """Make a configuration ask for answers with names, and for nothing but the answer."""
    if not isinstance(config, PreTrainedConfig):
        return
    config.return_dict = True
    for name in ("output_attentions", "output_hidden_states"):
        if getattr(config, name, False):
            setattr(config, name, False)


def make_copy(tokenizer: Item) -> Item:
    """A private copy of a tokenizer. Raises ``Unsupported`` for one that cannot be copied."""
    with translate_errors(tokenizer, "copy"):
        return copy_sharing(tokenizer)


def has_hooks(model: torch.nn.Module) -> bool:
    """Whether somebody registered a hook on a module."""
    return any(vars(module).get(name) for module in model.modules() for name in HOOKS)


def copy_sharing(item: Item, memo: Mapping[int, Any] | None = None) -> Item:
    """``copy.deepcopy``, where parts that cannot be copied (locks, files, generators, graphs) are shared.

    So are the hooks of modules. ``memo`` has finished copies by the ids of their originals. Raises what
    ``copy.deepcopy`` raises.
    """
    memo = dict(memo or {}) | (_own_hooks(item) if isinstance(item, torch.nn.Module) else {})
    try:
        return copy.deepcopy(item, dict(memo))
    except Exception:
        modules = list(item.modules()) if isinstance(item, torch.nn.Module) else [item]
        inside = {
            id(module): module for module in modules
        }  # a part may refer to modules: they stay out of its trial
        for module in modules:
            for part in list(vars(module).values()):
                _share(part, memo, inside)
        return copy.deepcopy(item, memo)


def _share(part: Any, memo: dict[int, Any], inside: Mapping[int, Any], depth: int = 0) -> None:
    """Enter into ``memo`` what cannot be copied of a part: as little of it as possible."""
    if id(part) in memo or id(part) in inside or _is_copyable(part, memo, inside):
        return
    if depth < MAX_DEPTH:
        for inner in _parts_of(part):
            _share(inner, memo, inside, depth + 1)
    if not _is_copyable(part, memo, inside):
        memo[id(part)] = part


MAX_DEPTH = 8


def _is_copyable(part: Any, memo: Mapping[int, Any], inside: Mapping[int, Any]) -> bool:
    try:
        copy.deepcopy(part, {**inside, **memo})
    except Exception:  # objects raise anything
        return False
    return True


def _parts_of(part: Any) -> list[Any]:
    if isinstance(part, Mapping):
        return list(part.values())
    if isinstance(part, list | tuple | set):
        return list(part)
    return list(getattr(part, "__dict__", {}).values())


def _own_hooks(model: torch.nn.Module) -> dict[int, Any]:
    """A memo of the hooks themselves, but for methods of the model's modules, which a twin has itself."""
    modules = {id(module) for module in model.modules()}
    hooks = itertools.chain.from_iterable(
        (vars(module).get(name) or {}).values() for module in model.modules() for name in HOOKS
    )
    return {id(hook): hook for hook in hooks if id(getattr(hook, "__self__", None)) not in modules}


def _normal_tensors(model: torch.nn.Module) -> dict[int, Any]:
    """A memo of copies of the tensors that were made under ``torch.inference_mode``."""
    return {
        id(tensor): torch.nn.Parameter(tensor.clone(), tensor.requires_grad)
        if isinstance(tensor, torch.nn.Parameter)
        else tensor.clone()
        for tensor in _tensors(model)
        if tensor.is_inference()
    }


def _tensors(model: torch.nn.Module) -> Iterator[Tensor]:
    yield from itertools.chain(model.parameters(), model.buffers())
    for module in model.modules():
        yield from (value for value in vars(module).values() if isinstance(value, Tensor))


def _check_weights(model: PreTrainedModel) -> None:
    """Raise ``Unsupported`` for weights on the meta device that nothing brings to another one."""
    places = any(True for module in model.modules() for _ in offloading.hooks_of(module))
    if offloading.is_offloaded(model) and not places:
        raise Unsupported(
            f"{type(model).__name__} has no weights: they are on the meta device.",
            "Load them first, with from_pretrained or model.to_empty and load_state_dict.",
        )


def is_close(values: Tensor, expected: Tensor, tolerance: float = 1e-3) -> bool:
    """Whether two tensors differ by rounding only.

    True where ``expected`` is not finite, which another check rejects.
    """
    largest = (values - expected).abs().max()
    return bool((largest <= tolerance * (1 + expected.abs().max())) | ~expected.isfinite().all())
