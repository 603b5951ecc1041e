"""Send what waits for experiment trackers, or list them.

python -m attribution track --replay
python -m attribution track --replay runs/reviews/track
python -m attribution track --list
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from attribution.errors import BadOption, nearest, quote


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--replay",
        nargs="?",
        const="",
        metavar="FOLDER",
        help="send what waits there, or where runs wait by default",
    )
    what.add_argument("--list", action="store_true", help="every tracker with its settings")


def run(asked: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Exit code 0: nothing waits any more; 1: something does."""
    from attribution.trackers import replay

    if asked.list:
        sys.stdout.write("\n".join(_listed()) + "\n")
        return 0
    found = replay(asked.replay or None)
    sys.stdout.write("\n".join(one.sentence for one in found) + "\n" if found else "Nothing waits.\n")
    return 1 if any(one.state == "waiting" for one in found) else 0


def add_track(parser: argparse.ArgumentParser) -> None:
    """The arguments of a command whose run can be tracked; ``settings`` reads them."""
    parser.add_argument(
        "--track",
        metavar="TRACKER",
        help="log the run there, e.g. mlflow; see python -m attribution track --list",
    )
    parser.add_argument(
        "--track-option", action="append", default=[], metavar="NAME=VALUE", help="a setting of the tracker"
    )


def settings(asked: argparse.Namespace) -> dict[str, Any]:
    """The tracker's settings as they were written. Raises ``UnknownTracker``, ``NotInstalled``, ``BadOption``: before anything is computed."""
    from attribution.trackers import find

    tracker = find(asked.track)
    tracker.check_installed()
    known = [option.name for option in tracker.options]
    found = {}
    for item in asked.track_option:
        name, equals, value = item.partition("=")
        if not equals:
            raise BadOption(
                f"--track-option is {quote(item)}.", "It must be NAME=VALUE, such as experiment=reviews."
            )
        if name not in known:
            raise BadOption(f"{tracker.title} has no setting {quote(name)}.", nearest(name, known))
        found[name] = value
    return tracker.check_options(found)


def _listed() -> list[str]:
    from attribution.trackers import list_trackers

    lines = []
    for tracker in list_trackers().values():
        lines.append(
            f"{tracker.name}: {tracker.summary} pip install {tracker.package}; sign in by {tracker.sign_in}."
        )
        lines += [f"    --track-option {o.name}={o.default} {o.help}".rstrip() for o in tracker.options]
    return lines
