"""Reports as HTML fragments, in a file and in a notebook: tables and notes, without script and style sheet."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from attribution.export.drawing import notebook
from attribution.export.reports import report_of
from attribution.export.reports.report import Report, Table, cell_text

if TYPE_CHECKING:
    from attribution.studies.assessment import Assessment
    from attribution.studies.comparison import Comparison
    from attribution.studies.evaluation import Evaluation


def table(content: Table) -> str:
    """One table, without styles, which a content security policy may forbid."""
    heads = "".join(f'<th scope="col">{escape(column.text)}</th>' for column in content.columns)
    rows = "".join(
        f'<tr><th scope="row">{escape(row.name)}</th>'
        + "".join(f"<td>{escape(cell_text(cell))}</td>" for cell in row.cells)
        + "</tr>"
        for row in content.rows
    )
    head = f'<thead><tr><th scope="col">{escape(content.corner)}</th>{heads}</tr></thead>'
    return f"<table>{head}<tbody>{rows}</tbody></table>"


def report(content: Report) -> str:
    """All tables with their titles, then the notes."""
    tables = (
        (f"<h2>{escape(entry.title)}</h2>" if entry.title else "")
        + f'<div style="overflow-x:auto">{table(entry)}</div>'
        for entry in content.tables
    )
    notes = "".join(f"<li>{escape(note)}</li>" for note in content.notes)
    return f"{''.join(tables)}<ul>{notes}</ul>"


def study(result: Evaluation | Assessment) -> str:
    """What a notebook shows of an evaluation or an assessment."""
    return report(report_of(result))


def comparison(result: Comparison) -> str:
    """What a notebook shows of a comparison: the picture of each finished attribution, then the report."""
    pictures = (
        f'<h2 dir="auto">{escape(name)}</h2>{notebook.fragment(entry)}'
        for name, entry in zip(result.names, result.results, strict=True)
        if entry is not None
    )
    return "\n".join([*pictures, report(report_of(result))])
