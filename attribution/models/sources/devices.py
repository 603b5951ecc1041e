"""Where and with what a model computes: threads, memory, accelerators, precision, quantized weights, weights kept elsewhere.

What is decided here is decided by pure functions of figures (``threads``, ``place``, ``check_quantized``);
what reads the figures off the machine stands beside them. Nothing here is set unasked: ``set_threads`` is for
programs, not for a library.
"""

from __future__ import annotations

import functools
import importlib.util
import itertools
import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil
import torch
from accelerate import PartialState
from accelerate.utils import set_module_tensor_to_device
from threadpoolctl import ThreadpoolController
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from attribution.errors import ModelRefused, ModelTooLarge, Unsupported, quote
from attribution.settings import DEFAULTS, Settings

Module = TypeVar("Module", bound=torch.nn.Module)

ROOT = Path("/")
OWN_CHOICE = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables by which a person says how many threads there shall be."""


# ---- the container: processors and memory
# ----------------------------------------------------------------------------------


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The folders of this process's control groups, and of those around them: version 2 first, then the controller of version 1.

    A container without a namespace of its own names a path that it cannot see; the mount's root is its own
    group then.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    mounts = root / "sys/fs/cgroup"
    for line in lines:
        _, names, path = (*line.split(":", 2), "", "")[:3]
        if names and controller not in names.split(","):
            continue
        inside = Path(path.lstrip("/"))
        for mount in (mounts, mounts / "unified") if not names else (mounts / names, mounts / controller):
            for folder in (inside, *inside.parents):
                if (mount / folder).is_dir():
                    yield mount / folder


def _numbers(path: Path) -> list[float]:
    """The numbers in a file of the kernel's, ``max`` as infinity; none where there is no such file."""
    try:
        return [
            float("inf") if word == "max" else float(word)
            for word in path.read_text(encoding="utf-8").split()
        ]
    except (OSError, ValueError):
        return []


def processors(root: Path = ROOT, usable: int | None = None) -> float:
    """How many processors' time this process may use: its affinity mask, or less if a control group has a quota.

    ``cpu.max`` (version 2) and ``cpu.cfs_quota_us`` over ``cpu.cfs_period_us`` (version 1, -1 for none), of
    the strictest group.
    """
    if usable is None:
        usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    found = [float(usable)]
    for folder in _groups(root, "cpu"):
        new = _numbers(folder / "cpu.max")
        old = [*_numbers(folder / "cpu.cfs_quota_us"), *_numbers(folder / "cpu.cfs_period_us")]
        for pair in (new, old):
            if len(pair) == 2 and pair[0] > 0 and pair[1] > 0:
                found.append(pair[0] / pair[1])
    return min(found)


def threads(
    present: int, root: Path = ROOT, environment: Mapping[str, str] = os.environ, usable: int | None = None
) -> int:
    """How many threads one operation should use: ``present`` of them, or as many as there are whole processors if these are fewer.

    A thread more than the quota allows does not help: the kernel stops all of them until the next period.
    ``present`` stays where the environment says a number.
    """
    if any(environment.get(name, "").strip() for name in OWN_CHOICE):
        return present
    return max(1, min(present, int(processors(root, usable))))


def set_threads(root: Path = ROOT) -> int:
    """Make torch use no more threads than this process has processors, and say how many.

    For a program's start: it is global.
    """
    present = torch.get_num_threads()
    wanted = threads(present, root)
    if wanted != present:
        torch.set_num_threads(wanted)
    return wanted


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch's own loops in the calling thread use one thread meanwhile; those of other threads are not concerned."""
    # The first question in a thread sets the number that torch wants for it, which must not happen later.
    torch.get_num_threads()
    with _openmp().limit(limits=1, user_api="openmp"):
        yield


@functools.cache
def _openmp() -> ThreadpoolController:
    """The OpenMP libraries of this process."""
    return ThreadpoolController()


