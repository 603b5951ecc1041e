"""The JSON schema of the files that ``json`` writes, made from the type hints and docstrings of ``attribution.types``.

JSON Schema, draft 2020-12. ``python -m docs.generate`` writes it to ``docs/schema/attribution-1.json``. What
it allows is read; the shape of ``scores`` and ``errors``, [outputs, inputs], is checked by the reader alone.
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


def schema() -> dict[str, Any]:
    """The schema of one result and of several: the document's own ``schema`` says which."""
    known: dict[str, dict[str, Any]] = {}
    one = _type(Attribution, known)
    known["Attribution"]["properties"] = {"schema": {"const": SCHEMA}, **known["Attribution"]["properties"]}
    known["Attribution"]["required"].insert(0, "schema")
    known["Attributions"] = {
        "type": "object",
        "description": "Several results of one file.",
        "properties": {
            "schema": {"const": SEVERAL},
            "attributions": {"type": "array", "items": one, "minItems": 1},
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
        "else": one,
        "$defs": dict(sorted(known.items())),
    }


def _type(hint: Any, known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A type hint as a schema; a dataclass becomes a reference to its definition, which is added to ``known``."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint == TaskName:
        return {"enum": list(list_tasks())}
    if hint in _PLAIN:
        return _PLAIN[hint]
    if is_dataclass(hint):
        name = typing.cast(type, hint).__name__
        if name not in known:
            known[name] = {}
            known[name].update(_request(known) if hint is Request else _class(hint, known))
        return {"$ref": f"#/$defs/{name}"}
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_type(argument, known) for argument in arguments]}
    assert origin is tuple and arguments[1:] == (...,), hint
    item = arguments[0]
    if typing.get_origin(item) is tuple:  # pairs of a name and a value
        return {"type": "object", "additionalProperties": _type(typing.get_args(item)[1], known)}
    return {"type": "array", "items": _type(item, known)}


def _request(known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A request as ``Request.record`` writes it.

    Subjects, which have a plural, are always there; files of older versions have fewer others.
    """
    fields = request.fields()
    apart = {name: field for name, field in fields.items() if name not in ("target", *Target.__slots__)}
    properties = {
        name: {
            **_type(field.kind.wire | None if field.default is None else field.kind.wire, known),
            "description": field.help,
        }
        for name, field in apart.items()
        if name != "options"
    }
    properties["target"] = _type(Target, known)
    properties["options"] = {
        "type": "object",
        "additionalProperties": _type(Option, known),
        "description": fields["options"].help,
    }
    return {
        "type": "object",
        "description": _documented(Request)[0],
        "properties": properties,
        "required": [name for name, field in apart.items() if field.kind.several],
        "additionalProperties": False,
    }


def _class(kind: Any, known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A dataclass as an object. A field with a default may be missing: files of older versions have fewer."""
    said, parameters = _documented(kind)
    hints = typing.get_type_hints(kind, include_extras=True)
    properties = {
        field.name: {
            **_type(hints[field.name], known),
            **({"description": parameters[field.name]} if field.name in parameters else {}),
        }
        for field in fields(kind)
    }
    required = [
        field.name for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING
    ]
    return {
        "type": "object",
        "description": said,
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _documented(kind: Any) -> tuple[str, dict[str, str]]:
    """The class's docstring without markup, and what its list of parameters says of each field."""
    text, _, listed = (inspect.getdoc(kind) or "").replace("``", "`").partition("\nParameters\n")
    return " ".join(text.split()), {name: " ".join(said.split()) for name, said in _PARAMETER.findall(listed)}
