"""Durable runs over tables of texts: each row by each model and method, with a journal to resume from.

>>> from attribution import run_batch
>>> run = run_batch("reviews.csv", "runs/reviews", method=["integrated_gradients", "lime"])  # doctest: +SKIP
>>> for result in run.results(): ...  # doctest: +SKIP
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attribution.batch.plan import Plan, make_plan, name_in_plan
from attribution.batch.result import Progress, Result
from attribution.batch.result import Progress as RunProgress
from attribution.batch.run import Run
from attribution.deprecation import make_callable
from attribution.errors import BadOption
from attribution.models.base_adapter import BaseAdapter
from attribution.request import Labels, Model
from attribution.request.arguments import (
    check_callback,
    check_folder,
    check_progress,
    list_models,
    list_names,
)
from attribution.request.progress import Bar
from attribution.request.signatures import takes_request
from attribution.settings import DEFAULT_METHOD, DEFAULT_MODEL
from attribution.tables import Table, open_table

if TYPE_CHECKING:
    from attribution.engine import Engine

__all__ = ["Plan", "Progress", "Result", "Run", "make_plan", "run_batch"]


@takes_request
def run_batch(
    table: str | os.PathLike[str] | Table | Iterable[Any] | None,
    folder: str | os.PathLike[str],
    model: Model | Sequence[Model] = DEFAULT_MODEL,
    method: str | Sequence[str] = DEFAULT_METHOD,
    target: Labels = None,
    *,
    columns: Mapping[str, str] | None = None,
    progress: Callable[[RunProgress], None] | bool | None = None,
    cancelled: Callable[[], bool] | None = None,
    **fields: Any,
) -> Run:
    """Explain every row of a table by every model and method, and store the results in a folder.

    The same call resumes the run after a crash or a keyboard interrupt. A row that fails does not stop the
    run; ``Run.errors()`` lists these rows.

    Parameters
    ----------
    table : a file (CSV, TSV, JSON Lines, JSON, Parquet), ``hf://datasets/OWNER/NAME``, rows as mappings by
        column, texts, or what ``attribution.tables.open_table`` returned. None resumes
        the run in the folder as it was planned.
    folder : of the run; created if needed.
    model, method : one or several.
    columns : which column is ``text``, ``second``, ``label``, ``rationale``; by default guessed from the
    names.
    progress : None shows a bar in a terminal or notebook; True and False: always and never; or a function,
        called with the ``Progress`` each time that results were stored.
    cancelled : called between results; once it returns True nothing new is started, and finished results
    are stored.

    Raises ``BadTable``, ``BatchError``, and the errors of a model, a method or an option.
    """
    from attribution.engine import default_engine

    engine = default_engine()
    loaded: dict[str, Any] = {}
    path = check_folder("folder", folder)
    check_progress(progress, "the progress")
    check_callback("cancelled", cancelled)
    names = [_name_model(engine, each, loaded) for each in list_models("model", model)]
    methods = list_names("method", method)
    if table is None:
        run = Run.open(path)
    else:
        source = open_table(table)
        picked = source.choose_columns(columns)
        plan = make_plan(source.name, picked, names, methods, target=target, **fields)
        run = Run.create(path, source, plan)
    watch(run.steps(engine, models=loaded, cancelled=cancelled or (lambda: False)), progress)
    return run


def watch(steps: Iterable[Progress], progress: Callable[[Progress], None] | bool | None) -> None:
    """Take the steps of a run, with a bar, or with a function that is called with each."""
    with Bar(False if callable(progress) else progress, "attributions") as bar:
        for step in steps:
            bar.reach(step.done + step.failed, step.total)
            if callable(progress):
                progress(step)


def _name_model(engine: Engine, model: Any, loaded: dict[str, Any]) -> str:
    """The model's name in the plan; a model that is not a name is added to ``loaded``.

    Raises ``BadOption`` for a model without a name of its own.
    """
    if isinstance(model, str | os.PathLike):
        return name_in_plan(model)
    model = engine.open_model(model)
    name = model.info.name if isinstance(model, BaseAdapter) else ""
    if not name or name in loaded:
        raise BadOption(
            f"A model of the run is called {name!r}.", "Give each model its own name: load(..., name='mine')."
        )
    loaded[name] = model
    return name


make_callable(__name__, run_batch)
