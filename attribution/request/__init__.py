"""The request: the single definition of every field, with its type, default, help, check and schema.

Library, client, REST, queue, command line, batch plans, links and pages are built from the fields of
``Request``: a new field is one line here, and its use in the engine. ``attribution.request.kinds`` defines
the kinds of values; ``attribution.request.signatures`` turns the fields into parameters of functions.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, Protocol, Self, get_args, get_type_hints

from attribution.errors import BadFile, BadOption, InputError, nearest, quote
from attribution.request import kinds
from attribution.request.kinds import freeze, is_pairs, thaw
from attribution.settings import DEFAULT_METHOD, DEFAULT_MODEL, DEFAULTS, Settings

Quantity = Literal["logit", "log_probability", "probability"]
Label = str | int
Position = int | tuple[int, ...] | Literal["sequence"]
QUANTITIES: tuple[str, ...] = get_args(Quantity)


class LoadedModel(Protocol):
    """A model returned by ``attribution.load``; ``info`` is a ``ModelInfo``."""

    info: Any


Model = str | os.PathLike[str] | LoadedModel
Labels = Label | Sequence[Label] | None


@dataclass(frozen=True, slots=True)
class Request:
    """Everything that determines a result: cache key, deep link, and record to reproduce it.

    Lists and mappings are stored as tuples, so that every valid request is hashable. ``checked`` raises for
    values that are not allowed. In the request of a result, ``options`` are sorted and complete: the engine
    fills in the method's defaults.
    """

    text: Annotated[str, kinds.Text("what the model reads.", several="texts")]
    model: Annotated[
        Model,
        kinds.Name(
            "a bundled, catalogue or Hub name; in the library also a folder, or what ``load`` returned.",
            several="models",
            objects=True,
        ),
    ] = DEFAULT_MODEL
    method: Annotated[str, kinds.Name("a name or alias from ``list_methods()``.", several="methods")] = (
        DEFAULT_METHOD
    )
    target: Annotated[
        Labels,
        kinds.Labels(
            "a label's name or index, or several; ``*`` for all, None for the most probable one. For masked "
            "and generated text the token at ``position``; for question answering the answer, or its "
            "``start`` or ``end``."
        ),
    ] = None
    _: KW_ONLY
    second: Annotated[
        str | None,
        kinds.Text(
            "the other text of a pair: the hypothesis, the text that holds the answer, the sentence to "
            "compare with."
        ),
    ] = None
    contrast: Annotated[
        Label | None,
        kinds.Label(
            "why the target rather than this: the explained number is the difference. ``runner-up`` is the "
            "next best."
        ),
    ] = None
    position: Annotated[
        Position | Sequence[int] | None,
        kinds.Positions(
            "which token of the text, or which generated one, counted from 0, or several (None: all, one row "
            "of scores each); ``sequence`` for the whole generated text as one number."
        ),
    ] = None
    continuation: Annotated[
        str | None, kinds.Text("explain this text instead of what the model would generate.")
    ] = None
    quantity: Annotated[Quantity, kinds.Choice("the explained number of the target.", choices=QUANTITIES)] = (
        "logit"
    )
    max_new_tokens: Annotated[
        int,
        kinds.WholeNumber("how many tokens a model generates at most.", minimum=1, at_most="max_new_tokens"),
    ] = 16
    task: Annotated[
        str | None,
        kinds.Word(
            "for a family name such as ``bert-base-uncased``, what it should be fine-tuned for, e.g. "
            "``sentiment``.",
            example="sentiment",
        ),
    ] = None
    revision: Annotated[
        str | None, kinds.Word("the model's branch, tag or commit on the Hub.", example="main")
    ] = None
    options: Annotated[
        tuple[tuple[str, Any], ...],
        kinds.OptionValues(
            "the method's own options by name, see ``list_methods()[name].options``; of several methods, "
            "options by the method's name."
        ),
    ] = ()

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            # A model may be any object: only its name is a value.
            if name != "model" or isinstance(value, str | os.PathLike):
                object.__setattr__(self, name, freeze(value))

    @classmethod
    def of(cls, *positional: Any, **keywords: Any) -> Request:
        """A request from the arguments of a call: its fields, or another request and the fields to change.

        A keyword that is not a field is an option of the method. Raises ``InputError`` if there is no text,
        ``BadOption`` for too many positional arguments and for one that is given twice.
        """
        base = positional[0] if positional and isinstance(positional[0], Request) else None
        names = [field.name for field in dataclasses.fields(cls) if not field.kw_only]
        if len(positional) > len(names):
            raise BadOption(
                f"There are {len(positional)} arguments without a name.",
                f"Only {', '.join(names)} need none.",
            )
        values = dict(zip(names, positional, strict=False))
        if duplicates := values.keys() & keywords.keys():
            raise BadOption(f"{quote(min(duplicates))} is given twice.", "Give each argument once.")
        values |= {name: value for name, value in keywords.items() if name in fields()}
        flat = {name: value for name, value in keywords.items() if name not in fields()}
        if flat or "options" in values:
            values["options"] = merge_options(values.get("options"), flat)
        if base is not None:
            return dataclasses.replace(base, **{**values, "text": base.text})
        if "text" not in values:
            raise InputError("The text is missing.", "Give the text that the model reads.")
        return cls(**values)

    @classmethod
    def read(cls, body: object) -> Request:
        """A request from a JSON object received over the wire; null stands for the default.

        Values are not checked: see ``checked``. Raises ``InputError`` if there is no text, ``BadOption`` for
        an unknown field.
        """
        values = read_fields(body, fields(), needed="text")
        return cls(**values)

    def checked(self, settings: Settings = DEFAULTS) -> Request:
        """The same request with clean texts. Raises an ``InputError`` for the first invalid value."""
        return dataclasses.replace(
            self,
            **{field.name: field.check(getattr(self, field.name), settings) for field in fields().values()},
        )

    def to_dict(self, *, defaults: bool = True) -> dict[str, Any]:
        """JSON types, from which ``from_dict`` makes an equal request.

        Without ``defaults``, only the values that differ from them. A loaded model is written as its name.
        """
        values = {name: _plain(getattr(self, name)) for name in fields()}
        if is_pairs(self.options):
            values["options"] = thaw(self.options)
        return {
            name: value
            for name, value in values.items()
            if defaults or getattr(self, name) != fields()[name].default
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Request:
        """The inverse of ``to_dict``; fields with a default may be missing. Raises ``BadFile``."""
        try:
            return cls(**data)
        except TypeError as error:
            raise BadFile(f"This is not a request ({str(error)[:100]}).") from error

    def record(self) -> dict[str, Any]:
        """The request as in the JSON of an attribution, where the fields of ``Target`` are nested."""
        values = self.to_dict()
        target = Target.of(self)
        parts = {"label": values.pop("target")}
        parts |= {name: values.pop(name) for name in _TARGET_PARTS}
        ordered = {name: parts[name] for name in target.__slots__}
        names = ("text", "model", "method")
        head = {name: values.pop(name) for name in names}
        options = values.pop("options")
        return {**head, "target": ordered, "options": options, **values}

    @classmethod
    def from_record(cls, data: Mapping[str, Any]) -> Request:
        """The inverse of ``record``. Raises ``BadFile``."""
        values = dict(data)
        parts = dict(values.pop("target", {}))
        if "label" in parts:
            parts["target"] = parts.pop("label")
        return cls.from_dict({**values, **parts})


@dataclass(frozen=True, slots=True)
class Target:
    """What is explained, apart from how: the part of a request that models see.

    Parameters
    ----------
    label : the class, by name or index; the token at ``position`` for masked and generated text; the answer
        in question answering, or its ``"start"`` or ``"end"``. Several as a tuple. None is the model's own
        prediction.
    position : a token of the text (counted from 0, without special tokens) or a generated token; several as a
        tuple; ``"sequence"`` for the whole generated text as one number. None is every position. An integer
        ``label`` of generated text is a position.
    contrast : the label to compare with: the explained number is the difference. ``"runner-up"`` is the next
        best.
    continuation : text to explain instead of what the model would generate.
    max_new_tokens : applies to generation only.
    """

    label: Label | tuple[Label, ...] | None = None
    quantity: Quantity = "logit"
    max_new_tokens: int = 16
    contrast: Label | None = None
    position: Position | None = None
    continuation: str | None = None

    @classmethod
    def of(cls, request: Request) -> Self:
        """The target of a request."""
        parts: dict[str, Any] = {name: getattr(request, name) for name in _TARGET_PARTS}
        return cls(request.target, **parts)  # type: ignore[arg-type]  # lists are tuples by now


_TARGET_PARTS = tuple(field.name for field in dataclasses.fields(Target) if field.name != "label")


class Field(NamedTuple):
    """One field of ``Request``: its name, type hint, default and kind."""

    name: str
    hint: Any
    default: Any
    kind: kinds.Kind

    @property
    def required(self) -> bool:
        return self.default is dataclasses.MISSING

    def check(self, value: Any, settings: Settings) -> Any:
        """The value as the engine takes it. Raises an ``InputError``."""
        return None if value is None and self.default is None else self.kind.check(self.name, value, settings)

    def schema(self, settings: Settings) -> dict[str, Any]:
        """JSON schema, with the help and the default."""
        schema = self.kind.schema(settings)
        if self.default is None:
            schema = {"anyOf": [schema, {"type": "null"}]}
        schema = {**schema, "description": self.help}
        return schema if self.required else {**schema, "default": {} if self.default == () else self.default}

    @property
    def help(self) -> str:
        """The help without markup, as a sentence."""
        text = self.kind.help.replace("``", "")
        return text[0].upper() + text[1:]


@cache
def fields() -> Mapping[str, Field]:
    """The fields of ``Request`` by name, in order."""
    hints = get_type_hints(Request, include_extras=True)
    return {
        field.name: Field(
            field.name, hints[field.name].__origin__, field.default, hints[field.name].__metadata__[0]
        )
        for field in dataclasses.fields(Request)
    }


def parse(name: str, written: str | None) -> Any:
    """Parse a field's value from text of a command line, a control or a link; None for no text."""
    return fields()[name].kind.parse(written) if written else None


