"""Lines of boxes: cells put beside each other, wrapped to a width, right to left where the text runs so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from attribution.export.drawing.cells import Cell
from attribution.export.drawing.fonts import Run, graphemes, right_to_left, runs, visual_order

SPACE = 0.34
"""Between two words, in em."""
HAIR = 0.06
"""Between two cells of one word, in em: enough to see the border."""
PADDING = 0.26
"""Left and right of the text in its box, in em."""


@dataclass(frozen=True, slots=True)
class Box:
    """One cell, or a part of one too long for a line, at its place: ``x`` and ``width`` in em, ``line`` counted from 0."""

    cell: Cell
    text: str
    x: float
    width: float
    line: int


def text_width(text: str) -> float:
    """In em, on one line."""
    return sum(run.width for run in runs(text))


def place(cells: Sequence[Cell], width: float) -> list[Box]:
    """Every cell in a box, on lines at most ``width`` em wide."""
    found: list[Box] = []
    line = 0
    for paragraph in _paragraphs(cells):
        rtl = right_to_left(" ".join(cell.text for cell in paragraph))
        for pieces in _wrap(paragraph, width):
            found.extend(_line(pieces, line, width, rtl))
            line += 1
    return found


def _paragraphs(cells: Sequence[Cell]) -> Iterator[list[Cell]]:
    paragraph: list[Cell] = []
    for cell in cells:
        if paragraph and cell.gap == "\n":
            yield paragraph
            paragraph = []
        paragraph.append(cell)
    if paragraph:
        yield paragraph


def _wrap(cells: Sequence[Cell], width: float) -> Iterator[list[tuple[Cell, str]]]:
    line: list[tuple[Cell, str]] = []
    used = 0.0
    for cell in cells:
        for k, text in enumerate(_fit(cell.text, width - 2 * PADDING)):
            gap = (SPACE if cell.gap else HAIR) if line and k == 0 else 0.0
            wide = text_width(text) + 2 * PADDING
            if line and (k or used + gap + wide > width):
                yield line
                line, used, gap = [], 0.0, 0.0
            line.append((cell, text))
            used += gap + wide
    if line:
        yield line


def _fit(text: str, width: float) -> list[str]:
    """The text as it is, or cut between characters into pieces that fit."""
    if text_width(text) <= width:
        return [text]
    pieces, piece, used = [], "", 0.0
    for character in graphemes(text):
        wide = text_width(character)
        if piece and used + wide > width:
            pieces.append(piece)
            piece, used = "", 0.0
        piece += character
        used += wide
    return [*pieces, piece]


def _line(pieces: list[tuple[Cell, str]], line: int, width: float, rtl: bool) -> Iterator[Box]:
    spaced = [(" " if cell.gap else "") + text for cell, text in pieces]
    order = visual_order(spaced, rtl)
    gaps = [0.0, *(_between(a, b, pieces) for a, b in pairwise(order))]
    widths = [text_width(text) + 2 * PADDING for _, text in pieces]
    x = width - sum(widths) - sum(gaps) if rtl else 0.0
    for gap, i in zip(gaps, order, strict=True):
        x += gap
        yield Box(pieces[i][0], pieces[i][1], x, widths[i], line)
        x += widths[i]


def _between(left: int, right: int, pieces: list[tuple[Cell, str]]) -> float:
    """The gap between neighbours on the screen: that of the later one in the text if they are neighbours there too."""
    later = pieces[max(left, right)][0]
    return SPACE if abs(left - right) != 1 or later.gap else HAIR


def ordered_runs(text: str) -> list[Run]:
    """The runs of one line of running text, from left to right on the screen."""
    found = runs(text)
    order = visual_order([run.text for run in found], right_to_left(text))
    return [found[i] for i in order]


def wrap_text(text: str, width: float) -> list[str]:
    """Running text as lines at most ``width`` em wide, cut at spaces, or inside a word that is too long."""
    lines = [""]
    for word in text.split():
        for k, piece in enumerate(_fit(word, width)):
            longer = f"{lines[-1]} {piece}" if lines[-1] and not k else piece if not lines[-1] else ""
            if longer and text_width(longer) <= width:
                lines[-1] = longer
            else:
                lines.append(piece)
    return [line for line in lines if line]
