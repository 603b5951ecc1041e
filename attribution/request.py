"""What is asked of a model: the one home of every field, with its type, default, help, check and schema.

Library, client, REST, queue, command line, batch plans, links and pages are built from the fields of ``Request``: a new one is a line
here, and its meaning in the engine. ``attribution.fields`` has the kinds of values; ``attribution.signatures`` makes the fields
parameters of functions.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, Protocol, Self, get_args, get_type_hints

from attribution import fields as kinds
from attribution.errors import BadFile, BadOption, InputError, nearest, quote
from attribution.fields import freeze, is_pairs, thaw
from attribution.settings import DEFAULT_METHOD, DEFAULT_MODEL, DEFAULTS, Settings

Quantity = Literal["logit", "log_probability", "probability"]
Label = str | int
Position = int | tuple[int, ...] | Literal["sequence"]
QUANTITIES: tuple[str, ...] = get_args(Quantity)


class LoadedModel(Protocol):
    """What ``attribution.load`` returned; ``info`` is a ``ModelInfo``."""

    info: Any


Model = str | os.PathLike[str] | LoadedModel
Labels = Label | Sequence[Label] | None


@dataclass(frozen=True, slots=True)
class Request:
    """Everything that decides a result: the cache key, the deep link, and the record to reproduce it.

    Lists and mappings are kept as tuples, so that every valid request can be hashed. ``checked`` says what is wrong with a value;
    ``options`` of the request of a result are sorted and complete: the engine fills in the method's defaults.
    """

    text: Annotated[str, kinds.Text("what the model reads.", several="texts")]
    model: Annotated[
        Model,
        kinds.Name(
            "a bundled, catalogue or Hub name; in the library also a folder, or what ``load`` returned.",
            several="models",
        ),
    ] = DEFAULT_MODEL
    method: Annotated[str, kinds.Name("a name or alias from ``list_methods()``.", several="methods")] = (
        DEFAULT_METHOD
    )
    target: Annotated[
        Labels,
        kinds.Labels(
            "a label's name or index, or several; ``*`` for all, None for the most probable one. For masked and generated text the "
            "token at ``position``; for question answering the answer, or its ``start`` or ``end``."
        ),
    ] = None
    _: KW_ONLY
    second: Annotated[
        str | None,
        kinds.Text(
            "the other text of a pair: the hypothesis, the text that holds the answer, the sentence to compare with."
        ),
    ] = None
    contrast: Annotated[
        Label | None,
        kinds.Label(
            "why the target rather than this: the explained number is the difference. ``runner-up`` is the next best."
        ),
    ] = None
    position: Annotated[
        Position | Sequence[int] | None,
        kinds.Positions(
            "which token of the text, or which generated one, counted from 0, or several (None: all, one row of scores each); "
            "``sequence`` for the whole generated text as one number."
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
        kinds.Whole("how many tokens a model generates at most.", minimum=1, at_most="max_new_tokens"),
    ] = 16
    task: Annotated[
        str | None,
        kinds.Word(
            "for a family name such as ``bert-base-uncased``, what it should be fine-tuned for, e.g. ``sentiment``.",
            example="sentiment",
        ),
    ] = None
    revision: Annotated[
        str | None, kinds.Word("the model's branch, tag or commit on the Hub.", example="main")
    ] = None
    options: Annotated[
        tuple[tuple[str, Any], ...],
        kinds.OptionValues(
            "the method's own options by name, see ``list_methods()[name].options``; of several methods, options by the method's name."
        ),
    ] = ()

    def __post_init__(self) -> None:
        for name in self.__slots__:
            object.__setattr__(self, name, freeze(getattr(self, name)))

    @classmethod
    def of(cls, *positional: Any, **keywords: Any) -> Request:
        """A request from the arguments of a call, in which another request, with what should differ, may stand for the text.

        A keyword that is no field is an option of the method. Raises ``InputError`` where the text is missing, ``BadOption`` for
        arguments that are too many or given twice.
        """
        base = positional[0] if positional and isinstance(positional[0], Request) else None
        names = [field.name for field in dataclasses.fields(cls) if not field.kw_only]
        if len(positional) > len(names):
            raise BadOption(
                f"There are {len(positional)} arguments without a name.",
                f"Only {', '.join(names)} need none.",
            )
        values = dict(zip(names, positional, strict=False))
        if twice := values.keys() & keywords.keys():
            raise BadOption(f"{quote(min(twice))} is given twice.", "Give each argument once.")
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
        """A request from a JSON object as it came in over the wire; null stands for what is not given. ``checked`` looks at the values.

        Raises ``InputError`` where there is no text, ``BadOption`` for an unknown field.
        """
        values = read_fields(body, fields(), needed="text")
        return cls(**values)

    def checked(self, settings: Settings = DEFAULTS) -> Request:
        """The same request with texts cleaned. Raises an ``InputError`` for the first value that is not allowed."""
        return dataclasses.replace(
            self,
            **{field.name: field.check(getattr(self, field.name), settings) for field in fields().values()},
        )

    def to_dict(self, *, defaults: bool = True) -> dict[str, Any]:
        """Plain JSON types, which ``from_dict`` reads back equal; without ``defaults``, only what differs from them.

        A loaded model stands there by its name.
        """
        values = {name: _plain(getattr(self, name)) for name in fields()}
        values["options"] = thaw(self.options)
        return {
            name: value
            for name, value in values.items()
            if defaults or getattr(self, name) != fields()[name].default
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Request:
        """The inverse of ``to_dict``; what has a default may be missing. Raises ``BadFile``."""
        try:
            return cls(**data)
        except TypeError as error:
            raise BadFile(f"This is not a request ({str(error)[:100]}).") from error

    def record(self) -> dict[str, Any]:
        """The request as the JSON of an attribution has it: what makes up the target stands apart."""
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
    """What a model is asked to explain, apart from how: the part of a request that models see.

    Parameters
    ----------
    label : the class, by name or index; the token at ``position`` for masked and generated text; the answer of question
        answering, or ``"start"`` or ``"end"`` of it. Several at once as a tuple. None is the model's own prediction.
    position : where: a token of the text (counted from 0, special tokens not counted) or a generated token; several as a tuple;
        ``"sequence"`` for the whole generated text as one number. None is everywhere. An integer ``label`` of generated text is a position.
    contrast : why ``label`` rather than this: the explained number is the difference. ``"runner-up"`` is the next best.
    continuation : this text instead of what the model would generate.
    max_new_tokens : counts for generation only.
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
    """One field of ``Request``: its name, type hint and default, and what its kind knows of values."""

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
    """A field's value from text: a command line's, a control's, a link's; nothing is what is not given."""
    return fields()[name].kind.parse(written) if written else None


