"""What a run over a table computes: a record that is written beside its answers, and all that is needed to go on."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from attribution.errors import BadFile, BadOption, nearest
from attribution.methods import find
from attribution.settings import DEFAULTS
from attribution.tables.table import Columns
from attribution.types import Option, check_target

SCHEMA = "batch/1"
ASKED = ("target", "contrast", "position", "quantity", "max_new_tokens", "task", "revision")
"""What ``attribute`` takes by name and a whole run can have: the same for every row."""


@dataclass(frozen=True)
class Plan:
    """A run: each row of a table by each model and method.

    ``options`` are those of each method by its name, ``asked`` is what ``attribute`` takes by name. ``count`` and ``fingerprint`` (SHA-256
    of the rows) are filled in when the run is made.
    """

    table: str
    columns: Columns
    models: tuple[str, ...]
    methods: tuple[str, ...]
    options: Mapping[str, Mapping[str, Option]] = field(default_factory=dict)
    asked: Mapping[str, Any] = field(default_factory=dict)
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
        return {name: list(value) if isinstance(value, tuple) else value for name, value in data.items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of ``to_dict``. Raises ``BadFile``."""
        try:
            given = {name: value for name, value in data.items() if name != "schema"}
            if data["schema"] != SCHEMA:
                raise BadFile(f"The run has the schema {str(data['schema'])[:40]!r}, not {SCHEMA!r}.")
            given["columns"] = Columns(**given["columns"])
            given["versions"] = tuple(sorted(given["versions"].items()))
            return cls(**{**given, "models": tuple(given["models"]), "methods": tuple(given["methods"])})
        except (KeyError, TypeError, AttributeError) as error:
            raise BadFile(
                f"This is not the plan of a run ({type(error).__name__}: {str(error)[:100]})."
            ) from error


def plan(
    table: str,
    columns: Columns,
    models: Sequence[str],
    methods: Sequence[str],
    options: Mapping[str, Mapping[str, Option]] | None = None,
    asked: Mapping[str, Any] | None = None,
) -> Plan:
    """A plan, checked as far as can be told without the models: names of methods, options, the target.

    Raises ``UnknownMethod``, ``BadOption``, ``UnknownTarget``.
    """
    found = {chosen.name: chosen for chosen in map(find, methods)}
    if not models or not found:
        raise BadOption("A run needs a model and a method.", "Name at least one of each.")
    given = {find(name).name: dict(values) for name, values in (options or {}).items()}
    for name in given.keys() - found.keys():
        raise BadOption(
            f"There are options for {name}, which is not among the methods.", nearest(name, found)
        )
    # Lists, since a plan that is read again has no tuples.
    wanted = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in (asked or {}).items()
        if value is not None
    }
    for name in wanted.keys() - set(ASKED):
        raise BadOption(f"A run has no option {name!r}.", nearest(name, ASKED))
    check_target(
        wanted.get("target"),
        wanted.get("quantity", "logit"),
        wanted.get("max_new_tokens", 16),
        wanted.get("contrast"),
        wanted.get("position"),
        limit=DEFAULTS.max_new_tokens,
    )
    # The defaults too: a later version may have others.
    complete = {name: dict(chosen.check_options(given.get(name, {}))) for name, chosen in found.items()}
    return Plan(
        table,
        columns,
        tuple(dict.fromkeys(models)),
        tuple(found),
        {name: kept for name, kept in complete.items() if kept},
        wanted,
    )


def folder_or_name(model: str | os.PathLike[str]) -> str:
    """A model as the plan has it: a folder by its whole path, so that the run can be resumed from anywhere."""
    name = os.fspath(model)
    return str(Path(name).resolve()) if os.path.isdir(name) else name  # noqa: PTH112 - a name that is no path is no error here
