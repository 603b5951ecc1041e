"""Where and how a model computes: threads, memory, accelerators, precision, quantized weights.

Decisions are pure functions of figures (``choose_threads``, ``place``, ``check_quantized``); functions beside
them read the figures from the machine. Importing changes nothing: ``set_threads`` is for programs.
"""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from accelerate import PartialState
from threadpoolctl import ThreadpoolController

from attribution.errors import ModelRefused, ModelTooLarge, quote
from attribution.settings import DEFAULTS, Settings

ROOT = Path("/")
OWN_CHOICE = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Environment variables with which users choose the number of threads."""


# ---- the container: processors and memory


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The folders of this process's control groups and of their ancestors, version 2 and version 1.

    A container without its own namespace is told a path that it cannot see; its group is then the root of the
    mount.
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
    """The numbers in a file of the kernel, ``max`` as infinity; empty if there is no such file."""
    try:
        return [
            float("inf") if word == "max" else float(word)
            for word in path.read_text(encoding="utf-8").split()
        ]
    except (OSError, ValueError):
        return []


def processors(root: Path = ROOT, usable: int | None = None) -> float:
    """Processors that this process may use: its affinity mask, or the quota of its control groups if lower.

    The quota is ``cpu.max`` (version 2) or ``cpu.cfs_quota_us`` over ``cpu.cfs_period_us`` (version 1, -1 for
    none) of the strictest group.
    """
    if usable is None:
        usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    counts = [float(usable)]
    for folder in _groups(root, "cpu"):
        version_2 = _numbers(folder / "cpu.max")
        version_1 = [*_numbers(folder / "cpu.cfs_quota_us"), *_numbers(folder / "cpu.cfs_period_us")]
        counts += [
            pair[0] / pair[1]
            for pair in (version_2, version_1)
            if len(pair) == 2 and pair[0] > 0 and pair[1] > 0
        ]
    return min(counts)


def choose_threads(
    present: int, root: Path = ROOT, environment: Mapping[str, str] = os.environ, usable: int | None = None
) -> int:
    """Threads that one operation should use: ``present``, or the number of processors if that is lower.

    More threads than the quota allows do not help: the kernel stops all of them until the next period.
    ``present`` is returned unchanged if the environment names a number.
    """
    if any(environment.get(name, "").strip() for name in OWN_CHOICE):
        return present
    return max(1, min(present, int(processors(root, usable))))


def set_threads(root: Path = ROOT) -> int:
    """Limit torch to as many threads as this process has processors, and return their number.

    For the start of a program: the setting is global.
    """
    present = torch.get_num_threads()
    wanted = choose_threads(present, root)
    if wanted != present:
        torch.set_num_threads(wanted)
    return wanted


@contextmanager
def one_thread() -> Iterator[None]:
    """Context manager: torch's own loops use one thread in the calling thread; no other is affected."""
    # The first call in a thread sets the number of threads for it, which must not happen within the block.
    torch.get_num_threads()
    with _openmp().limit(limits=1, user_api="openmp"):
        yield


@functools.cache
def _openmp() -> ThreadpoolController:
    """The OpenMP libraries of this process."""
    return ThreadpoolController()


def free_memory(root: Path = ROOT, available: int | None = None) -> int:
    """Bytes of main memory still available: those of the machine, or of its control groups if fewer."""
    counts = [float(psutil.virtual_memory().available if available is None else available)]
    for folder in _groups(root, "memory"):
        for limit, used in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            pair = [*_numbers(folder / limit), *_numbers(folder / used)]
            if len(pair) == 2:
                counts.append(pair[0] - pair[1])
    return max(0, int(min(counts)))


# ---- accelerators, precision, placement


@dataclass(frozen=True, slots=True)
class Accelerator:
    """A device that this process may use: its free memory in bytes, and whether it computes in bfloat16."""

    index: int
    free: int
    bfloat16: bool


@dataclass(frozen=True, slots=True)
class Placement:
    """On which devices and in which precision ``from_pretrained`` loads a model.

    ``device_map`` is one device for everything, or ``"auto"``: accelerate splits the model over what
    ``max_memory`` (device → bytes) allows, and keeps the rest on disk.
    """

    device_map: dict[str, torch.device] | str
    dtype: torch.dtype
    max_memory: dict[int | str, int] | None = None

    def options(self) -> dict[str, Any]:
        """Keyword arguments of ``from_pretrained``."""
        options: dict[str, Any] = {"device_map": self.device_map, "dtype": self.dtype}
        return options if self.max_memory is None else {**options, "max_memory": dict(self.max_memory)}


def has_bfloat16(kind: str, capability: tuple[int, int] | None = None) -> bool:
    """Whether an accelerator computes in bfloat16: NVIDIA's from compute capability 8.0, Intel's and AMD's.

    Older ones only emulate it; Apple's depend on the version of the system, so float32 is kept there.
    """
    return kind == "xpu" or (kind == "cuda" and (capability is None or capability >= (8, 0)))


