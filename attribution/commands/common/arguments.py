"""Parse options as they are written on a command line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attribution import types
from attribution.errors import BadOption, nearest, quote
from attribution.registry import Option

_SWITCHES = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


def parse_options(owner: str, options: Iterable[Option], items: Iterable[str]) -> dict[str, types.Option]:
    """Parse each ``name=value`` into the type that ``owner``'s signature states. Raises ``BadOption``."""
    by_name = {option.name: option for option in options}
    values: dict[str, types.Option] = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not equals:
            raise BadOption(f"--option is {quote(item)}.", "It must be NAME=VALUE, such as steps=64.")
        if name not in by_name:
            raise BadOption(
                f"{owner} has no option {quote(name)}.", nearest(name, by_name) or f"{owner} has no options."
            )
        values[name] = by_name[name].check(_convert(by_name[name].kind, value))
    return values


def group_by_owner(items: Iterable[str], owners: Sequence[str]) -> dict[str, list[str]]:
    """Group ``owner.name=value`` by owner, as ``name=value``.

    The name of a single owner may be left out. Raises ``BadOption``.
    """
    by_owner: dict[str, list[str]] = {}
    for item in items:
        owner, dot, _ = item.partition("=")[0].partition(".")
        if dot:
            by_owner.setdefault(owner, []).append(item[len(owner) + 1 :])
        elif len(owners) == 1:
            by_owner.setdefault(owners[0], []).append(item)
        else:
            raise BadOption(
                f"--option {quote(item)} does not name its method or metric.",
                "It must be NAME.OPTION=VALUE, such as lime.samples=200.",
            )
    return by_owner


def _convert(kind: str, value: str) -> object:
    """Convert a value, or return the text itself, which ``Option.check`` refuses."""
    if kind == "bool":
        return _SWITCHES.get(value.lower(), value)
    try:
        return int(value) if kind == "int" else float(value) if kind == "float" else value
    except ValueError:
        return value
