"""Durable runs over tables of texts: every row by every model and method, with a journal, so that nothing is computed or lost twice.

>>> from attribution import batch
>>> run = batch("reviews.csv", "runs/reviews", method=["integrated_gradients", "lime"])  # doctest: +SKIP
>>> for result in run.results(): ...  # doctest: +SKIP
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attribution.batch.plan import Plan, folder_or_name, plan
from attribution.batch.result import Progress, Result
from attribution.batch.run import Run
from attribution.errors import BadOption
from attribution.settings import DEFAULT_METHOD, DEFAULT_MODEL
from attribution.tables.table import Table, open_table
from attribution.types import Option

if TYPE_CHECKING:
    from attribution.models.adapter import Adapter
    from attribution.models.function import Function

__all__ = ["Plan", "Progress", "Result", "Run", "batch", "plan"]


def batch(
    table: str | os.PathLike[str] | Table | Iterable[Any],
    folder: str | os.PathLike[str],
    model: Any = DEFAULT_MODEL,
    method: str | Sequence[str] = DEFAULT_METHOD,
    *,
    columns: Mapping[str, str] | None = None,
    options: Mapping[str, Mapping[str, Option]] | None = None,
    progress: Callable[[Progress], None] = lambda progress: None,
    **asked: Any,
) -> Run:
    """Explain every row of a table by every model and method, and keep the answers in a folder.

    The same call goes on where it was: after a crash, or a keyboard interrupt.

    Parameters
    ----------
    table : a file (CSV, TSV, JSON Lines, JSON, Parquet), ``hf://datasets/OWNER/NAME``, rows as mappings by column, texts, or what
        ``attribution.tables.open_table`` gave.
    folder : where the run is kept; it is made if need be.
    model, method : one or several; a model is a name, a folder, or what ``load`` returned.
    columns : which column is ``text``, ``second``, ``label``, ``rationale``; else they are guessed by their names.
    options : those of each method by its name, ``{"lime": {"samples": 200}}``.
    progress : told how far the run is, each time that answers were kept.
    asked : ``target``, ``contrast``, ``position``, ``quantity``, ``max_new_tokens``, ``task``, ``revision``, as for ``attribute``.

    Raises ``BadTable``, ``BatchError``, and what is wrong with a model, a method or an option. A row that fails does not stop the run:
    ``Run.errors()`` has it.
    """
    from attribution.engine import default_engine

    held: dict[str, Adapter | Function] = {}
    models = [_name(one, held) for one in _several(model)]
    opened = open_table(table)
    found = plan(opened.name, opened.picked(**(columns or {})), models, _several(method), options, asked)
    run = Run.create(folder, opened, found)
    for step in run.steps(default_engine(), models=held):
        progress(step)
    return run


def _several(given: Any) -> list[Any]:
    return list(given) if isinstance(given, list | tuple) else [given]


def _name(model: Any, held: dict[str, Any]) -> str:
    """The name that the plan has; a model that is no name is ``held`` under it. Raises ``BadOption``."""
    if isinstance(model, str | os.PathLike):
        return folder_or_name(model)
    name = str(getattr(getattr(model, "info", None), "name", ""))
    if not name or name in held:
        raise BadOption(
            f"A model of the run is called {name!r}.", "Give each a name of its own: load(..., name='mine')."
        )
    held[name] = model
    return name
