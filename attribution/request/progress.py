"""How far long work is: a bar on standard error in a terminal or notebook; pipes and logs get none."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sized
from typing import Any, Self, TypeVar

from attribution.request.arguments import check_progress

Item = TypeVar("Item")

Progress = bool | Callable[[int, int], None] | None
"""None: a bar where a person looks on; True or False: always or never; or a function of (done, total)."""
DELAY_SECONDS = 1.5
"""Quick work shows no bar."""
REFRESH_SECONDS = 0.5


class Bar:
    """Context manager: a bar of tqdm that counts what is done, as ``progress`` says. Thread-safe.

    Parameters
    ----------
    progress : see ``Progress``. A function is called by ``advance``.
    unit : what is counted, such as ``"texts"``.
    title : of the work.
    total : 0 where it is unknown; ``expect`` adds to it.

    Raises ``BadOption`` for a ``progress`` of another kind.
    """

    def __init__(self, progress: Progress, unit: str, title: str = "", total: int = 0) -> None:
        check_progress(progress, "the number done", "the number of all")
        self._function = progress if callable(progress) else None
        self._is_shown = progress is True or (progress is None and is_watched())
        self._unit, self._title = unit, title
        self._done, self._total = 0, total
        self._started = time.time()
        self._closed = threading.Event()
        self._bar: Any = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        if self._is_shown:
            self._thread = threading.Thread(target=self._refresh, name="progress", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        if self._thread is not None:
            self._thread.join()
        if self._bar is not None:
            self._move()
            self._bar.close()

    def expect(self, count: int) -> None:
        """Add to the total."""
        self._total += count

    def advance(self, count: int = 1) -> None:
        """Note that more is done."""
        self.reach(self._done + count, self._total)

    def reach(self, done: int, total: int) -> None:
        """Note how much is done, of how much."""
        self._done, self._total = done, total
        if self._function is not None:
            self._function(done, total)

    def _refresh(self) -> None:
        """Draw the bar from time to time, whether or not anything was done: a single call may be long."""
        wait = DELAY_SECONDS
        while not self._closed.wait(wait):
            if self._bar is None:
                self._bar = self._make_bar()
            if self._bar is None:
                return
            self._move()
            wait = REFRESH_SECONDS

    def _make_bar(self) -> Any:
        """A bar of tqdm; None where tqdm is not installed."""
        try:
            from tqdm.auto import tqdm
        except ImportError:
            return None
        options: dict[str, Any] = {"desc": self._title or None, "unit": f" {self._unit}", "leave": False}
        bar = tqdm(total=self._total or None, file=sys.stderr, disable=False, dynamic_ncols=True, **options)
        bar.start_t = self._started
        return bar

    def _move(self) -> None:
        self._bar.total, self._bar.n = self._total or None, self._done
        self._bar.refresh()


def count_steps(items: Iterator[Item], bar: Bar) -> Iterator[Item]:
    """The same items, each of which advances the bar."""
    with bar:
        for item in items:
            bar.advance()
            yield item


def count_rows(source: Any) -> int:
    """How many rows a table, a list or a frame has; 0 where it is unknown in advance."""
    count = getattr(source, "count", None)
    if isinstance(count, int):
        return count
    is_mapping = isinstance(source, Mapping)
    return len(source) if isinstance(source, Sized) and not is_mapping else 0


def is_watched() -> bool:
    """Whether a person looks on: standard error is a terminal, or this is a notebook."""
    try:
        if sys.stderr.isatty():
            return True
    except (AttributeError, ValueError):  # none, or closed
        return False
    if "ipykernel" not in sys.modules:
        return False
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return shell is not None and hasattr(shell, "kernel")
