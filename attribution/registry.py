"""Registries: options read from the signatures of functions, and the discovery of entries, one file each.

An option is a keyword-only parameter with a default::

    steps: Annotated[int, Between(2, 512), "Points on the path."] = 32
    rule: Annotated[Literal["gausslegendre", "trapezoid"], "How the points are placed."] = "gausslegendre"

The control on the page, the API schema, the table in the documentation, the cache key and the checks are
derived from it.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import math
import pkgutil
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import entry_points
from types import SimpleNamespace
from typing import Annotated, Any, Literal, Protocol, TypeGuard, TypeVar, get_args, get_origin, get_type_hints

from attribution.errors import BadOption, describe, nearest, quote
from attribution.extras import needs_app
from attribution.request import fields
from attribution.request.kinds import is_pairs, thaw
from attribution.request.values import to_python

logger = logging.getLogger(__name__)

Value = bool | int | float | str
"""The value of an option."""


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a finite number that fits into a float, and not a bool."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # an integer of 400 digits
        return False


@dataclass(frozen=True, slots=True)
class Between:
    """Bounds of a number, inclusive."""

    minimum: float
    maximum: float


@dataclass(frozen=True, slots=True)
class Length:
    """The maximum number of characters of a text; ``spell`` makes a text of other values, such as lists."""

    maximum: int
    spell: Callable[[object], object] | None = None


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a registered function.

    Attributes
    ----------
    kind : ``"int"``, ``"float"``, ``"bool"``, ``"choice"`` or ``"text"``.
    minimum, maximum : bounds of a number, inclusive; for a text, ``maximum`` is the number of characters.
    choices : of a ``"choice"``.
    spell : makes a text of other values, such as lists.
    """

    name: str
    kind: str
    default: Value
    help: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    spell: Callable[[object], object] | None = None

    def check(self, value: object) -> Value:
        """Convert ``value`` to the option's type. Raises ``BadOption``, which says what is allowed."""
        value = to_python(value) if self.spell is None else self.spell(to_python(value))
        checked = self._convert(value)
        if checked is None:
            raise BadOption(f"{self.name} is {quote(value)}.", self._describe_allowed(value))
        return checked

    def _convert(self, value: object) -> Value | None:
        """Convert ``value`` to the option's type; None where it is not allowed."""
        if self.kind == "choice":
            return str(value) if value in self.choices else None
        if self.kind == "bool":
            return value if isinstance(value, bool) else None
        if self.kind == "text":
            return value if isinstance(value, str) and len(value) <= (self.maximum or 0) else None
        if not is_number(value) or (self.kind == "int" and value != int(value)):
            return None
        bounded = self.minimum is not None and self.maximum is not None
        if bounded and not self.minimum <= value <= self.maximum:  # type: ignore[operator]
            return None
        return int(value) if self.kind == "int" else float(value)

    def _describe_allowed(self, value: object) -> str:
        if self.kind == "choice":
            return nearest(value, self.choices)
        if self.kind == "bool":
            return "It must be true or false."
        if self.kind == "text":
            return f"It must be a text of at most {self.maximum:g} characters."
        bounds = "" if self.minimum is None else f" from {self.minimum:g} to {self.maximum:g}"
        return f"It must be {'a whole number' if self.kind == 'int' else 'a number'}{bounds}."

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, without unset fields."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
            if name != "spell" and value not in (None, ())
        }