def json_schema(settings: Settings = DEFAULTS, **additions: Mapping[str, Any]) -> dict[str, Any]:
    """JSON schema of a request; ``additions`` to the schema of a field by its name, such as the methods that there are."""
    properties = {
        name: {**field.schema(settings), **additions.get(name, {})} for name, field in fields().items()
    }
    required = [field.name for field in fields().values() if field.required]
    return {"type": "object", "required": required, "additionalProperties": False, "properties": properties}


def read_fields(body: object, allowed: Iterable[str], needed: str) -> dict[str, Any]:
    """What a JSON object says, without null. Raises ``InputError`` where ``needed`` is missing, ``BadOption`` for a field that is not allowed."""
    example = f'Send {{"{needed}": "..."}} and what else you want to choose.'
    if not isinstance(body, dict):
        raise InputError("The request is not a JSON object.", example)
    names = list(allowed)
    for name in body:
        if name not in names:
            raise BadOption(f"There is no field {quote(name)}.", nearest(name, names))
    if body.get(needed) is None:
        raise InputError(f"The field '{needed}' is missing.", example)
    return {name: value for name, value in body.items() if value is not None}


def merge_options(options: object, flat: Mapping[str, Any]) -> Any:
    """Options given in a mapping and by themselves. Raises ``BadOption`` for one given both ways; what is no mapping stays for its check."""
    pairs = freeze(options or ())
    if not is_pairs(pairs):
        return pairs
    if twice := dict(pairs).keys() & flat.keys():
        raise BadOption(f"The option {quote(min(twice))} is given twice.", "Give each option once.")
    return {**dict(pairs), **flat}


def add_arguments(
    parser: argparse.ArgumentParser, *, without: Iterable[str] = (), several: Iterable[str] = ()
) -> None:
    """The fields as arguments of a command line, ``several`` of them with more than one value; the text is the one without a name."""
    left_out, repeated = set(without), set(several)
    for name, field in fields().items():
        if name in left_out:
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
    """What ``add_arguments`` made of a command line, by field; ``read_options`` turns ``NAME=VALUE`` into options."""
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
    """JSON types: lists for tuples, the name of a loaded model."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, str | int | float | None):
        return value
    info = getattr(value, "info", None)
    return str(value) if info is None else info.name
