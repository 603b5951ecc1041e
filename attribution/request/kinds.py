"""The kinds of values in a request: how each is checked, described as JSON schema, and parsed from text.

Kinds share one interface, of which some ignore an argument.
"""

from __future__ import annotations

import os
from collections.abc import KeysView, Mapping, Sequence, Set, ValuesView
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

from attribution.errors import BadOption, InputError, describe, nearest, quote
from attribution.request.values import check_depth, to_python
from attribution.settings import Settings
from attribution.text import clean

MANY = 64
"""The maximum number of labels or positions in a request."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A field of a request, apart from its name, type and default.

    Parameters
    ----------
    help : text for ``help()``, the schema of the endpoints and the command line.
    several : the parameter's name in functions that take several values of this field, such as ``models``.
    """

    help: str
    several: str = ""

    @property
    def wire(self) -> Any:
        """The type of the value in JSON."""
        return str

    def check(self, name: str, value: Any, settings: Settings) -> Any:
        """The value as the engine takes it. Raises an ``InputError`` that says what is allowed."""
        return value

    def schema(self, settings: Settings) -> dict[str, Any]:
        """JSON schema of a value that is not null."""
        return {"type": "string"}

    def parse(self, written: str) -> Any:
        """The value of text from a command line, a control or a link.

        Text that cannot be parsed is returned as it is, for ``check`` to refuse.
        """
        return written

    def convert(self, value: Any) -> Any:
        """The value of a page's control as a value of this kind; text is parsed."""
        return self.parse(value) if isinstance(value, str) else value

    def argument(self) -> dict[str, Any]:
        """Keywords of ``ArgumentParser.add_argument`` other than the default and the help."""
        return {}


@dataclass(frozen=True, slots=True)
class Name(Kind):
    """A name, or with ``objects`` also a path or a model. It is looked up where it is used."""

    objects: bool = False

    def check(self, name: str, value: Any, settings: Settings) -> Any:
        is_data = value is None or isinstance(value, int | float | complex | bytes | tuple | Set)
        if is_data or not (self.objects or isinstance(value, str)):
            raise BadOption(f"{name} is {_describe(value)}.", f"It must be {self.help.replace('``', '')}")
        return value


@dataclass(frozen=True, slots=True)
class Text(Kind):
    """A text that a model reads."""

    def check(self, name: str, value: Any, settings: Settings) -> str:
        if not isinstance(value, str):
            raise InputError(f"{name} is {_describe(value)}.", "It must be a string.")
        return clean(value, settings.max_characters)


@dataclass(frozen=True, slots=True)
class Word(Kind):
    """A short text."""

    example: str = ""

    def check(self, name: str, value: Any, settings: Settings) -> str:
        if not isinstance(value, str):
            raise BadOption(f"{name} is {_describe(value)}.", f"It must be a word such as {self.example}.")
        return value


@dataclass(frozen=True, slots=True)
class Label(Kind):
    """A label's name or index."""

    @property
    def wire(self) -> Any:
        return str | int

    def check(self, name: str, value: Any, settings: Settings) -> str | int:
        if not isinstance(value, str) and not _is_index(value):
            raise BadOption(
                f"{name} is {_describe(value)}.", "It must be a label's name, its index, or nothing."
            )
        label: str | int = value
        return label

    def schema(self, settings: Settings) -> dict[str, Any]:
        return {"type": ["string", "integer"]}


@dataclass(frozen=True, slots=True)
class Labels(Kind):
    """A label's name or index, or several of them."""

    @property
    def wire(self) -> Any:
        return str | int | list[str | int]

    def check(self, name: str, value: Any, settings: Settings) -> str | int | tuple[str | int, ...]:
        labels = value if isinstance(value, tuple) else (value,)
        if not 1 <= len(labels) <= MANY:
            raise BadOption(f"{name} lists {len(labels)} labels.", f"It may list 1 to {MANY}.")
        for label in labels:
            if not isinstance(label, str) and not _is_index(label):
                raise BadOption(
                    f"{name} is {_describe(label)}.",
                    "It must be a label's name, its index, a list of them, or nothing.",
                )
        checked: str | int | tuple[str | int, ...] = value
        return checked

    def schema(self, settings: Settings) -> dict[str, Any]:
        items = {"type": ["string", "integer"]}
        return {"anyOf": [items, {"type": "array", "items": items, "minItems": 1, "maxItems": MANY}]}

    def argument(self) -> dict[str, Any]:
        return {"action": "append"}


