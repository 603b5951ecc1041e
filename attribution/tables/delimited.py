"""CSV and TSV, read record by record in bounded memory; errors name the line and the cell.

CSV follows RFC 4180, with any line end and delimiter. TSV follows its IANA registration: a quote is an
ordinary character (as in the files of GLUE), unless ``quoted`` is set.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from typing import BinaryIO, Self

from attribution.errors import BadOption, BadTable, quote
from attribution.settings import DEFAULTS

MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks; UTF-32 first, since its mark begins with that of UTF-16."""
HEAD_BYTES = 4096
"""Bytes from which the encoding of a file is detected."""


def detect_encoding(head: bytes) -> str:
    """Detect an encoding: by the byte order mark, UTF-16 where every other byte is 0, else UTF-8."""
    for mark, name in MARKS:
        if head.startswith(mark):
            return name
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if max(even, odd) > len(head) // 5:
        return "utf-16-le" if odd > even else "utf-16-be"
    return "utf-8"


def decode(file: BinaryIO, encoding: str | None, newline: str) -> io.TextIOWrapper:
    """Wrap a file as text without byte order mark. Raises ``BadOption`` for an unknown encoding."""
    head = file.read(HEAD_BYTES)
    file.seek(0)
    try:
        "".encode(encoding or "utf-8")
    except LookupError:
        raise BadOption(
            f"There is no encoding {quote(encoding)}.",
            "It must be a name such as utf-8, utf-16, latin-1 or windows-1252.",
        ) from None
    chosen = encoding or detect_encoding(head)
    if codecs.lookup(chosen).name == "utf-8":
        chosen = "utf-8-sig"
    return io.TextIOWrapper(file, chosen, newline=newline)


class Lines:
    """The lines of a text, counted; those of the current record are stored for messages.

    Raises ``BadTable`` for lines that cannot be decoded, and for records that are too long.
    """

    def __init__(self, text: io.TextIOWrapper, limit: int = DEFAULTS.max_row_characters) -> None:
        self.text, self.limit = text, limit
        self.number = 0
        self.begin()

    def begin(self) -> None:
        """Start a new record with the next line."""
        self.first, self.size = self.number + 1, 0
        self.record: list[str] = []

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        try:
            line = self.text.readline(self.limit + 1)
        except UnicodeDecodeError as error:
            raise self._undecodable(error) from None
        if not line:
            raise StopIteration
        self.number += 1
        self.size += len(line)
        self.record.append(line)
        if self.size > self.limit:
            raise BadTable(
                f"The row that begins in line {self.first} has more than {self.limit:,} characters.",
                "Is a quote not closed, or is this another kind of file?",
            )
        return line

    def _undecodable(self, error: UnicodeDecodeError) -> BadTable:
        before = error.object[: error.start].decode(error.encoding, "ignore")
        line = self.number + 1 + before.count("\n")
        after = before.rpartition("\n")[2][-20:]
        return BadTable(
            f"Line {line} is not {error.encoding}: "
            f"byte 0x{error.object[error.start]:02X} after {quote(after)}.",
            "Name its encoding, such as latin-1 or windows-1252, or save the table as UTF-8.",
        )


def detect_delimiter(head: str) -> str:
    """Detect the delimiter of a header: a comma, else a semicolon or a tab, whichever it contains."""
    return "," if "," in head else ";" if ";" in head else "\t" if "\t" in head else ","


def read_records(lines: Lines, delimiter: str, *, quoted: bool) -> Iterator[tuple[int, list[str]]]:
    """Yield the first line and the cells of each record; empty lines are skipped. Raises ``BadTable``."""
    # In a file without quoting, a quote is an ordinary character.
    reader = csv.reader(
        lines, delimiter=delimiter, strict=True, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    )
    while True:
        lines.begin()
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise _syntax_error(str(error), lines, delimiter) from None
        if cells is None:
            return
        if cells:
            yield lines.first, cells


def _syntax_error(reason: str, lines: Lines, delimiter: str) -> BadTable:
    line, column = _locate_error("".join(lines.record), lines.first, delimiter)
    where = f"Line {line}, column {column}"
    if "unexpected end" in reason:
        return BadTable(
            f"{where}: a quote opens here and is never closed.",
            'Close it, or write a quote inside of a cell as "".',
        )
    if "field limit" in reason:
        return BadTable(
            f"{where}: the cell has more than {csv.field_size_limit():,} characters.",
            "Is its quote not closed?",
        )
    if "expected after" in reason:
        return BadTable(
            f"{where}: text follows a closing quote.", 'A quote inside of a quoted cell is written as "".'
        )
    return BadTable(f"{where}: {reason}.")


def _locate_error(record: str, line: int, delimiter: str) -> tuple[int, int]:
    """The line and column (from 1) of the first malformed cell, or else of the last cell."""
    d = re.escape(delimiter)
    cell = re.compile(f'(?:"(?:[^"]|"")*"|[^"{d}\r\n][^{d}\r\n]*|)(?:{d}|(\r\n|\r|\n|$))')
    column, at = 1, 0
    while at < len(record) and (match := cell.match(record, at)) and match.end() < len(record):
        at = match.end()
        column = 1 if match[1] is not None else column + 1
    return line + len(re.findall("\r\n|\r|\n", record[:at])), column
