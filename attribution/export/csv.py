"""CSV for spreadsheets: one row per output and token.

Optional columns are written only if they hold a value: ``error``, the standard error of the score;
``contrast``; and, for several results, ``method`` and ``model``.

The format is RFC 4180 in UTF-8 with a byte order mark (without it Excel assumes another encoding; ``read``
and pandas skip it). Text that a spreadsheet would run as a formula is prefixed with an apostrophe, which
``read`` removes; numbers stay numbers. Use JSON where exact values matter.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from attribution.errors import BadFile
from attribution.export.reports import build_report
from attribution.export.reports.report import Value
from attribution.formats import Format

if TYPE_CHECKING:
    from attribution.studies.assessment import Assessment
    from attribution.studies.comparison import Comparison
    from attribution.studies.evaluation import Evaluation
    from attribution.types import Attribution

FORMAT = Format("csv", "text/csv; charset=utf-8")

# A text that already starts with apostrophes before such a character gets another one, so that removing one
# always restores it.
_FORMULA = re.compile("'*[=+\\-@\t\r\n\0＝＋－＠]")
_QUOTED = re.compile("'+[=+\\-@\t\r\n\0＝＋－＠]")
_SURROGATE = re.compile("[\ud800-\udfff]")


class Row(NamedTuple):
    """One line of the file: the score of one token for one output.

    ``output`` is the row index in ``scores`` and ``target`` the text of that output; ``word`` is empty for
    tokens that belong to no word.
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
    """Write one row for every token of every output of every result, special tokens included."""
    rows = [row for attribution in attributions for row in _rows(attribution)]
    is_used = {
        "error": any(row.error is not None for row in rows),
        "contrast": any(row.contrast for row in rows),
        "method": len(attributions) > 1,
        "model": len(attributions) > 1,
    }
    columns = [*COLUMNS, *(name for name in OPTIONAL if is_used[name])]
    return _encode(columns, ([getattr(row, name) for name in columns] for row in rows))


@FORMAT.tabulates("attribution")
def tabulate(attribution: Attribution) -> tuple[Sequence[str], Sequence[Row]]:
    """The rows of one result, with all columns."""
    return Row._fields, list(_rows(attribution))


@FORMAT.tabulates("comparison", "evaluation", "assessment")
def tabulate_records(
    result: Comparison | Evaluation | Assessment,
) -> tuple[Sequence[str], Sequence[Sequence[Value]]]:
    """The records of a study."""
    report = build_report(result)
    return report.columns, report.records


@FORMAT.writes("comparison", "evaluation", "assessment")
def write_records(result: Comparison | Evaluation | Assessment) -> bytes:
    """Write the records of a study.

    One row per attribution and word (comparison), method and metric (evaluation) or ranked explanation
    (assessment).
    """
    report = build_report(result)
    return _encode(report.columns, report.records)


def _encode(columns: Sequence[str], rows: Iterable[Iterable[str | float | None]]) -> bytes:
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([_format_value(value) for value in row] for row in rows)
    return file.getvalue().encode("utf-8-sig")


def _rows(attribution: Attribution) -> Iterator[Row]:
    errors = attribution.errors
    for i, output in enumerate(attribution.outputs):
        for j, token in enumerate(attribution.tokens):
            yield Row(
                output=i,
                target=output.text,
                token=token.text,
                word=token.word,
                score=float(attribution.scores[i, j]),
                start=token.start,
                end=token.end,
                special=token.special,
                segment=token.segment,
                error=None if errors is None else float(errors[i, j]),
                contrast=output.contrast,
                method=attribution.method,
                model=attribution.model.name,
            )


def _format_value(value: str | float | None) -> str | float | None:
    """Guard text against being run as a formula and write booleans as 0 or 1; None is an empty cell."""
    if isinstance(value, str):
        return guard(value)
    return int(value) if isinstance(value, bool) else value


def read(content: bytes) -> list[Row]:
    """Read the rows of a file written by ``write``. Raises ``BadFile``."""
    try:
        lines = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        header = next(lines, None) or []
        extra = header[len(COLUMNS) :]
        if header[: len(COLUMNS)] != list(COLUMNS) or extra != [name for name in OPTIONAL if name in extra]:
            hint = f"Its columns must be {', '.join(COLUMNS)}; {', '.join(OPTIONAL)} are optional."
            raise BadFile("This is not a table of an attribution.", hint)
        return [_parse_row(line, extra) for line in lines]
    except (ValueError, csv.Error) as error:
        raise BadFile(f"This is not a table of an attribution ({str(error)[:100]}).") from error


def _parse_row(cells: list[str], extra: list[str]) -> Row:
    output, target, token, word, score, start, end, special, segment = cells[: len(COLUMNS)]
    index = int(word) if word else None
    place = int(start), int(end), special == "1", segment
    optional = dict(zip(extra, cells[len(COLUMNS) :], strict=True))
    error = float(optional["error"]) if optional.get("error") else None
    texts = (unguard(optional.get(name, "")) for name in OPTIONAL[1:])
    return Row(int(output), unguard(target), unguard(token), index, float(score), *place, error, *texts)


def guard(text: str) -> str:
    """Prefix an apostrophe to text that a spreadsheet would run as a formula."""
    text = _SURROGATE.sub("\ufffd", text)
    return f"'{text}" if _FORMULA.match(text) else text


def unguard(text: str) -> str:
    """Undo ``guard``."""
    return text[1:] if _QUOTED.match(text) else text
