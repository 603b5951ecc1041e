"""A run over a table: a folder that may be closed, killed or copied at any moment, and what computes it."""

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
from attribution.batch.journal import Journal, Rows, Stored, Tally
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
"""Answers of one transaction at most."""


class Run(RunFolder):
    """A run in a folder. ``steps`` computes what is missing, ``results`` reads what is there."""

    @classmethod
    def create(cls, folder: str | os.PathLike[str], table: Table, plan: Plan) -> Self:
        """Read the table into the folder; where the folder holds the same run already, that one.

        Raises ``BadTable`` where the table cannot be read to its end, ``BatchError`` where the folder holds
        another run or cannot be written.
        """
        place = Path(folder)
        rows = (_stored(row, plan.columns) for row in table)
        if (place / "plan.json").exists():
            run, tally = cls.open(place), Tally()
            deque(tally.over(rows), maxlen=0)
            if not run.plan.same(replace(plan, count=tally.count, fingerprint=tally.fingerprint)):
                run.close()
                raise BatchError(
                    f"{place} already holds another run.",
                    "Choose another folder, or resume that run without a table.",
                )
            return run
        with as_batch_errors(place):
            place.mkdir(parents=True, exist_ok=True)
        count, fingerprint = Rows.write(place / "rows.sqlite", rows)
        made = datetime.now(UTC).isoformat(timespec="seconds")
        full = replace(
            plan, count=count, fingerprint=fingerprint, made=made, versions=(("attribution", VERSION),)
        )
        write_file(place / "plan.json", json.dumps(full.to_dict(), indent=1).encode())
        return cls(place, full)

    def steps(
        self,
        engine: Engine,
        *,
        models: Mapping[str, Adapter | Function] | None = None,
        cancelled: Callable[[], bool] = lambda: False,
        part: tuple[int, int] = (0, 1),
    ) -> Iterator[Progress]:
        """Compute what is missing: how far the run is now, and again each time that answers were kept.

        Parameters
        ----------
        models : what ``load`` returned, by the names that the plan has; others are loaded by their names.
        cancelled : asked often; what is answered by then is kept.
        part : (i, n) for the i-th of n processes, which share the rows.

        A row that fails is kept with its error, and the run goes on; those that failed for a reason that may
        pass are tried again by the next ``steps``. Raises ``BatchError`` where another process computes the
        same part or the disk is full, and what is wrong with a model, or a method for it, before anything is
        computed.
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
                        yield work.progress(work.keep(answers[start : start + COMMITTED]))
                if cancelled():
                    return
            if newest := work.keep([]):
                yield work.progress(newest)


def _stored(row: Row, columns: Columns) -> Stored:
    """A row as it is kept, with the error of reading it."""
    # What pandas has for a missing cell is no number in JSON.
    values = {
        name: None if isinstance(value, float) and value != value else value
        for name, value in row.values.items()
    }
    try:
        columns.read(row)
        error = None
    except AttributionError as reason:
        error = reason.to_dict()
    return Stored(row.place, row.line, values, error)
