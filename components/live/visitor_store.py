"""What a page computed for a visitor and may be asked for again: to continue it, or to save it."""

import secrets
import threading
from collections import OrderedDict
from typing import Generic, TypeVar

Item = TypeVar("Item")

VISITORS = 50
"""Visitors of whom something is stored; those idle for longest are forgotten first."""


class VisitorStore(Generic[Item]):
    """One item per key.

    Whoever knows a key gets the item, so a key is ``new_key()`` and only its page knows it.
    """

    def __init__(self, capacity: int = VISITORS) -> None:
        self._items: OrderedDict[str, Item] = OrderedDict()
        self._capacity, self._lock = capacity, threading.Lock()

    @staticmethod
    def new_key() -> str:
        """A key that nobody guesses."""
        return secrets.token_urlsafe(16)

    def put(self, key: str, item: Item) -> None:
        """Store an item; nothing for the empty key, which a page has before it gets its own."""
        with self._lock:
            self._items.pop(key, None)
            if key:
                self._items[key] = item
            while len(self._items) > self._capacity:
                self._items.popitem(last=False)

    def get(self, key: str) -> Item | None:
        """None where nothing is stored (any more)."""
        with self._lock:
            if key in self._items:
                self._items.move_to_end(key)
            return self._items.get(key)

    def drop(self, key: str) -> None:
        """Forget the item of a key, if there is one."""
        with self._lock:
            self._items.pop(key, None)
