"""Waiting for what another thread, process or page does, without a guess how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable


def eventually(done: Callable[[], object], seconds: float = 60) -> None:
    """Look every 50 ms until it is true; an AssertionError after so many seconds."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, f"not so within {seconds:g} s"
        time.sleep(0.05)
