"""Files that hold a table: CSV, TSV, JSON Lines, JSON and Parquet, read row by row.

An error in one row (too few cells, a line that is not JSON) is stored in ``Row.error``, and the rows after it
are read; an error that makes the rest unreadable (a quote that is never closed, another encoding) is raised.
Only a JSON array is read into memory at once. In CSV and TSV, the apostrophe that protects cells from being
run by spreadsheets (``attribution.export.csv.guard``) is removed.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from attribution.errors import BadOption, BadTable, quote
from attribution.export.csv import unguard
from attribution.settings import DEFAULTS
from attribution.tables.delimited import Lines, decode, detect_delimiter, read_records
from attribution.tables.kinds import Kind
from attribution.tables.rows import Row, make_row
from attribution.tables.table import Table, check_header, make_table, read_columns

PARQUET_ROWS = 256
"""Rows of a Parquet file that are in memory at the same time."""


@dataclass(frozen=True)
class File:
    """A table in a file, or in the bytes of one."""

    name: str
    source: str | os.PathLike[str] | bytes
    kind: Kind
    encoding: str | None = None
    delimiter: str | None = None
    quoted: bool | None = None

    def open(self) -> BinaryIO:
        """Open the bytes. Raises ``BadTable``."""
        if isinstance(self.source, bytes):
            return io.BytesIO(self.source)
        try:
            return Path(self.source).open("rb")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise BadTable(
                f"{quote(self.name)} cannot be read: {reason}.", "Check its name and folder."
            ) from error

    def check(self, limit: int | None) -> None:
        """Raise ``BadTable`` for a file that is too large or missing."""
        with self.open() as file:
            size = file.seek(0, os.SEEK_END)
        if self.kind == "json":
            limit = min(limit or DEFAULTS.max_table_bytes, DEFAULTS.max_table_bytes)
        if limit is not None and size > limit:
            hint = (
                "Save it as JSON Lines, which is read row by row."
                if self.kind == "json"
                else "Use a part of it."
            )
            raise BadTable(f"{self.name} has {size / 1e6:,.1f} MB; the limit is {limit / 1e6:,.1f} MB.", hint)

    def table(self) -> Table:
        """The table: columns are read now, rows during iteration. Raises ``BadTable``."""
        if self.kind == "parquet":
            return self._open_parquet()
        if self.kind in ("csv", "tsv"):
            with self.open() as file:
                columns = next(self._cells(file))[1]
            return Table(self.name, tuple(columns), self._read_delimited)
        if self.kind == "json" and (items := self._read_array()) is not None:
            return make_table(self.name, items)
        with closing(self._read_json_lines()) as rows:
            return Table(self.name, read_columns(self.name, rows), self._read_json_lines)

    def _cells(self, file: BinaryIO) -> Iterator[tuple[int, list[str]]]:
        """The header, checked, and the records after it."""
        lines = Lines(decode(file, self.encoding, newline=""))
        first = next(lines, "")
        lines.text.seek(0)
        lines.number = 0
        delimiter = self.delimiter or ("\t" if self.kind == "tsv" else detect_delimiter(first))
        if len(delimiter) != 1 or delimiter in '"\r\n':
            raise BadOption(
                f"delimiter is {quote(delimiter)}.", "It must be a single character, such as a comma."
            )
        cells = read_records(
            lines, delimiter, quoted=self.kind == "csv" if self.quoted is None else self.quoted
        )
        line, header = next(cells, (1, []))
        yield line, check_header(self.name, [unguard(cell).strip() for cell in header])
        yield from cells

    def _read_delimited(self) -> Iterator[Row]:
        with self.open() as file:
            lines = self._cells(file)
            _, columns = next(lines)
            for place, (line, cells) in enumerate(lines):
                values = dict(zip(columns, map(unguard, cells), strict=False))
                row = Row(place, line, values)
                if len(cells) != len(columns):
                    row = Row(place, line, values, _ragged_row_error(row, len(cells), columns))
                yield row

    def _read_json_lines(self) -> Generator[Row, None, None]:
        with self.open() as file:
            lines = Lines(decode(file, self.encoding, newline="\n"))
            place = 0
            for line in lines:
                lines.begin()
                if line.strip():
                    yield _parse_json_line(place, lines.number, line)
                    place += 1

    def _read_array(self) -> list[Any] | None:
        """The items of a JSON array; None for a file of JSON Lines under that name. Raises ``BadTable``."""
        with self.open() as file:
            text = decode(file, self.encoding, newline="")
            try:
                content = text.read()
            except UnicodeDecodeError as error:
                raise BadTable(
                    f"{self.name} is not {error.encoding}.", "Name its encoding, or save it as UTF-8."
                ) from None
        if content.lstrip()[:1] != "[":
            return None
        try:
            items: list[Any] = json.loads(content)
            return items
        except json.JSONDecodeError as error:
            where = f"line {error.lineno}, character {error.colno}"
            raise BadTable(
                f"{self.name} is not JSON: {where}: {error.msg}.",
                "It must be a list of objects, one for each row.",
            ) from None
        except (ValueError, RecursionError) as error:
            raise BadTable(
                f"{self.name} cannot be read as JSON: {str(error)[:100]}.",
                "It must be a list of objects, one for each row.",
            ) from None

    def _open_parquet(self) -> Table:
        parquet, parquet_exception = _import_parquet()

        def rows() -> Iterator[Row]:
            try:
                with self.open() as file, parquet.ParquetFile(file) as content:
                    batches = (batch.to_pylist() for batch in content.iter_batches(PARQUET_ROWS))
                    for place, values in enumerate(chain.from_iterable(batches)):
                        yield Row(place, 0, values)
            except parquet_exception as error:
                raise self._parquet_error(error) from None

        try:
            with self.open() as file, parquet.ParquetFile(file) as content:
                columns = check_header(self.name, list(content.schema_arrow.names))
                return Table(self.name, tuple(columns), rows, content.metadata.num_rows)
        except parquet_exception as error:
            raise self._parquet_error(error) from None

    def _parquet_error(self, error: Exception) -> BadTable:
        return BadTable(f"{self.name} cannot be read as Parquet: {str(error).splitlines()[0][:100]}.")


def _ragged_row_error(row: Row, count: int, columns: list[str]) -> BadTable:
    if count > len(columns):
        return BadTable(
            f"{row.title} has {count:,} cells, {count - len(columns):,} after the last column, "
            f"{quote(columns[-1])}.",
            "Quote texts that contain the delimiter.",
        )
    cells = f"{count} cell{'' if count == 1 else 's'}"
    return BadTable(
        f"{row.title} has {cells}: there is none for column {quote(columns[count])}.", "Fill in the row."
    )


def _parse_json_line(place: int, line: int, content: str) -> Row:
    """Parse a line of JSON Lines."""
    row = Row(place, line, {})
    try:
        value = json.loads(content.rstrip())
    except json.JSONDecodeError as error:
        return Row(
            place, line, {}, BadTable(f"{row.title} is not JSON: character {error.colno}: {error.msg}.")
        )
    except (ValueError, RecursionError) as error:
        return Row(place, line, {}, BadTable(f"{row.title} cannot be read as JSON: {str(error)[:100]}."))
    return make_row(place, line, value)


def _import_parquet() -> tuple[Any, type[Exception]]:
    """Import the module for Parquet and the base class of its errors. Raises ``BadTable``."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise BadTable(
            "Parquet files are read by pyarrow, which is not installed.", "Install it: pip install pyarrow."
        ) from error
    return parquet, pyarrow.ArrowException
