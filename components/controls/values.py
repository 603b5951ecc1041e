"""The values of a page's controls as a request; and the same in the browser, for files and links."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from attribution.models.targets.labels import EVERY
from attribution.request import Request, fields
from attribution.request.kinds import OptionValues, Positions
from attribution.settings import Unnamed

ITSELF = NOTHING = ""
"""The choice that stands for no target or no contrast."""
EVERYTHING = EVERY
POSITION_HELP = (
    "Which token: a number counting from 0, several separated by commas, or 'sequence' for the whole "
    "generated text. Empty: all."
)
CONTINUATION_HELP = "Explain this text instead of what the model would generate."
MOST_BESIDE = 5
"""The maximum number of methods that are compared with the chosen one."""


@dataclass(frozen=True)
class PageRequest:
    """The request of a page, and the names of the methods to compare with its own."""

    request: Request
    beside: tuple[str, ...] = ()

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> "PageRequest":
        """From the controls' values by name, options as ``method.option``. The engine checks the values."""
        method = values["method"]
        if values.get("own") == "":  # the page proposed it
            method = Unnamed(method)
        request = Request(
            text=values["text"],
            model=values["model"],
            method=method,
            options=options_of(method, values),  # type: ignore[arg-type]  # a mapping becomes pairs
            **target_arguments(values),
        )
        beside = tuple(name for name in values.get("beside") or () if name != method)[:MOST_BESIDE]
        return cls(request, beside)

    def of_method(self, name: str) -> Request:
        """The same request of another method, with default options: those of the page belong to its own."""
        return replace(self.request, method=name, options=())


def options_of(method: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a method among the values of a page."""
    return {name.partition(".")[2]: value for name, value in values.items() if name.startswith(f"{method}.")}


def target_arguments(values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a request that a page has controls for, as keywords of the engine.

    Without text, models, methods and their options, which every page passes on in its own way. An empty
    control stands for the default.
    """
    return {
        name: field.kind.convert(values[name])
        for name, field in fields().items()
        if not field.kind.several and not isinstance(field.kind, OptionValues)
        if values.get(name) not in (None, "", [])
    }


def in_browser(function: str, names: Sequence[str], *first: str) -> str:
    """A handler that calls a function of ``static/address.js`` with ``first`` and the controls' values."""
    positions = [name for name in names if name in fields() and isinstance(fields()[name].kind, Positions)]
    named = f"AttributionAddress.named({json.dumps(list(names))}, values, {json.dumps(positions)})"
    arguments = "".join(f"{json.dumps(argument)}, " for argument in first)
    return f"(...values) => AttributionAddress.{function}({arguments}{named})"