def accelerators() -> tuple[Accelerator, ...]:
    """The GPUs of this process: all of them, or its own where accelerate runs several processes."""
    state = PartialState()
    if state.device.type not in ("cuda", "xpu"):
        return ()
    kind, module = state.device.type, getattr(torch, state.device.type)
    own = state.device.index or 0
    order = (
        [own] if state.num_processes > 1 else [own, *(i for i in range(module.device_count()) if i != own)]
    )
    devices = []
    for index in order:
        # Torch keeps memory that it does not use at the moment.
        reserve = module.memory_reserved(index) - module.memory_allocated(index)
        is_nvidia = kind == "cuda" and torch.version.hip is None
        capability = module.get_device_capability(index) if is_nvidia else None
        free = module.mem_get_info(index)[0] + reserve
        devices.append(Accelerator(index, free, has_bfloat16(kind, capability)))
    return tuple(devices)


def place(
    parameters: int,
    device: torch.device,
    gpus: tuple[Accelerator, ...] = (),
    memory: int = 0,
    settings: Settings = DEFAULTS,
) -> Placement:
    """The placement that loses no precision if there is one, else the one that loses least.

    The first of these that fits: float32 on ``device``; float32 over all GPUs; bfloat16 on ``device``;
    bfloat16 over all GPUs; the remainder in main memory; the remainder of that on disk. bfloat16 comes before
    main memory because copying the weights for each pass is many times slower, and only on GPUs that have it;
    a CPU always computes in float32. The share ``settings.memory_share`` of each memory is for weights, the
    rest for what is computed with them.

    Parameters
    ----------
    parameters : number of weights.
    device : the device of this process.
    gpus : the accelerators, that of this process first; none for a CPU.
    memory : free bytes of main memory.
    """
    full, half = 4 * parameters, 2 * parameters

    def share(size: int) -> int:
        return int(size * settings.memory_share)

    main: dict[int | str, int] = {"cpu": share(memory)}
    if not gpus:
        if device.type != "cpu" or full <= main["cpu"]:
            return Placement({"": device}, torch.float32)
        return Placement("auto", torch.float32, {**main})
    shares: dict[int | str, int] = {gpu.index: share(gpu.free) for gpu in gpus}
    first, together = share(gpus[0].free), sum(shares.values())
    can_halve = all(gpu.bfloat16 for gpu in gpus)
    for size, dtype in ((full, torch.float32), *([(half, torch.bfloat16)] if can_halve else [])):
        if size <= first:
            return Placement({"": device}, dtype)
        if size <= together:
            return Placement("auto", dtype, {**shares, **main})
    return Placement("auto", torch.bfloat16 if can_halve else torch.float32, {**shares, **main})


# ---- quantized weights

QUANTIZED = {"bitsandbytes": "bitsandbytes", "torchao": "torchao", "fp8": ""}
"""The kinds of quantized checkpoints that are loaded, and the package that each needs; all run on a CPU too.

Other kinds are refused because it was not verified that gradients pass through their kernels: a wrong
gradient would not be noticed.
"""


def quantization_of(config: Mapping[str, Any]) -> str:
    """How the weights of a ``config.json`` are quantized, such as ``"gptq"``; empty if they are not."""
    pending: list[Any] = [config]
    while pending:
        part = pending.pop()
        if not isinstance(part, Mapping):
            continue
        entry = part.get("quantization_config")
        if entry:
            fields = entry if isinstance(entry, Mapping) else {}
            bitsandbytes = fields.get("load_in_4bit") or fields.get("load_in_8bit")
            return str(fields.get("quant_method") or ("bitsandbytes" if bitsandbytes else "unknown"))
        pending += part.values()
    return ""


def check_quantized(
    config: Mapping[str, Any], name: str, installed: Callable[[str], bool] | None = None
) -> str:
    """``quantization_of`` a config. Raises ``ModelRefused`` if such weights cannot be loaded here."""
    kind = quantization_of(config)
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
            f"The weights of {quote(name)} are quantized with {kind}, and {package} is not installed.",
            f"Install it (pip install {package}), or choose the checkpoint that it was made from.",
        )
    return kind


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def dequantization_options(kind: str) -> dict[str, Any]:
    """Arguments of ``from_pretrained`` that unpack fp8 while loading: the same numbers, with gradients."""
    if kind != "fp8":
        return {}
    from transformers import FineGrainedFP8Config

    return {"quantization_config": FineGrainedFP8Config(dequantize=True)}


def place_quantized(size: int, device: torch.device, room: int) -> Placement:
    """The placement of ``size`` bytes of quantized weights: on one device, within ``room`` bytes.

    Raises ``ModelTooLarge`` if they do not fit: offloading of quantized weights was not verified.
    """
    if size > room:
        raise ModelTooLarge(
            f"The quantized weights take {size / 1e6:,.0f} MB, but only {room / 1e6:,.0f} MB are free for "
            f"them on {device}.",
            "Quantized weights are not split over devices: choose a smaller model.",
        )
    return Placement({"": device}, torch.float32)


def place_here(parameters: int, size: int, kind: str = "", settings: Settings = DEFAULTS) -> Placement:
    """Choose the placement of a model on this machine in its present state.

    Parameters
    ----------
    parameters, size : number of weights and their bytes in the checkpoint.
    kind : see ``quantization_of``. fp8 is placed like full precision, as it is unpacked.

    Raises ``ModelTooLarge``.
    """
    device, gpus, memory = PartialState().device, accelerators(), free_memory()
    if kind in ("", "fp8"):
        return place(parameters, device, gpus, memory, settings)
    return place_quantized(size, device, int((gpus[0].free if gpus else memory) * settings.memory_share))
