"""Latest wins: one computation at a time for each visitor, and only for the newest text."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from anyio.to_thread import run_sync

Answer = TypeVar("Answer")

PATIENCE = 0.4
"""Seconds that an overtaken computation may still take: the picture keeps following a fast typist, but a slow method makes way."""

VISITORS = 2_000
"""Visitors remembered; the longest silent ones are forgotten first."""


@dataclass
class _Visitor:
    newest: int = -1
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Latest:
    """Runs the requests of each visitor one after the other and drops those that a newer one overtook."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self.patience = patience
        self._visitors: OrderedDict[str, _Visitor] = OrderedDict()

    async def run(self, name: str, sequence: int, work: Callable[[Callable[[], bool]], Answer]) -> Answer | None:
        """``work(overtaken)`` in a thread, or None if a newer request came while this one waited.

        ``sequence`` is given in the browser and only grows. ``work`` asks ``overtaken()`` now and then and stops when it is true.
        """
        visitor = self._visitors.setdefault(name, _Visitor())
        self._visitors.move_to_end(name)
        while len(self._visitors) > VISITORS:
            self._visitors.popitem(last=False)
        visitor.newest = max(visitor.newest, sequence)
        async with visitor.turn:
            if visitor.newest > sequence:
                return None
            started = time.monotonic()

            def overtaken() -> bool:
                return visitor.newest > sequence and time.monotonic() - started > self.patience

            return await run_sync(work, overtaken)
