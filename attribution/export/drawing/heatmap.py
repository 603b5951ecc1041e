"""Attributions as one picture: title, a heatmap for each output of each result, legends, remarks."""

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
from attribution.export.drawing.figure import Figure, Legend, Panel, figure
from attribution.export.drawing.fonts import Run
from attribution.export.drawing.layout import Box, ordered_runs, place, text_width, wrap_text
from attribution.export.reports.comparison import agreement_table, comparison_notes
from attribution.export.writing.captions import caption, is_captioned
from attribution.sentences import interval, number
from attribution.types import Output

if TYPE_CHECKING:
    from attribution.studies.comparison import Comparison
    from attribution.types import Attribution

SIZE = 18
"""Font size of the heatmap."""
ROW = 40
"""From one line of cells to the next."""
HEIGHT = 32
"""Of a cell."""
_SEEN = regex.compile(r"[^\s\p{C}\p{Mn}]|\p{Co}|\ufffe")
_SIGNS = {"\n": "↵", "\r": "↵", "\t": "⇥", " ": "␣"}
_JOINED = regex.compile(r"[\p{Script=Arabic}\p{Script=Syriac}\p{Script=Mongolian}&&\p{L}]", regex.VERSION1)


@dataclass(frozen=True, slots=True)
class Look:
    """How a picture is drawn: its width, its colours, words or tokens, with or without special tokens."""

    width: int = 900
    theme: ThemeName = "light"
    words: bool = True
    special: bool = False


def draw(attributions: Sequence[Attribution], look: Look) -> Picture:
    """Title, one heatmap for each output of each result, legends, remarks."""
    canvas, parts = _canvas(attributions, look)
    return _finish(canvas, parts.remarks)


def draw_comparison(comparison: Comparison, look: Look) -> Picture:
    """The finished attributions, how alike their rankings are, the notes.

    Raises ``EmptyInput`` where none is finished.
    """
    results = [result for result in comparison.results if result is not None]
    if not results:
        raise EmptyInput("There is no attribution to draw.", "All of them failed, or are still to come.")
    canvas, parts = _canvas(results, look)
    if len(results) > 1:
        canvas.y += 14
        draw_table(canvas, agreement_table(comparison))
    return _finish(canvas, (*comparison_notes(comparison), *parts.remarks))


def _canvas(attributions: Sequence[Attribution], look: Look) -> tuple[Canvas, Figure]:
    parts = figure(attributions, look.words, look.special)
    canvas = Canvas(look.width, THEMES[look.theme])
    heads = "; ".join(panel.head.name for panel in parts.panels)
    canvas.title = ". ".join(filter(None, (parts.title, parts.what, heads)))
    canvas.paragraph(parts.title, 22, canvas.theme.ink, bold=True)
    canvas.paragraph(parts.what, 13, canvas.theme.muted)
    canvas.y += 14
    for panel in parts.panels:
        _panel(canvas, panel)
    for legend in parts.legends:
        _legend(canvas, legend)
    return canvas, parts


def _finish(canvas: Canvas, remarks: Iterable[str]) -> Picture:
    for line in remarks:
        canvas.paragraph(line, 12, canvas.theme.muted)
    return canvas.finish()


def _panel(canvas: Canvas, panel: Panel) -> None:
    """Head, one heatmap per output, what is said of this result alone."""
    result = panel.result
    if panel.head.name:
        scale = "" if panel.top is None else f"full colour at {number(panel.top)} {result.unit}"
        canvas.paragraph(panel.head.name, 15, canvas.theme.ink, bold=True)
        canvas.paragraph(" · ".join(filter(None, (panel.head.rest, scale))), 12, canvas.theme.muted)
        canvas.y += 6
    # The same boxes for each output: only the colours change.
    placed = [
        (name, place(part, (canvas.width - 2 * MARGIN) / SIZE)) for name, part in blocks(result, panel.cells)
    ]
    for i, output in enumerate(result.outputs):
        if is_captioned(result):
            canvas.paragraph(caption(result, i), 13, canvas.theme.muted)
            canvas.y += 4
        for name, boxes in placed:
            if name:
                _separate(canvas, name, last=name == placed[-1][0])
            _heatmap(canvas, boxes, i, output, panel.scales[i], result.signed)
    for line in panel.remarks:
        canvas.paragraph(line, 12, canvas.theme.muted)
    if panel.head.name:
        canvas.y += 18


def _separate(canvas: Canvas, name: str, last: bool) -> None:
    """The name of one text of a pair, and a quiet line above the second."""
    if last:
        canvas.rule(MARGIN, canvas.y, canvas.width - 2 * MARGIN, 1, canvas.theme.line, None)
        canvas.y += 8
    canvas.paragraph(name, 12, canvas.theme.muted)
    canvas.y += 3