def free_memory(root: Path = ROOT, available: int | None = None) -> int:
    """Bytes of main memory that can still be taken: what the machine has left, or less if a control group has a limit."""
    found = [float(psutil.virtual_memory().available if available is None else available)]
    for folder in _groups(root, "memory"):
        for limit, used in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            pair = [*_numbers(folder / limit), *_numbers(folder / used)]
            if len(pair) == 2:
                found.append(pair[0] - pair[1])
    return max(0, int(min(found)))


# ---- accelerators, precision, placement
# ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Accelerator:
    """A device that this process may use: ``free`` bytes of its memory, and whether it computes in bfloat16 by itself."""

    index: int
    free: int
    bfloat16: bool


@dataclass(frozen=True, slots=True)
class Placement:
    """How ``from_pretrained`` is to lay a model out.

    ``device_map`` is one device for everything, or ``"auto"``: split by accelerate over what ``max_memory``
    (bytes by device) allows, the rest on disk.
    """

    device_map: dict[str, torch.device] | str
    dtype: torch.dtype
    max_memory: dict[int | str, int] | None = None

    def options(self) -> dict[str, Any]:
        """As keyword arguments of ``from_pretrained``."""
        found: dict[str, Any] = {"device_map": self.device_map, "dtype": self.dtype}
        return found if self.max_memory is None else {**found, "max_memory": dict(self.max_memory)}


def has_bfloat16(kind: str, capability: tuple[int, int] | None = None) -> bool:
    """Whether an accelerator computes in bfloat16 by itself: NVIDIA's from compute capability 8.0 on, and Intel's and AMD's.

    Older ones only imitate it; Apple's depends on the version of its system, so float32 is kept there.
    """
    return kind == "xpu" or (kind == "cuda" and (capability is None or capability >= (8, 0)))


def accelerators() -> tuple[Accelerator, ...]:
    """The GPUs of this process: all there are, or its own one where accelerate runs several processes; none for the CPU."""
    state = PartialState()
    if state.device.type not in ("cuda", "xpu"):
        return ()
    kind, module = state.device.type, getattr(torch, state.device.type)
    own = state.device.index or 0
    order = (
        [own] if state.num_processes > 1 else [own, *(i for i in range(module.device_count()) if i != own)]
    )
    found = []
    for index in order:
        held = module.memory_reserved(index) - module.memory_allocated(
            index
        )  # taken from the device, but not in use
        numbers = (
            module.get_device_capability(index) if kind == "cuda" and torch.version.hip is None else None
        )
        found.append(Accelerator(index, module.mem_get_info(index)[0] + held, has_bfloat16(kind, numbers)))
    return tuple(found)


def place(
    parameters: int,
    device: torch.device,
    found: tuple[Accelerator, ...] = (),
    memory: int = 0,
    settings: Settings = DEFAULTS,
) -> Placement:
    """The placement that loses nothing if there is one, else the one that loses least.

    ``device`` is this process's device, ``found`` the GPUs with that one first, ``memory`` the free bytes of
    main memory. In this order: float32 on that device; float32 over all GPUs; bfloat16 on that device;
    bfloat16 over all GPUs; what is left over in main memory; what is left over then on disk. bfloat16 comes
    before main memory because copying the weights for each pass is many times slower, and only on GPUs that
    have it; a CPU always computes in float32. Of each memory the share ``settings.memory_share`` is for
    weights: the rest is for what is computed with them.
    """
    full, half = 4 * parameters, 2 * parameters

    def part(size: int) -> int:
        return int(size * settings.memory_share)

    main: dict[int | str, int] = {"cpu": part(memory)}
    if not found:
        if device.type != "cpu" or full <= main["cpu"]:
            return Placement({"": device}, torch.float32)
        return Placement("auto", torch.float32, {**main})
    rooms: dict[int | str, int] = {gpu.index: part(gpu.free) for gpu in found}
    first, together = part(found[0].free), sum(rooms.values())
    brief = all(gpu.bfloat16 for gpu in found)
    for size, dtype in ((full, torch.float32), *([(half, torch.bfloat16)] if brief else [])):
        if size <= first:
            return Placement({"": device}, dtype)
        if size <= together:
            return Placement("auto", dtype, {**rooms, **main})
    return Placement("auto", torch.bfloat16 if brief else torch.float32, {**rooms, **main})


