"""HTML fragments of reports for files and notebooks: tables and notes, without scripts or style sheets."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from attribution.export.drawing import notebook
from attribution.export.reports import build_report
from attribution.export.reports.report import Report, Table, cell_text

if TYPE_CHECKING:
    from attribution.studies.assessment import Assessment
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
