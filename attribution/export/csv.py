"""CSV for spreadsheets: one row per output and token.

RFC 4180, UTF-8 with a byte order mark (without it Excel reads UTF-8 as another encoding; ``read`` and pandas skip it). A text
cell that a spreadsheet would run as a formula gets an apostrophe in front, ``read`` takes it off again; numbers stay numbers.
For exact work take JSON.
"""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, NamedTuple

from attribution.errors import BadFile

if TYPE_CHECKING:
    from attribution.types import Attribution

EXTENSION = "csv"
MEDIA_TYPE = "text/csv; charset=utf-8"

# A text that already begins with apostrophes before such a character gets one more, so that taking one off is always right.
_FORMULA = re.compile("'*[=+\\-@\t\r\n\0＝＋－＠]")
_QUOTED = re.compile("'+[=+\\-@\t\r\n\0＝＋－＠]")
_SURROGATE = re.compile("[\ud800-\udfff]")


class Row(NamedTuple):
    """One line. ``output`` is the row of the scores and ``target`` its text; ``word`` is empty outside the words."""

    output: int
    target: str
    token: str
    word: int | None
    score: float
    start: int
    end: int
    special: bool
    segment: str


def write(attribution: Attribution) -> bytes:
    """Every token of every output, special ones too."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(Row._fields)
    for i, output in enumerate(attribution.outputs):
        for j, token in enumerate(attribution.tokens):
            place = token.start, token.end, int(token.special), token.segment
            writer.writerow((i, guard(output.text), guard(token.text), token.word, repr(float(attribution.scores[i, j])), *place))
    return file.getvalue().encode("utf-8-sig")


def read(content: bytes) -> list[Row]:
    """The rows of a file that ``write`` wrote. Raises ``BadFile``."""
    try:
        lines = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        if next(lines, None) != list(Row._fields):
            raise BadFile("This is not a table of an attribution.", f"Its columns must be {', '.join(Row._fields)}.")
        return [_row(line) for line in lines]
    except (ValueError, csv.Error) as error:
        raise BadFile(f"This is not a table of an attribution ({str(error)[:100]}).") from error


def _row(cells: list[str]) -> Row:
    output, target, token, word, score, start, end, special, segment = cells
    index = int(word) if word else None
    place = int(start), int(end), special == "1", segment
    return Row(int(output), unguard(target), unguard(token), index, float(score), *place)


def guard(text: str) -> str:
    """The text as a cell that no spreadsheet runs as a formula."""
    text = _SURROGATE.sub("\ufffd", text)
    return f"'{text}" if _FORMULA.match(text) else text


def unguard(text: str) -> str:
    """The inverse of ``guard``."""
    return text[1:] if _QUOTED.match(text) else text
