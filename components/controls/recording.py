"""Recording with the experiment tracker of the server's operator: only where there is one, and on request."""

import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from attribution.errors import AttributionError, BadOption, quote
from attribution.settings import Settings
from attribution.trackers import Status, Tracker, find, log_attribution, track
from attribution.trackers.delivery.session import Session
from attribution.types import Attribution, Option


@dataclass(frozen=True)
class Recorder:
    """A tracker with its settings."""

    tracker: Tracker
    options: Mapping[str, Option]
    seconds: float
    """How long a page waits until everything is sent."""

    @property
    def about(self) -> str:
        """Where a record is sent, for the visitor's consent."""
        place = self.options.get("experiment") or self.options.get("project")
        return f"{self.tracker.title}{f', {place}' if place else ''}. Your texts are sent there too."

    @property
    def failure(self) -> str:
        """The message that nothing was recorded."""
        return f"It could not be saved for {self.tracker.title}."

    def session(self, name: str, key: str = "") -> Session | None:
        """Start a tracked run, None if not even the disk can hold it; see ``attribution.trackers.track``."""
        try:
            return track(self.tracker.name, name, key=key, **self.options)
        except (AttributionError, OSError):
            return None

    def record(self, result: Attribution) -> str:
        """Record one attribution as its own run. Returns a message for the visitor; never raises."""
        session = self.session(result.text[:60])
        if session is None:
            return self.failure
        log_attribution(session, result)
        return self.finish(session)

    def finish(self, session: Session, status: Status = "finished") -> str:
        """End a session. Returns a message for the visitor, without paths of this server."""
        outcome = session.finish(status, self.seconds)
        if outcome.lost:
            return f"{outcome.lost} of {outcome.total} parts could not be saved for {self.tracker.title}."
        if outcome.waiting:
            return (
                f"{self.tracker.title} is not reachable at the moment: "
                "the record waits on this server and is sent later."
            )
        return f"Recorded with {self.tracker.title}."

    def resend(self) -> None:
        """Send the unsent records of an earlier server, in another process."""
        subprocess.Popen(
            [sys.executable, "-m", "attribution", "track", "--replay"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


@cache
def recorder_of(settings: Settings) -> Recorder | None:
    """The recorder of ``settings.track``, None if that is empty.

    Raises ``UnknownTracker``, ``NotInstalled`` and ``BadOption``.
    """
    try:
        name, *items = shlex.split(settings.track) or [""]
    except ValueError as error:
        raise BadOption(f"The tracker is {quote(settings.track)}.", f"It cannot be read: {error}.") from error
    if not name:
        return None
    tracker = find(name)
    tracker.check_installed()
    return Recorder(tracker, tracker.parse_options(items), settings.tracker_finish_seconds)
