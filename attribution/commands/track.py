"""Send what is still queued for experiment trackers, or list the trackers.

python -m attribution track --replay
python -m attribution track --replay runs/reviews/track
python -m attribution track --list
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument(
        "--replay",
        nargs="?",
        const="",
        metavar="FOLDER",
        help="send what is queued in that folder, by default in the default folder",
    )
    action.add_argument("--list", action="store_true", help="every tracker with its settings")


def run(arguments: argparse.Namespace, _environment: Mapping[str, str]) -> int:
    """Send or list. Exit code 0: nothing is left in the queue; 1: something is."""
    from attribution.trackers import replay

    if arguments.list:
        sys.stdout.write("\n".join(_describe_trackers()) + "\n")
        return 0
    replays = replay(arguments.replay or None)
    sentences = [entry.sentence for entry in replays] or ["Nothing is queued."]
    sys.stdout.write("\n".join(sentences) + "\n")
    return 1 if any(entry.state == "waiting" for entry in replays) else 0


def add_tracker_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the tracker arguments of a command; ``read_settings`` reads them."""
    parser.add_argument(
        "--track",
        metavar="TRACKER",
        help="log the run there, e.g. mlflow; see python -m attribution track --list",
    )
    parser.add_argument(
        "--track-option", action="append", default=[], metavar="NAME=VALUE", help="a setting of the tracker"
    )


def read_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """The tracker's settings, checked before anything is computed.

    Raises ``UnknownTracker``, ``NotInstalled``, ``BadOption``.
    """
    from attribution.trackers import find

    tracker = find(arguments.track)
    tracker.check_installed()
    return dict(tracker.parse_options(arguments.track_option))


def _describe_trackers() -> list[str]:
    from attribution.trackers import list_trackers

    lines = []
    for tracker in list_trackers().values():
        lines.append(
            f"{tracker.name}: {tracker.summary} pip install {tracker.package}; sign in by {tracker.sign_in}."
        )
        lines += [f"    --track-option {o.name}={o.default} {o.help}".rstrip() for o in tracker.options]
    return lines