@dataclass(frozen=True, slots=True)
class Positions(Kind):
    """A number from 0, several of them, or ``sequence``."""

    @property
    def wire(self) -> Any:
        return int | str | list[int]

    def check(self, name: str, value: Any, settings: Settings) -> int | tuple[int, ...] | Literal["sequence"]:
        positions = value if isinstance(value, tuple) else (value,)
        are_numbers = all(_is_index(position) and position >= 0 for position in positions)
        if (isinstance(value, str) and value == "sequence") or (are_numbers and 1 <= len(positions) <= MANY):
            checked: int | tuple[int, ...] | Literal["sequence"] = value
            return checked
        raise BadOption(
            f"{name} is {_show(value)}.",
            f"It must be a whole number from 0 up, a list of at most {MANY} of them, 'sequence', or nothing.",
        )

    def schema(self, settings: Settings) -> dict[str, Any]:
        number = {"type": "integer", "minimum": 0}
        several = {"type": "array", "items": number, "minItems": 1, "maxItems": MANY}
        return {"anyOf": [number, several, {"enum": ["sequence"]}]}

    def parse(self, written: str) -> Any:
        parts = [part.strip() for part in written.split(",") if part.strip()]
        if parts and all(part.isascii() and part.isdecimal() for part in parts):
            numbers = tuple(int(part[:9]) for part in parts)
            return numbers[0] if len(numbers) == 1 else numbers
        return written.strip() or None

    def argument(self) -> dict[str, Any]:
        return {"metavar": "POSITION"}


@dataclass(frozen=True, slots=True)
class Choice(Kind):
    """One of a fixed set of words."""

    choices: tuple[str, ...] = ()

    @property
    def wire(self) -> Any:
        return Literal[self.choices]

    def check(self, name: str, value: Any, settings: Settings) -> str:
        if not isinstance(value, str) or value not in self.choices:
            hint = f"It must be one of {', '.join(self.choices)}."
            close = nearest(value, self.choices)
            raise BadOption(
                f"{name} is {_show(value)}.", f"{hint} {close}" if close.startswith("Did") else hint
            )
        return str(value)

    def schema(self, settings: Settings) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.choices)}


@dataclass(frozen=True, slots=True)
class WholeNumber(Kind):
    """A whole number from ``minimum`` up to the limit that the settings call ``at_most``."""

    minimum: int = 0
    at_most: str = ""

    @property
    def wire(self) -> Any:
        return int

    def check(self, name: str, value: Any, settings: Settings) -> int:
        limit = getattr(settings, self.at_most)
        if isinstance(value, bool) or not isinstance(value, int) or not self.minimum <= value <= limit:
            raise BadOption(
                f"{name} is {_show(value)}.", f"It must be a whole number from {self.minimum} to {limit}."
            )
        return value

    def schema(self, settings: Settings) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.minimum, "maximum": getattr(settings, self.at_most)}

    def parse(self, written: str) -> Any:
        return int(written[:9]) if written.isascii() and written.isdecimal() else written

    def convert(self, value: Any) -> Any:
        # A slider may hold 16.0.
        return int(value) if isinstance(value, float) and isfinite(value) else Kind.convert(self, value)

    def argument(self) -> dict[str, Any]:
        return {"type": int}


@dataclass(frozen=True, slots=True)
class OptionValues(Kind):
    """A method's options by name; for several methods, mappings of options by the method's name."""

    @property
    def wire(self) -> Any:
        return dict[str, Any]

    def check(self, name: str, value: Any, settings: Settings) -> tuple[tuple[str, Any], ...]:
        if not is_pairs(value):
            raise BadOption(
                f"{name} is {_describe(value)}.",
                'It must map names to values, such as {"steps": 64}.',
            )
        checked: tuple[tuple[str, Any], ...] = value
        return checked

    def schema(self, settings: Settings) -> dict[str, Any]:
        return {"type": "object"}

    def argument(self) -> dict[str, Any]:
        return {"action": "append", "metavar": "[METHOD.]NAME=VALUE"}


def freeze(value: Any, depth: int = 0) -> Any:
    """Make a value hashable: lists become tuples, mappings sorted tuples of pairs, paths strings.

    Numbers and arrays of numpy, torch and pandas become Python's own first. Raises ``BadOption`` for a value
    that is nested too deeply, such as a list that contains itself.
    """
    check_depth(depth)
    value = to_python(value)
    if isinstance(value, Mapping):
        pairs = ((str(name), freeze(item, depth + 1)) for name, item in value.items())
        return tuple(sorted(pairs, key=lambda pair: pair[0]))
    if isinstance(value, list | tuple | range | KeysView | ValuesView):
        return tuple(freeze(item, depth + 1) for item in value)
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def is_pairs(value: object) -> bool:
    """Whether this is what ``freeze`` makes of a mapping. An empty tuple is."""
    return isinstance(value, tuple) and all(
        isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str) for pair in value
    )


def thaw(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Undo ``freeze`` for a mapping: pairs become a dictionary, nested ones too."""
    return {
        name: thaw(value) if isinstance(value, tuple) and is_pairs(value) else value for name, value in pairs
    }


def _is_index(value: object) -> bool:
    """Whether this is a whole number that can be an index."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def _describe(value: object) -> str:
    """What a frozen value is, as the caller knows it."""
    if isinstance(value, tuple) and not value:
        return "an empty list or mapping"
    return "a mapping" if is_pairs(value) else describe(value)


def _show(value: object) -> str:
    """A word or a number itself; what any other value is."""
    return quote(value, 40) if isinstance(value, str | int | float) else _describe(value)
