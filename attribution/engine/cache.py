"""Finished attributions that answer a repeated request."""

from __future__ import annotations

import threading
from collections import OrderedDict

from attribution.types import Attribution, Request


class Cache:
    """Finished attributions by request; the least recently used are dropped once they exceed ``limit`` bytes.

    Thread-safe.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.size = limit, 0
        self._entries: OrderedDict[Request, Attribution] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Request) -> Attribution | None:
        """The attribution stored under ``key``, now the most recently used one; None where there is none."""
        with self._lock:
            if (result := self._entries.get(key)) is not None:
                self._entries.move_to_end(key)
            return result

    def put(self, key: Request, result: Attribution) -> None:
        """Store a result, and drop old ones until the cache fits its limit."""
        with self._lock:
            if (previous := self._entries.pop(key, None)) is not None:
                self.size -= _estimate_bytes(previous)
            self._entries[key] = result
            self.size += _estimate_bytes(result)
            while self.size > self.limit:
                _, dropped = self._entries.popitem(last=False)
                self.size -= _estimate_bytes(dropped)


def _estimate_bytes(result: Attribution) -> int:
    """A generous estimate: arrays, the text twice, and the objects around each token and output."""
    return (
        2 * result.scores.nbytes
        + 8 * (len(result.text) + len(result.second))
        + 400 * (len(result.tokens) + len(result.outputs))
        + 2000
    )
