"""A run that is tracked, as the run sees it: calls that return at once, never raise, and end on disk.

caller → bounded queue → one thread → spool on disk → the sender, a process of its own → the tracker. The
sender is a process since a tracker's client takes seconds to import, holds Python's lock, and cannot be
stopped where it hangs.
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
from attribution.trackers import STATUSES, Item, Status, Tracked, Tracker, find
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
"""Where the sender finds this package."""
TEXT = 6000
"""Characters of a parameter's value: what MLflow takes."""
DISK_PAUSE = 0.5
"""Seconds between two tries to write to a full disk."""

P = ParamSpec("P")
Kind = Literal["parameters", "figures", "table", "artifact", "finish"]


@dataclass(frozen=True, slots=True)
class Given:
    """An item before it is written; ``content`` makes the bytes of its file, off the run's thread."""

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
    name : what people call the run.
    key : the same key, in the same folder, goes on with the same run; without one each call is a new run.
    folder : where runs wait until they are sent (by default ``ATTRIBUTION_SPOOL``, or a folder of the user's
    cache).
    send : False only writes them there, for ``replay``, perhaps on another machine.
    settings : the tracker's own; see ``list_trackers()[tracker].options``. Passwords and keys belong where
    its client finds them.

    Raises ``UnknownTracker``, ``NotInstalled``, ``BadOption``, ``BadFile`` and ``OSError``; nothing does
    afterwards.
    """
    kind = find(tracker)
    checked = kind.check_options(settings)
    if send:
        kind.check_installed()
    run_id = hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()[:32] if key else uuid.uuid4().hex
    run = Tracked(run_id, str(name)[:250] or f"attribution-{run_id[:8]}", time.time())
    place = Path(folder or default_folder()) / run_id
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    owner = take_lock(place, "owner")
    if owner is None:
        raise BadOption(
            f"The run {quote(key)} is being tracked already.", "Please give each run a key of its own."
        )
    return Session(kind, Spool.create(place, kind.name, checked, run, bool(key)), owner, send=send)


def harmless(call: Callable[Concatenate[Session, P], None]) -> Callable[Concatenate[Session, P], None]:
    """Decorator: where the call fails, the session counts the loss and the run goes on."""

    @functools.wraps(call)
    def guarded(session: Session, /, *arguments: P.args, **keywords: P.kwargs) -> None:
        try:
            call(session, *arguments, **keywords)
        except Exception as error:
            session.missed(f"{call.__name__} could not be tracked ({type(error).__name__}).")

    return guarded


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of a session, in items: ``given``, ``sent``, ``refused``, ``lost`` before they were on disk.

    ``problem`` says what is wrong, ``folder`` where the rest waits.
    """

    tracker: str
    given: int
    sent: int
    refused: int
    lost: int
    problem: str
    folder: Path

    @property
    def waiting(self) -> int:
        return max(0, self.given - self.sent - self.refused - self.lost)

    @property
    def sentence(self) -> str:
        """For a person."""
        parts = [f"{self.tracker}: {self.sent} of {self.given} items sent"]
        parts += [f"{self.refused} refused by it"] if self.refused else []
        parts += [f"{self.lost} lost"] if self.lost else []
        parts += [f"{self.waiting} wait in {self.folder}"] if self.waiting else []
        return ", ".join(parts) + (f". {self.problem}" if self.problem else ".")


