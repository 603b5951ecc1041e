"""Experiment trackers: log the settings and results of a run to MLflow, Weights & Biases and others.

Each tracker is one file, discovered automatically; other packages add trackers through the entry point group
``attribution.trackers``. ``track`` starts a ``Session``, which never raises into a run and never blocks it:
items are written to a folder on disk, and a separate process sends them from there. ``replay`` sends what
could not be sent, each run once.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, Protocol, get_args

from attribution import types
from attribution.errors import BadOption, NotInstalled, UnknownTracker, nearest, quote
from attribution.registry import Option, check_options, discover, options_of

Status = Literal["finished", "failed", "killed"]
STATUSES: tuple[Status, ...] = get_args(Status)
PASSWORD = re.compile(r"://[^/@]*:[^/@]*@")
"""A password in an address."""


class Refusal(Exception):
    """The tracker rejects this item for good: the item is counted, and sending continues with the next."""


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """A run for a tracker: ``id``, 32 hexadecimal digits, stays the same when it is sent again or resumed.

    ``started`` is in seconds since 1970; ``name`` is for display.
    """

    id: str
    name: str
    started: float


@dataclass(frozen=True, slots=True)
class Item:
    """An item to send: its number in the run from 0, its kind (the name of a session method), its time.

    ``data`` are plain JSON types: for parameters and figures ``values`` (and ``step``), for a table and an
    artifact ``name`` and ``file`` (and ``media_type``), for the end ``status``.
    """

    number: int
    kind: Literal["parameters", "figures", "table", "artifact", "finish"]
    time: float
    data: Mapping[str, Any]


class Connection(Protocol):
    """One run at a tracker.

    A call raises ``Refusal`` for an item that the tracker rejects, and any other exception where the tracker
    is unavailable.

    Sending the same items again changes nothing. ``lasting`` means that the tracker has stored the items of a
    call when it returns; otherwise only ``finish`` guarantees that.
    """

    lasting: bool

    def parameters(self, item: Item) -> None: ...

    def figures(self, items: Sequence[Item]) -> None: ...

    def table(self, item: Item, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None: ...

    def artifact(self, item: Item, path: str) -> None: ...

    def finish(self, status: Status) -> None: ...


@dataclass(frozen=True)
class Tracker:
    """One registered tracker.

    ``package`` must be installed; ``sign_in`` is where its client looks for a password or key;
    ``environment`` are variables of the sending process, which the user's own override.
    """

    name: str
    connect: Callable[..., Connection]
    title: str
    package: str
    summary: str
    sign_in: str
    options: tuple[Option, ...]
    environment: Mapping[str, str] = field(default_factory=dict)

    def check_options(self, values: Mapping[str, object]) -> dict[str, types.Option]:
        """All settings with their values. Raises ``BadOption``."""
        checked = dict(check_options(self.name, self.options, values))
        for name, value in checked.items():
            if PASSWORD.search(str(value)):
                raise BadOption(
                    f"{name} contains a password, which would be stored on disk.",
                    f"Please use {self.sign_in}.",
                )
        return checked

    def parse_options(self, items: Iterable[str]) -> dict[str, types.Option]:
        """All settings, with defaults for those not in ``items`` (``name=value``). Raises ``BadOption``."""
        names = [option.name for option in self.options]
        values: dict[str, object] = {}
        for item in items:
            name, equals, value = item.partition("=")
            if not equals:
                raise BadOption(
                    f"The setting {quote(item)} of {self.title} has no value.",
                    "It must be NAME=VALUE, such as experiment=reviews.",
                )
            if name not in names:
                raise BadOption(f"{self.title} has no setting {quote(name)}.", nearest(name, names))
            values[name] = value
        return self.check_options(values)

    def check_installed(self) -> None:
        """Raise ``NotInstalled`` where the client's package is missing."""
        if importlib.util.find_spec(self.package) is None:
            raise NotInstalled(
                f"{self.title} is not installed here.", f"Please install it: pip install {self.package}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, for the documentation."""
        plain = {name: getattr(self, name) for name in ("name", "title", "package", "summary", "sign_in")}
        return {
            **plain,
            "options": [option.to_dict() for option in self.options],
            "reference": inspect.getdoc(self.connect) or "",
        }


def tracker(
    *, title: str, package: str, summary: str, sign_in: str, environment: Mapping[str, str] | None = None
) -> Callable[[Callable[..., Connection]], Tracker]:
    """Decorator: make a function ``(run: TrackedRun, *, settings...) -> Connection`` a ``Tracker``."""

    def register(function: Callable[..., Connection]) -> Tracker:
        return Tracker(
            name=function.__name__,
            connect=function,
            title=title,
            package=package,
            summary=summary,
            sign_in=sign_in,
            options=options_of(function),
            environment=dict(environment or {}),
        )

    return register


@cache
def list_trackers() -> Mapping[str, Tracker]:
    """Every tracker by name: first the project's own in alphabetical order, then those of other packages.

    The trackers' clients are not imported.
    """
    return discover(__name__, Tracker)


def find(name: object) -> Tracker:
    """The tracker of that name. Raises ``UnknownTracker`` with the nearest name."""
    trackers = list_trackers()
    wanted = name.strip().lower() if isinstance(name, str) else ""
    if wanted not in trackers:
        raise UnknownTracker(f"There is no tracker {quote(name)}.", nearest(name, trackers))
    return trackers[wanted]


def __getattr__(name: str) -> Any:
    homes = {
        "Session": "session",
        "SessionStatus": "session",
        "track": "session",
        "ReplayStatus": "replay",
        "replay": "replay",
        "log_attribution": "results",
        "log_evaluation": "results",
        "log_plan": "results",
        "log_progress": "results",
        "log_run": "results",
    }
    if name in homes:
        return getattr(importlib.import_module(f"{__name__}.delivery.{homes[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
