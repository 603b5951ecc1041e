"""Calls that are abandoned when they make no progress for some seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


class Patience:
    """Runs calls in a thread and abandons one that makes no progress for ``seconds``.

    huggingface_hub (2.4.0) itself waits for minutes: after the first request for a file it sends six more
    with a timeout of sixty seconds each, and it repeats a transfer that breaks off without end.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.last = time.monotonic()
        self.abandoned = False

    def progress(self) -> None:
        """Note progress of the running call. Raises ``TimeoutError`` in one that was abandoned, to end it."""
        if self.abandoned:
            raise TimeoutError("abandoned")
        self.last = time.monotonic()

    def run(self, call: Callable[[], T]) -> T:
        """Return what ``call`` returns, or raise what it raises, or ``TimeoutError``."""
        answer: Future[T] = Future()

        def work() -> None:
            try:
                answer.set_result(call())
            except BaseException as error:
                answer.set_exception(error)

        self.last = time.monotonic()
        threading.Thread(target=work, name="hub", daemon=True).start()
        while not answer.done():
            left = self.last + self.seconds - time.monotonic()
            if left <= 0:
                self.abandoned = True
                raise TimeoutError(f"no answer within {self.seconds:g} seconds")
            try:
                answer.exception(timeout=left)
            except TimeoutError:
                continue
        return answer.result()
