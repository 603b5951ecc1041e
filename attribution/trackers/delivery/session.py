"""The session of a tracked run: calls return at once, never raise, and are written to disk.

caller → bounded queue → one thread → spool on disk → the sender, a process of its own → the tracker. The
sender is a process because a tracker's client takes seconds to import, holds the GIL, and cannot be stopped
where it hangs.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, Self

from attribution.errors import BadOption, quote
from attribution.settings import DEFAULTS
from attribution.trackers import STATUSES, Item, Status, TrackedRun, Tracker, find
from attribution.trackers.delivery.spool import (
    Sent,
    Spool,
    default_folder,
    plain_name,
    plain_number,
    take_lock,
)

if TYPE_CHECKING:
    from filelock import BaseFileLock

ROOT = Path(__file__).resolve().parents[3]
"""The folder from which the sender imports this package."""
TEXT = 6000
"""Characters of a parameter's value: the limit of MLflow."""
DISK_PAUSE = 0.5
"""Seconds between two tries to write to a full disk."""

P = ParamSpec("P")
Kind = Literal["parameters", "figures", "table", "artifact", "finish"]


@dataclass(frozen=True, slots=True)
class QueuedItem:
    """An item before it is written; ``content`` creates the bytes of its file, off the run's thread."""

    kind: Kind
    time: float
    data: dict[str, Any]
    content: Callable[[], bytes] | None = None


def track(
    tracker: str,
    name: str = "",
    *,
    key: str = "",
    folder: str | os.PathLike[str] | None = None,
    send: bool = True,
    **settings: Any,
) -> Session:
    """Start to track a run.

    Parameters
    ----------
    tracker : a name from ``list_trackers()``.
    name : of the run, for display.
    key : the same key, in the same folder, continues the same run; without a key each call is a new run.
    folder : where runs are queued until they are sent, by default ``ATTRIBUTION_SPOOL`` or a folder of the
    user's cache.
    send : False only queues them, for ``replay``, perhaps on another machine.
    settings : of the tracker; see ``list_trackers()[tracker].options``. Passwords and keys belong where
    its client finds them.

    Raises ``UnknownTracker``, ``NotInstalled``, ``BadOption``, ``BadFile`` and ``OSError``; nothing
    is raised after that.
    """
    kind = find(tracker)
    checked = kind.check_options(settings)
    if send:
        kind.check_installed()
    run_id = hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()[:32] if key else uuid.uuid4().hex
    run = TrackedRun(run_id, str(name)[:250] or f"attribution-{run_id[:8]}", time.time())
    place = Path(folder or default_folder()) / run_id
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    owner = take_lock(place, "owner")
    if owner is None:
        raise BadOption(
            f"The run {quote(key)} is being tracked already.", "Please give each run a key of its own."
        )
    return Session(kind, Spool.create(place, kind.name, checked, run, bool(key)), owner, send=send)


def harmless(call: Callable[Concatenate[Session, P], None]) -> Callable[Concatenate[Session, P], None]:
    """Decorator: a call that fails is counted as a loss in the session, and the run continues."""

    @functools.wraps(call)
    def call_safely(session: Session, /, *arguments: P.args, **keywords: P.kwargs) -> None:
        try:
            call(session, *arguments, **keywords)
        except Exception as error:
            session.count_loss(f"{call.__name__} could not be tracked ({type(error).__name__}).")

    return call_safely


@dataclass(frozen=True, slots=True)
class SessionStatus:
    """The state of a session in items: ``total``, ``sent``, ``refused``, and ``lost`` before being written.

    ``problem`` says what is wrong, ``folder`` where the rest is queued.
    """

    tracker: str
    total: int
    sent: int
    refused: int
    lost: int
    problem: str
    folder: Path

    @property
    def waiting(self) -> int:
        return max(0, self.total - self.sent - self.refused - self.lost)

    @property
    def sentence(self) -> str:
        """The state in one sentence, for display."""
        parts = [f"{self.tracker}: {self.sent} of {self.total} items sent"]
        parts += [f"{self.refused} rejected"] if self.refused else []
        parts += [f"{self.lost} lost"] if self.lost else []
        parts += [f"{self.waiting} queued in {self.folder}"] if self.waiting else []
        return ", ".join(parts) + (f". {self.problem}" if self.problem else ".")


