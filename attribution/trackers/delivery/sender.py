"""The process that sends one spool: ``python -m attribution.trackers.delivery.sender FOLDER``.

It follows the spool until its standard input is closed, which happens when the run or its process ends, and
then sends what is left. A tracker that is down is retried after increasing pauses, and once more at the end.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from attribution.settings import DEFAULTS
from attribution.trackers import Connection, Item, Refusal, find
from attribution.trackers.delivery.spool import Sent, Spool, take_lock

AT_ONCE = 500
"""Items of one read."""
POLL_SECONDS = 0.2
"""Seconds between two checks for new items."""
ELSEWHERE = 3
"""Exit code: another process is sending that spool."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds before a tracker that failed is tried again; doubled each time."""


class Sender:
    """Sends one spool. ``ended`` is set when nothing will be added to it."""

    def __init__(self, spool: Spool, ended: threading.Event) -> None:
        self.spool, self.ended = spool, ended
        self.tracker = find(spool.tracker)
        self.sent = spool.sent
        self.last_progress = time.monotonic()

    def run(self) -> bool:
        """Send the spool, and return whether everything was sent."""
        pause = FIRST_PAUSE
        while True:
            last = self.ended.is_set()
            try:
                return self._send()
            except Exception as error:
                self._report(describe_failure(self.tracker.title, error))
            if last:
                return False
            self.ended.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _send(self) -> bool:
        """Send over one connection. Raises what the tracker's client raises."""
        if self.sent.over:
            self.spool.clear()
            return True
        connection = self.tracker.connect(self.spool.run, **self.tracker.check_options(self.spool.settings))
        reached = self.sent
        while True:
            is_complete = self.ended.is_set()
            entries = list(self.spool.read(reached.bytes, AT_ONCE))
            ends = {item.number: end for item, end in entries}
            for group in group_figures(item for item, _ in entries):
                refused = reached.refused + send_group(connection, self.spool, group)
                self.last_progress, last = time.monotonic(), group[-1]
                reached = Sent(last.number + 1, ends[last.number], refused, over=last.kind == "finish")
                if connection.lasting or reached.over:
                    self._record(reached, group)
                if reached.over:
                    self.spool.clear()
                    return True
            if is_complete and not entries:
                return self._finish_abandoned(connection, reached)
            if not entries:
                self.ended.wait(POLL_SECONDS)

    def _record(self, reached: Sent, group: list[Item]) -> None:
        """Record how far the spool was sent, and delete the files of these items."""
        self.spool.sent = self.sent = reached
        for item in group:
            if "file" in item.data:
                (self.spool.files / item.data["file"]).unlink(missing_ok=True)

    def _finish_abandoned(self, connection: Connection, reached: Sent) -> bool:
        """Finish a run whose process ended without doing so, unless another process has resumed it."""
        owner = take_lock(self.spool.folder, "owner")
        if owner is None:
            return False
        with owner:
            connection.finish("killed")
            self._record(replace(reached, problem="", over=True), [])
            self.spool.clear()
        return True

    def _report(self, problem: str) -> None:
        self.sent = replace(self.sent, problem=problem)
        with suppress(OSError):
            self.spool.sent = self.sent


def group_figures(items: Iterator[Item]) -> Iterator[list[Item]]:
    """Group consecutive figures; everything else is a group of one."""
    for kind, group in groupby(items, key=lambda item: item.kind):
        if kind == "figures":
            yield list(group)
        else:
            yield from ([item] for item in group)


def send_group(connection: Connection, spool: Spool, group: list[Item]) -> int:
    """Send a group of items, and return how many were rejected."""
    try:
        _dispatch(connection, spool, group)
    except Refusal:
        return 1 if len(group) == 1 else sum(send_group(connection, spool, [item]) for item in group)
    return 0


def _dispatch(connection: Connection, spool: Spool, group: list[Item]) -> None:
    item = group[0]
    if item.kind == "figures":
        connection.figures([replace(figure, data=_restore_numbers(figure)) for figure in group])
    elif item.kind == "parameters":
        connection.parameters(item)
    elif item.kind == "finish":
        connection.finish(item.data["status"])
    else:
        path = spool.files / item.data["file"]
        if not path.exists():
            raise Refusal(f"{item.data['name']} no longer exists.")
        if item.kind == "table":
            table = json.loads(path.read_text(encoding="utf-8"))
            connection.table(item, table["columns"], table["data"])
        else:
            connection.artifact(item, str(path))


def _restore_numbers(item: Item) -> dict[str, object]:
    """The item's data with NaN and infinity as numbers again."""
    return {**item.data, "values": {name: float(value) for name, value in item.data["values"].items()}}


def describe_failure(title: str, error: Exception) -> str:
    """Describe a failure by the types of its errors only: their texts may contain tracked data or a key."""
    kinds: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(kinds) < 3:
        kinds.append(type(cause).__name__)
        cause = cause.__cause__ or cause.__context__
    code = getattr(error, "error_code", None)
    return f"{title} does not accept it ({', '.join(kinds)}{f', {code}' if isinstance(code, str) else ''})."


def _wait_for_end(ended: threading.Event) -> None:
    """Set ``ended`` when the run's process closes its end of the pipe, or ends."""
    sys.stdin.buffer.read()
    ended.set()


def _watch(sender: Sender) -> None:
    """End the process where a tracker hangs and the run's process is gone."""
    sender.ended.wait()
    sender.last_progress = time.monotonic()
    while time.monotonic() - sender.last_progress < DEFAULTS.tracker_stalled_seconds:
        time.sleep(POLL_SECONDS)
    os._exit(1)


def main(folder: str) -> int:
    """Send a spool. Exit code 0: everything was sent; 1: something is still queued; or ``ELSEWHERE``."""
    with suppress(OSError, AttributeError):
        os.nice(10)  # the run has priority
    spool, ended = Spool.open(Path(folder)), threading.Event()
    lock = take_lock(spool.folder, "sender")
    if lock is None:
        return ELSEWHERE
    sender = Sender(spool, ended)
    threading.Thread(target=_wait_for_end, args=(ended,), daemon=True).start()
    threading.Thread(target=_watch, args=(sender,), daemon=True).start()
    with lock:
        return 0 if sender.run() else 1


if __name__ == "__main__":
    code = main(sys.argv[1])
    os._exit(code)  # a client's own threads may hang