def options_of(function: Callable[..., Any]) -> tuple[Option, ...]:
    """The options of a registered function, in the order of its signature."""
    keyword_only = [p for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
    # Only the hints of these parameters: others may use names that exist for the type checker only.
    hints = get_type_hints(
        SimpleNamespace(__annotations__={p.name: p.annotation for p in keyword_only}),
        getattr(inspect.unwrap(function), "__globals__", {}),
        include_extras=True,
    )
    return tuple(_make_option(p.name, hints[p.name], p.default) for p in keyword_only)


def _make_option(name: str, hint: Any, default: Value) -> Option:
    """Make the option of a parameter; its type may have a help text, ``Between`` or ``Length``."""
    base, extras = (get_args(hint)[0], get_args(hint)[1:]) if get_origin(hint) is Annotated else (hint, ())
    help_text = next((extra for extra in extras if isinstance(extra, str)), "")
    bounds = next((extra for extra in extras if isinstance(extra, Between)), None)
    length = next((extra for extra in extras if isinstance(extra, Length)), None)
    if length is not None:
        return Option(name, "text", default, help_text, maximum=length.maximum, spell=length.spell)
    if get_origin(base) is Literal:
        return Option(name, "choice", default, help_text, choices=get_args(base))
    kind = {int: "int", float: "float", bool: "bool"}[base]
    if bounds is None:
        return Option(name, kind, default, help_text)
    return Option(name, kind, default, help_text, bounds.minimum, bounds.maximum)


def check_options(
    owner: str, options: Iterable[Option], arguments: Mapping[str, object]
) -> tuple[tuple[str, Value], ...]:
    """All options of ``owner`` with their values, sorted by name: checked arguments, defaults for the rest.

    Raises ``BadOption`` for an unknown name or a value that is not allowed.
    """
    by_name = {option.name: option for option in options}
    for name in arguments:
        if name not in by_name:
            hint = nearest(name, by_name) or f"{owner} has no options."
            raise BadOption(f"{owner} has no option {quote(name)}.", hint)
    values = {
        name: option.check(arguments[name]) if name in arguments else option.default
        for name, option in by_name.items()
    }
    return tuple(sorted(values.items()))


class Owner(Protocol):
    """Anything with options: a method or a metric."""

    @property
    def name(self) -> str: ...

    @property
    def options(self) -> tuple[Option, ...]: ...


def share_options(
    owners: Mapping[str, Owner], options: Iterable[tuple[str, Any]]
) -> dict[str, dict[str, Value]]:
    """Assign the options of a request to their owners: by the owner's name, or to all owners that have them.

    ``owners`` are the methods and metrics of the request by every name that they may be called by. The values
    are not checked. Raises ``BadOption`` for an option that no owner has.
    """
    if not is_pairs(options):
        raise BadOption(
            f"options is {describe(options)}.", 'It must map names to values, such as {"steps": 64}.'
        )
    shares: dict[str, dict[str, Value]] = {owner.name: {} for owner in owners.values()}
    flat = dict(options)
    for name in [name for name, value in flat.items() if name in owners and is_pairs(value)]:
        owner = owners[name]
        own, allowed = thaw(flat.pop(name)), [option.name for option in owner.options]
        for unknown in [option for option in own if option not in allowed]:
            hint = nearest(unknown, allowed) or f"{owner.name} has no options."
            raise BadOption(f"{owner.name} has no option {quote(unknown)}.", hint)
        shares[owner.name].update(own)
    for name, value in flat.items():
        if name in owners:
            raise BadOption(
                f"The options of {name} are {quote(value)}.",
                'They must map names to values, such as {"steps": 64}.',
            )
        if is_pairs(value):
            raise BadOption(
                f"There are options for {quote(name)}, which is not among {', '.join(shares)}.",
                nearest(name, owners),
            )
        takers = {o.name for o in owners.values() if any(option.name == name for option in o.options)}
        if not takers:
            every = dict.fromkeys(option.name for o in owners.values() for option in o.options)
            hint = nearest(name, every, also=fields())
            subject = next(iter(shares)) if len(shares) == 1 else f"None of {', '.join(shares)}"
            verb = "has no option" if len(shares) == 1 else "has an option"
            raise BadOption(f"{subject} {verb} {quote(name)}.", hint or f"{subject} has no options.")
        for taker in takers:
            # An option under the owner's name takes precedence.
            shares[taker].setdefault(name, value)
    return shares


class Named(Protocol):
    """Anything that a registry lists."""

    @property
    def name(self) -> str: ...


Entry = TypeVar("Entry", bound=Named)


def discover(package: str, kind: type[Entry], group: str = "") -> dict[str, Entry]:
    """Find every registered ``kind`` by name: first those of ``package``, then those of plug-ins.

    Parameters
    ----------
    package : whose modules (not subpackages) are searched, in alphabetical order.
    kind : the class of the entries.
    group : the entry point group of other packages' plug-ins; by default the package's name.
    """
    entries: dict[str, Entry] = {}
    modules = pkgutil.iter_modules(importlib.import_module(package).__path__)
    for module in sorted(info.name for info in modules if not info.ispkg):
        with needs_app():
            namespace = vars(importlib.import_module(f"{package}.{module}"))
        for value in namespace.values():
            if isinstance(value, kind):
                entries[value.name] = value
    return entries | load_plugins(group or package, kind, entries)


def load_plugins(group: str, kind: type[Entry], taken: Container[str] = ()) -> dict[str, Entry]:
    """Load the entries that other packages register in an entry point group, by name.

    A plug-in that cannot be imported, is no ``kind``, or has a name that is ``taken`` is skipped with a
    warning in the log, so that a broken package does not prevent the application from starting.
    """
    entries: dict[str, Entry] = {}
    for point in entry_points(group=group):
        try:
            plugin = point.load()
            if not isinstance(plugin, kind):
                raise TypeError(f"it is a {type(plugin).__name__}, not a {kind.__name__}")
            if plugin.name in taken or plugin.name in entries:
                raise ValueError(f"there is a {kind.__name__} named {plugin.name!r} already")
        except (Exception, SystemExit) as error:
            package = point.dist.name if point.dist else "an unknown package"
            reason = f"{type(error).__name__}: {error}"
            logger.warning("Skipped plug-in %r of %s (%s): %s", point.name, package, group, reason)
        else:
            entries[plugin.name] = plugin
    return entries
