"""Draw attributions as one picture: title, a heatmap per output of each result, legends, remarks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import regex

from attribution.errors import EmptyInput
from attribution.export.drawing.canvas import MARGIN, Canvas, Picture, Text, escape
from attribution.export.drawing.cells import blocks
from attribution.export.drawing.charts import draw_table
from attribution.export.drawing.colour import THEMES, ThemeName, text_on
from attribution.export.drawing.figure import Figure, Legend, Panel, compose_figure
from attribution.export.drawing.fonts import Run
from attribution.export.drawing.layout import Box, ordered_runs, place_cells, text_width, wrap_text
from attribution.export.reports.comparison import agreement_table, comparison_notes
from attribution.export.writing.captions import caption, is_captioned
from attribution.sentences import interval, number
from attribution.types import Output

if TYPE_CHECKING:
    from attribution.studies.comparison import Comparison
    from attribution.types import Attribution

SIZE = 18
"""Font size of the heatmap in SVG units."""
ROW = 40
"""Distance between two lines of cells."""
HEIGHT = 32
"""Height of a cell."""
_VISIBLE = regex.compile(r"[^\s\p{C}\p{Mn}]|\p{Co}|\ufffe")
_SIGNS = {"\n": "↵", "\r": "↵", "\t": "⇥", " ": "␣"}
_JOINING = regex.compile(r"[\p{Script=Arabic}\p{Script=Syriac}\p{Script=Mongolian}&&\p{L}]", regex.VERSION1)


@dataclass(frozen=True, slots=True)
class Look:
    """How a picture is drawn: width, theme, words or tokens, with or without special tokens."""

    width: int = 900
    theme: ThemeName = "light"
    words: bool = True
    special: bool = False


def draw(attributions: Sequence[Attribution], look: Look) -> Picture:
    """Draw the title, one heatmap per output of each result, the legends and the remarks."""
    canvas, parts = _draw_figure(attributions, look)
    return _finish(canvas, parts.remarks)


def draw_comparison(comparison: Comparison, look: Look) -> Picture:
    """Draw the finished attributions, the agreement of their rankings, and the notes.

    Raises ``EmptyInput`` if none is finished.
    """
    results = [result for result in comparison.results if result is not None]
    if not results:
        raise EmptyInput("There is no attribution to draw.", "All of them failed or are not finished.")
    canvas, parts = _draw_figure(results, look)
    if len(results) > 1:
        canvas.y += 14
        draw_table(canvas, agreement_table(comparison))
    return _finish(canvas, (*comparison_notes(comparison), *parts.remarks))


def _draw_figure(attributions: Sequence[Attribution], look: Look) -> tuple[Canvas, Figure]:
    parts = compose_figure(attributions, look.words, look.special)
    canvas = Canvas(look.width, THEMES[look.theme])
    heads = "; ".join(panel.head.name for panel in parts.panels)
    canvas.title = ". ".join(filter(None, (parts.title, parts.subtitle, heads)))
    canvas.add_paragraph(parts.title, 22, canvas.theme.ink, bold=True)
    canvas.add_paragraph(parts.subtitle, 13, canvas.theme.muted)
    canvas.y += 14
    for panel in parts.panels:
        _draw_panel(canvas, panel)
    for legend in parts.legends:
        _draw_legend(canvas, legend)
    return canvas, parts


def _finish(canvas: Canvas, remarks: Iterable[str]) -> Picture:
    for line in remarks:
        canvas.add_paragraph(line, 12, canvas.theme.muted)
    return canvas.finish()


def _draw_panel(canvas: Canvas, panel: Panel) -> None:
    """Draw the head of a panel, one heatmap per output, and the remarks on this result alone."""
    result = panel.result
    if panel.head.name:
        scale = "" if panel.top is None else f"full colour at {number(panel.top)} {result.unit}"
        canvas.add_paragraph(panel.head.name, 15, canvas.theme.ink, bold=True)
        canvas.add_paragraph(" · ".join(filter(None, (panel.head.details, scale))), 12, canvas.theme.muted)
        canvas.y += 6
    # All outputs share the boxes: only the colours change.
    arranged = [
        (name, place_cells(part, (canvas.width - 2 * MARGIN) / SIZE))
        for name, part in blocks(result, panel.cells)
    ]
    for i, output in enumerate(result.outputs):
        if is_captioned(result):
            canvas.add_paragraph(caption(result, i), 13, canvas.theme.muted)
            canvas.y += 4
        for name, boxes in arranged:
            if name:
                _draw_part_name(canvas, name, last=name == arranged[-1][0])
            _draw_cells(canvas, boxes, i, output, panel.scales[i], result.signed)
    for line in panel.remarks:
        canvas.add_paragraph(line, 12, canvas.theme.muted)
    if panel.head.name:
        canvas.y += 18


def _draw_part_name(canvas: Canvas, name: str, last: bool) -> None:
    """Draw the name of one text of a pair, and a rule above the second text."""
    if last:
        canvas.add_rule(MARGIN, canvas.y, canvas.width - 2 * MARGIN, 1, canvas.theme.line, None)
        canvas.y += 8
    canvas.add_paragraph(name, 12, canvas.theme.muted)
    canvas.y += 3


def _draw_cells(canvas: Canvas, boxes: list[Box], i: int, output: Output, scale: float, signed: bool) -> None:
    for k, box in enumerate(boxes):
        _draw_box(canvas, box, i, output, scale, signed)
        parts = _shape_runs(
            box,
            [other for other in (*boxes[max(k - 1, 0) : k], *boxes[k + 1 : k + 2]) if other.line == box.line],
        )
        _draw_text(canvas, box, parts, _ink(canvas, box, i, output, scale, signed))
    canvas.y += (boxes[-1].line + 1 if boxes else 0) * ROW + 8


def _position(canvas: Canvas, box: Box) -> tuple[float, float, float]:
    """Left, top and width of a box on the canvas."""
    return MARGIN + box.x * SIZE, canvas.y + box.line * ROW, box.width * SIZE


def _draw_box(canvas: Canvas, box: Box, i: int, output: Output, scale: float, signed: bool) -> None:
    """Draw a box without its text: background, underline, and a frame around the explained token."""
    (x, y, width), cell = _position(canvas, box), box.cell
    if cell.scores is not None and cell.is_visible_to(i, output):
        score = cell.scores[i]
        fill = canvas.theme.background(score, scale, signed)
        dash = ' stroke-dasharray="3 2"' if cell.special else ""
        title = escape(f"{cell.text}: {interval(score, cell.error(i))}")
        canvas.add_box(
            x, y, width, HEIGHT, fill, f' rx="4" stroke="{canvas.theme.line}" stroke-width="0.5"{dash}', title
        )
        thickness = 4 * abs(score) / scale if scale > 0 else 0.0
        if cell.is_uncertain(i):
            canvas.add_rule(x + 4, y + HEIGHT - 3.5, width - 8, 1.6, text_on(fill), "1.6 2.4")
        elif thickness >= 0.4:
            dashes = "4 3" if signed and score < 0 else None
            canvas.add_rule(
                x + 4, y + HEIGHT - 2 - thickness / 2, width - 8, thickness, text_on(fill), dashes
            )
    if cell.contains(output):
        canvas.add_box(x, y, width, HEIGHT, "none", f' rx="4" stroke="{canvas.theme.ink}" stroke-width="2"')


def _ink(canvas: Canvas, box: Box, i: int, output: Output, scale: float, signed: bool) -> str:
    if box.cell.scores is not None and box.cell.is_visible_to(i, output):
        return text_on(canvas.theme.background(box.cell.scores[i], scale, signed))
    return canvas.theme.ink if box.cell.contains(output) else canvas.theme.muted


def _draw_text(canvas: Canvas, box: Box, parts: list[Run], ink: str) -> None:
    x, y, width = _position(canvas, box)
    size = 13 if box.cell.special else SIZE
    left = x + (width - sum(run.width for run in parts) * size) / 2
    for run in parts:
        length = run.width * size
        fit = length if run.measured else None
        canvas.parts.append(Text(left + length / 2, y + 21, run, size, ink, centred=True, length=fit))
        left += length


def _shape_runs(box: Box, neighbours: list[Box]) -> list[Run]:
    """The text of a box in runs.

    Where a word is split between letters that join, a zero-width joiner stands for the neighbour.
    """
    text = _show_invisible(box.text)
    for other in neighbours if not box.cell.special else []:
        first, second = sorted((box, other), key=lambda b: b.cell.start)
        if (
            second.cell.gap == ""
            and not other.cell.special
            and _JOINING.match(first.text[-1])
            and _JOINING.match(second.text[0])
        ):
            text = f"{text}\u200d" if first is box else f"\u200d{text}"
    return ordered_runs(text)


def _draw_legend(canvas: Canvas, legend: Legend) -> None:
    steps, step, signed = 41, 6, legend.signed
    canvas.y += 4
    for k in range(steps):
        share = (2 * k / (steps - 1) - 1) if signed else k / (steps - 1)
        canvas.add_box(
            MARGIN + k * step, canvas.y, step + 0.5, 12, canvas.theme.background(share, 1.0, signed)
        )
    width = steps * step
    for fraction, label in _marks(legend):
        left = MARGIN + fraction * (width - text_width(label) * 12)
        canvas.add_line(left, canvas.y + 27, label, 12, canvas.theme.ink)
    right = MARGIN + width + 18
    lines = wrap_text(_describe_scale(legend), (canvas.width - MARGIN - right) / 12)
    for k, line in enumerate(lines):
        canvas.add_line(right, canvas.y + 10 + 17 * k, line, 12, canvas.theme.muted)
    canvas.y += max(44, 17 * len(lines) + 10)


def _marks(legend: Legend) -> list[tuple[float, str]]:
    """The tick labels below the colour scale, each with its position from 0 to 1."""
    top, signed = legend.top, legend.signed
    if top is None:
        return [(0.0, "against"), (0.5, "0"), (1.0, "for")] if signed else [(0.0, "0"), (1.0, "full colour")]
    if top == 0:
        return [(0.5 if signed else 0.0, number(0.0))]
    return (
        [(0.0, number(-top)), (0.5, number(0.0)), (1.0, f"+{number(top)}")]
        if signed
        else [(0.0, number(0.0)), (0.5, number(top / 2)), (1.0, number(top))]
    )


def _describe_scale(legend: Legend) -> str:
    subject = f"{', '.join(legend.names)}: score" if legend.names else "Score"
    scale = ", full colour at the number above each picture" if legend.top is None else ""
    directions = "orange speaks for the target, blue (dashed line) against it"
    reading = directions if legend.signed else "strength only, without a direction"
    return f"{subject} in {legend.unit}{scale}: {reading}; a thicker line is a larger score."


def _show_invisible(text: str) -> str:
    """Replace each character by a visible sign if the text would otherwise be invisible."""
    return text if _VISIBLE.search(text) else "".join(_SIGNS.get(c, "·") for c in text)
