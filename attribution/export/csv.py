"""CSV for spreadsheets: one row per output and token.

Two columns follow only where there is something to say: ``error``, the standard error of the score, and ``contrast``.

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
    error: float | None = None
    contrast: str = ""


COLUMNS = Row._fields[:-2]
OPTIONAL = Row._fields[-2:]


def write(attribution: Attribution) -> bytes:
    """Every token of every output, special ones too."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\r\n")
    errors, contrast = attribution.errors, any(output.contrast for output in attribution.outputs)
    writer.writerow((*COLUMNS, *(name for name, there in zip(OPTIONAL, (errors is not None, contrast), strict=True) if there)))
    for i, output in enumerate(attribution.outputs):
        other = (guard(output.contrast),) if contrast else ()
        for j, token in enumerate(attribution.tokens):
            place = token.start, token.end, int(token.special), token.segment
            error = () if errors is None else (repr(float(errors[i, j])),)
            score = repr(float(attribution.scores[i, j]))
            writer.writerow((i, guard(output.text), guard(token.text), token.word, score, *place, *error, *other))
    return file.getvalue().encode("utf-8-sig")


def read(content: bytes) -> list[Row]:
    """The rows of a file that ``write`` wrote. Raises ``BadFile``."""
    try:
        lines = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        head = next(lines, None) or []
        more = head[len(COLUMNS) :]
        if head[: len(COLUMNS)] != list(COLUMNS) or more != [name for name in OPTIONAL if name in more]:
            needed = f"Its columns must be {', '.join(COLUMNS)}, and perhaps {' and '.join(OPTIONAL)}."
            raise BadFile("This is not a table of an attribution.", needed)
        return [_row(line, more) for line in lines]
    except (ValueError, csv.Error) as error:
        raise BadFile(f"This is not a table of an attribution ({str(error)[:100]}).") from error


def _row(cells: list[str], more: list[str]) -> Row:
    output, target, token, word, score, start, end, special, segment = cells[: len(COLUMNS)]
    index = int(word) if word else None
    place = int(start), int(end), special == "1", segment
    found = dict(zip(more, cells[len(COLUMNS) :], strict=True))
    error = float(found["error"]) if "error" in found else None
    return Row(
        int(output), unguard(target), unguard(token), index, float(score), *place, error, unguard(found.get("contrast", ""))
    )


def guard(text: str) -> str:
    """The text as a cell that no spreadsheet runs as a formula."""
    text = _SURROGATE.sub("\ufffd", text)
    return f"'{text}" if _FORMULA.match(text) else text


def unguard(text: str) -> str:
    """The inverse of ``guard``."""
    return text[1:] if _QUOTED.match(text) else text
