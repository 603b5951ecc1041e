"""CSV for spreadsheets: one row per output and token.

More columns follow only where there is something to say: ``error``, the standard error of the score, and
``contrast``; ``method`` and ``model`` where there are several results.

RFC 4180, UTF-8 with a byte order mark (without it Excel reads UTF-8 as another encoding; ``read`` and pandas
skip it). A text cell that a spreadsheet would run as a formula gets an apostrophe in front, ``read`` takes it
off again; numbers stay numbers. For exact work take JSON.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from attribution.errors import BadFile
from attribution.export.reports import report_of
from attribution.formats import Format

if TYPE_CHECKING:
    from attribution.studies.assessment import Assessment
    from attribution.studies.comparison import Comparison
    from attribution.studies.evaluation import Evaluation
    from attribution.types import Attribution

FORMAT = Format("csv", "text/csv; charset=utf-8")

# A text that already begins with apostrophes before such a character gets one more, so that taking one off is
# always right.
_FORMULA = re.compile("'*[=+\\-@\t\r\n\0＝＋－＠]")
_QUOTED = re.compile("'+[=+\\-@\t\r\n\0＝＋－＠]")
_SURROGATE = re.compile("[\ud800-\udfff]")


class Row(NamedTuple):
    """One line.

    ``output`` is the row of the scores and ``target`` its text; ``word`` is empty outside the words.
    """

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
    method: str = ""
    model: str = ""


COLUMNS = Row._fields[:-4]
OPTIONAL = Row._fields[-4:]


@FORMAT.writes("attribution")
def write(*attributions: Attribution) -> bytes:
    """Every token of every output of every result, special ones too."""
    rows = [row for attribution in attributions for row in _rows(attribution)]
    there = {
        "error": any(row.error is not None for row in rows),
        "contrast": any(row.contrast for row in rows),
        "method": len(attributions) > 1,
        "model": len(attributions) > 1,
    }
    columns = [*COLUMNS, *(name for name in OPTIONAL if there[name])]
    return _table(columns, ([getattr(row, name) for name in columns] for row in rows))


@FORMAT.writes("comparison", "evaluation", "assessment")
def write_records(result: Comparison | Evaluation | Assessment) -> bytes:
    """A row for each word of each attribution, for each method and metric, or for each explanation that was ranked."""
    report = report_of(result)
    return _table(report.columns, report.records)


def _table(columns: Sequence[str], rows: Iterable[Iterable[str | float | None]]) -> bytes:
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return file.getvalue().encode("utf-8-sig")


def _rows(attribution: Attribution) -> Iterator[Row]:
    errors = attribution.errors
    for i, output in enumerate(attribution.outputs):
        for j, token in enumerate(attribution.tokens):
            yield Row(
                i, output.text, token.text, token.word, float(attribution.scores[i, j]), token.start, token.end, token.special,
                token.segment, None if errors is None else float(errors[i, j]), output.contrast, attribution.method,
                attribution.model.name,
            )  # fmt: skip


def _cell(value: str | float | None) -> str | float | None:
    """Text that no spreadsheet runs as a formula; True as 1; a number and None, which is an empty cell, as they are."""
    return guard(value) if isinstance(value, str) else int(value) if isinstance(value, bool) else value


def read(content: bytes) -> list[Row]:
    """The rows of a file that ``write`` wrote. Raises ``BadFile``."""
    try:
        lines = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        head = next(lines, None) or []
        more = head[len(COLUMNS) :]
        if head[: len(COLUMNS)] != list(COLUMNS) or more != [name for name in OPTIONAL if name in more]:
            needed = f"Its columns must be {', '.join(COLUMNS)}, and perhaps {', '.join(OPTIONAL)}."
            raise BadFile("This is not a table of an attribution.", needed)
        return [_row(line, more) for line in lines]
    except (ValueError, csv.Error) as error:
        raise BadFile(f"This is not a table of an attribution ({str(error)[:100]}).") from error


def _row(cells: list[str], more: list[str]) -> Row:
    output, target, token, word, score, start, end, special, segment = cells[: len(COLUMNS)]
    index = int(word) if word else None
    place = int(start), int(end), special == "1", segment
    found = dict(zip(more, cells[len(COLUMNS) :], strict=True))
    error = float(found["error"]) if found.get("error") else None
    texts = (unguard(found.get(name, "")) for name in OPTIONAL[1:])
    return Row(int(output), unguard(target), unguard(token), index, float(score), *place, error, *texts)


def guard(text: str) -> str:
    """The text as a cell that no spreadsheet runs as a formula."""
    text = _SURROGATE.sub("\ufffd", text)
    return f"'{text}" if _FORMULA.match(text) else text


def unguard(text: str) -> str:
    """The inverse of ``guard``."""
    return text[1:] if _QUOTED.match(text) else text
