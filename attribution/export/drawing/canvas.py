"""Drawings made of plain shapes and text, the source of the SVG, PNG and PDF formats.

They contain no style sheets, scripts or external resources.
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
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Text:
    """A run of text in one font, with its baseline at ``y``; it starts, or is centred, at ``x``.

    ``length`` is its width if a font was measured, else None.
    """

    x: float
    y: float
    run: Run
    size: int
    fill: str
    centred: bool = False
    bold: bool = False
    length: float | None = None

    def to_svg(self) -> str:
        """One element per run, because resvg confuses fonts within an element."""
        # A viewer without this font stretches its own to a measured width; an estimate must not distort text.
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
    """A finished drawing: its size, title, background colour, and parts (SVG markup or texts)."""

    width: int
    height: int
    title: str
    page: str
    parts: tuple[str | Text, ...]

    def to_svg(self, texts: bool = True) -> str:
        """Render the drawing as SVG, with or without its texts."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{self.height}" '
            f'viewBox="0 0 {self.width} {self.height}" role="img" aria-label={quoteattr(self.title)} '
            'xml:space="preserve">'
        )
        page = f'<rect width="{self.width}" height="{self.height}" fill="{self.page}"/>'
        parts = (
            part if isinstance(part, str) else part.to_svg()
            for part in self.parts
            if texts or isinstance(part, str)
        )
        return "\n".join([head, page, *parts, "</svg>", ""])


@dataclass(slots=True)
class Canvas:
    """A drawing in progress; ``y`` is the position of the next element."""

    width: int
    theme: Theme
    y: float = MARGIN
    title: str = ""
    parts: list[str | Text] = field(default_factory=list)

    def add_paragraph(self, text: str, size: int, fill: str, bold: bool = False) -> None:
        """Add text wrapped to the width between the margins, and advance ``y``."""
        for line in wrap_text(text, (self.width - 2 * MARGIN) / size / (1.08 if bold else 1.0)):
            self.add_line(MARGIN, self.y + size, line, size, fill, bold)
            self.y += round(size * 1.5)

    def add_line(self, x: float, y: float, text: str, size: int, fill: str, bold: bool = False) -> None:
        """Add a left-aligned line of text, each run in its own font."""
        for run in ordered_runs(text):
            stretch = 1.08 if bold and run.font == "" else 1.0
            self.parts.append(Text(x, y, run, size, fill, bold=stretch > 1))
            x += run.width * size * stretch

    def add_box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        fill: str,
        attributes: str = "",
        title: str = "",
    ) -> None:
        """Add a rectangle with extra SVG attributes and an optional tooltip."""
        end = f"><title>{title}</title></rect>" if title else "/>"
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'fill="{fill}"{attributes}{end}'
        )

    def add_rule(
        self, x: float, y: float, width: float, thickness: float, fill: str, dashes: str | None
    ) -> None:
        """Add a horizontal rule; ``dashes`` is an SVG dash pattern."""
        dash = f' stroke-dasharray="{dashes}"' if dashes else ""
        self.parts.append(
            f'<path d="M{x:.1f} {y:.1f}h{width:.1f}" stroke="{fill}" stroke-width="{thickness:.1f}" '
            f'fill="none"{dash}/>'
        )

    def finish(self) -> Picture:
        """The finished picture, cut to the height in use."""
        height = round(self.y + MARGIN - 8)
        return Picture(self.width, height, replace_illegal(self.title), self.theme.page, tuple(self.parts))


def replace_illegal(text: str) -> str:
    """Replace characters that XML cannot represent (controls, lone surrogates, U+FFFE) by U+FFFD."""
    return _ILLEGAL.sub("\ufffd", text)


def escape(text: str) -> str:
    """Escape a text for XML."""
    return escape_xml(replace_illegal(text))
