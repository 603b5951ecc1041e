"""What a run over a table computes: the record beside its answers that is enough to resume it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

from attribution import registry
from attribution.errors import BadFile, BadOption
from attribution.methods import Described, find
from attribution.registry import share_options
from attribution.request import Request
from attribution.request import fields as request_fields
from attribution.tables import Columns
from attribution.types import Option

SCHEMA = "batch/1"


class MethodDescription(Described, Protocol):
    """What a plan needs of a method: its name, its options and their checks."""

    @property
    def options(self) -> tuple[registry.Option, ...]: ...

    def check_options(self, values: Mapping[str, object], /) -> tuple[tuple[str, Option], ...]: ...


@dataclass(frozen=True)
class Plan:
    """A run: each row of a table by each model and method.

    ``options`` are those of each method by its name, ``arguments`` what ``attribute`` takes by name, the same
    for every row. ``count`` and ``fingerprint`` (SHA-256 of the rows) are filled in when the run is made.
    """

    table: str
    columns: Columns
    models: tuple[str, ...]
    methods: tuple[str, ...]
    options: Mapping[str, Mapping[str, Option]] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    count: int = 0
    fingerprint: str = ""
    made: str = ""
    """When, in ISO 8601 and UTC."""
    versions: tuple[tuple[str, str], ...] = ()

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Every model with every method, in the order of the results of a row."""
        return tuple((model, method) for model in self.models for method in self.methods)

    @property
    def total(self) -> int:
        """Attributions that the run is to compute."""
        return self.count * len(self.pairs)

    def same(self, other: Plan) -> bool:
        """Whether the other one asks for the same answers."""
        mine, others = self.to_dict(), other.to_dict()
        return all(mine[name] == others[name] for name in mine if name not in ("table", "made", "versions"))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; ``from_dict`` reads them back equal."""
        data = {"schema": SCHEMA, **asdict(self), "versions": dict(self.versions)}
        data["asked"] = data.pop("arguments")
        return {name: list(value) if isinstance(value, tuple) else value for name, value in data.items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of ``to_dict``. Raises ``BadFile``."""
        try:
            values = {name: value for name, value in data.items() if name != "schema"}
            if data["schema"] != SCHEMA:
                raise BadFile(f"The run has the schema {str(data['schema'])[:40]!r}, not {SCHEMA!r}.")
            values["columns"] = Columns(**values["columns"])
            values["versions"] = tuple(sorted(values["versions"].items()))
            # Older versions wrote down what was given, though it was the default.
            values["arguments"] = _arguments(Request("text", **values.pop("asked", {})))
            return cls(**{**values, "models": tuple(values["models"]), "methods": tuple(values["methods"])})
        except (KeyError, TypeError, AttributeError) as error:
            raise BadFile(
                f"This is not the plan of a run ({type(error).__name__}: {str(error)[:100]})."
            ) from error


def make_plan(
    table: str,
    columns: Columns,
    models: Sequence[str],
    methods: Sequence[str],
    find_method: Callable[[str], MethodDescription] = find,
    **fields: Any,
) -> Plan:
    """A plan, checked as far as can be told without the models: names of methods, options, the target.

    ``fields`` are those of a request, the same for every row, and options of the methods: in ``options``, or
    among the others. ``find_method`` finds the description of a method, for a run that a server computes.
    Raises ``UnknownMethod``, ``BadOption``.
    """
    chosen = {method.name: method for method in map(find_method, methods)}
    if not models or not chosen:
        raise BadOption("A run needs a model and a method.", "Name at least one of each.")
    request = _request(fields)
    owners = {name: method for method in chosen.values() for name in (method.name, *method.aliases)}
    shares = share_options(owners, request.options)
    # The defaults too: a later version may have others.
    complete = {name: dict(method.check_options(shares[name])) for name, method in chosen.items()}
    return Plan(
        table,
        columns,
        tuple(dict.fromkeys(models)),
        tuple(chosen),
        {name: values for name, values in complete.items() if values},
        _arguments(request),
    )


def _request(arguments: Mapping[str, Any]) -> Request:
    """What a run asks of each row.

    Raises ``BadOption`` for what is no field, or differs between the pairs of a run.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    for name in given:
        if name in request_fields() and request_fields()[name].kind.several:
            raise BadOption(f"{name} is not the same for every row of a run.", "The table has the texts.")
    return Request.of("text", **given).checked()


def _arguments(request: Request) -> dict[str, Any]:
    """What ``attribute`` takes by name, the same for every row, where it is not the default."""
    values = request.to_dict(defaults=False)
    return {name: value for name, value in values.items() if name not in ("text", "options")}


def folder_or_name(model: str | os.PathLike[str]) -> str:
    """A model as the plan has it: a folder by its absolute path, so that the run resumes from anywhere."""
    name = os.fspath(model)
    is_folder = os.path.isdir(name)  # noqa: PTH112 - a name that is no path is no error here
    return str(Path(name).resolve()) if is_folder else name
