"""The fields of the endpoints beside those of a request: texts, models, methods and metrics, numbers, and documents."""

from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass
from typing import Any

from attribution import list_methods
from attribution.errors import BadOption, quote
from attribution.fields import Kind
from attribution.registry import is_number
from attribution.request import Field, fields
from attribution.settings import Settings


@dataclass(frozen=True, slots=True)
class Strings(Kind):
    """A list of texts or names, at most as many as ``at_most``, a limit of the settings, says."""

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
        items = {"enum": list(self.choices())} if self.choices else {"type": "string"}
        return {"type": "array", "items": items, "minItems": 1, "maxItems": getattr(settings, self.at_most)}


@dataclass(frozen=True, slots=True)
class Number(Kind):
    """A number from ``minimum`` to ``maximum``, which may be the name of a limit of the settings."""

    minimum: int = 0
    maximum: int | str = 0
    whole: bool = True

    @property
    def wire(self) -> Any:
        return int if self.whole else float

    def limit(self, settings: Settings) -> float:
        """The largest number that is taken."""
        limit: float = getattr(settings, self.maximum) if isinstance(self.maximum, str) else self.maximum
        return limit

    def check(self, name: str, value: Any, settings: Settings) -> float:
        limit, word = self.limit(settings), "a whole number" if self.whole else "a number"
        fits = is_number(value) and self.minimum <= value <= limit
        if not fits or (self.whole and not isinstance(value, int)):
            raise BadOption(
                f"{name} is {quote(value)}.", f"It must be {word} from {self.minimum} to {limit:,}."
            )
        number: float = value
        return number

    def schema(self, settings: Settings) -> dict[str, Any]:
        kind = "integer" if self.whole else "number"
        return {"type": kind, "minimum": self.minimum, "maximum": self.limit(settings)}


@dataclass(frozen=True, slots=True)
class Document(Kind):
    """What is read elsewhere, with a JSON type and schema of its own."""

    type: Any = None
    described: Callable[[Settings], dict[str, Any]] = lambda settings: {}

    @property
    def wire(self) -> Any:
        return self.type

    def schema(self, settings: Settings) -> dict[str, Any]:
        return self.described(settings)


def field(name: str, kind: Kind, default: Any = MISSING) -> Field:
    """A field of an endpoint; without a default it is required."""
    return Field(name, kind.wire, default, kind)


def request_fields(*without: str) -> list[Field]:
    """The fields of a request, but for some."""
    return [entry for name, entry in fields().items() if name not in without]


def method_names() -> list[str]:
    """The names and aliases of all methods."""
    return [name for method in list_methods().values() for name in (method.name, *method.aliases)]


SEED = field("seed", Number("of everything that is drawn.", maximum=2**31 - 1), 0)
