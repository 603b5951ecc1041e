"""The part of an engine that a run needs, answered by a server.

The journal is kept here, so that the server may forget everything.

No torch here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from types import SimpleNamespace
from typing import Any, Protocol

from attribution.errors import AttributionError, by_name
from attribution.fields import thaw
from attribution.methods import look_up
from attribution.models import tasks
from attribution.registry import Option, Value, check_options
from attribution.settings import DEFAULTS, Settings
from attribution.types import Attribution, Request

SENT = 64
"""Rows of one call: few enough for a request, enough for the server to share batches among them."""
SENT_CHARACTERS = 500_000
"""Characters of one call, some of which take several bytes."""

Found = list[tuple[int, Attribution | AttributionError]]


class Server(Protocol):
    """What answers: ``attribution.client.Client``."""

    def list_models(self) -> list[dict[str, Any]]: ...

    def list_methods(self) -> list[dict[str, Any]]: ...

    def stream(self, endpoint: str, cancelled: Callable[[], bool], **arguments: Any) -> Iterator[Any]: ...


class RemoteStore:
    """The models of a server, as the names that they have there."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def source(self, name: str, _task: str | None = None, _revision: str | None = None) -> str:
        """The name itself: task and revision go along with each request."""
        return name

    @contextmanager
    def lease(self, name: str) -> Iterator[Any]:
        """What is known of the model: its task, "" for one that the server does not list."""
        task = next((entry["task"] for entry in self.server.list_models() if entry["name"] == name), "")
        yield SimpleNamespace(task=task, gives=frozenset())


@dataclass(frozen=True)
class RemoteMethod:
    """A method as its server describes it: ``attribution.methods.Method``, as far as a run asks it.

    ``tasks`` are the names of the tasks that it explains.
    """

    name: str
    title: str
    aliases: tuple[str, ...]
    tasks: tuple[str, ...]
    options: tuple[Option, ...]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RemoteMethod:
        """From ``Method.to_dict``."""
        options = [{**option, "choices": tuple(option.get("choices", ()))} for option in data["options"]]
        return cls(
            data["name"],
            data["title"],
            tuple(data["aliases"]),
            tuple(data["tasks"]),
            tuple(Option(**option) for option in options),
        )

    def check_options(self, values: Mapping[str, object]) -> tuple[tuple[str, Value], ...]:
        """All options with their values, sorted by name. Raises ``BadOption``."""
        return check_options(self.name, self.options, values)

    def why_not(self, task: str, _gives: object = None) -> str | None:
        """Why this method does not work for a task, as a sentence; None where it does or may."""
        if not task or task in self.tasks:
            return None
        titles = " and ".join(tasks.of(name).title for name in self.tasks)
        return f"{self.title} explains {titles}, not {tasks.of(task).title}."


class RemoteEngine:
    """``attribution.engine.Engine``, as far as ``Run.steps`` asks it."""

    def __init__(self, settings: Settings, store: RemoteStore) -> None:
        self.settings, self.store = settings, store

    @classmethod
    def of(cls, server: Server) -> RemoteEngine:
        return cls(DEFAULTS, RemoteStore(server))

    def find_method(self, name: object) -> RemoteMethod:
        """The server's description of a method. Raises ``UnknownMethod``, ``BusyError``."""
        return look_up(name, self._methods)

    @cached_property
    def _methods(self) -> dict[str, RemoteMethod]:
        return {data["name"]: RemoteMethod.from_dict(data) for data in self.store.server.list_methods()}

    def for_batch(self) -> RemoteEngine:
        """Itself: time, cache and shared passes are the server's business."""
        return self

    def request(self, *positional: Any, **keywords: Any) -> Request:
        """What the server is asked, checked as far as can be told here.

        Raises an ``InputError`` or ``UnknownMethod``.
        """
        request = Request.of(*positional, **keywords).checked(self.settings)
        method = self.find_method(request.method)
        return replace(request, method=method.name, options=method.check_options(thaw(request.options)))

    def attribute_each(
        self, items: Iterable[Mapping[str, Any]], cancelled: Callable[[], bool] = lambda: False
    ) -> Iterator[Found]:
        """Answers as they come from the server: lists of (place among the items, answer).

        Raises ``BusyError`` where it is gone.
        """
        numbered = enumerate(items)
        waiting: list[tuple[int, Mapping[str, Any]]] = []
        while (rows := _some(waiting, numbered)) and not cancelled():
            sent = [_row(item) for _, item in rows]
            for step in map(json.loads, self.store.server.stream("/batch", cancelled, rows=sent)):
                if step["results"]:
                    yield [(rows[result["row"]][0], _answer(result)) for result in step["results"]]


def _some(waiting: list[tuple[int, Any]], numbered: Iterator[tuple[int, Any]]) -> list[tuple[int, Any]]:
    """The items of the next call; ``waiting`` holds the one that was too large for this."""
    items, size = waiting[:], sum(_size(item) for _, item in waiting)
    waiting.clear()
    for item in islice(numbered, SENT - len(items)):
        size += _size(item[1])
        if items and size > SENT_CHARACTERS:
            waiting.append(item)
            break
        items.append(item)
    return items


def _size(item: Mapping[str, Any]) -> int:
    return len(item["text"]) + len(item.get("second") or "")


def _row(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item as the endpoint takes it. A server has one revision of each model, so none is asked for."""
    listed = {name: list(value) if isinstance(value, tuple) else value for name, value in item.items()}
    return {name: value for name, value in listed.items() if value is not None and name != "revision"}


def _answer(result: Mapping[str, Any]) -> Attribution | AttributionError:
    if "attribution" in result:
        return Attribution.from_dict(result["attribution"])
    error = result["error"]
    return by_name(error["error"])(error["message"], error["hint"])