class Session:
    """One tracked run; see ``track``.

    As a context manager it ends as ``failed`` by an exception, ``killed`` by Ctrl-C.
    """

    def __init__(self, tracker: Tracker, spool: Spool, owner: BaseFileLock, *, send: bool = True) -> None:
        self.tracker, self.spool, self._owner = tracker, spool, owner
        self._queue: deque[Given] = deque()
        self._changed = threading.Condition()
        self._given = self._lost = 0
        self._begun = spool.sent
        self._start = spool.count
        self._problem = self._loss = ""
        self._ended = False
        self._last: Sent | None = None
        self._sender = self._started() if send else None
        self._writer = threading.Thread(target=self._write, name=f"track-{tracker.name}", daemon=True)
        self._writer.start()
        atexit.register(self._left)

    @harmless
    def parameters(self, values: Mapping[str, object]) -> None:
        """What the run was given, as text."""
        self._put(
            "parameters", {"values": {plain_name(name): str(value)[:TEXT] for name, value in values.items()}}
        )

    @harmless
    def figures(self, values: Mapping[str, object], step: int | None = None) -> None:
        """Numbers by name, at a step of the run or for the run as a whole.

        What is no number (None) is left out.
        """
        numbers = {plain_name(name): plain_number(value) for name, value in values.items()}
        kept = {name: number for name, number in numbers.items() if number is not None}
        if kept:
            self._put("figures", {"values": kept, "step": None if step is None else int(step)})

    @harmless
    def table(self, name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """A table of plain values."""
        copied = [list(row) for row in rows]
        data = {"columns": [str(column) for column in columns], "data": copied}
        self._put("table", self._file(name, ".json"), lambda: _strict(data))

    @harmless
    def artifact(self, name: str, content: bytes | Callable[[], bytes], media_type: str = "") -> None:
        """A file by its name; a function is called later, off the run's thread."""
        data = {**self._file(name), "media_type": media_type}
        self._put("artifact", data, content if callable(content) else lambda: content)

    def finish(self, status: Status = "finished", wait: float = DEFAULTS.tracker_finish_seconds) -> Standing:
        """End the run; give the sender up to ``wait`` seconds for the rest. ``replay`` sends what is left."""
        if not self._ended:
            atexit.unregister(self._left)
            self._put("finish", {"status": status if status in STATUSES else "failed"})
            self._close(time.monotonic() + wait)
        return self.standing

    @property
    def standing(self) -> Standing:
        """How far it came, at this moment."""
        sent = self._last or self.spool.sent
        refused = sent.refused - self._begun.refused
        return Standing(
            tracker=self.tracker.title,
            given=self._given,
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

    def _put(self, kind: Kind, data: dict[str, Any], content: Callable[[], bytes] | None = None) -> None:
        with self._changed:
            self._given += 1
            if self._ended:
                self._lost += 1
                return
            if len(self._queue) >= DEFAULTS.tracker_queue:
                self._queue.popleft()
                self._lost += 1
            self._ended = kind == "finish"
            self._queue.append(Given(kind, time.time(), data, content))
            self._changed.notify()

    def _file(self, name: object, ending: str = "") -> dict[str, Any]:
        shown = plain_name(name)
        shown += "" if shown.endswith(ending) else ending
        return {"name": shown, "file": f"{uuid.uuid4().hex}-{shown}"}

    def _write(self) -> None:
        """The writer's thread: from the queue to the disk, until the end is written."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue)
                given = self._queue.popleft()
            try:
                content = given.content() if given.content else None
            except Exception as error:
                self._lose(f"{given.data['name']} could not be made ({type(error).__name__}).")
                continue
            while not self._stored(given, content):
                if self._ended or len(content or b"") > DEFAULTS.spool_bytes:
                    self._lose(self._problem)
                    break
                time.sleep(DISK_PAUSE)
            if given.kind == "finish":
                return

    def missed(self, problem: str) -> None:
        """Count something that could not even be given."""
        with self._changed:
            self._given += 1
        self._lose(problem)

    def _lose(self, problem: str) -> None:
        with self._changed:
            self._lost += 1
            self._loss = problem

    def _stored(self, given: Given, content: bytes | None) -> bool:
        """Whether the item is on disk; else ``_problem`` says why not."""
        try:
            if given.kind != "finish" and self.spool.bytes() + len(content or b"") > DEFAULTS.spool_bytes:
                self._problem = f"No more than {DEFAULTS.spool_bytes >> 20} MiB wait in {self.spool.folder}."
                return False
            self.spool.write(Item(self.spool.count, given.kind, given.time, given.data), content)
        except OSError as error:
            self._problem = f"Nothing can be written to {self.spool.folder}: {error.strerror}."
            return False
        self._problem = ""
        return True

    def _started(self) -> subprocess.Popen[bytes] | None:
        try:
            return started(self.tracker, self.spool)
        except OSError as error:
            self._problem = f"The sender did not start: {error.strerror}."
            return None

    def _close(self, until: float) -> None:
        self._writer.join(max(0.0, until - time.monotonic()))
        if self._sender is not None:
            stopped(self._sender, until)
        self._last = self.spool.sent
        self._owner.release()
        self.spool.tidy()

    def _left(self) -> None:
        """The program ends without ``finish``."""
        self.finish("killed", wait=DEFAULTS.tracker_finish_seconds / 5)


def started(tracker: Tracker, spool: Spool) -> subprocess.Popen[bytes]:
    """A sender for that spool.

    It ends by itself when its standard input is closed, be it because this process has gone.
    """
    path = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**tracker.environment, **os.environ, "PYTHONPATH": os.pathsep.join(path)}
    return subprocess.Popen(
        [sys.executable, "-m", "attribution.trackers.delivery.sender", str(spool.folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,  # Ctrl-C is for the run
    )


def stopped(sender: subprocess.Popen[bytes], until: float) -> int:
    """Say that nothing more comes, and wait for the sender's exit code.

    It is ended after ``until`` (by ``time.monotonic``).
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
    """As strict JSON has it; NaN and infinity as text."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if value is None or isinstance(value, bool | int | str):
        return value
    return plain_number(value) if isinstance(value, float) or hasattr(value, "__float__") else str(value)
