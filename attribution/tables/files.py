"""Files that hold a table: CSV, TSV, JSON Lines, JSON and Parquet, read row by row.

What is wrong with one row (too few cells, a line that is no JSON) stands in ``Row.error``, and the rows after
it are read; what makes the rest unreadable (a quote that never closes, another encoding) is raised. Nothing
but a JSON array is held in memory. In CSV and TSV the apostrophe that keeps a spreadsheet from running a cell
(``attribution.export.csv.guard``) is taken off again.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from attribution.errors import BadOption, BadTable, quote
from attribution.export.csv import unguard
from attribution.settings import DEFAULTS
from attribution.tables.delimited import Lines, delimiter_of, opened, records
from attribution.tables.kinds import Kind
from attribution.tables.rows import Row, make_row
from attribution.tables.table import Table, check_header, make_table, read_columns

PARQUET_ROWS = 256
"""Rows of Parquet that are in memory at a time."""


@dataclass(frozen=True)
class File:
    """A file that is a table, or its bytes."""

    name: str
    source: str | os.PathLike[str] | bytes
    kind: Kind
    encoding: str | None = None
    delimiter: str | None = None
    quoted: bool | None = None

    def open(self) -> BinaryIO:
        """The bytes. Raises ``BadTable``."""
        if isinstance(self.source, bytes):
            return io.BytesIO(self.source)
        try:
            return Path(self.source).open("rb")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise BadTable(
                f"{quote(self.name)} cannot be read: {reason}.", "Look at its name and place."
            ) from error

    def check(self, limit: int | None) -> None:
        """Raises ``BadTable`` for a file that is too large, or not there."""
        with self.open() as file:
            size = file.seek(0, os.SEEK_END)
        if self.kind == "json":
            limit = min(limit or DEFAULTS.max_table_bytes, DEFAULTS.max_table_bytes)
        if limit is not None and size > limit:
            more = (
                "Save it as JSON Lines, which is read row by row."
                if self.kind == "json"
                else "Use a part of it."
            )
            raise BadTable(
                f"{self.name} has {size / 1e6:,.1f} MB; at most {limit / 1e6:,.1f} are taken.", more
            )

    def table(self) -> Table:
        """Its columns, read now, and its rows, read when they are asked for. Raises ``BadTable``."""
        if self.kind == "parquet":
            return self._parquet()
        if self.kind in ("csv", "tsv"):
            with self.open() as file:
                columns = next(self._cells(file))[1]
            return Table(self.name, tuple(columns), self._delimited)
        if self.kind == "json" and (items := self._array()) is not None:
            return make_table(self.name, items)
        return Table(self.name, read_columns(self.name, self._json_lines()), self._json_lines)

    def _cells(self, file: BinaryIO) -> Iterator[tuple[int, list[str]]]:
        """The header, checked, and the records after it."""
        lines = Lines(opened(file, self.encoding, newline=""))
        first = next(lines, "")
        lines.text.seek(0)
        lines.number = 0
        delimiter = self.delimiter or ("\t" if self.kind == "tsv" else delimiter_of(first))
        if len(delimiter) != 1 or delimiter in '"\r\n':
            raise BadOption(f"delimiter is {quote(delimiter)}.", "It is one character, such as a comma.")
        cells = records(lines, delimiter, quoted=self.kind == "csv" if self.quoted is None else self.quoted)
        line, header = next(cells, (1, []))
        yield line, check_header(self.name, [unguard(cell).strip() for cell in header])
        yield from cells

    def _delimited(self) -> Iterator[Row]:
        with self.open() as file:
            lines = self._cells(file)
            _, columns = next(lines)
            for place, (line, cells) in enumerate(lines):
                values = dict(zip(columns, map(unguard, cells), strict=False))
                row = Row(place, line, values)
                if len(cells) != len(columns):
                    row = Row(place, line, values, _ragged_row_error(row, len(cells), columns))
                yield row

    def _json_lines(self) -> Iterator[Row]:
        with self.open() as file:
            lines = Lines(opened(file, self.encoding, newline="\n"))
            place = 0
            for line in lines:
                lines.begin()
                if line.strip():
                    yield _parse_json_line(place, lines.number, line)
                    place += 1

    def _array(self) -> list[Any] | None:
        """The items of a JSON array; None for a file of JSON Lines under that name. Raises ``BadTable``."""
        with self.open() as file:
            text = opened(file, self.encoding, newline="")
            try:
                content = text.read()
            except UnicodeDecodeError as error:
                raise BadTable(
                    f"{self.name} is not {error.encoding}.", "Say which encoding it is, or save it as UTF-8."
                ) from None
        if content.lstrip()[:1] != "[":
            return None
        try:
            items: list[Any] = json.loads(content)
            return items
        except json.JSONDecodeError as error:
            where = f"line {error.lineno}, character {error.colno}"
            raise BadTable(
                f"{self.name} is not JSON: {where}: {error.msg}.", "It is a list of objects, one a row."
            ) from None
        except (ValueError, RecursionError) as error:
            raise BadTable(
                f"{self.name} cannot be read as JSON: {str(error)[:100]}.",
                "It is a list of objects, one a row.",
            ) from None

    def _parquet(self) -> Table:
        parquet, wrong = _import_parquet()

        def rows() -> Iterator[Row]:
            try:
                with self.open() as file, parquet.ParquetFile(file) as content:
                    batches = (batch.to_pylist() for batch in content.iter_batches(PARQUET_ROWS))
                    for place, values in enumerate(chain.from_iterable(batches)):
                        yield Row(place, 0, values)
            except wrong as error:
                raise self._no_parquet(error) from None

        try:
            with self.open() as file, parquet.ParquetFile(file) as content:
                columns = check_header(self.name, list(content.schema_arrow.names))
                return Table(self.name, tuple(columns), rows, content.metadata.num_rows)
        except wrong as error:
            raise self._no_parquet(error) from None

    def _no_parquet(self, error: Exception) -> BadTable:
        return BadTable(f"{self.name} cannot be read as Parquet: {str(error).splitlines()[0][:100]}.")


def _ragged_row_error(row: Row, count: int, columns: list[str]) -> BadTable:
    if count > len(columns):
        return BadTable(
            f"{row.called} has {count:,} cells, {count - len(columns):,} after the last column, "
            f"{quote(columns[-1])}.",
            "Put a text that holds the delimiter into quotes.",
        )
    cells = f"{count} cell{'' if count == 1 else 's'}"
    return BadTable(
        f"{row.called} has {cells}: there is none for column {quote(columns[count])}.", "Fill in the row."
    )


def _parse_json_line(place: int, line: int, content: str) -> Row:
    """One line of JSON Lines."""
    row = Row(place, line, {})
    try:
        value = json.loads(content.rstrip())
    except json.JSONDecodeError as error:
        return Row(
            place, line, {}, BadTable(f"{row.called} is not JSON: character {error.colno}: {error.msg}.")
        )
    except (ValueError, RecursionError) as error:
        return Row(place, line, {}, BadTable(f"{row.called} cannot be read as JSON: {str(error)[:100]}."))
    return make_row(place, line, value)


def _import_parquet() -> tuple[Any, type[Exception]]:
    """The module for Parquet, and the root of its errors. Raises ``BadTable``."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise BadTable(
            "Parquet files are read by pyarrow, which is not installed.", "Install it: pip install pyarrow."
        ) from error
    return parquet, pyarrow.ArrowException
