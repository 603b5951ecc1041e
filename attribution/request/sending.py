"""A request as it is sent to a server: fields that differ from the default, in JSON types."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import Any

from attribution.errors import BadOption, UnknownModel, describe
from attribution.request import Model, Request, fields
from attribution.request.kinds import freeze
from attribution.settings import DEFAULTS


def body_of(request: Request) -> dict[str, Any]:
    """The non-default fields of a request in JSON types.

    Raises the errors of the library for values of a wrong type, and ``BadOption`` for a loaded model. Texts
    may be longer than here: the server decides.
    """
    named = replace(request, model=name_of(request.model))
    body = named.checked(_UNLIMITED).to_dict(defaults=False)
    return {name: sendable(name, value) for name, value in body.items()}


_UNLIMITED = replace(DEFAULTS, max_characters=sys.maxsize, max_new_tokens=sys.maxsize)


def sendable(name: str, value: Any) -> Any:
    """A value in JSON types, without halves of surrogate pairs. Raises ``BadOption`` where there is none."""
    if isinstance(value, dict):
        return {sendable(name, key): sendable(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [sendable(name, item) for item in value]
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if value is None or (isinstance(value, int | float) and abs(value) < sys.float_info.max):
        return value
    raise BadOption(
        f"{name} is {describe(value)}, which cannot be sent to a server.",
        "It must be a text, a number, true or false, or a list or mapping of them.",
    )


def name_of(model: Model) -> str:
    """The name to send for a model. Raises ``BadOption`` for a loaded model, ``UnknownModel`` otherwise."""
    if not isinstance(model, str | os.PathLike):
        fields()["model"].check(freeze(model), DEFAULTS)
        if not hasattr(model, "info"):
            raise UnknownModel(f"model is {describe(model)}.", "It must be a name: see list_models().")
        raise BadOption(
            f"model is {describe(model)}, which cannot be sent to a server.",
            "Name a model of the server: see list_models().",
        )
    name: str = sendable("model", os.fspath(model))
    return name
