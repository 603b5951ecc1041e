"""Draw reports: dot charts with intervals, and small tables of numbers."""

from __future__ import annotations

from typing import Annotated

from attribution.export.drawing.canvas import MARGIN, Canvas, Picture
from attribution.export.drawing.colour import THEMES, ThemeName
from attribution.export.reports.report import Chart, Report, Table, cell_text
from attribution.registry import Between

Width = Annotated[int, Between(480, 4096), "Width of the picture in units of the SVG."]

ROW, LABEL, NUMBER = 26, 190, 150
"""Of a chart, in SVG units: the height of a row, the width of its label and of its numbers."""
COLUMN = 64
"""Width of a table column in SVG units."""
NAME_LENGTH = 24
"""Maximum number of characters of a name."""


def draw_report(report: Report, width: int, theme: ThemeName) -> Picture:
    """Draw the title, a chart for each metric, and the notes.

    The tables are left out, because the charts show the same numbers.
    """
    canvas = Canvas(width, THEMES[theme])
    canvas.title = report.title
    canvas.add_paragraph(report.title, 20, canvas.theme.ink, bold=True)
    canvas.y += 10
    for chart in report.charts:
        draw_chart(canvas, chart)
    for line in report.notes:
        canvas.add_paragraph(line, 12, canvas.theme.muted)
    return canvas.finish()


def draw_chart(canvas: Canvas, chart: Chart) -> None:
    """Draw one row per dot with its label, interval and numbers; the baseline is a dotted vertical line."""
    canvas.add_paragraph(chart.title, 15, canvas.theme.ink, bold=True)
    canvas.y += 4
    ends = [
        end
        for dot in chart.dots
        for end in (dot.interval.value, dot.interval.low, dot.interval.high)
        if end is not None
    ]
    low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)
    room = (high - low) * 0.04 or 0.5
    low, high = low - room, high + room
    left, right = MARGIN + LABEL, canvas.width - MARGIN - NUMBER

    def to_x(value: float) -> float:
        return left + (right - left) * (value - low) / (high - low)

    if chart.baseline is not None and low <= chart.baseline <= high:
        dotted = ' stroke-dasharray="2 4"'
        _stroke(canvas, to_x(chart.baseline), canvas.y, f"v{ROW * len(chart.dots)}", dotted)
    for dot in chart.dots:
        middle, interval = canvas.y + ROW / 2, dot.interval
        faint = interval.value is None or dot.is_control
        ink = canvas.theme.muted if faint else canvas.theme.ink
        canvas.add_line(MARGIN, middle + 5, _shorten(dot.name), 14, ink)
        if interval.low is not None and interval.high is not None:
            _stroke(canvas, to_x(interval.low), middle, f"h{to_x(interval.high) - to_x(interval.low):.1f}")
        if interval.value is not None:
            fill = canvas.theme.muted if faint else canvas.theme.strength[-1]
            canvas.parts.append(
                f'<circle cx="{to_x(interval.value):.1f}" cy="{middle:.1f}" r="5" fill="{fill}"/>'
            )
        canvas.add_line(right + 12, middle + 5, interval.text, 13, ink)
        canvas.y += ROW
    canvas.y += 20


def draw_table(canvas: Canvas, table: Table) -> None:
    """Draw a square table; its columns are headed by row numbers, because names would not fit."""
    canvas.add_paragraph(table.title, 15, canvas.theme.ink, bold=True)
    canvas.y += 4
    shown = max(1, int((canvas.width - 2 * MARGIN - LABEL - COLUMN / 2) // COLUMN))
    left = MARGIN + LABEL + COLUMN / 2
    for k in range(min(shown, len(table.columns))):
        canvas.add_line(left + k * COLUMN, canvas.y + ROW / 2 + 5, str(k + 1), 13, canvas.theme.muted)
    canvas.y += ROW
    for number, row in enumerate(table.rows, 1):
        middle = canvas.y + ROW / 2
        canvas.add_line(MARGIN, middle + 5, f"{number} {_shorten(row.name)}", 14, canvas.theme.ink)
        for k, cell in enumerate(row.cells[:shown]):
            canvas.add_line(left + k * COLUMN, middle + 5, cell_text(cell) or "–", 13, canvas.theme.ink)
        canvas.y += ROW
    canvas.y += 14


def _stroke(canvas: Canvas, x: float, y: float, path: str, attributes: str = "") -> None:
    canvas.parts.append(
        f'<path d="M{x:.1f} {y:.1f}{path}" stroke="{canvas.theme.muted}" stroke-width="2" '
        f'fill="none"{attributes}/>'
    )


def _shorten(name: str) -> str:
    return name if len(name) <= NAME_LENGTH else f"{name[: NAME_LENGTH - 1]}…"
