"""The fields of a request as parameters of functions: signatures, help, and hints for mistyped keywords."""

from __future__ import annotations

import functools
import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from inspect import Parameter, Signature
from typing import Any, TypeVar

from attribution.errors import BadOption, nearest, quote
from attribution.methods import Method, list_methods
from attribution.metrics import Metric, list_metrics
from attribution.request import Field, fields, merge_options
from attribution.request.kinds import OptionValues
from attribution.request.values import to_python

Function = TypeVar("Function", bound=Callable[..., Any])
HEADING = "Parameters\n----------\n"
WIDTH = 100
"""Columns of the lines of help."""
_ENTRY = re.compile(r"^(\w+(?:, \w+)*) : (.*(?:\n    .*)*)", re.MULTILINE)


def takes_request(function: Function) -> Function:
    """Decorator: let ``**fields`` take the other fields of a request, and options of the methods.

    The signature lists the fields, ``help()`` explains each parameter, and a mistyped keyword raises a
    ``BadOption`` that names the nearest one. Arguments of numpy, torch and pandas become Python's own types.
    """
    signature = inspect.signature(function)
    parameters = expand(signature)

    @functools.wraps(function)
    def call(*positional: Any, **keywords: Any) -> Any:
        check_keywords(function.__name__, parameters, keywords)
        check_positional(function.__name__, parameters, positional, keywords)
        plain = {name: to_python(value) for name, value in keywords.items()}
        return function(*map(to_python, positional), **_collect_options(parameters, plain))

    flat = Parameter("flat_options", Parameter.VAR_KEYWORD, annotation="Option")
    call.__signature__ = signature.replace(parameters=[*parameters, flat])  # type: ignore[attr-defined]
    call.__doc__ = document(inspect.getdoc(function) or "", parameters)
    return call  # type: ignore[return-value]


def expand(signature: Signature) -> list[Parameter]:
    """A function's parameters, with its ``**fields`` replaced by the fields that it does not name.

    Texts, models and methods are always named by the function itself, which takes one or several of them.
    """
    named = [p for p in signature.parameters.values() if p.kind is not Parameter.VAR_KEYWORD]
    names = {parameter.name for parameter in named}
    added = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=default_of(field), annotation=annotation_of(field))
        for name, field in fields().items()
        if name not in names and not field.kind.several
    ]
    own = [parameter for parameter in named if parameter.kind is Parameter.KEYWORD_ONLY]
    return [*(parameter for parameter in named if parameter not in own), *added, *own]


def default_of(field: Field) -> Any:
    """The default of a field's parameter. No options are None there."""
    return Parameter.empty if field.required else field.default if field.default != () else None


def annotation_of(field: Field) -> Any:
    """The annotation of a field's parameter. Options are a mapping there, and pairs in a request."""
    return Mapping[str, Any] | None if isinstance(field.kind, OptionValues) else field.hint


def check_keywords(name: str, parameters: Iterable[Parameter], keywords: Mapping[str, Any]) -> None:
    """Raise ``BadOption`` for a keyword that looks mistyped.

    Other unknown keywords are left to the engine, or to a server, which may have other methods.
    """
    allowed = [parameter.name for parameter in parameters]
    unknown = [keyword for keyword in keywords if keyword not in allowed]
    if not unknown:
        return
    owners: list[Method | Metric] = [*list_methods().values(), *list_metrics().values()]
    options = {option.name for owner in owners for option in owner.options}
    for keyword in unknown:
        if keyword not in options and (hint := nearest(keyword, [*allowed, *options])).startswith("Did"):
            raise BadOption(f"{name} has no parameter {quote(keyword)}.", hint)


def check_positional(
    name: str, parameters: Iterable[Parameter], positional: Sequence[Any], keywords: Mapping[str, Any]
) -> None:
    """Raise ``BadOption`` for too many unnamed arguments, for one given twice, and for a missing one."""
    allowed = [parameter for parameter in parameters if parameter.kind is Parameter.POSITIONAL_OR_KEYWORD]
    names = [parameter.name for parameter in allowed if parameter.name != "self"]
    # The first argument of a method is its object.
    count = len(positional) - (len(allowed) - len(names))
    if count > len(names):
        raise BadOption(
            f"{name} has {count} arguments without a name.",
            f"Only {', '.join(names)} need none, in that order.",
        )
    for duplicate in [name for name in names[:count] if name in keywords]:
        raise BadOption(f"{quote(duplicate)} is given twice.", "Give each argument once.")
    required = [p.name for p in allowed if p.default is Parameter.empty and p.name in names[count:]]
    for missing in [name for name in required if name not in keywords]:
        raise BadOption(f"{name} lacks its argument {quote(missing)}.", f"Call {name}({', '.join(names)}).")


def _collect_options(parameters: Iterable[Parameter], keywords: Mapping[str, Any]) -> dict[str, Any]:
    """The keywords, of which those that are no parameter are moved into ``options``. Raises ``BadOption``.

    So none of them can be taken for an internal argument of the functions behind.
    """
    allowed = {parameter.name for parameter in parameters}
    flat = {name: value for name, value in keywords.items() if name not in allowed}
    values = {name: value for name, value in keywords.items() if name in allowed}
    if flat:
        values["options"] = merge_options(values.get("options"), flat)
    return values


def document(text: str, parameters: Iterable[Parameter]) -> str:
    """Complete a docstring with an entry for each parameter: its own, or the help of a request's field."""
    before, _, rest = text.partition(HEADING)
    listed, _, after = rest.partition("\n\n")
    own = {name: entry for names, entry in _ENTRY.findall(listed) for name in names.split(", ")}
    helps = {name: field.kind.help for name, field in fields().items()}
    entries = [
        f"{name} : {own[name]}"
        if name in own
        else textwrap.fill(f"{name} : {helps[name]}", WIDTH, subsequent_indent=" " * 4)
        for name in (parameter.name for parameter in parameters)
        if name in own or name in helps
    ]
    if not rest:
        before, separator, after = before.partition("\n\nRaises ")
        before, after = f"{before}\n\n", f"Raises {after}" if separator else ""
    return "\n".join([f"{before}{HEADING.rstrip()}", *entries, *(["", after] if after else [])])
