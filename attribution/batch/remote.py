"""An engine for runs whose attributions are computed by a server.

The journal is local: the server stores nothing. This module does not need torch.
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

from attribution.errors import AttributionError, error_class
from attribution.methods import look_up
from attribution.models import tasks
from attribution.registry import Option, Value, check_options
from attribution.request.kinds import thaw
from attribution.settings import DEFAULTS, Settings
from attribution.types import Attribution, Request

ROWS_PER_CALL = 64
"""Rows of one call: few enough for a request, enough for the server to batch them."""
CHARACTERS_PER_CALL = 500_000
"""Characters of one call; some take several bytes."""

Answers = list[tuple[int, Attribution | AttributionError]]


class Server(Protocol):
    """The part of ``attribution.client.Client`` that a run needs."""

    def list_models(self) -> list[dict[str, Any]]: ...

    def list_methods(self) -> list[dict[str, Any]]: ...

    def stream(self, endpoint: str, cancelled: Callable[[], bool], **arguments: Any) -> Iterator[Any]: ...


class RemoteStore:
    """The models of a server, by name."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def source(self, name: str, _task: str | None = None, _revision: str | None = None) -> str:
        """The name itself: task and revision are part of each request."""
        return name

    @contextmanager
    def lease(self, name: str) -> Iterator[Any]:
        """Context manager: an object with the model's task, "" for a model that the server does not list."""
        task = next((entry["task"] for entry in self.server.list_models() if entry["name"] == name), "")
        yield SimpleNamespace(task=task, gives=frozenset())


@dataclass(frozen=True)
class RemoteMethod:
    """A method as described by a server: the part of ``attribution.methods.Method`` that a run needs.

    ``tasks`` are the names of the supported tasks.
    """

    name: str
    title: str
    aliases: tuple[str, ...]
    tasks: tuple[str, ...]
    options: tuple[Option, ...]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RemoteMethod:
        """The inverse of ``Method.to_dict``."""
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

    def unsupported_reason(self, task: str, _gives: object = None) -> str | None:
        """A sentence on why the method does not support a task; None where it does or may."""
        if not task or task in self.tasks:
            return None
        titles = " and ".join(tasks.of(name).title for name in self.tasks)
        return f"{self.title} explains {titles}, not {tasks.of(task).title}."


class RemoteEngine:
    """The part of ``attribution.engine.Engine`` that ``Run.steps`` needs."""

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
        """The engine itself: deadlines, cache and batching are up to the server."""
        return self

    def request(self, *positional: Any, **keywords: Any) -> Request:
        """The request to the server, checked as far as possible without the model.

        Raises an ``InputError`` or ``UnknownMethod``.
        """
        request = Request.of(*positional, **keywords).checked(self.settings)
        method = self.find_method(request.method)
        return replace(request, method=method.name, options=method.check_options(thaw(request.options)))

    def attribute_each(
        self, items: Iterable[Mapping[str, Any]], cancelled: Callable[[], bool] = lambda: False
    ) -> Iterator[Answers]:
        """Yield answers as they arrive from the server: lists of (place among the items, answer).

        Raises ``BusyError`` where the server is unavailable.
        """
        numbered = enumerate(items)
        waiting: list[tuple[int, Mapping[str, Any]]] = []
        while (rows := _take_items(waiting, numbered)) and not cancelled():
            sent_rows = [_build_row(item) for _, item in rows]
            received: set[int] = set()
            for step in self.store.server.stream("/batch", cancelled, rows=sent_rows):
                # The last step repeats all results. (Older servers send text.)
                results = (json.loads(step) if isinstance(step, str) else step)["results"]
                if new := [result for result in results if result["row"] not in received]:
                    received.update(result["row"] for result in new)
                    yield [(rows[result["row"]][0], _read_answer(result)) for result in new]


def _take_items(waiting: list[tuple[int, Any]], numbered: Iterator[tuple[int, Any]]) -> list[tuple[int, Any]]:
    """Take the items of the next call; one that does not fit is put into ``waiting``."""
    items, size = waiting[:], sum(_size(item) for _, item in waiting)
    waiting.clear()
    for item in islice(numbered, ROWS_PER_CALL - len(items)):
        size += _size(item[1])
        if items and size > CHARACTERS_PER_CALL:
            waiting.append(item)
            break
        items.append(item)
    return items


def _size(item: Mapping[str, Any]) -> int:
    return len(item["text"]) + len(item.get("second") or "")


def _build_row(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item in the format of the endpoint, without a revision: a server has one of each model."""
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in item.items()}
    return {name: value for name, value in values.items() if value is not None and name != "revision"}


def _read_answer(result: Mapping[str, Any]) -> Attribution | AttributionError:
    if "attribution" in result:
        return Attribution.from_dict(result["attribution"])
    error = result["error"]
    return error_class(error["error"])(error["message"], error["hint"])
