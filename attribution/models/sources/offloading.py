"""Models whose weights are kept in main memory or on disk and brought to the device when they are needed."""

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
    """accelerate's hooks on a module itself, chained ones apart."""
    found = vars(module).get("_hf_hook")
    waiting = [] if found is None else [found]
    while waiting:
        hook = waiting.pop(0)
        if hasattr(hook, "hooks"):
            waiting = [*hook.hooks, *waiting]
        else:
            yield hook


def is_offloaded(model: torch.nn.Module) -> bool:
    """Whether some of a model's weights are not there between calls: in main memory, or on disk."""
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
    """A module's own weight for whoever computes with it by hand, brought to the module's device if it is kept elsewhere.

    None where there is none. Raises ``Unsupported`` where it is quantized: the numbers are not those that the
    module computes with.
    """
    found = getattr(module, name, None)
    if found is None:
        return None
    for hook in hooks_of(module):
        if found.is_meta and getattr(hook, "weights_map", None):
            return hook.weights_map[name].to(hook.execution_device, found.dtype)
    if not found.is_floating_point() or type(found) not in (Tensor, torch.nn.Parameter):
        raise Unsupported(
            "The weights of this model are quantized and cannot be read one by one.",
            "Gradient methods work for it.",
        )
    return found


def shared_memo(model: torch.nn.Module) -> dict[int, Any]:
    """What a twin shares with its model, as ``copy.deepcopy`` wants it: parameters, buffers, the weights kept elsewhere, the lock."""
    shared: dict[int, Any] = {
        id(tensor): tensor for tensor in itertools.chain(model.parameters(), model.buffers())
    }
    for module in model.modules():
        for kept in (
            *(getattr(hook, "weights_map", None) for hook in hooks_of(module)),
            vars(module).get("_attribution_turn"),
        ):
            if kept is not None:
                shared[id(kept)] = kept
    return shared


def take_turn(model: torch.nn.Module) -> AbstractContextManager[Any]:
    """Held while a model's modules are copied: a guarded one's weights come and go under other threads."""
    return vars(model).get("_attribution_turn") or nullcontext()


def guard(twin: Module) -> Module:
    """Make a twin, just copied, safe for threads and sparing with memory where accelerate brings its weights; others stay as they are.

    All twins of one model that were made from each other take turns.
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
            for name, weight in owner._parameters.items():
                if weight is not None and weight.is_meta:  # a graph holds on to whatever has a gradient
                    owner._parameters[name] = constants.setdefault(
                        id(weight), torch.nn.Parameter(weight.detach(), False)
                    )
        if any(True for _ in module.named_parameters(recurse=hook.place_submodules)):
            _wrap(module, _in_turn, lock, module, hook)
    _wrap(twin, _explained)
    return twin


def _wrap(module: torch.nn.Module, around: Callable[..., Any], *more: Any) -> None:
    own = module.forward
    module.forward = functools.update_wrapper(functools.partial(around, *more, own), own)


def _explained(forward: Callable[..., Any], *args: Any, **more: Any) -> Any:
    """``forward``, with words for what accelerate cannot do. Raises ``Unsupported``."""
    try:
        return forward(*args, **more)
    except (RuntimeError, NotImplementedError) as error:
        if "meta" not in str(error):
            raise
        raise Unsupported(
            "This model reads weights of a part that it does not call, so that they cannot be brought from main memory or disk.",
            "Load it whole: on a device with more memory, or a smaller one of its kind.",
        ) from error


def _in_turn(
    lock: AbstractContextManager[Any],
    module: torch.nn.Module,
    hook: Any,
    forward: Callable[..., Any],
    *args: Any,
    **more: Any,
) -> Any:
    """``forward`` while no other thread computes in this model; its graph remembers which weights it needs, not the weights."""

    def aside(tensor: Tensor) -> Any:
        for name, weight in module.named_parameters(recurse=hook.place_submodules):
            first = weight.data_ptr()
            if first and tensor.dtype == weight.dtype and first <= tensor.data_ptr() < first + weight.nbytes:
                start = (tensor.data_ptr() - first) // weight.element_size()
                return name, weight.device, weight.dtype, tensor.shape, tensor.stride(), start
        return tensor

    def back(kept: Any) -> Tensor:
        if isinstance(kept, Tensor):
            return kept
        name, device, dtype, shape, stride, start = kept
        weight = hook.weights_map[name].to(device, dtype)
        return weight.as_strided(shape, stride, weight.storage_offset() + start)

    with lock, saved_tensors_hooks(aside, back):
        try:
            return forward(*args, **more)
        except BaseException:
            for name, _ in list(
                module.named_parameters(recurse=hook.place_submodules)
            ):  # accelerate does so only after success
                set_module_tensor_to_device(module, name, "meta")
            raise


def load_model(
    model_class: Any, source: str | os.PathLike[str], placed: devices.Placement, kind: str = "", **more: Any
) -> tuple[Any, Any]:
    """``model_class.from_pretrained`` at its places: the model and the report of its loading.

    Weights on disk are read from the checkpoint itself. Those that transformers stores in another form than
    it computes with (some mixtures of experts) are written to a folder of their own, which goes when the
    model goes.
    """
    own = Path(tempfile.mkdtemp(prefix="attribution-")) if placed.max_memory else None
    try:
        folder = {"offload_folder": str(own)} if own else {}
        options = {**placed.options(), **devices.whole(kind), **folder, **more}
        with hide_progress_bars():
            model, report = model_class.from_pretrained(
                source, use_safetensors=True, output_loading_info=True, **options
            )
    except BaseException:
        if own:
            shutil.rmtree(own, ignore_errors=True)
        raise
    if own:
        if any(own.iterdir()):
            loader = next(
                hook.weights_map.dataset
                for part in model.modules()
                for hook in hooks_of(part)
                if hook.weights_map
            )
            weakref.finalize(loader, shutil.rmtree, own, ignore_errors=True)
        else:
            own.rmdir()
    return model, report