def json_schema(settings: Settings = DEFAULTS, **additions: Mapping[str, Any]) -> dict[str, Any]:
    """JSON schema of a request; ``additions`` extend a field's schema, such as the names of the methods."""
    properties = {
        name: {**field.schema(settings), **additions.get(name, {})} for name, field in fields().items()
    }
    required = [field.name for field in fields().values() if field.required]
    return {"type": "object", "required": required, "additionalProperties": False, "properties": properties}


def read_fields(body: object, allowed: Iterable[str], needed: str = "") -> dict[str, Any]:
    """The entries of a JSON object that are not null.

    Raises ``InputError`` if ``needed`` is missing, ``BadOption`` for a field that is not allowed.
    """
    example = f'Send {{"{needed}": "..."}} and any other field.' if needed else "Send {}."
    if not isinstance(body, dict):
        raise InputError("The request is not a JSON object.", example)
    names = list(allowed)
    for name in body:
        if name not in names:
            hint = nearest(name, names) if names else example
            if "options" in names and not hint.startswith("Did"):
                hint = f"The options of a method are put into 'options'. {hint}"
            raise BadOption(f"There is no field {quote(name)}.", hint)
    if needed and body.get(needed) is None:
        raise InputError(f"The field '{needed}' is missing.", example)
    return {name: value for name, value in body.items() if value is not None}


