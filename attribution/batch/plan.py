"""The plan of a run over a table: the record stored with its results from which it can be resumed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

from attribution import registry
from attribution.errors import BadFile, BadOption
from attribution.methods import HasNames, find
from attribution.models.sources.entries import is_folder
from attribution.registry import share_options
from attribution.request import Request
from attribution.request import fields as request_fields
from attribution.tables import Columns
from attribution.types import Option

SCHEMA = "batch/1"


class MethodDescription(HasNames, Protocol):
    """The part of a method's description that a plan needs: its name, its options and their checks."""

    @property
    def options(self) -> tuple[registry.Option, ...]: ...

    def check_options(self, values: Mapping[str, object], /) -> tuple[tuple[str, Option], ...]: ...


@dataclass(frozen=True)
class Plan:
    """A run: each row of a table by each model and method.

    ``options`` are those of each method by its name; ``arguments`` are keyword arguments of ``attribute``,
    the same for every row. ``count`` and ``fingerprint`` (SHA-256 of the rows) are set when the run is
    created.
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
    """The time of creation, in ISO 8601 and UTC."""
    versions: tuple[tuple[str, str], ...] = ()

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Every model with every method, in the order of the results of a row."""
        return tuple((model, method) for model in self.models for method in self.methods)

    @property
    def total(self) -> int:
        """The number of attributions that the run computes."""
        return self.count * len(self.pairs)

    def is_same(self, other: Plan) -> bool:
        """Whether the other plan computes the same results."""
        values, other_values = self.to_dict(), other.to_dict()
        return all(
            values[name] == other_values[name] for name in values if name not in ("table", "made", "versions")
        )

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
            # Older versions also wrote arguments that equal the default.
            values["arguments"] = _list_arguments(Request("text", **values.pop("asked", {})))
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
    """Make a plan, checked as far as possible without the models: names of methods, options, the target.

    ``fields`` are those of a request, the same for every row, and options of the methods: in ``options`` or
    flat. ``find_method`` finds the description of a method, for a run that a server computes.
    Raises ``UnknownMethod``, ``BadOption``.
    """
    chosen = {method.name: method for method in map(find_method, methods)}
    if not models or not chosen:
        raise BadOption("A run needs a model and a method.", "Name at least one of each.")
    request = _build_request(fields)
    owners = {name: method for method in chosen.values() for name in (method.name, *method.aliases)}
    shares = share_options(owners, request.options)
    # Defaults are stored too: a later version may have other ones.
    complete = {name: dict(method.check_options(shares[name])) for name, method in chosen.items()}
    return Plan(
        table,
        columns,
        tuple(dict.fromkeys(models)),
        tuple(chosen),
        {name: values for name, values in complete.items() if values},
        _list_arguments(request),
    )


def _build_request(arguments: Mapping[str, Any]) -> Request:
    """The request of a run, with a placeholder for the text.

    Raises ``BadOption`` for an unknown field, and for one that differs between the rows of a run.
    """
    values = {name: value for name, value in arguments.items() if value is not None}
    for name in values:
        if name in request_fields() and request_fields()[name].kind.several:
            raise BadOption(f"{name} is not the same for every row of a run.", "The table has the texts.")
    return Request.of("text", **values).checked()


def _list_arguments(request: Request) -> dict[str, Any]:
    """The keyword arguments of ``attribute`` that differ from the default, the same for every row."""
    values = request.to_dict(defaults=False)
    return {name: value for name, value in values.items() if name not in ("text", "options")}


def name_in_plan(model: str | os.PathLike[str]) -> str:
    """A model's name in the plan: a folder is made absolute, so that the run can be resumed from anywhere."""
    name = os.fspath(model)
    return str(Path(name).resolve()) if is_folder(name) else name
