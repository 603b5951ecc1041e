"""HTML fragments of reports for files and notebooks: tables and notes, without scripts or style sheets."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from attribution.errors import AttributionError
from attribution.export.drawing import notebook
from attribution.export.reports import build_report
from attribution.export.reports.report import Column, Report, Row, Table, cell_text, short_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attribution.formats import Savable
    from attribution.models.base_adapter import BaseAdapter
    from attribution.studies.assessment import Assessment
    from attribution.studies.attention import Attentions
    from attribution.studies.comparison import Comparison
    from attribution.studies.evaluation import Evaluation


def render_table(content: Table) -> str:
    """Render a table without inline styles, which a content security policy may forbid."""
    heads = "".join(f'<th scope="col">{escape(column.text)}</th>' for column in content.columns)
    rows = "".join(
        f'<tr><th scope="row">{escape(row.name)}</th>'
        + "".join(f"<td>{escape(cell_text(cell))}</td>" for cell in row.cells)
        + "</tr>"
        for row in content.rows
    )
    head = f'<thead><tr><th scope="col">{escape(content.corner)}</th>{heads}</tr></thead>'
    return f"<table>{head}<tbody>{rows}</tbody></table>"


def render_report(content: Report) -> str:
    """Render all tables with their titles, then the notes."""
    tables = (
        (f"<h2>{escape(entry.title)}</h2>" if entry.title else "")
        + f'<div style="overflow-x:auto">{render_table(entry)}</div>'
        for entry in content.tables
    )
    notes = "".join(f"<li>{escape(note)}</li>" for note in content.notes)
    return f"{''.join(tables)}<ul>{notes}</ul>"


def render_study(result: Evaluation | Assessment) -> str:
    """Render an evaluation or an assessment for a notebook."""
    return render_report(build_report(result))


def render_comparison(result: Comparison) -> str:
    """Render a comparison for a notebook: each finished attribution, then the report."""
    pictures = (
        f'<h2 dir="auto">{escape(name)}</h2>{notebook.render_attribution(entry)}'
        for name, entry in zip(result.names, result.results, strict=True)
        if entry is not None
    )
    return "\n".join([*pictures, render_report(build_report(result))])


def render_attentions(result: Attentions) -> str:
    """Render the figures of each layer, as means over its heads."""
    from attribution.studies.attention import FIGURES

    tables = []
    for block in result.blocks:
        columns = tuple(Column(figure.title) for figure in FIGURES.values())
        values = [figure.of(block).mean(axis=1).tolist() for figure in FIGURES.values()]
        rows = tuple(
            Row(
                str(layer),
                tuple("" if row[layer] != row[layer] else short_number(row[layer]) for row in values),
            )
            for layer in range(block.layers)
        )
        title = f"{block.kind.capitalize()}-attention: {block.layers} layers × {block.heads} heads"
        tables.append(Table(title, "layer", columns, rows))
    notes = (
        f"{result.model.name} reads: {' '.join(result.text.split())}",
        "Means over the heads of a layer.",
    )
    return render_report(Report("Attention", tuple(tables), notes, (), ()))


def render_model(model: BaseAdapter) -> str:
    """Render what is known of a loaded model."""
    info = model.info
    rows = {
        "model": info.name,
        "revision": info.revision or "",
        "architecture": info.architecture,
        "task": model.task.title,
        "labels": ", ".join(info.labels[:32]) + ("…" if len(info.labels) > 32 else ""),
        "parameters": f"{info.parameters:,}" if info.parameters else "",
    }
    table = Table("", "", (), tuple(Row(name, (value,)) for name, value in rows.items() if value))
    return render_report(Report(info.name, (table,), tuple(filter(None, (info.note, *model.notes))), (), ()))


MOST_SHOWN = 20
"""Results of a list that a notebook shows."""


def render_list(results: Sequence[Savable | AttributionError]) -> str:
    """Render the first results of a list one below the other, errors as sentences."""
    parts = [
        f"<p>{escape(str(entry))}</p>" if isinstance(entry, AttributionError) else entry._repr_html_()
        for entry in results[:MOST_SHOWN]
    ]
    if len(results) > MOST_SHOWN:
        parts.append(f"<p>… and {len(results) - MOST_SHOWN} more.</p>")
    return "<hr>".join(parts)
