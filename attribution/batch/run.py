"""A run over a table: computes the results and stores them in a folder, from which it can be resumed."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

from attribution.batch.disk import as_batch_errors, write_file
from attribution.batch.folder import RunFolder
from attribution.batch.journal import Journal, Rows, StoredRow, Tally
from attribution.batch.plan import Plan
from attribution.batch.result import Progress, Result
from attribution.batch.work import Work
from attribution.errors import AttributionError, BatchError
from attribution.settings import VERSION
from attribution.tables import Columns, Row, Table

if TYPE_CHECKING:
    from attribution.engine import Engine
    from attribution.models.adapter import Adapter
    from attribution.models.function import Function

__all__ = ["Plan", "Progress", "Result", "Run"]

COMMITTED = 10
"""The most answers in one transaction."""


class Run(RunFolder):
    """A run in a folder. ``steps`` computes the missing results, ``results`` reads those stored."""

    @classmethod
    def create(cls, folder: str | os.PathLike[str], table: Table, plan: Plan) -> Self:
        """Create a run by reading the table into the folder, or open the same run that it holds already.

        Raises ``BadTable`` where the table cannot be read to its end, and ``BatchError`` where the folder
        holds another run or cannot be written.
        """
        path = Path(folder)
        rows = (_make_stored_row(row, plan.columns) for row in table)
        if (path / "plan.json").exists():
            run, tally = cls.open(path), Tally()
            deque(tally.count_rows(rows), maxlen=0)
            if not run.plan.is_same(replace(plan, count=tally.count, fingerprint=tally.fingerprint)):
                run.close()
                raise BatchError(
                    f"{path} already holds another run.",
                    "Choose another folder, or resume that run: give None for the table, or --resume.",
                )
            return run
        with as_batch_errors(path):
            path.mkdir(parents=True, exist_ok=True)
        count, fingerprint = Rows.write(path / "rows.sqlite", rows)
        created = datetime.now(UTC).isoformat(timespec="seconds")
        full_plan = replace(
            plan, count=count, fingerprint=fingerprint, made=created, versions=(("attribution", VERSION),)
        )
        write_file(path / "plan.json", json.dumps(full_plan.to_dict(), indent=1).encode())
        return cls(path, full_plan)

    def steps(
        self,
        engine: Engine,
        *,
        models: Mapping[str, Adapter | Function] | None = None,
        cancelled: Callable[[], bool] = lambda: False,
        part: tuple[int, int] = (0, 1),
    ) -> Iterator[Progress]:
        """Compute what is missing, and yield the progress at once and each time that results were stored.

        Parameters
        ----------
        models : loaded models by their names in the plan; others are loaded by name.
        cancelled : called often; once it returns True, finished results are stored and the run stops.
        part : (i, n) for the i-th of n processes that share the rows.

        A row that fails is stored with its error, and the run continues; rows that failed for a reason that
        may be temporary are retried by the next ``steps``. Raises ``BatchError`` where another process
        computes the same part or the disk is full, and, before anything is computed, the errors of a model
        or of a method for it.
        """
        with self.claim(*part), Journal(self.part_path(part[0])) as journal:
            work = Work(self, engine, models or {}, part, journal)
            yield work.progress([])
            if work.finished:
                return
            work.check()
            for model in self.plan.models:
                for answers in work.engine.attribute_each(work.items(model), cancelled):
                    for start in range(0, len(answers), COMMITTED):
                        yield work.progress(work.store(answers[start : start + COMMITTED]))
                if cancelled():
                    return
            if newest := work.store([]):
                yield work.progress(newest)


def _make_stored_row(row: Row, columns: Columns) -> StoredRow:
    """A row as it is stored, with the error of reading it."""
    # NaN, a missing cell of pandas, is not valid JSON.
    values = {
        name: None if isinstance(value, float) and value != value else value
        for name, value in row.values.items()
    }
    try:
        columns.read(row)
        error = None
    except AttributionError as reason:
        error = reason.to_dict()
    return StoredRow(row.place, row.line, values, error)