def merge_options(options: object, flat: Mapping[str, Any]) -> Any:
    """Merge options given in a mapping with those given as keywords.

    Raises ``BadOption`` for an option given both ways. A value that is not a mapping is left to its check.
    """
    pairs = freeze(() if options is None else options)
    if not is_pairs(pairs):
        return pairs
    if duplicates := dict(pairs).keys() & flat.keys():
        raise BadOption(f"The option {quote(min(duplicates))} is given twice.", "Give each option once.")
    return {**dict(pairs), **flat}


def add_arguments(
    parser: argparse.ArgumentParser, *, without: Iterable[str] = (), several: Iterable[str] = ()
) -> None:
    """Add the fields to a command line; those in ``several`` take more than one value.

    The text is the positional argument.
    """
    excluded, repeated = set(without), set(several)
    for name, field in fields().items():
        if name in excluded:
            continue
        text = field.help.rstrip(".").replace("%", "%%")
        text += f" (default: {field.default})" if field.default else ""
        details: dict[str, Any] = {**field.kind.argument(), "help": text[0].lower() + text[1:]}
        if field.required:
            parser.add_argument(name, nargs="*" if name in repeated else "?", **details)
            continue
        if name in repeated:
            details["nargs"] = "+"
        flag = "option" if isinstance(field.kind, kinds.OptionValues) else name.replace("_", "-")
        default = [field.default] if name in repeated else field.default
        if details.get("action") == "append":
            default = []
        parser.add_argument(f"--{flag}", dest=name, default=default, **details)


def from_arguments(
    arguments: argparse.Namespace,
    *,
    without: Iterable[str] = (),
    read_options: Callable[[list[str]], Any] = list,
) -> dict[str, Any]:
    """Values by field, from a command line with ``add_arguments``; ``read_options`` parses ``NAME=VALUE``."""
    values: dict[str, Any] = {}
    for name, field in fields().items():
        if name in set(without) or not hasattr(arguments, name):
            continue
        value = getattr(arguments, name)
        if isinstance(field.kind, kinds.OptionValues):
            values[name] = read_options(value)
        elif isinstance(field.kind, kinds.Labels):
            values[name] = value[0] if len(value) == 1 else value or None
        else:
            values[name] = field.kind.parse(value) if isinstance(value, str) else value
    return values


def _plain(value: Any) -> Any:
    """Convert to JSON types: tuples to lists, a loaded model to its name."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, str | int | float | None):
        return value
    info = getattr(value, "info", None)
    return str(value) if info is None else info.name
