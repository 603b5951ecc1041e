"""Options and positions as they are written on a command line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attribution import types
from attribution.errors import BadOption, nearest, quote
from attribution.registry import Option
from attribution.types import Position

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


def position(written: str | None) -> Position | None:
    """``3``, ``0,2,5`` or ``sequence``. Raises ``BadOption``."""
    if written is None or written == "sequence":
        return written  # type: ignore[return-value]
    try:
        places = tuple(int(part) for part in written.split(","))
    except ValueError:
        raise BadOption(
            f"position is {quote(written)}.", "It must be a number, numbers with commas, or sequence."
        ) from None
    return places[0] if len(places) == 1 else places


def options(owner: str, known: Iterable[Option], written: Iterable[str]) -> dict[str, types.Option]:
    """Each ``name=value`` in the type that ``owner``'s signature states. Raises ``BadOption``."""
    by_name = {option.name: option for option in known}
    found: dict[str, types.Option] = {}
    for item in written:
        name, equals, value = item.partition("=")
        if not equals:
            raise BadOption(f"--option is {quote(item)}.", "It must be NAME=VALUE, such as steps=64.")
        if name not in by_name:
            raise BadOption(
                f"{owner} has no option {quote(name)}.", nearest(name, by_name) or f"{owner} has no options."
            )
        found[name] = by_name[name].check(_typed(by_name[name].kind, value))
    return found


def by_owner(written: Iterable[str], owners: Sequence[str]) -> dict[str, list[str]]:
    """``owner.name=value`` by owner, without it; where there is one owner it may be left out. Raises ``BadOption``."""
    found: dict[str, list[str]] = {}
    for item in written:
        owner, dot, _ = item.partition("=")[0].partition(".")
        if dot:
            found.setdefault(owner, []).append(item[len(owner) + 1 :])
        elif len(owners) == 1:
            found.setdefault(owners[0], []).append(item)
        else:
            raise BadOption(
                f"--option {quote(item)} does not say whose it is.",
                "It must be NAME.OPTION=VALUE, such as lime.samples=200.",
            )
    return found


def _typed(kind: str, value: str) -> object:
    """The value as that kind, or as it was written, for ``Option.check`` to refuse."""
    if kind == "bool":
        return _SWITCHES.get(value.lower(), value)
    try:
        return int(value) if kind == "int" else float(value) if kind == "float" else value
    except ValueError:
        return value