# ---- quantized weights
# -----------------------------------------------------------------------------------------------------

QUANTIZED = {"bitsandbytes": "bitsandbytes", "torchao": "torchao", "fp8": ""}
"""The kinds of quantized checkpoints that are loaded, and the package that each needs.

All three compute on a CPU too.

Others are refused because nobody has tried here whether gradients go through their kernels: a wrong one would
not be noticed.
"""


def quantized(config: Mapping[str, Any]) -> str:
    """What a ``config.json`` says that its weights are quantized with, such as ``"gptq"``; empty where they are not."""
    waiting: list[Any] = [config]
    while waiting:
        part = waiting.pop()
        if not isinstance(part, Mapping):
            continue
        found = part.get("quantization_config")
        if found:
            kind = found.get("quant_method") if isinstance(found, Mapping) else None
            old = isinstance(found, Mapping) and (found.get("load_in_4bit") or found.get("load_in_8bit"))
            return str(kind or ("bitsandbytes" if old else "unknown"))
        waiting += part.values()
    return ""


def check_quantized(
    config: Mapping[str, Any], name: str, installed: Callable[[str], bool] | None = None
) -> str:
    """What ``quantized`` says, if such weights can be loaded here.

    Raises ``ModelRefused``: before anything else is downloaded.
    """
    kind = quantized(config)
    if not kind:
        return ""
    if kind not in QUANTIZED:
        raise ModelRefused(
            f"The weights of {quote(name)} are quantized with {quote(kind)}, which is not loaded.",
            f"Choose the checkpoint that it was made from, or one quantized with {' or '.join(QUANTIZED)}.",
        )
    package = QUANTIZED[kind]
    if package and not (installed or _installed)(package):
        raise ModelRefused(
            f"The weights of {quote(name)} are quantized with {kind}, and the package {package} is not installed here.",
            f"Install it (pip install {package}), or choose the checkpoint that it was made from.",
        )
    return kind


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def whole(kind: str) -> dict[str, Any]:
    """What ``from_pretrained`` is told beside the placement. fp8 is unpacked while loading: the same numbers, with gradients."""
    if kind != "fp8":
        return {}
    from transformers import FineGrainedFP8Config

    return {"quantization_config": FineGrainedFP8Config(dequantize=True)}


def place_quantized(size: int, device: torch.device, room: int) -> Placement:
    """The placement of quantized weights of ``size`` bytes: on one device, of whose memory ``room`` bytes may be taken.

    Raises ``ModelTooLarge`` where they do not fit: how each kind could be brought back by accelerate's hooks
    was not tried.
    """
    if size > room:
        raise ModelTooLarge(
            f"The quantized weights take {size / 1e6:,.0f} MB; {room / 1e6:,.0f} MB are free for them on {device}.",
            "Quantized weights are not split over devices: choose a smaller model.",
        )
    return Placement({"": device}, torch.float32)


def placement(parameters: int, size: int, kind: str = "", settings: Settings = DEFAULTS) -> Placement:
    """Where a model goes on this machine as it is now: ``size`` bytes of weights, quantized as ``kind`` says.

    Raises ``ModelTooLarge``.

    fp8 is as large as any other model once it is unpacked, and is placed like one.
    """
    device, found, memory = PartialState().device, accelerators(), free_memory()
    if kind in ("", "fp8"):
        return place(parameters, device, found, memory, settings)
    return place_quantized(size, device, int((found[0].free if found else memory) * settings.memory_share))


# ---- weights kept elsewhere
# ------------------------------------------------------------------------------------------------
#
# accelerate's hooks bring a module's weights to its execution device when it is called, and leave tensors
# without memory (on the device ``meta``) in their place afterwards. Two threads in one module would take each
# other's weights away, so that a twin's modules with such hooks compute one at a time. A graph would keep
# every weight that a backward pass needs on the device, the whole model in the end: they are put aside as
# "which weight", and brought back when the backward pass comes to them.