class Session:
    """One tracked run; see ``track``.

    As a context manager it finishes as ``failed`` on an exception and as ``killed`` on Ctrl-C.
    """

    def __init__(self, tracker: Tracker, spool: Spool, owner: BaseFileLock, *, send: bool = True) -> None:
        self.tracker, self.spool, self._owner = tracker, spool, owner
        self._queue: deque[QueuedItem] = deque()
        self._changed = threading.Condition()
        self._total = self._lost = 0
        self._begun = spool.sent
        self._start = spool.count
        self._problem = self._loss = ""
        self._ended = False
        self._last: Sent | None = None
        self._sender = self._start_sender() if send else None
        self._writer = threading.Thread(target=self._write, name=f"track-{tracker.name}", daemon=True)
        self._writer.start()
        atexit.register(self._finish_killed)

    @harmless
    def parameters(self, values: Mapping[str, object]) -> None:
        """Log the settings of the run, as text."""
        self._enqueue(
            "parameters", {"values": {plain_name(name): str(value)[:TEXT] for name, value in values.items()}}
        )

    @harmless
    def figures(self, values: Mapping[str, object], step: int | None = None) -> None:
        """Log numbers by name, at a step of the run or for the run as a whole.

        Values that are not numbers are left out.
        """
        numbers = {plain_name(name): plain_number(value) for name, value in values.items()}
        logged = {name: number for name, number in numbers.items() if number is not None}
        if logged:
            self._enqueue("figures", {"values": logged, "step": None if step is None else int(step)})

    @harmless
    def table(self, name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Log a table of plain values."""
        copied = [list(row) for row in rows]
        data = {"columns": [str(column) for column in columns], "data": copied}
        self._enqueue("table", self._file(name, ".json"), lambda: _strict(data))

    @harmless
    def artifact(self, name: str, content: bytes | Callable[[], bytes], media_type: str = "") -> None:
        """Log a file; ``content`` may be a function, which is called later, off the run's thread."""
        data = {**self._file(name), "media_type": media_type}
        self._enqueue("artifact", data, content if callable(content) else lambda: content)

    def finish(
        self, status: Status = "finished", wait: float = DEFAULTS.tracker_finish_seconds
    ) -> SessionStatus:
        """Finish the run, and give the sender up to ``wait`` seconds. ``replay`` sends what is left."""
        if not self._ended:
            atexit.unregister(self._finish_killed)
            self._enqueue("finish", {"status": status if status in STATUSES else "failed"})
            self._close(time.monotonic() + wait)
        return self.status

    @property
    def status(self) -> SessionStatus:
        """How far it came, at this moment."""
        sent = self._last or self.spool.sent
        refused = sent.refused - self._begun.refused
        return SessionStatus(
            tracker=self.tracker.title,
            total=self._total,
            sent=max(0, sent.lines - self._start - refused),
            refused=refused,
            lost=self._lost,
            problem=self._problem or sent.problem or self._loss,
            folder=self.spool.folder,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        failed: Status = "failed" if kind is None or issubclass(kind, Exception) else "killed"
        self.finish("finished" if kind is None else failed)

    def _enqueue(self, kind: Kind, data: dict[str, Any], content: Callable[[], bytes] | None = None) -> None:
        with self._changed:
            self._total += 1
            if self._ended:
                self._lost += 1
                return
            if len(self._queue) >= DEFAULTS.tracker_queue:
                self._queue.popleft()
                self._lost += 1
            self._ended = kind == "finish"
            self._queue.append(QueuedItem(kind, time.time(), data, content))
            self._changed.notify()

    def _file(self, name: object, ending: str = "") -> dict[str, Any]:
        shown = plain_name(name)
        shown += "" if shown.endswith(ending) else ending
        return {"name": shown, "file": f"{uuid.uuid4().hex}-{shown}"}

    def _write(self) -> None:
        """The writer thread: move items from the queue to the disk until the run is finished."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue)
                item = self._queue.popleft()
            try:
                content = item.content() if item.content else None
            except Exception as error:
                self._lose(f"{item.data['name']} could not be created ({type(error).__name__}).")
                continue
            while not self._store(item, content):
                if self._ended or len(content or b"") > DEFAULTS.spool_bytes:
                    self._lose(self._problem)
                    break
                time.sleep(DISK_PAUSE)
            if item.kind == "finish":
                return

    def count_loss(self, problem: str) -> None:
        """Count an item that could not even be queued."""
        with self._changed:
            self._total += 1
        self._lose(problem)

    def _lose(self, problem: str) -> None:
        with self._changed:
            self._lost += 1
            self._loss = problem

    def _store(self, item: QueuedItem, content: bytes | None) -> bool:
        """Write the item to disk, and return whether that worked; ``_problem`` says why not."""
        try:
            if item.kind != "finish" and self.spool.bytes() + len(content or b"") > DEFAULTS.spool_bytes:
                self._problem = f"At most {DEFAULTS.spool_bytes >> 20} MiB are queued in {self.spool.folder}."
                return False
            self.spool.write(Item(self.spool.count, item.kind, item.time, item.data), content)
        except OSError as error:
            self._problem = f"Nothing can be written to {self.spool.folder}: {error.strerror}."
            return False
        self._problem = ""
        return True

    def _start_sender(self) -> subprocess.Popen[bytes] | None:
        try:
            return start_sender(self.tracker, self.spool)
        except OSError as error:
            self._problem = f"The sender did not start: {error.strerror}."
            return None

    def _close(self, until: float) -> None:
        self._writer.join(max(0.0, until - time.monotonic()))
        if self._sender is not None:
            stop_sender(self._sender, until)
        self._last = self.spool.sent
        self._owner.release()
        self.spool.tidy()

    def _finish_killed(self) -> None:
        """Finish as killed: the program exits without calling ``finish``."""
        self.finish("killed", wait=DEFAULTS.tracker_finish_seconds / 5)


def start_sender(tracker: Tracker, spool: Spool) -> subprocess.Popen[bytes]:
    """Start a sender for a spool.

    It ends by itself when its standard input is closed, which includes the end of this process.
    """
    path = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**tracker.environment, **os.environ, "PYTHONPATH": os.pathsep.join(path)}
    return subprocess.Popen(
        [sys.executable, "-m", "attribution.trackers.delivery.sender", str(spool.folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,  # Ctrl-C must reach the run only
    )


def stop_sender(sender: subprocess.Popen[bytes], until: float) -> int:
    """Close the sender's input and return its exit code.

    The sender is killed at ``until`` (a ``time.monotonic``).
    """
    assert sender.stdin is not None
    with suppress(OSError):
        sender.stdin.close()
    try:
        return sender.wait(max(0.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        sender.kill()
        return sender.wait()


def _strict(data: Any) -> bytes:
    return json.dumps(_plain(data), ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")


def _plain(value: Any) -> Any:
    """The value in strict JSON types; NaN and infinity as text."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if value is None or isinstance(value, bool | int | str):
        return value
    return plain_number(value) if isinstance(value, float) or hasattr(value, "__float__") else str(value)
