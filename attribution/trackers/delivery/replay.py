"""Send queued items to trackers, run by run."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from attribution.errors import AttributionError, BadFile
from attribution.trackers import find
from attribution.trackers.delivery.sender import ELSEWHERE
from attribution.trackers.delivery.session import start_sender, stop_sender
from attribution.trackers.delivery.spool import FILE, Spool, default_folder, take_lock

WAIT = 600.0
"""Seconds that one run may take; the sender gives up on a tracker that hangs."""


@dataclass(frozen=True, slots=True)
class ReplayStatus:
    """The state of one run: ``sent``, ``running`` (in another process) or ``waiting`` (``problem``: why)."""

    tracker: str
    name: str
    state: Literal["sent", "running", "waiting"]
    problem: str
    folder: Path

    @property
    def sentence(self) -> str:
        """The state in one sentence, for display."""
        words = {
            "sent": "sent",
            "running": "still running, left alone",
            "waiting": f"queued in {self.folder}",
        }
        return (
            f"{self.tracker}: {self.name}: {words[self.state]}{f'. {self.problem}' if self.problem else '.'}"
        )


def replay(folder: str | os.PathLike[str] | None = None) -> tuple[ReplayStatus, ...]:
    """Send each run queued in a folder once; the folder may also be that of a single run.

    The default folder is that of ``track``. A run whose process was killed ends as killed. Raises ``BadFile``
    where there is no such folder.
    """
    place = Path(folder or default_folder())
    if folder is not None and not place.is_dir():
        raise BadFile(f"There is no folder {place}.", "Please name a folder that runs were tracked to.")
    folders = [place] if (place / FILE).exists() else sorted(path.parent for path in place.glob(f"*/{FILE}"))
    spools = [Spool.open(path) for path in folders]
    return tuple(_replay_run(spool) for spool in spools if spool.waits)


def _replay_run(spool: Spool) -> ReplayStatus:
    def report(state: Literal["sent", "running", "waiting"], problem: str = "") -> ReplayStatus:
        return ReplayStatus(spool.tracker, spool.run.name, state, problem, spool.folder)

    owner = take_lock(spool.folder, "owner")
    if owner is None:
        return report("running")
    owner.release()
    try:
        tracker = find(spool.tracker)
        tracker.check_installed()
        sender = start_sender(tracker, spool)
    except (AttributionError, OSError) as error:
        return report("waiting", str(error))
    if stop_sender(sender, time.monotonic() + WAIT) == ELSEWHERE:
        return report("running")
    if spool.waits:
        return report("waiting", spool.sent.problem)
    spool.tidy()
    return report("sent")
