"""The kinds of the endpoints' own fields: lists of names or texts, numbers, and documents."""

from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass
from typing import Any

from attribution import list_methods
from attribution.errors import BadOption, quote
from attribution.registry import is_number
from attribution.request import Field, fields
from attribution.request.kinds import Kind
from attribution.settings import Settings


@dataclass(frozen=True, slots=True)
class Strings(Kind):
    """A list of texts or names, up to the limit that the settings call ``at_most``."""

    at_most: str = ""
    choices: Callable[[], Sequence[str]] | None = None

    @property
    def wire(self) -> Any:
        return list[str]

    def check(self, name: str, value: Any, settings: Settings) -> list[str]:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise BadOption(f"{name} is {quote(value)}.", "It must be a list of strings.")
        limit = getattr(settings, self.at_most)
        if not 1 <= len(value) <= limit:
            raise BadOption(f"There are {len(value)} {name}.", f"This server takes 1 to {limit} at once.")
        return value

    def schema(self, settings: Settings) -> dict[str, Any]:
        items: dict[str, Any] = {"type": "string"}
        if self.choices:
            items["enum"] = list(self.choices())
        return {"type": "array", "items": items, "minItems": 1, "maxItems": getattr(settings, self.at_most)}


@dataclass(frozen=True, slots=True)
class Number(Kind):
    """A number from ``minimum`` to ``maximum``, which may name a limit of the settings."""

    minimum: int = 0
    maximum: int | str = 0
    is_integer: bool = True

    @property
    def wire(self) -> Any:
        return int if self.is_integer else float

    def limit(self, settings: Settings) -> float:
        """The largest allowed number."""
        limit: float = getattr(settings, self.maximum) if isinstance(self.maximum, str) else self.maximum
        return limit

    def check(self, name: str, value: Any, settings: Settings) -> float:
        limit, word = self.limit(settings), "a whole number" if self.is_integer else "a number"
        fits = is_number(value) and self.minimum <= value <= limit
        if not fits or (self.is_integer and not isinstance(value, int)):
            raise BadOption(
                f"{name} is {quote(value)}.", f"It must be {word} from {self.minimum} to {limit:,}."
            )
        number: float = value
        return number

    def schema(self, settings: Settings) -> dict[str, Any]:
        kind = "integer" if self.is_integer else "number"
        return {"type": kind, "minimum": self.minimum, "maximum": self.limit(settings)}


@dataclass(frozen=True, slots=True)
class Document(Kind):
    """A value that is checked elsewhere, with its own JSON type and schema."""

    type: Any = None
    described: Callable[[Settings], dict[str, Any]] = lambda _settings: {}

    @property
    def wire(self) -> Any:
        return self.type

    def schema(self, settings: Settings) -> dict[str, Any]:
        return self.described(settings)


def field(name: str, kind: Kind, default: Any = MISSING) -> Field:
    """A field of an endpoint; without a default it is required."""
    return Field(name, kind.wire, default, kind)


def request_fields(*without: str) -> list[Field]:
    """The fields of a request, except some."""
    return [entry for name, entry in fields().items() if name not in without]


def method_names() -> list[str]:
    """The names and aliases of all methods."""
    return [name for method in list_methods().values() for name in (method.name, *method.aliases)]


SEED = field("seed", Number("the seed of everything that is drawn.", maximum=2**31 - 1), 0)
