"""What a page made for a visitor and may be asked for again: to go on with it, or to save it."""

import secrets
import threading
from collections import OrderedDict
from typing import Generic, TypeVar

Thing = TypeVar("Thing")

VISITORS = 50
"""Visitors of whom something is kept; those who were silent for longest are forgotten first."""


class Kept(Generic[Thing]):
    """One thing for each key. Whoever knows a key gets the thing, so a key is ``new()``, and only its page knows it."""

    def __init__(self, most: int = VISITORS) -> None:
        self._things: OrderedDict[str, Thing] = OrderedDict()
        self._most, self._lock = most, threading.Lock()

    @staticmethod
    def new() -> str:
        """A key that nobody guesses."""
        return secrets.token_urlsafe(16)

    def put(self, key: str, thing: Thing) -> None:
        """Nothing is kept for the empty key, which a page has before it is told its own."""
        with self._lock:
            self._things.pop(key, None)
            if key:
                self._things[key] = thing
            while len(self._things) > self._most:
                self._things.popitem(last=False)

    def get(self, key: str) -> Thing | None:
        """None where nothing is kept (any more)."""
        with self._lock:
            if key in self._things:
                self._things.move_to_end(key)
            return self._things.get(key)

    def drop(self, key: str) -> None:
        with self._lock:
            self._things.pop(key, None)
