"""What a method (and, the same way, a metric or a tracker) offers, read from its function's signature; and how they are found.

An option is a keyword-only parameter with a default::

    steps: Annotated[int, Between(2, 512), "Points on the path."] = 32
    rule: Annotated[Literal["gausslegendre", "trapezoid"], "How the points are placed."] = "gausslegendre"

From it come the control on the page, the API schema, the table in the documentation, the cache key and the checks.
"""

from __future__ import annotations

import importlib
import inspect
import math
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import entry_points
from types import SimpleNamespace
from typing import Annotated, Any, Literal, Protocol, TypeGuard, TypeVar, get_args, get_origin, get_type_hints

from attribution.errors import BadOption, nearest, quote
from attribution.fields import is_pairs, thaw
from attribution.request import fields

Value = bool | int | float | str
"""What an option can be."""


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a finite number that fits into a float; a bool is none."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # an integer of 400 digits
        return False


@dataclass(frozen=True, slots=True)
class Between:
    """Bounds of a number, both included."""

    minimum: float
    maximum: float


@dataclass(frozen=True, slots=True)
class Length:
    """The longest text, in characters."""

    maximum: int


@dataclass(frozen=True, slots=True)
class Option:
    """One option: ``kind`` is ``"int"``, ``"float"``, ``"bool"``, ``"choice"`` or ``"text"`` (then ``maximum`` counts characters)."""

    name: str
    kind: str
    default: Value
    help: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()

    def check(self, value: object) -> Value:
        """``value`` in the option's type. Raises ``BadOption`` with what is allowed."""
        if self.kind == "choice":
            if value not in self.choices:
                raise BadOption(f"{self.name} is {quote(value)}.", nearest(value, self.choices))
            return str(value)
        if self.kind == "bool":
            if not isinstance(value, bool):
                raise BadOption(f"{self.name} is {quote(value)}.", "It must be true or false.")
            return value
        if self.kind == "text":
            if not isinstance(value, str) or len(value) > (self.maximum or 0):
                raise BadOption(
                    f"{self.name} is {quote(value)}.",
                    f"It must be a text of at most {self.maximum:g} characters.",
                )
            return value
        word = "a whole number" if self.kind == "int" else "a number"
        if not is_number(value):
            raise BadOption(f"{self.name} is {quote(value)}.", f"It must be {word}{self._bounds()}.")
        if self.kind == "int" and value != int(value):
            raise BadOption(f"{self.name} is {quote(value)}.", f"It must be {word}{self._bounds()}.")
        if (
            self.minimum is not None
            and self.maximum is not None
            and not self.minimum <= value <= self.maximum
        ):
            raise BadOption(f"{self.name} is {quote(value)}.", f"It must be {word}{self._bounds()}.")
        return int(value) if self.kind == "int" else float(value)

    def _bounds(self) -> str:
        return "" if self.minimum is None else f" from {self.minimum:g} to {self.maximum:g}"

    def to_dict(self) -> dict[str, Any]:
        return {
            name: list(v) if isinstance(v, tuple) else v
            for name, v in asdict(self).items()
            if v not in (None, ())
        }


def options_of(function: Callable[..., Any]) -> tuple[Option, ...]:
    """The options of a registered function, in the order of its signature."""
    keyword_only = [p for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
    # Not the hints of the other parameters, whose names may be imported for the type checker only.
    hints = get_type_hints(
        SimpleNamespace(__annotations__={p.name: p.annotation for p in keyword_only}),
        getattr(inspect.unwrap(function), "__globals__", {}),
        include_extras=True,
    )
    return tuple(_option(p.name, hints[p.name], p.default) for p in keyword_only)


def _option(name: str, hint: Any, default: Value) -> Option:
    base, extras = (get_args(hint)[0], get_args(hint)[1:]) if get_origin(hint) is Annotated else (hint, ())
    text = next((e for e in extras if isinstance(e, str)), "")
    bounds = next((e for e in extras if isinstance(e, Between)), None)
    length = next((e for e in extras if isinstance(e, Length)), None)
    if length is not None:
        return Option(name, "text", default, text, maximum=length.maximum)
    if get_origin(base) is Literal:
        return Option(name, "choice", default, text, choices=get_args(base))
    kind = {int: "int", float: "float", bool: "bool"}[base]
    if bounds is None:
        return Option(name, kind, default, text)
    return Option(name, kind, default, text, bounds.minimum, bounds.maximum)


def check_options(
    owner: str, options: Iterable[Option], given: Mapping[str, object]
) -> tuple[tuple[str, Value], ...]:
    """All options of ``owner`` with their values, sorted by name: what was given, checked, and the defaults for the rest."""
    known = {option.name: option for option in options}
    for name in given:
        if name not in known:
            hint = nearest(name, known) or f"{owner} has no options."
            raise BadOption(f"{owner} has no option {quote(name)}.", hint)
    return tuple(
        sorted(
            (name, option.check(given[name]) if name in given else option.default)
            for name, option in known.items()
        )
    )


class Owner(Protocol):
    """What has options: a method or a metric."""

    @property
    def name(self) -> str: ...

    @property
    def options(self) -> tuple[Option, ...]: ...


def share_options(
    owners: Mapping[str, Owner], options: Iterable[tuple[str, Any]]
) -> dict[str, dict[str, Value]]:
    """The options of a request by owner: those that stand under an owner's name, and the others at each owner that has them.

    ``owners`` are the methods and metrics of the request by every name that they may be called by. The values are not checked. Raises
    ``BadOption`` for an option that no owner has.
    """
    shares: dict[str, dict[str, Value]] = {owner.name: {} for owner in owners.values()}
    flat = dict(options)
    for name in [name for name, value in flat.items() if name in owners and is_pairs(value)]:
        shares[owners[name].name].update(thaw(flat.pop(name)))
    for name, value in flat.items():
        takers = {o.name for o in owners.values() if any(option.name == name for option in o.options)}
        if not takers:
            allowed = dict.fromkeys(option.name for o in owners.values() for option in o.options)
            hint = nearest(name, allowed, also=(*owners, *fields())) if allowed or is_pairs(value) else ""
            owner = next(iter(shares)) if len(shares) == 1 else f"None of {', '.join(shares)}"
            verb = "has no option" if len(shares) == 1 else "has an option"
            raise BadOption(f"{owner} {verb} {quote(name)}.", hint or f"{owner} has no options.")
        for taker in takers:
            # What stands under the owner's name is meant for it alone, and counts.
            shares[taker].setdefault(name, value)
    return shares


class Named(Protocol):
    """What is found has a name."""

    @property
    def name(self) -> str: ...


Entry = TypeVar("Entry", bound=Named)


def discovered(package: str, kind: type[Entry], group: str = "") -> dict[str, Entry]:
    """Every registered ``kind`` by name: first those in the modules of ``package``, in alphabetical order, then those of other packages.

    These add theirs through the entry point ``group``, by default of the package's name. Raises ``TypeError`` for
    one that is none, or whose name is taken.
    """
    found: dict[str, Entry] = {}
    modules = pkgutil.iter_modules(importlib.import_module(package).__path__)
    for module in sorted(info.name for info in modules if not info.ispkg):
        for value in vars(importlib.import_module(f"{package}.{module}")).values():
            if isinstance(value, kind):
                found[value.name] = value
    for entry in entry_points(group=group or package):
        plugin = entry.load()
        if not isinstance(plugin, kind) or plugin.name in found:
            raise TypeError(f"the entry point {entry.name} is not a new {kind.__name__}")
        found[plugin.name] = plugin
    return found
