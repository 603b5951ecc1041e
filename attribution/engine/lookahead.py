"""Many requests at work in threads, ahead of the one thread that takes their answers and computes for all of them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import Any, Self

from attribution.errors import AttributionError
from attribution.models.scorer import WORKER
from attribution.types import Attribution

MANY_TEXTS = 256
"""Texts of ``attribute_many`` that are at work together: those of like length share batches."""


class Ahead:
    """Requests at work, some hundreds ahead of the thread that waits for their answers and computes them all."""

    def __init__(
        self,
        work: Callable[[Any, Callable[[], bool]], Attribution | AttributionError],
        items: Iterator[Any],
        threads: int,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self._work, self._items, self._cancelled = work, items, cancelled
        self._count = 0
        self._closed = threading.Event()
        self._finished: deque[int] = deque()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="attribution")
        self.under_way: dict[int, Future[Attribution | AttributionError]] = {}

    def __enter__(self) -> Self:
        self._submit(MANY_TEXTS)
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._pool.shutdown(cancel_futures=True)

    def take(self, place: int) -> Attribution | AttributionError:
        """The answer to the item at that place. Raises what is a bug."""
        WORKER.serve(self.under_way[place].done)
        found = self.under_way.pop(place).result()
        self._finished.clear()  # which nobody else looks at
        self._refill()
        return found

    def ready(self) -> list[tuple[int, Attribution | AttributionError]]:
        """All that is answered, at least one; perhaps none once ``cancelled()``."""
        WORKER.serve(lambda: bool(self._finished) or self._cancelled())
        places = [self._finished.popleft() for _ in range(len(self._finished))]
        found = [(place, _answered(self.under_way.pop(place))) for place in places]
        self._refill()
        return found

    def _refill(self) -> None:
        if len(self.under_way) < MANY_TEXTS // 2:
            self._submit(MANY_TEXTS // 2)

    def _submit(self, count: int) -> None:
        """The next items to work, the shortest first, but kept in their own order."""
        some = dict(enumerate(islice(self._items, count), self._count))
        self._count += len(some)
        futures = {}
        for place in sorted(some, key=lambda place: _length(some[place])):
            futures[place] = self._pool.submit(self._work, some[place], self._stopped)
            futures[place].add_done_callback(partial(self._done, place))
        self.under_way.update((place, futures[place]) for place in some)

    def _stopped(self) -> bool:
        return self._closed.is_set() or self._cancelled()

    def _done(self, place: int, _: object) -> None:
        self._finished.append(place)
        WORKER.wake()


def _answered(future: Future[Attribution | AttributionError]) -> Attribution | AttributionError:
    """Its answer; what is a bug as an error of its own."""
    if (bug := future.exception()) is not None:
        return AttributionError(
            f"This is a bug ({type(bug).__name__}: {str(bug)[:200]}).", "Please report it."
        )
    return future.result()


def _length(item: object) -> int:
    text = item.get("text") if isinstance(item, Mapping) else item
    return len(text) if isinstance(text, str) else 0
