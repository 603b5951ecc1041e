"""All texts of a table for a study: they are read at once, with the marks and fields of each."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from attribution.metrics import list_metrics
from attribution.tables.opening import open_table
from attribution.tables.sources import is_frame, rows_of
from attribution.tables.table import Table


@dataclass(frozen=True)
class Texts:
    """The texts of a study, as parallel lists: ``seconds`` and ``rationales`` are None where there are none.

    ``fields`` are further fields of each text's own request.
    """

    texts: tuple[str, ...]
    seconds: Sequence[str | None] | str | None = None
    rationales: Sequence[Any] | None = None
    fields: Sequence[Mapping[str, Any]] | None = None


def read_texts(source: Any, columns: Mapping[str, str] | None = None, *, rationales: bool = False) -> Texts:
    """Read all texts of a table, of rows or of a list; ``rationales`` says whether to read people's marks.

    Raises ``BadTable`` for the first row that cannot be read: a study must not lose texts in silence.
    """
    if isinstance(source, str):
        return Texts((source,))
    if not isinstance(source, Table | os.PathLike) and not columns and not is_frame(source):
        if not isinstance(source, Mapping):
            source = rows_of(source)
            source = list(source) if isinstance(source, Iterable) else source
        if isinstance(source, list) and not any(isinstance(item, Mapping) for item in source):
            return Texts(tuple(source))
    table = open_table(source) if not isinstance(source, Table) else source
    chosen = table.choose_columns(columns)
    samples = [chosen.read(row) for row in table]
    marks = None
    if rationales and chosen.rationale is not None:
        marks = tuple(sample.rationale for sample in samples)
    return Texts(
        tuple(sample.text for sample in samples),
        None if chosen.second is None else tuple(sample.second for sample in samples),
        marks,
        tuple(sample.fields for sample in samples) if chosen.fields else None,
    )


def read_study(
    source: Any,
    columns: Mapping[str, str] | None,
    metrics: Sequence[str],
    second: Any = None,
    rationales: Any = None,
) -> Texts:
    """Read the texts of an evaluation. ``second`` and ``rationales`` take the place of the table's.

    People's marks are read where a metric compares with them. Raises what ``read_texts`` raises.
    """
    registered = list_metrics()
    compares = any("rationale" in registered[name].needs for name in metrics if name in registered)
    texts = read_texts(source, columns, rationales=rationales is None and compares)
    return replace(
        texts,
        seconds=texts.seconds if second is None else second,
        rationales=texts.rationales if rationales is None else rationales,
    )