def hooks(module: torch.nn.Module) -> Iterator[Any]:
    """accelerate's hooks on a module itself, chained ones apart."""
    found = vars(module).get("_hf_hook")
    waiting = [] if found is None else [found]
    while waiting:
        hook = waiting.pop(0)
        if hasattr(hook, "hooks"):
            waiting = [*hook.hooks, *waiting]
        else:
            yield hook


def offloaded(model: torch.nn.Module) -> bool:
    """Whether some of a model's weights are not there between calls: in main memory, or on disk."""
    return any(tensor.is_meta for tensor in itertools.chain(model.parameters(), model.buffers()))


def execution_device(module: torch.nn.Module) -> torch.device:
    """The device that a module computes on, wherever its weights are between calls."""
    for hook in hooks(module):
        if getattr(hook, "execution_device", None) is not None:
            return torch.device(hook.execution_device)
    for part in module.modules():
        for tensor in itertools.chain(part.parameters(recurse=False), part.buffers(recurse=False)):
            return execution_device(part) if tensor.is_meta and part is not module else tensor.device
    return torch.device("cpu")


def weight(module: torch.nn.Module, name: str = "weight") -> Tensor | None:
    """A module's own weight for whoever computes with it by hand, brought to the module's device if it is kept elsewhere.

    None where there is none. Raises ``Unsupported`` where it is quantized: the numbers are not those that the
    module computes with.
    """
    found = getattr(module, name, None)
    if found is None:
        return None
    for hook in hooks(module):
        if found.is_meta and getattr(hook, "weights_map", None):
            return hook.weights_map[name].to(hook.execution_device, found.dtype)
    if not found.is_floating_point() or type(found) not in (Tensor, torch.nn.Parameter):
        raise Unsupported(
            "The weights of this model are quantized and cannot be read one by one.",
            "Gradient methods work for it.",
        )
    return found


def noted(model: torch.nn.Module) -> dict[int, Any]:
    """What a twin shares with its model, as ``copy.deepcopy`` wants it: parameters, buffers, the weights kept elsewhere, the lock."""
    shared: dict[int, Any] = {
        id(tensor): tensor for tensor in itertools.chain(model.parameters(), model.buffers())
    }
    for module in model.modules():
        for kept in (
            *(getattr(hook, "weights_map", None) for hook in hooks(module)),
            vars(module).get("_attribution_turn"),
        ):
            if kept is not None:
                shared[id(kept)] = kept
    return shared


def turn(model: torch.nn.Module) -> AbstractContextManager[Any]:
    """Held while a model's modules are copied: a guarded one's weights come and go under other threads."""
    return vars(model).get("_attribution_turn") or nullcontext()


def guarded(twin: Module) -> Module:
    """Make a twin, just copied, safe for threads and sparing with memory where accelerate brings its weights; others stay as they are.

    All twins of one model that were made from each other take turns.
    """
    places = [
        (module, hook)
        for module in twin.modules()
        for hook in hooks(module)
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


def load(
    model_class: Any, source: str | os.PathLike[str], placed: Placement, kind: str = "", **more: Any
) -> tuple[Any, Any]:
    """``model_class.from_pretrained`` at its places: the model and the report of its loading.

    Weights on disk are read from the checkpoint itself. Those that transformers stores in another form than
    it computes with (some mixtures of experts) are written to a folder of their own, which goes when the
    model goes.
    """
    own = Path(tempfile.mkdtemp(prefix="attribution-")) if placed.max_memory else None
    try:
        folder = {"offload_folder": str(own)} if own else {}
        options = {**placed.options(), **whole(kind), **folder, **more}
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
                for hook in hooks(part)
                if hook.weights_map
            )
            weakref.finalize(loader, shutil.rmtree, own, ignore_errors=True)
        else:
            own.rmdir()
    return model, report
