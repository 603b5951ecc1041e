"""A cache of explained functions, so that several methods share the passes of a text."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from attribution.models.adapter import Adapter
from attribution.models.deadline import Deadline
from attribution.models.objective import Objective
from attribution.models.perturbable import Perturbable
from attribution.models.scoring.worker import TICK
from attribution.request import Request, Target
from attribution.settings import DEFAULTS

MOST = 512
"""Cached functions at most, evicted oldest first: more than the rows that a method takes before the next."""


@dataclass(eq=False)
class _Entry:
    """A function, None until it is made; ``lock`` is held while a thread makes it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    f: Objective | None = None


class SharedFunctions:
    """The cached functions of one model at a time; those of another model replace them.

    Scores are the same up to rounding, as in any batch.
    """

    def __init__(self, most: int = MOST, most_bytes: int = DEFAULTS.shared_bytes) -> None:
        self.most, self.most_bytes = most, most_bytes
        self._adapter: Adapter | None = None
        self._entries: OrderedDict[tuple[object, ...], _Entry] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def function(
        self,
        adapter: Adapter,
        request: Request,
        deadline: Deadline,
        make: Callable[[], Perturbable],
        *,
        gradient: bool,
    ) -> tuple[Perturbable, bool]:
        """Return the cached function or the result of ``make``, and whether it was cached.

        ``gradient`` also computes and caches the gradient at the text itself.
        """
        key = request.text, request.second, Target.of(request)
        entry = self._entry(adapter, key)
        while not entry.lock.acquire(timeout=TICK):
            deadline.check()
        try:
            if entry.f is None:
                f = make()
                if isinstance(f, Objective):
                    self._keep(adapter, key, entry, f)
                return f, False
            f = entry.f.replace(deadline=deadline)
            if gradient:
                entry.f = replace(entry.f, slope=f.gradient())
            return f, True
        finally:
            entry.lock.release()

    def _entry(self, adapter: Adapter, key: tuple[object, ...]) -> _Entry:
        with self._lock:
            if self._adapter is not adapter:
                self._adapter, self._bytes = adapter, 0
                self._entries.clear()
            return self._entries.setdefault(key, _Entry())

    def _keep(self, adapter: Adapter, key: tuple[object, ...], entry: _Entry, f: Objective) -> None:
        with self._lock:
            entry.f = replace(f, first_pass=None)  # those points belong to the request that it was made for
            if self._adapter is adapter and self._entries.get(key) is entry:
                self._bytes += _size(f)
            while self._bytes > self.most_bytes or len(self) > self.most:
                _, oldest = self._entries.popitem(last=False)
                self._bytes -= _size(oldest.f) if oldest.f else 0


def _size(f: Objective) -> int:
    """Bytes of the embeddings and of a gradient per output."""
    return int(f.embeddings.nbytes) * (1 + len(f.outputs))
