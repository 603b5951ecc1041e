"""Requests computed ahead of the thread that takes their answers: those of like length then share batches."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import Any, Self

from attribution.errors import AttributionError
from attribution.models.scoring.worker import WORKER
from attribution.types import Attribution

WINDOW = 256
"""Items that are submitted at once: enough for those of like length to fill batches."""


class LookAhead:
    """Context manager: answers items in threads, a window ahead; the calling thread computes their batches.

    Parameters
    ----------
    answer : called with an item and with a function that says whether its answer is still wanted.
    items : read as they are needed; may be endless.
    threads : how many items are at work at the same time.
    cancelled : once it returns True, nothing more is begun.
    """

    def __init__(
        self,
        answer: Callable[[Any, Callable[[], bool]], Attribution | AttributionError],
        items: Iterator[Any],
        threads: int,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self._answer, self._items, self._cancelled = answer, items, cancelled
        self._count = 0
        self._closed = threading.Event()
        self._finished: deque[int] = deque()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="attribution")
        self._pending: dict[int, Future[Attribution | AttributionError]] = {}

    def __enter__(self) -> Self:
        self._submit(WINDOW)
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._pool.shutdown(cancel_futures=True)

    def __bool__(self) -> bool:
        """Whether any item is still without an answer."""
        return bool(self._pending)

    def take_next(self) -> Attribution | AttributionError:
        """Wait for the answer to the first item that has none yet. Raises whatever is a bug."""
        index = next(iter(self._pending))
        WORKER.serve(self._pending[index].done)
        result = self._pending.pop(index).result()
        self._finished.clear()  # only ``take_finished`` reads it
        self._refill()
        return result

    def take_finished(self) -> list[tuple[int, Attribution | AttributionError]]:
        """Wait for at least one answer; all that are finished, with the indices of their items.

        May be empty once ``cancelled()``.
        """
        WORKER.serve(lambda: bool(self._finished) or self._cancelled())
        indices = [self._finished.popleft() for _ in range(len(self._finished))]
        results = [(index, _result_of(self._pending.pop(index))) for index in indices]
        self._refill()
        return results

    def _refill(self) -> None:
        if len(self._pending) < WINDOW // 2:
            self._submit(WINDOW // 2)

    def _submit(self, count: int) -> None:
        """Start on the next items, the shortest first; ``_pending`` keeps them in their own order."""
        items = dict(enumerate(islice(self._items, count), self._count))
        self._count += len(items)
        futures = {}
        for index in sorted(items, key=lambda index: _length(items[index])):
            futures[index] = self._pool.submit(self._answer, items[index], self._is_stopped)
            futures[index].add_done_callback(partial(self._finish, index))
        self._pending.update((index, futures[index]) for index in items)

    def _is_stopped(self) -> bool:
        return self._closed.is_set() or self._cancelled()

    def _finish(self, index: int, _: object) -> None:
        self._finished.append(index)
        WORKER.wake()


def _result_of(future: Future[Attribution | AttributionError]) -> Attribution | AttributionError:
    """The future's result; an unexpected exception becomes an ``AttributionError``."""
    if (bug := future.exception()) is not None:
        return AttributionError(
            f"This is a bug ({type(bug).__name__}: {str(bug)[:200]}).", "Please report it."
        )
    return future.result()


def _length(item: object) -> int:
    text = item.get("text") if isinstance(item, Mapping) else item
    return len(text) if isinstance(text, str) else 0
