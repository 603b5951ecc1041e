"""Where and with what a model computes: threads, memory, accelerators, precision, quantized weights, weights kept elsewhere.

What is decided here is decided by pure functions of figures (``threads``, ``place``, ``check_quantized``);
what reads the figures off the machine stands beside them. Nothing here is set unasked: ``set_threads`` is for
programs, not for a library.
"""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil
import torch
from accelerate import PartialState
from threadpoolctl import ThreadpoolController

from attribution.errors import ModelRefused, ModelTooLarge, quote
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
