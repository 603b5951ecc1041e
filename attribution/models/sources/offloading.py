"""Models whose weights are kept in main memory or on disk and moved to the device when they are needed."""

from __future__ import annotations

import functools
import itertools
import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate.utils import set_module_tensor_to_device
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from attribution.errors import Unsupported
from attribution.models.sources import devices
from attribution.models.sources.quiet import hide_progress_bars

Module = TypeVar("Module", bound=torch.nn.Module)


def hooks_of(module: torch.nn.Module) -> Iterator[Any]:
    """Yield the hooks of accelerate on a module itself; a sequence of hooks is flattened."""
    first = vars(module).get("_hf_hook")
    pending = [] if first is None else [first]
    while pending:
        hook = pending.pop(0)
        if hasattr(hook, "hooks"):
            pending = [*hook.hooks, *pending]
        else:
            yield hook


def is_offloaded(model: torch.nn.Module) -> bool:
    """Whether some weights are kept in main memory or on disk between calls."""
    return any(tensor.is_meta for tensor in itertools.chain(model.parameters(), model.buffers()))


def execution_device(module: torch.nn.Module) -> torch.device:
    """The device that a module computes on, wherever its weights are between calls."""
    for hook in hooks_of(module):
        if getattr(hook, "execution_device", None) is not None:
            return torch.device(hook.execution_device)
    for part in module.modules():
        for tensor in itertools.chain(part.parameters(recurse=False), part.buffers(recurse=False)):
            return execution_device(part) if tensor.is_meta and part is not module else tensor.device
    return torch.device("cpu")


def weight_of(module: torch.nn.Module, name: str = "weight") -> Tensor | None:
    """A module's own weight on its device, for explicit computations with it; None if it has none.

    Raises ``Unsupported`` for a quantized weight: its numbers are not those that the module computes with.
    """
    weight: Tensor | None = getattr(module, name, None)
    if weight is None:
        return None
    for hook in hooks_of(module):
        if weight.is_meta and getattr(hook, "weights_map", None):
            offloaded: Tensor = hook.weights_map[name].to(hook.execution_device, weight.dtype)
            return offloaded
    if not weight.is_floating_point() or type(weight) not in (Tensor, torch.nn.Parameter):
        raise Unsupported(
            "The weights of this model are quantized and cannot be read one by one.",
            "Gradient methods work for it.",
        )
    return weight


def shared_memo(model: torch.nn.Module) -> dict[int, Any]:
    """A ``copy.deepcopy`` memo of what a twin shares with its model: all weights, and the lock."""
    shared: dict[int, Any] = {
        id(tensor): tensor for tensor in itertools.chain(model.parameters(), model.buffers())
    }
    for module in model.modules():
        for item in (
            *(getattr(hook, "weights_map", None) for hook in hooks_of(module)),
            vars(module).get("_attribution_turn"),
        ):
            if item is not None:
                shared[id(item)] = item
    return shared


def take_turn(model: torch.nn.Module) -> AbstractContextManager[Any]:
    """The lock to hold while a model is copied: other threads move the weights of a guarded one."""
    return vars(model).get("_attribution_turn") or nullcontext()


def guard(twin: Module) -> Module:
    """Make a new twin of an offloaded model safe for threads and its graphs small; others stay as they are.

    Twins that were copied from each other take turns.
    """
    places = [
        (module, hook)
        for module in twin.modules()
        for hook in hooks_of(module)
        if getattr(hook, "offload", False)
    ]
    if not places or "_attribution_turn" in vars(twin):
        return twin
    lock = threading.RLock()
    object.__setattr__(twin, "_attribution_turn", lock)
    constants: dict[int, torch.nn.Parameter] = {}
    for module, hook in places:
        for owner in module.modules() if hook.place_submodules else (module,):
            for name, weight in list(owner.named_parameters(recurse=False, remove_duplicate=False)):
                if weight.is_meta:  # constant: a graph keeps alive whatever has a gradient
                    constant = torch.nn.Parameter(weight.detach(), False)
                    owner.register_parameter(name, constants.setdefault(id(weight), constant))
        if any(True for _ in module.named_parameters(recurse=hook.place_submodules)):
            _wrap(module, _call_in_turn, lock, module, hook)
    _wrap(twin, _call_translating_errors)
    return twin


def _wrap(module: torch.nn.Module, wrapper: Callable[..., Any], *arguments: Any) -> None:
    forward = module.forward
    module.forward = functools.update_wrapper(functools.partial(wrapper, *arguments, forward), forward)


def _call_translating_errors(forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call ``forward``. Raises ``Unsupported`` where accelerate cannot offload the model."""
    try:
        return forward(*args, **kwargs)
    except (RuntimeError, NotImplementedError) as error:
        if "meta" not in str(error):
            raise
        raise Unsupported(
            "This model reads weights of a part that it does not call: they cannot be loaded from main "
            "memory or disk.",
            "Load all of it: use a device with more memory, or a smaller model of its kind.",
        ) from error


def _call_in_turn(
    lock: AbstractContextManager[Any],
    module: torch.nn.Module,
    hook: Any,
    forward: Callable[..., Any],
    *args: Any,
    **kwargs: Any,
) -> Any:
    """Call ``forward`` while no other thread uses this model.

    The graph saves which weights it needs, not the weights themselves.
    """

    def pack(tensor: Tensor) -> Any:
        for name, weight in module.named_parameters(recurse=hook.place_submodules):
            first = weight.data_ptr()
            if first and tensor.dtype == weight.dtype and first <= tensor.data_ptr() < first + weight.nbytes:
                start = (tensor.data_ptr() - first) // weight.element_size()
                return name, weight.device, weight.dtype, tensor.shape, tensor.stride(), start
        return tensor

    def unpack(saved: Any) -> Tensor:
        if isinstance(saved, Tensor):
            return saved
        name, device, dtype, shape, stride, start = saved
        weight: Tensor = hook.weights_map[name].to(device, dtype)
        return weight.as_strided(shape, stride, weight.storage_offset() + start)

    with lock, saved_tensors_hooks(pack, unpack):
        try:
            return forward(*args, **kwargs)
        except BaseException:
            # Accelerate itself removes the weights from the device only after a success.
            for name, _ in list(module.named_parameters(recurse=hook.place_submodules)):
                set_module_tensor_to_device(module, name, "meta")
            raise


def load_model(
    model_class: Any,
    source: str | os.PathLike[str],
    placement: devices.Placement,
    quantization: str = "",
    **kwargs: Any,
) -> tuple[Any, Any]:
    """``model_class.from_pretrained`` at a placement: the model and the loading report of transformers.

    Weights on disk are read from the checkpoint itself. Those that transformers stores in another form than
    it computes with (some mixtures of experts) are written to a temporary folder, which is deleted with the
    model.
    """
    folder = Path(tempfile.mkdtemp(prefix="attribution-")) if placement.max_memory else None
    try:
        options = {**placement.options(), **devices.dequantization_options(quantization), **kwargs}
        if folder:
            options["offload_folder"] = str(folder)
        with hide_progress_bars():
            model, report = model_class.from_pretrained(
                source, use_safetensors=True, output_loading_info=True, **options
            )
    except BaseException:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    if folder:
        if any(folder.iterdir()):
            loader = next(
                hook.weights_map.dataset
                for part in model.modules()
                for hook in hooks_of(part)
                if hook.weights_map
            )
            weakref.finalize(loader, shutil.rmtree, folder, ignore_errors=True)
        else:
            folder.rmdir()
    return model, report
