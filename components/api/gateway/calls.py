"""What scripts send to Gradio's own routes, completed and checked before Gradio reads it.

Gradio answers a list with fewer values than parameters, an unknown or missing name, and an unknown endpoint
with an error that says nothing. Its documentation leaves out the values that have a default.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from attribution.errors import AttributionError, BadOption, InputError, quote
from attribution.request import read_fields
from attribution.request.signatures import default_of

from ..endpoint import Endpoint
from ..failures import refuse
from ..reading import parse_object

PREFIX = "/gradio_api/"
JOIN = "queue/join"
NAMED = "call/v2/"
LISTED = ("call/", "run/", "api/")

_NUMBER = re.compile(rb'"fn_index"\s*:\s*(\d{1,9})')


class UnknownEndpoint(InputError):
    """There is no such endpoint."""

    status = 404


class Calls:
    """ASGI middleware. ``numbers`` are the names of the endpoints by the number of their function."""

    def __init__(self, app: Any, endpoints: Sequence[Endpoint], numbers: Mapping[int, str]) -> None:
        self.app, self.numbers = app, numbers
        self.endpoints = {endpoint.name: endpoint for endpoint in endpoints}

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        path = scope["path"].rstrip("/").removeprefix(PREFIX) if scope["type"] == "http" else ""
        if not path.startswith((JOIN, *LISTED)) or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        raw = await _read(receive)
        if raw is None:
            return
        try:
            if path != JOIN or self._calls_endpoint(raw):
                raw = json.dumps(self.complete(path, parse_object(raw))).encode()
        except AttributionError as error:
            await refuse(send, error)
            return
        headers = [(name, value) for name, value in scope["headers"] if name != b"content-length"]
        length = (b"content-length", str(len(raw)).encode())
        message: dict[str, Any] | None = {"type": "http.request", "body": raw, "more_body": False}

        async def replay() -> Any:
            nonlocal message
            first, message = message, None
            return first or await receive()

        await self.app({**scope, "headers": [*headers, length]}, replay, send)

    def complete(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The body with all values that Gradio needs. Raises an ``InputError``."""
        if path.startswith(NAMED):
            _check_names(self._find(path.removeprefix(NAMED)), body)
            return body
        if body.get("fn_index") is None and path != JOIN:
            endpoint = self._find(path.split("/", 1)[1])
            if endpoint.streams and not path.startswith("call/"):
                raise BadOption(
                    f"/{endpoint.name} answers in several steps, of which this route has the first one only.",
                    f"Send the same to {PREFIX}call/{endpoint.name}, or use POST /api/{endpoint.name}.",
                )
        else:
            number: Any = body.get("fn_index")
            if not isinstance(number, int) or self.numbers.get(number) not in self.endpoints:
                return body
            endpoint = self.endpoints[self.numbers[number]]
        return {**body, "data": _complete_list(endpoint, body.get("data"))}

    def _calls_endpoint(self, raw: bytes) -> bool:
        """Whether a body may be a call of an endpoint. Most are the pages' own, and need not be parsed."""
        return any(self.numbers.get(int(number)) in self.endpoints for number in _NUMBER.findall(raw))

    def _find(self, name: str) -> Endpoint:
        if name not in self.endpoints:
            raise UnknownEndpoint("There is no such endpoint.", f"There are: {', '.join(self.endpoints)}.")
        return self.endpoints[name]


def _check_names(endpoint: Endpoint, body: dict[str, Any]) -> None:
    names = [field.name for field in endpoint.fields]
    needed = next((field.name for field in endpoint.fields if field.required), "")
    # Gradio's own field, which no endpoint takes.
    read_fields({name: value for name, value in body.items() if name != "oauth_token"}, names, needed)


def _complete_list(endpoint: Endpoint, values: object) -> list[Any]:
    """The values with the defaults of the further parameters."""
    names = [field.name for field in endpoint.fields]
    if not isinstance(values, list):
        raise InputError(
            "The field 'data' is missing." if values is None else f"data is {quote(values)}.",
            f"It must be a list of values in the order of {', '.join(names) or 'no parameters'}; "
            f"/gradio_api/call/v2/{endpoint.name} takes them by name.",
        )
    if len(values) > len(names):
        raise BadOption(
            f"data has {len(values)} values.",
            f"/{endpoint.name} takes {len(names)} at most: {', '.join(names)}." if names else "Send [].",
        )
    rest = endpoint.fields[len(values) :]
    if missing := next((field.name for field in rest if field.required), None):
        raise InputError(f"The value of '{missing}' is missing.", 'Send {"data": [...]}, with it first.')
    return [*values, *map(default_of, rest)]


async def _read(receive: Any) -> bytes | None:
    """The body of a request; None if the client has gone."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)
