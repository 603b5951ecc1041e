"""SVG: the one static picture, which PNG and PDF are made from. Plain shapes and text; no style, no script, nothing from outside."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

import regex

from attribution.errors import BadOption
from attribution.export.drawing.cells import blocks
from attribution.export.drawing.colour import THEMES, Theme, ThemeName, text_on
from attribution.export.drawing.figure import Legend, Panel, figure
from attribution.export.drawing.fonts import Run
from attribution.export.drawing.layout import Box, ordered_runs, place, text_width, wrap_text
from attribution.export.writing.captions import caption, is_captioned
from attribution.formats import Format
from attribution.sentences import interval, number
from attribution.types import Output

if TYPE_CHECKING:
    from attribution.types import Attribution

FORMAT = Format("svg", "image/svg+xml")

MARGIN = 28
SIZE = 18
"""Font size of the heatmap."""
ROW = 40
"""From one line of cells to the next."""
HEIGHT = 32
"""Of a cell."""
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SEEN = regex.compile(r"[^\s\p{C}\p{Mn}]|\p{Co}|\ufffe")
_SIGNS = {"\n": "↵", "\r": "↵", "\t": "⇥", " ": "␣"}
_JOINED = regex.compile(r"[\p{Script=Arabic}\p{Script=Syriac}\p{Script=Mongolian}&&\p{L}]", regex.VERSION1)


@dataclass(frozen=True, slots=True)
class Text:
    """A run of text in one font, whose baseline begins at ``x``, or has its middle there. ``length`` is its width where that is known."""

    x: float
    y: float
    run: Run
    size: int
    fill: str
    centred: bool = False
    bold: bool = False
    length: float | None = None

    def markup(self) -> str:
        """Its own element with its own font, since resvg mixes fonts up within one element."""
        # Where the width is known, another viewer's font is stretched to it; an estimate must not distort anything.
        anchor = "middle" if self.centred else "start"
        weight = ' font-weight="bold"' if self.bold else ""
        fit = f' textLength="{self.length:.1f}" lengthAdjust="spacingAndGlyphs"' if self.length else ""
        return (
            f'<text x="{self.x:.1f}" y="{self.y:.1f}" font-size="{self.size}" font-family="{self.run.family}" fill="{self.fill}" '
            f'text-anchor="{anchor}"{weight}{fit}>{_escape(self.run.text)}</text>'
        )


@dataclass(frozen=True, slots=True)
class Picture:
    """A finished drawing: its size, what it shows in one line, the colour of the page, and on it shapes, which are markup, and texts."""

    width: int
    height: int
    title: str
    page: str
    parts: tuple[str | Text, ...]

    def markup(self, texts: bool = True) -> str:
        """The SVG, with its texts or without."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{self.height}" '
            f'viewBox="0 0 {self.width} {self.height}" role="img" aria-label={quoteattr(self.title)} xml:space="preserve">'
        )
        page = f'<rect width="{self.width}" height="{self.height}" fill="{self.page}"/>'
        parts = (
            part if isinstance(part, str) else part.markup()
            for part in self.parts
            if texts or isinstance(part, str)
        )
        return "\n".join([head, page, *parts, "</svg>", ""])


@FORMAT.writes("attribution")
def write(
    *attributions: Attribution,
    width: int = 900,
    theme: ThemeName = "light",
    words: bool = True,
    special: bool = False,
) -> bytes:
    """The picture as a file. Raises ``BadOption`` for a width out of range."""
    return draw(attributions, width=width, theme=theme, words=words, special=special).markup().encode()


def draw(
    attributions: Sequence[Attribution], *, width: int, theme: ThemeName, words: bool, special: bool
) -> Picture:
    """Title, one picture for each result, legends, remarks."""
    if not 320 <= width <= 4096:
        raise BadOption(f"width is {width}.", "It must be from 320 to 4096.")
    whole = figure(attributions, words, special)
    canvas = Canvas(width, THEMES[theme])
    canvas.title = ". ".join(
        filter(None, (whole.title, whole.what, "; ".join(panel.head.name for panel in whole.panels)))
    )
    canvas.paragraph(whole.title, 22, canvas.theme.ink, bold=True)
    canvas.paragraph(whole.what, 13, canvas.theme.muted)
    canvas.y += 14
    for panel in whole.panels:
        _panel(canvas, panel)
    for legend in whole.legends:
        _legend(canvas, legend)
    for line in whole.remarks:
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


@dataclass(slots=True)
class Canvas:
    """A drawing under way: ``y`` is where the next thing goes."""

    width: int
    theme: Theme
    y: float = MARGIN
    title: str = ""
    parts: list[str | Text] = field(default_factory=list)

    def paragraph(self, text: str, size: int, fill: str, bold: bool = False) -> None:
        for line in wrap_text(text, (self.width - 2 * MARGIN) / size / (1.08 if bold else 1.0)):
            self.line(MARGIN, self.y + size, line, size, fill, bold)
            self.y += round(size * 1.5)

    def line(self, x: float, y: float, text: str, size: int, fill: str, bold: bool = False) -> None:
        """One line of running text, left-aligned, each run in its font."""
        for run in ordered_runs(text):
            stretch = 1.08 if bold and run.font == "" else 1.0
            self.parts.append(Text(x, y, run, size, fill, bold=stretch > 1))
            x += run.width * size * stretch

    def box(
        self, x: float, y: float, width: float, height: float, fill: str, more: str = "", title: str = ""
    ) -> None:
        end = f"><title>{title}</title></rect>" if title else "/>"
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{fill}"{more}{end}'
        )

    def rule(self, x: float, y: float, width: float, thickness: float, fill: str, dashes: str | None) -> None:
        dash = f' stroke-dasharray="{dashes}"' if dashes else ""
        self.parts.append(
            f'<path d="M{x:.1f} {y:.1f}h{width:.1f}" stroke="{fill}" stroke-width="{thickness:.1f}" fill="none"{dash}/>'
        )

    def finish(self) -> Picture:
        height = round(self.y + MARGIN - 8)
        return Picture(self.width, height, legal(self.title), self.theme.page, tuple(self.parts))


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
        title = _escape(f"{cell.text}: {interval(score, cell.error(i))}")
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
    """The box's text in runs. Where a word is cut between letters that join, a zero-width joiner stands for the neighbour."""
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


def legal(text: str) -> str:
    """XML has no place for control characters, lone surrogates and U+FFFE, even escaped."""
    return _FORBIDDEN.sub("\ufffd", text)


def _escape(text: str) -> str:
    return escape(legal(text))
