"""An endpoint: its fields, and what follows from them: body, JSON schema, REST route.

``components.api.queue`` puts it into Gradio's queue.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from attribution.request import Field, fields, read_fields
from attribution.request.kinds import freeze
from attribution.settings import Settings

from .failures import as_http_errors
from .fields import method_names


@dataclass(frozen=True)
class Endpoint:
    """The name and the fields of an endpoint, the same in the queue and over REST.

    Parameters
    ----------
    summary, returns : one line of documentation each.
    needed : the field that is required in every body; "" without fields.
    fields : in the order of the queue's parameters.
    streams : whether the queue answers with several objects, one after the other.
    """

    name: str
    summary: str
    returns: str
    needed: str = ""
    fields: tuple[Field, ...] = ()
    streams: bool = False

    def read(self, body: object, settings: Settings) -> dict[str, Any]:
        """The values of a JSON object by field, checked.

        Raises ``InputError`` for a missing field or a text that is not allowed, ``BadOption`` for an unknown
        field or any other value that is not allowed.
        """
        values = read_fields(body, [field.name for field in self.fields], self.needed)
        return self.check(values, settings)

    def check(self, values: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
        """The values as the library takes them. Raises an ``InputError``."""
        by_name = {field.name: field for field in self.fields}
        return {
            # The fields of a request are frozen, as in ``Request``: its models and options can be hashed.
            name: by_name[name].check(
                freeze(value) if fields().get(name) == by_name[name] else value, settings
            )
            for name, value in values.items()
        }

    def schema(self, settings: Settings) -> dict[str, Any]:
        """JSON schema of the body."""
        properties = {field.name: field.schema(settings) for field in self.fields}
        if "method" in properties:
            properties["method"]["enum"] = method_names()
        required = [self.needed] if any(f.name == self.needed and f.required for f in self.fields) else []
        return {
            "type": "object",
            "required": required,
            "additionalProperties": False,
            "properties": properties,
        }

    def route(self, handler: Callable[[Request], Awaitable[Response]], settings: Settings) -> APIRoute:
        """``POST /api/NAME``."""
        return post(f"/api/{self.name}", handler, summary=self.summary, schema=self.schema(settings))


def post(
    path: str,
    handler: Callable[[Request], Awaitable[Response]],
    *,
    summary: str = "",
    schema: dict[str, Any] | None = None,
) -> APIRoute:
    """A REST route whose errors are HTTP statuses. Without a schema it is for the pages, undocumented."""
    if schema is None:
        return APIRoute(path, as_http_errors(handler), methods=["POST"], include_in_schema=False)
    described = {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
    return APIRoute(path, as_http_errors(handler), methods=["POST"], openapi_extra=described, summary=summary)
