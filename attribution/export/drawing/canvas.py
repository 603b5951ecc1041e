"""A drawing in plain shapes and text: what an SVG, a PNG and a PDF are made from.

No style, no script, nothing external.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated
from xml.sax.saxutils import escape as escape_xml
from xml.sax.saxutils import quoteattr

from attribution.export.drawing.colour import Theme
from attribution.export.drawing.fonts import Run
from attribution.export.drawing.layout import ordered_runs, wrap_text
from attribution.registry import Between

MARGIN = 28
Width = Annotated[int, Between(320, 4096), "Width of the picture in units of the SVG."]
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Text:
    """A run of text in one font, whose baseline begins at ``x``, or has its middle there.

    ``length`` is its width where that is known.
    """

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
        # Where the width is known, another viewer's font is stretched to it; an estimate must not distort
        # anything.
        anchor = "middle" if self.centred else "start"
        weight = ' font-weight="bold"' if self.bold else ""
        fit = f' textLength="{self.length:.1f}" lengthAdjust="spacingAndGlyphs"' if self.length else ""
        return (
            f'<text x="{self.x:.1f}" y="{self.y:.1f}" font-size="{self.size}" '
            f'font-family="{self.run.family}" fill="{self.fill}" '
            f'text-anchor="{anchor}"{weight}{fit}>{escape(self.run.text)}</text>'
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
            f'viewBox="0 0 {self.width} {self.height}" role="img" aria-label={quoteattr(self.title)} '
            'xml:space="preserve">'
        )
        page = f'<rect width="{self.width}" height="{self.height}" fill="{self.page}"/>'
        parts = (
            part if isinstance(part, str) else part.markup()
            for part in self.parts
            if texts or isinstance(part, str)
        )
        return "\n".join([head, page, *parts, "</svg>", ""])


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
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'fill="{fill}"{more}{end}'
        )

    def rule(self, x: float, y: float, width: float, thickness: float, fill: str, dashes: str | None) -> None:
        dash = f' stroke-dasharray="{dashes}"' if dashes else ""
        self.parts.append(
            f'<path d="M{x:.1f} {y:.1f}h{width:.1f}" stroke="{fill}" stroke-width="{thickness:.1f}" '
            f'fill="none"{dash}/>'
        )

    def finish(self) -> Picture:
        height = round(self.y + MARGIN - 8)
        return Picture(self.width, height, legal(self.title), self.theme.page, tuple(self.parts))


def legal(text: str) -> str:
    """XML has no place for control characters, lone surrogates and U+FFFE, even escaped."""
    return _FORBIDDEN.sub("\ufffd", text)


def escape(text: str) -> str:
    """Text as XML shows it."""
    return escape_xml(legal(text))
