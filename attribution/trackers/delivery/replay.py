"""What waits for trackers is sent, run by run."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from attribution.errors import AttributionError, BadFile
from attribution.trackers import find
from attribution.trackers.delivery.sender import ELSEWHERE
from attribution.trackers.delivery.session import started, stopped
from attribution.trackers.delivery.spool import FILE, Spool, default_folder, take_lock

WAIT = 600.0
"""Seconds that one run may take; the sender itself gives up a tracker that hangs."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """The state of one run: ``sent``, ``running`` (in another process) or ``waiting`` (``problem``: why)."""

    tracker: str
    name: str
    state: Literal["sent", "running", "waiting"]
    problem: str
    folder: Path

    @property
    def sentence(self) -> str:
        """For a person."""
        words = {"sent": "sent", "running": "still running, left alone", "waiting": f"waits in {self.folder}"}
        return (
            f"{self.tracker}: {self.name}: {words[self.state]}{f'. {self.problem}' if self.problem else '.'}"
        )


def replay(folder: str | os.PathLike[str] | None = None) -> tuple[Replayed, ...]:
    """Send the runs queued in a folder, by default that of ``track``, or the one it holds: each once.

    A run whose process was killed ends as killed. Raises ``BadFile`` where there is no such folder.
    """
    place = Path(folder or default_folder())
    if folder is not None and not place.is_dir():
        raise BadFile(f"There is no folder {place}.", "Please name one that runs were tracked to.")
    folders = [place] if (place / FILE).exists() else sorted(path.parent for path in place.glob(f"*/{FILE}"))
    spools = [Spool.open(path) for path in folders]
    return tuple(_replayed(spool) for spool in spools if spool.waits)


def _replayed(spool: Spool) -> Replayed:
    def report(state: Literal["sent", "running", "waiting"], problem: str = "") -> Replayed:
        return Replayed(spool.tracker, spool.run.name, state, problem, spool.folder)

    owner = take_lock(spool.folder, "owner")
    if owner is None:
        return report("running")
    owner.release()
    try:
        tracker = find(spool.tracker)
        tracker.check_installed()
        sender = started(tracker, spool)
    except (AttributionError, OSError) as error:
        return report("waiting", str(error))
    if stopped(sender, time.monotonic() + WAIT) == ELSEWHERE:
        return report("running")
    if spool.waits:
        return report("waiting", spool.sent.problem)
    spool.tidy()
    return report("sent")