def _heatmap(canvas: Canvas, boxes: list[Box], i: int, output: Output, scale: float, signed: bool) -> None:
    for k, box in enumerate(boxes):
        _cell(canvas, box, i, output, scale, signed)
        parts = _connected(
            box,
            [other for other in (*boxes[max(k - 1, 0) : k], *boxes[k + 1 : k + 2]) if other.line == box.line],
        )
        _text(canvas, box, parts, _ink(canvas, box, i, output, scale, signed))
    canvas.y += (boxes[-1].line + 1 if boxes else 0) * ROW + 8


def _place(canvas: Canvas, box: Box) -> tuple[float, float, float]:
    """Left, top and width on the canvas."""
    return MARGIN + box.x * SIZE, canvas.y + box.line * ROW, box.width * SIZE


def _cell(canvas: Canvas, box: Box, i: int, output: Output, scale: float, signed: bool) -> None:
    """The box without its text: colour, underline, and a frame around the token that is explained."""
    (x, y, wide), cell = _place(canvas, box), box.cell
    if cell.scores is not None and cell.seen(i, output):
        score = cell.scores[i]
        fill = canvas.theme.background(score, scale, signed)
        dash = ' stroke-dasharray="3 2"' if cell.special else ""
        title = escape(f"{cell.text}: {interval(score, cell.error(i))}")
        canvas.box(
            x, y, wide, HEIGHT, fill, f' rx="4" stroke="{canvas.theme.line}" stroke-width="0.5"{dash}', title
        )
        thickness = 4 * abs(score) / scale if scale > 0 else 0.0
        if cell.unsure(i):
            canvas.rule(x + 4, y + HEIGHT - 3.5, wide - 8, 1.6, text_on(fill), "1.6 2.4")
        elif thickness >= 0.4:
            dashes = "4 3" if signed and score < 0 else None
            canvas.rule(x + 4, y + HEIGHT - 2 - thickness / 2, wide - 8, thickness, text_on(fill), dashes)
    if cell.holds(output):
        canvas.box(x, y, wide, HEIGHT, "none", f' rx="4" stroke="{canvas.theme.ink}" stroke-width="2"')


def _ink(canvas: Canvas, box: Box, i: int, output: Output, scale: float, signed: bool) -> str:
    if box.cell.scores is not None and box.cell.seen(i, output):
        return text_on(canvas.theme.background(box.cell.scores[i], scale, signed))
    return canvas.theme.ink if box.cell.holds(output) else canvas.theme.muted


def _text(canvas: Canvas, box: Box, parts: list[Run], ink: str) -> None:
    x, y, wide = _place(canvas, box)
    size = 13 if box.cell.special else SIZE
    left = x + (wide - sum(run.width for run in parts) * size) / 2
    for run in parts:
        length = run.width * size
        fit = length if run.measured else None
        canvas.parts.append(Text(left + length / 2, y + 21, run, size, ink, centred=True, length=fit))
        left += length


def _connected(box: Box, neighbours: list[Box]) -> list[Run]:
    """The box's text in runs.

    Where a word is cut between letters that join, a zero-width joiner stands for the neighbour.
    """
    text = _visible(box.text)
    for other in neighbours if not box.cell.special else []:
        first, second = sorted((box, other), key=lambda b: b.cell.start)
        if (
            second.cell.gap == ""
            and not other.cell.special
            and _JOINED.match(first.text[-1])
            and _JOINED.match(second.text[0])
        ):
            text = f"{text}\u200d" if first is box else f"\u200d{text}"
    return ordered_runs(text)


def _legend(canvas: Canvas, legend: Legend) -> None:
    steps, step, signed = 41, 6, legend.signed
    canvas.y += 4
    for k in range(steps):
        share = (2 * k / (steps - 1) - 1) if signed else k / (steps - 1)
        canvas.box(MARGIN + k * step, canvas.y, step + 0.5, 12, canvas.theme.background(share, 1.0, signed))
    wide = steps * step
    for place_, shown in _marks(legend):
        left = MARGIN + place_ * (wide - text_width(shown) * 12)
        canvas.line(left, canvas.y + 27, shown, 12, canvas.theme.ink)
    right = MARGIN + wide + 18
    lines = wrap_text(_meaning(legend), (canvas.width - MARGIN - right) / 12)
    for k, line in enumerate(lines):
        canvas.line(right, canvas.y + 10 + 17 * k, line, 12, canvas.theme.muted)
    canvas.y += max(44, 17 * len(lines) + 10)


def _marks(legend: Legend) -> list[tuple[float, str]]:
    """What stands below the colours, each with its place from 0 to 1."""
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


def _meaning(legend: Legend) -> str:
    whose = f"{', '.join(legend.names)}: score" if legend.names else "Score"
    scale = ", full colour at the number above each picture" if legend.top is None else ""
    directions = "orange speaks for the target, blue (dashed line) against it"
    way = directions if legend.signed else "strength only, without a direction"
    return f"{whose} in {legend.unit}{scale}: {way}; a thicker line is a larger score."


def _visible(text: str) -> str:
    """A cell of which nothing would be seen, such as a zero-width space, gets a sign for each of its characters."""
    return text if _SEEN.search(text) else "".join(_SIGNS.get(c, "·") for c in text)
