"""Calls that are given up once nothing was heard of them for some seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


class Patience:
    """Runs calls in a thread and gives up on one from which nothing was heard for some seconds.

    huggingface_hub (2.4.0) by itself is patient for minutes: after its first question for a file it asks six
    more times with a timeout of sixty seconds each, and a body that breaks off again and again is asked for
    without end.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.last = time.monotonic()
        self.gone = False

    def heard(self) -> None:
        """Something came. In a call that was given up this ends it."""
        if self.gone:
            raise TimeoutError("given up")
        self.last = time.monotonic()

    def run(self, call: Callable[[], T]) -> T:
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
                self.gone = True
                raise TimeoutError(f"no answer within {self.seconds:g} seconds")
            try:
                answer.exception(timeout=left)
            except TimeoutError:
                continue
        return answer.result()
