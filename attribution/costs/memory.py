"""Bytes of tensors: what autograd keeps of a forward pass, and the most that is alive at once."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def graph_bytes(model: torch.nn.Module, run: Callable[[], Any]) -> int:
    """Bytes that autograd keeps of a forward pass for the backward pass, without what the model owns.

    ``run`` makes both passes.
    """
    own = {tensor.untyped_storage().data_ptr() for tensor in _tensors_of(model)}
    sizes: dict[int, int] = {}

    def record(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    # Saved tensors live until the backward pass begins, so no address is used twice.
    with torch.autograd.graph.saved_tensors_hooks(record, lambda tensor: tensor):
        run()
    return sum(sizes.values())


def peak_bytes(model: torch.nn.Module, run: Callable[[], Any]) -> int:
    """The most bytes of tensors alive at once during a call, without the model's and those from before it."""
    live = LiveTensors(model)
    with live:
        run()
    return live.peak


class LiveTensors(TorchDispatchMode):
    """Context manager: adds up the tensors that this thread's operations create, for as long as they live."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._counted_keys = {_storage_key(tensor) for tensor in _tensors_of(model)}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor) and (key := _storage_key(tensor)) not in self._counted_keys:
                storage = tensor.untyped_storage()
                self._counted_keys.add(key)
                self.now += storage.nbytes()
                self.peak = max(self.peak, self.now)
                weakref.finalize(storage, self._release, key, storage.nbytes()).atexit = False
        return result

    def _release(self, key: int, size: int) -> None:
        self._counted_keys.discard(key)
        self.now -= size


def _tensors_of(model: torch.nn.Module) -> Iterator[Tensor]:
    yield from model.parameters()
    yield from model.buffers()


def _storage_key(tensor: Tensor) -> int:
    """Identifies a storage while it lives, also one that has no data."""
    key: int = tensor.untyped_storage()._cdata  # noqa: SLF001
    return key
