"""The JSON schema of the files that ``json`` writes, built from the types in ``attribution.types``.

It follows JSON Schema, draft 2020-12; ``python -m docs.generate`` writes it to
``docs/schema/attribution-1.json``. The reader accepts what the schema allows, but also checks the shape of
``scores`` and ``errors``, [outputs, inputs].
"""

from __future__ import annotations

import inspect
import re
import types
import typing
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

import numpy as np

from attribution import request
from attribution.export.json import SEVERAL
from attribution.models.tasks import list_tasks
from attribution.request import Request, Target
from attribution.types import SCHEMA, Attribution, Option, TaskName

_PLAIN: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    type(None): {"type": "null"},
    np.ndarray: {"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
}
_PARAMETER = re.compile(r"^(\w+) : (.*(?:\n    .*)*)", re.MULTILINE)


def build_schema() -> dict[str, Any]:
    """Build the schema of one result or several; the member ``schema`` of a document tells which."""
    definitions: dict[str, dict[str, Any]] = {}
    attribution = _type_schema(Attribution, definitions)
    definitions["Attribution"]["properties"] = {
        "schema": {"const": SCHEMA},
        **definitions["Attribution"]["properties"],
    }
    definitions["Attribution"]["required"].insert(0, "schema")
    definitions["Attributions"] = {
        "type": "object",
        "description": "Several results of one file.",
        "properties": {
            "schema": {"const": SEVERAL},
            "attributions": {"type": "array", "items": attribution, "minItems": 1},
        },
        "required": ["schema", "attributions"],
        "additionalProperties": False,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Attributions of the Attribution Visualization Tool",
        "description": "Which tokens drive a language model's prediction: one result, or several in a list.",
        "if": {"type": "object", "properties": {"schema": {"const": SEVERAL}}, "required": ["schema"]},
        "then": {"$ref": "#/$defs/Attributions"},
        "else": attribution,
        "$defs": dict(sorted(definitions.items())),
    }


def _type_schema(hint: Any, definitions: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The schema of a type hint; a dataclass becomes a reference and is added to ``definitions``."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint == TaskName:
        return {"enum": list(list_tasks())}
    if hint in _PLAIN:
        return _PLAIN[hint]
    if is_dataclass(hint):
        name = typing.cast(type, hint).__name__
        if name not in definitions:
            definitions[name] = {}
            definitions[name].update(
                _request_schema(definitions) if hint is Request else _class_schema(hint, definitions)
            )
        return {"$ref": f"#/$defs/{name}"}
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_type_schema(argument, definitions) for argument in arguments]}
    assert origin is tuple and arguments[1:] == (...,), hint
    item = arguments[0]
    if typing.get_origin(item) is tuple:  # pairs of a name and a value
        return {"type": "object", "additionalProperties": _type_schema(typing.get_args(item)[1], definitions)}
    return {"type": "array", "items": _type_schema(item, definitions)}


def _request_schema(definitions: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The schema of a request as ``Request.record`` writes it.

    Fields that have a plural form are required; files of older versions may lack others.
    """
    fields = request.fields()
    members = {name: field for name, field in fields.items() if name not in ("target", *Target.__slots__)}
    properties = {
        name: {
            **_type_schema(field.kind.wire | None if field.default is None else field.kind.wire, definitions),
            "description": field.help,
        }
        for name, field in members.items()
        if name != "options"
    }
    properties["target"] = _type_schema(Target, definitions)
    properties["options"] = {
        "type": "object",
        "additionalProperties": _type_schema(Option, definitions),
        "description": fields["options"].help,
    }
    return {
        "type": "object",
        "description": _parse_docstring(Request)[0],
        "properties": properties,
        "required": [name for name, field in members.items() if field.kind.several],
        "additionalProperties": False,
    }


def _class_schema(cls: Any, definitions: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The schema of a dataclass; fields with defaults are optional, as files of older versions lack some."""
    description, parameters = _parse_docstring(cls)
    hints = typing.get_type_hints(cls, include_extras=True)
    properties = {
        field.name: {
            **_type_schema(hints[field.name], definitions),
            **({"description": parameters[field.name]} if field.name in parameters else {}),
        }
        for field in fields(cls)
    }
    required = [
        field.name for field in fields(cls) if field.default is MISSING and field.default_factory is MISSING
    ]
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _parse_docstring(cls: Any) -> tuple[str, dict[str, str]]:
    """Parse a docstring: the text before its parameters without markup, and the text of each parameter."""
    text, _, parameter_list = (inspect.getdoc(cls) or "").replace("``", "`").partition("\nParameters\n")
    return " ".join(text.split()), {
        name: " ".join(description.split()) for name, description in _PARAMETER.findall(parameter_list)
    }
