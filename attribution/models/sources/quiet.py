"""No progress bars on standard error while weights are loaded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from transformers.utils.logging import EmptyTqdm, set_tqdm_hook


class _Bars(threading.local):
    """How many ``hide_progress_bars`` the calling thread is in."""

    hidden = 0


_bars = _Bars()
_lock = threading.Lock()
_active = 0
_previous: Callable[..., Any] | None = None


@contextmanager
def hide_progress_bars() -> Iterator[None]:
    """Context manager: transformers draws no progress bars in the calling thread.

    The user's setting and the bars of other threads are not affected.
    """
    global _active, _previous  # noqa: PLW0603 - transformers has one hook for the process
    with _lock:
        if _active == 0:
            _previous = set_tqdm_hook(_make_bar)
        _active += 1
    _bars.hidden += 1
    try:
        yield
    finally:
        _bars.hidden -= 1
        with _lock:
            _active -= 1
            if _active == 0:
                set_tqdm_hook(_previous)


def _make_bar(factory: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    if _bars.hidden:
        return EmptyTqdm(*args, **options)
    return factory(*args, **options) if _previous is None else _previous(factory, args, options)
