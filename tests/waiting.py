"""Wait for another thread, process or page without guessing how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable


def eventually(done: Callable[[], object], seconds: float = 60) -> None:
    """Poll every 50 ms until ``done`` is true. Raises AssertionError after ``seconds``."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, f"not so within {seconds:g} s"
        time.sleep(0.05)
