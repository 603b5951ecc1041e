"""Endpoints in Gradio's queue: typed functions whose parameters are described for clients and agents.

No ``from __future__ import annotations`` here: Gradio reads the types of endpoints as they stand.
"""

import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from inspect import Parameter, Signature
from typing import Any

import gradio as gr
from gradio.context import get_blocks_context

from attribution.request import Field
from attribution.request.signatures import default_of
from attribution.settings import Settings

from .endpoint import Endpoint
from .failures import as_gradio_errors


def declare(
    endpoint: Endpoint,
    answer: Callable[..., Any],
    settings: Settings,
    *,
    limit: int | None = None,
    group: str | None = None,
) -> None:
    """Declare the endpoint in the queue of a ``gr.Blocks``; ``answer`` takes a body, if there are fields.

    Call this before any page is built: Gradio silently renames an endpoint whose name is taken. ``limit``
    requests of the endpoints of a ``group`` are answered at the same time; without a limit none waits.
    """
    dependency = gr.api(
        _make_function(endpoint, answer),
        api_name=endpoint.name,
        queue=limit is not None,
        concurrency_limit=limit,
        concurrency_id=group,
    )
    blocks = get_blocks_context()
    assert blocks is not None
    inputs = [blocks.blocks[number] for number in dependency["inputs"]]
    for component, (name, schema) in zip(
        inputs, endpoint.schema(settings)["properties"].items(), strict=True
    ):
        _describe_component(component, name, describe(schema))
    (number,) = dependency["outputs"]
    output: Any = blocks.blocks[number]
    schema = output.api_info() or {"type": "object", "additionalProperties": {}}  # Gradio reads no iterators
    _describe_component(output, endpoint.name, {**schema, "description": endpoint.returns})


def describe(field: dict[str, Any]) -> dict[str, Any]:
    """The schema of a field of a body as that of a parameter, which names a single ``type``.

    Agents read no union of types. A string stands for one that contains it: ``read`` parses numbers in it.
    """
    schema: dict[str, Any] = _simplify(field)
    alternatives = [entry for entry in schema.pop("anyOf", ()) if entry != {"type": "null"}]
    if len(alternatives) == 1 and "anyOf" not in alternatives[0]:
        schema = {**alternatives[0], **schema}
    schema.setdefault("type", "string")
    if schema.get("default", "") is None:
        del schema["default"]
    # Gradio shows the latter; clients that read JSON schema look for the former.
    return {**schema, "additional_description": schema["description"]}


def read(endpoint: Endpoint, values: Sequence[Any]) -> dict[str, Any]:
    """The body of the parameters' values, without those that are the default."""
    return {
        field.name: field.kind.convert(value)
        for field, value in zip(endpoint.fields, values, strict=True)
        if value != default_of(field)
    }


def _simplify(schema: Any) -> Any:
    """The same schema without what Gradio does not read: lists of types, and lists of anything."""
    if isinstance(schema, list):
        return [_simplify(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    if isinstance(schema.get("type"), list):
        rest = {name: value for name, value in schema.items() if name != "type"}
        return _simplify({"anyOf": [{"type": name} for name in schema["type"]], **rest})
    more: dict[str, Any] = {"items": {}} if schema.get("type") == "array" else {}
    return {**more, **{name: _simplify(value) for name, value in schema.items()}}


def _describe_component(component: Any, label: str, schema: dict[str, Any]) -> None:
    component.label = label
    component.api_info = lambda: schema


def _make_function(endpoint: Endpoint, answer: Callable[..., Any]) -> Callable[..., Any]:
    """The function that Gradio calls, with the endpoint's fields as its parameters."""
    parameters = [_parameter(field) for field in endpoint.fields]

    def arguments(values: Sequence[Any]) -> list[dict[str, Any]]:
        return [read(endpoint, values)] if endpoint.fields else []

    def stream(*values: Any) -> Iterator[Any]:
        with as_gradio_errors():
            yield from answer(*arguments(values))

    def respond(*values: Any) -> Any:
        with as_gradio_errors():
            return answer(*arguments(values))

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
