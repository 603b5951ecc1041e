"""Lay out cells in lines of boxes, wrapped to a width, and right to left where the script requires it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from attribution.export.drawing.cells import Cell
from attribution.export.drawing.fonts import Run, graphemes, is_right_to_left, split_runs, visual_order

SPACE = 0.34
"""Gap between two words in em."""
HAIR = 0.06
"""Gap between two cells of a word in em, enough to see the border."""
PADDING = 0.26
"""Padding to the left and right of the text in its box, in em."""


@dataclass(frozen=True, slots=True)
class Box:
    """A positioned cell, or a piece of a cell too long for a line.

    ``x`` and ``width`` are in em; ``line`` counts from 0.
    """

    cell: Cell
    text: str
    x: float
    width: float
    line: int


def text_width(text: str) -> float:
    """The width of a text on one line, in em."""
    return sum(run.width for run in split_runs(text))


def place_cells(cells: Sequence[Cell], width: float) -> list[Box]:
    """Place every cell in a box, on lines at most ``width`` em wide."""
    boxes: list[Box] = []
    line = 0
    for paragraph in _paragraphs(cells):
        rtl = is_right_to_left(" ".join(cell.text for cell in paragraph))
        for pieces in _wrap(paragraph, width):
            boxes.extend(_place_line(pieces, line, width, rtl))
            line += 1
    return boxes


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
        for k, text in enumerate(_split_to_fit(cell.text, width - 2 * PADDING)):
            gap = (SPACE if cell.gap else HAIR) if line and k == 0 else 0.0
            advance = text_width(text) + 2 * PADDING
            if line and (k or used + gap + advance > width):
                yield line
                line, used, gap = [], 0.0, 0.0
            line.append((cell, text))
            used += gap + advance
    if line:
        yield line


def _split_to_fit(text: str, width: float) -> list[str]:
    """Split a text between characters into pieces that fit the width."""
    if text_width(text) <= width:
        return [text]
    pieces, piece, used = [], "", 0.0
    for character in graphemes(text):
        advance = text_width(character)
        if piece and used + advance > width:
            pieces.append(piece)
            piece, used = "", 0.0
        piece += character
        used += advance
    return [*pieces, piece]


def _place_line(pieces: list[tuple[Cell, str]], line: int, width: float, rtl: bool) -> Iterator[Box]:
    spaced = [(" " if cell.gap else "") + text for cell, text in pieces]
    order = visual_order(spaced, rtl)
    gaps = [0.0, *(_gap_between(a, b, pieces) for a, b in pairwise(order))]
    widths = [text_width(text) + 2 * PADDING for _, text in pieces]
    x = width - sum(widths) - sum(gaps) if rtl else 0.0
    for gap, i in zip(gaps, order, strict=True):
        x += gap
        yield Box(pieces[i][0], pieces[i][1], x, widths[i], line)
        x += widths[i]


def _gap_between(left: int, right: int, pieces: list[tuple[Cell, str]]) -> float:
    """The gap between neighbours on the screen, narrow only between cells of one word."""
    later = pieces[max(left, right)][0]
    return SPACE if abs(left - right) != 1 or later.gap else HAIR


def ordered_runs(text: str) -> list[Run]:
    """The runs of a line of text, from left to right on the screen."""
    boxes = split_runs(text)
    order = visual_order([run.text for run in boxes], is_right_to_left(text))
    return [boxes[i] for i in order]


def wrap_text(text: str, width: float) -> list[str]:
    """Wrap a text to lines at most ``width`` em wide, at spaces or inside a word that is too long."""
    lines = [""]
    for word in text.split():
        for k, piece in enumerate(_split_to_fit(word, width)):
            extended = f"{lines[-1]} {piece}" if lines[-1] and not k else piece if not lines[-1] else ""
            if extended and text_width(extended) <= width:
                lines[-1] = extended
            else:
                lines.append(piece)
    return [line for line in lines if line]
