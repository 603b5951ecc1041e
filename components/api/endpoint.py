"""An endpoint: its fields, and what follows from them: body, JSON schema, function in Gradio's queue.

No ``from __future__ import annotations`` here: Gradio reads the types of endpoints as they stand.
"""

import functools
import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter, Signature
from typing import Any

import gradio as gr
from fastapi import Request, Response
from fastapi.routing import APIRoute

from attribution.request import Field, fields, read_fields
from attribution.request.kinds import freeze
from attribution.request.signatures import default_of
from attribution.settings import Settings

from .failures import as_gradio_errors, as_http_errors
from .fields import method_names


@dataclass(frozen=True)
class Endpoint:
    """The name and the fields of an endpoint, the same in the queue and over REST.

    Parameters
    ----------
    summary, returns : one line of documentation each.
    needed : the field that is required in every body.
    fields : in the order of the queue's parameters.
    """

    name: str
    summary: str
    returns: str
    needed: str
    fields: tuple[Field, ...]

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

    def declare(self, answer: Callable[[dict[str, Any]], Any], *, limit: int, group: str) -> None:
        """Declare the endpoint in the queue of a ``gr.Blocks``; ``answer`` takes a body.

        Call this before any page is built: Gradio silently renames an endpoint whose name is taken. ``limit``
        requests of the endpoints of a ``group`` are answered at the same time.
        """
        gr.api(
            _make_queue_function(self, answer),
            api_name=self.name,
            concurrency_limit=limit,
            concurrency_id=group,
        )

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


def _make_queue_function(endpoint: Endpoint, answer: Callable[[dict[str, Any]], Any]) -> Callable[..., Any]:
    """The function that Gradio calls, with the endpoint's fields as its parameters."""
    parameters = [_parameter(field) for field in endpoint.fields]

    def read(values: Sequence[Any]) -> dict[str, Any]:
        pairs = zip(parameters, values, strict=True)
        return {parameter.name: value for parameter, value in pairs if value != parameter.default}

    def stream(*values: Any) -> Iterator[Any]:
        with as_gradio_errors():
            yield from answer(read(values))

    def respond(*values: Any) -> Any:
        with as_gradio_errors():
            return answer(read(values))

    call: Callable[..., Any] = stream if inspect.isgeneratorfunction(answer) else respond
    returns = inspect.signature(answer).return_annotation
    functools.update_wrapper(call, answer)
    del call.__dict__["__wrapped__"]
    call.__name__ = endpoint.name
    call.__doc__ = _document(endpoint)
    call.__signature__ = Signature(parameters, return_annotation=returns)  # type: ignore[attr-defined]
    call.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": returns}
    return call


def _parameter(field: Field) -> Parameter:
    default = default_of(field)
    wire = field.kind.wire
    hint = wire | None if default is None else wire
    return Parameter(field.name, Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=hint)


def _document(endpoint: Endpoint) -> str:
    """The docstring, in the style that Gradio parses."""
    arguments = "".join(f"    {field.name}: {field.help}\n" for field in endpoint.fields)
    return f"{endpoint.summary}.\n\nArgs:\n{arguments}\nReturns:\n    {endpoint.returns}\n"
