"""The report of a comparison: shares of each word, agreement of the rankings, and disagreements."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attribution.errors import AttributionError
from attribution.export.drawing.figure import compose_figure
from attribution.export.reports.report import Column, Report, Row, Table, Value, short_number
from attribution.studies.agreement import ranks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attribution.studies.comparison import Comparison

COLUMNS = ("model", "method", "word", "segment", "start", "end", "score", "error", "share", "rank")
DISAGREEMENTS = 5
"""Maximum number of disagreements in a report."""


def comparison_report(comparison: Comparison) -> Report:
    """Report the shares and the agreement; attributions without a result have empty cells."""
    names = comparison.names
    columns = tuple(map(Column, names))
    shares = comparison.alignment.shares
    signed = [result is not None and result.signed for result in comparison.results]
    words = tuple(
        Row(word.text, tuple(map(_percent, shares[:, k].tolist(), signed)))
        for k, word in enumerate(comparison.alignment.words)
    )
    tables = [Table("Share of the sum of absolute scores", "word", columns, words)]
    if len(names) > 1:
        tables.append(agreement_table(comparison))
    return Report(
        _title(comparison),
        tuple(tables),
        (*comparison_notes(comparison), *_facts(comparison)),
        COLUMNS,
        tuple(_records(comparison)),
    )


def agreement_table(comparison: Comparison) -> Table:
    """The table of Kendall's τ-b between all pairs of attributions."""
    values = comparison.agreement("kendall").values
    names = comparison.names
    rows = (
        Row(name, tuple("" if value is None else short_number(value) for value in row))
        for name, row in zip(names, values, strict=True)
    )
    return Table("Agreement of the rankings: Kendall’s τ-b", "", tuple(map(Column, names)), tuple(rows))


def comparison_notes(comparison: Comparison) -> Iterator[str]:
    """Yield the notes on the comparison, the disagreements, and the failures."""
    yield from comparison.notes
    for disagreement in comparison.disagreements(DISAGREEMENTS):
        yield disagreement.sentence
    for name, entry in zip(comparison.names, comparison.attributions, strict=True):
        if isinstance(entry, AttributionError):
            yield f"{name}: {' '.join(str(entry).split())}"
    if len(comparison.names) > 1:
        yield "τ-b is 1 for the same order of words, 0 for no relation and −1 for the reverse order."
        if any(map(any, comparison.agreement("kendall").absolute)):
            yield "Absolute scores are compared where one of two attributions has no signs."


def _facts(comparison: Comparison) -> Iterator[str]:
    """Yield what is explained and what limits trust in it; common facts appear once."""
    results = [result for result in comparison.results if result is not None]
    if not results:
        return
    parts = compose_figure(results, special=True)
    yield " · ".join(filter(None, (parts.title, parts.subtitle)))
    for panel in parts.panels:
        for line in filter(None, (panel.head.details, *panel.remarks)):
            yield f"{panel.head.name}: {line}" if panel.head.name else line
    yield from parts.remarks


def _title(comparison: Comparison) -> str:
    line = " ".join(comparison.text.split())
    names = comparison.names if len(comparison.names) <= 3 else [f"{len(comparison.names)} explanations"]
    return f"Comparison of {', '.join(names)}: {line if len(line) <= 60 else f'{line[:60]}…'}"


def _percent(share: float, signed: bool) -> str:
    return "" if np.isnan(share) else f"{share:{'+' if signed else ''}.1%}".replace("-", "−")


def _records(comparison: Comparison) -> Iterator[tuple[Value, ...]]:
    """Yield one record per attribution and word that it scores."""
    alignment = comparison.alignment
    pairs = [(model, method) for model in comparison.models for method in comparison.methods]
    for i, pair in enumerate(pairs):
        places = ranks(alignment.scores[i])
        for j, word in enumerate(alignment.words):
            score = float(alignment.scores[i, j])
            if not np.isnan(score):
                error = float(alignment.errors[i, j]) or None
                numbers = score, error, float(alignment.shares[i, j]), int(places[j])
                yield (*pair, word.text, word.segment, word.start, word.end, *numbers)
