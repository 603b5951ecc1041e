"""The process that sends one spool: ``python -m attribution.trackers.delivery.sender FOLDER``.

It follows the spool until its standard input is closed, which is when the run has ended or its process has
gone, then sends what is left. A tracker that is down is tried again after longer and longer pauses; one more
time at the end.
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
from attribution.trackers import Connection, Item, Refused, find
from attribution.trackers.delivery.spool import Sent, Spool, take_lock

AT_ONCE = 500
"""Items that are read at once."""
LOOK = 0.2
"""Seconds between two looks for new items."""
ELSEWHERE = 3
"""Exit code: another process sends that spool."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds before a tracker that failed is tried again; doubled each time."""


class Sender:
    """Sends one spool. ``ended`` is set when nothing more will be written."""

    def __init__(self, spool: Spool, ended: threading.Event) -> None:
        self.spool, self.ended = spool, ended
        self.tracker = find(spool.tracker)
        self.sent = spool.sent
        self.moved = time.monotonic()

    def run(self) -> bool:
        """Whether everything is sent."""
        pause = FIRST_PAUSE
        while True:
            last = self.ended.is_set()
            try:
                return self._send()
            except Exception as error:
                self._tell(said(self.tracker.title, error))
            if last:
                return False
            self.ended.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _send(self) -> bool:
        """One connection's work. Raises what the tracker's client raises."""
        if self.sent.over:
            self.spool.clear()
            return True
        connection = self.tracker.connect(self.spool.run, **self.tracker.check_options(self.spool.settings))
        reached = self.sent
        while True:
            no_more = self.ended.is_set()
            entries = list(self.spool.read(reached.bytes, AT_ONCE))
            ends = {item.number: end for item, end in entries}
            for group in grouped(item for item, _ in entries):
                refused = reached.refused + given(connection, self.spool, group)
                self.moved, last = time.monotonic(), group[-1]
                reached = Sent(last.number + 1, ends[last.number], refused, over=last.kind == "finish")
                if connection.lasting or reached.over:
                    self._keep(reached, group)
                if reached.over:
                    self.spool.clear()
                    return True
            if no_more and not entries:
                return self._abandoned(connection, reached)
            if not entries:
                self.ended.wait(LOOK)

    def _keep(self, reached: Sent, group: list[Item]) -> None:
        """What was reached need not be sent again; nor are the files of these items needed."""
        self.spool.sent = self.sent = reached
        for item in group:
            if "file" in item.data:
                (self.spool.files / item.data["file"]).unlink(missing_ok=True)

    def _abandoned(self, connection: Connection, reached: Sent) -> bool:
        """No end was written: the run's process has gone. Unless another one goes on with the run, say so."""
        owner = take_lock(self.spool.folder, "owner")
        if owner is None:
            return False
        with owner:
            connection.finish("killed")
            self._keep(replace(reached, problem="", over=True), [])
            self.spool.clear()
        return True

    def _tell(self, problem: str) -> None:
        self.sent = replace(self.sent, problem=problem)
        with suppress(OSError):
            self.spool.sent = self.sent


def grouped(items: Iterator[Item]) -> Iterator[list[Item]]:
    """Figures that follow each other together, everything else alone."""
    for kind, group in groupby(items, key=lambda item: item.kind):
        if kind == "figures":
            yield list(group)
        else:
            yield from ([item] for item in group)


def given(connection: Connection, spool: Spool, group: list[Item]) -> int:
    """Hand a group over; how many of its items were refused."""
    try:
        _hand(connection, spool, group)
    except Refused:
        return 1 if len(group) == 1 else sum(given(connection, spool, [item]) for item in group)
    return 0


def _hand(connection: Connection, spool: Spool, group: list[Item]) -> None:
    item = group[0]
    if item.kind == "figures":
        connection.figures([replace(one, data=_numbered(one)) for one in group])
    elif item.kind == "parameters":
        connection.parameters(item)
    elif item.kind == "finish":
        connection.finish(item.data["status"])
    else:
        path = spool.files / item.data["file"]
        if not path.exists():
            raise Refused(f"{item.data['name']} is gone.")
        if item.kind == "table":
            table = json.loads(path.read_text(encoding="utf-8"))
            connection.table(item, table["columns"], table["data"])
        else:
            connection.artifact(item, str(path))


def _numbered(item: Item) -> dict[str, object]:
    """The item's data with NaN and infinity as numbers again."""
    return {**item.data, "values": {name: float(value) for name, value in item.data["values"].items()}}


def said(title: str, error: Exception) -> str:
    """What is wrong, by the kinds of the errors only: their texts may hold what was tracked, or a key."""
    kinds: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(kinds) < 3:
        kinds.append(type(cause).__name__)
        cause = cause.__cause__ or cause.__context__
    code = getattr(error, "error_code", None)
    return f"{title} does not take it ({', '.join(kinds)}{f', {code}' if isinstance(code, str) else ''})."


def _listened(ended: threading.Event) -> None:
    """Set ``ended`` when the run's process closes its end of the pipe, or has gone."""
    sys.stdin.buffer.read()
    ended.set()


def _watched(sender: Sender) -> None:
    """End the process where a tracker hangs and nobody is left who would."""
    sender.ended.wait()
    sender.moved = time.monotonic()
    while time.monotonic() - sender.moved < DEFAULTS.tracker_stalled_seconds:
        time.sleep(LOOK)
    os._exit(1)


def main(folder: str) -> int:
    """Exit code 0: all is sent; 1: something waits; ``ELSEWHERE``."""
    with suppress(OSError, AttributeError):
        os.nice(10)  # the run goes first
    spool, ended = Spool.open(Path(folder)), threading.Event()
    lock = take_lock(spool.folder, "sender")
    if lock is None:
        return ELSEWHERE
    sender = Sender(spool, ended)
    threading.Thread(target=_listened, args=(ended,), daemon=True).start()
    threading.Thread(target=_watched, args=(sender,), daemon=True).start()
    with lock:
        return 0 if sender.run() else 1


if __name__ == "__main__":
    code = main(sys.argv[1])
    os._exit(code)  # a client's own threads may hang
