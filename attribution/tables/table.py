"""A table of texts, read row by row: CSV, TSV, JSON Lines, JSON, Parquet, a data set on the Hub, or rows that the caller has.

What is wrong with one row (too few cells, a line that is no JSON) stands in ``Row.error``, and the rows after it are read; what makes
the rest unreadable (a quote that never closes, another encoding) is raised. Nothing but a JSON array is held in memory. In CSV and TSV
the apostrophe that keeps a spreadsheet from running a cell (``attribution.export.csv.guard``) is taken off again.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

from attribution.errors import BadOption, BadTable, nearest, quote
from attribution.export.csv import unguard
from attribution.settings import DEFAULTS
from attribution.tables.delimited import Lines, delimiter_of, opened, records

Kind = Literal["csv", "tsv", "jsonl", "json", "parquet"]
ENDINGS: dict[str, Kind] = {
    "tab": "tsv",
    "ndjson": "jsonl",
    "pq": "parquet",
    **{kind: kind for kind in get_args(Kind)},
}
HUB = "hf://datasets/"
PEEKED = 50
"""Rows of JSON that the columns are read from."""
PARQUET_ROWS = 256
"""Rows of Parquet that are in memory at a time."""

NAMES = {
    "text": (
        "text",
        "sentence",
        "review",
        "content",
        "premise",
        "sentence1",
        "question",
        "text_a",
        "comment",
        "tweet",
        "document",
    ),
    "second": ("second", "hypothesis", "sentence2", "text_b", "text_pair", "context"),
    "label": ("label", "labels", "gold", "gold_label", "target", "class", "sentiment", "category"),
    "rationale": ("rationale", "rationales", "evidence", "highlights", "spans"),
}
"""What the columns of a table are usually called, the likeliest first."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of data: ``place`` counts them from 0, ``line`` is where it begins in the file, from 1 (0 where there are no lines).

    ``values`` has the cells by column. ``error`` says what is wrong with the row, if anything is.
    """

    place: int
    line: int
    values: Mapping[str, Any]
    error: BadTable | None = None

    @property
    def called(self) -> str:
        """``Row 3 (line 4)``: what a message calls it."""
        return f"Row {self.place + 1}" + (f" (line {self.line})" if self.line else "")


@dataclass(frozen=True, slots=True)
class Sample:
    """What a row says: its text, the other text of a pair, the gold label and people's marks, None where there is none."""

    text: str
    second: str | None = None
    label: str | int | None = None
    rationale: Any = None


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column is what; None for what the table does not have."""

    text: str
    second: str | None = None
    label: str | None = None
    rationale: str | None = None

    def read(self, row: Row) -> Sample:
        """What the row says. Raises ``BadTable``, the row's own one where it has one."""
        if row.error is not None:
            raise row.error
        second = None if self.second is None else _text(row, self.second)
        rationale = None if self.rationale is None else row.values.get(self.rationale)
        return Sample(_text(row, self.text), second, self._label(row), rationale)

    def _label(self, row: Row) -> str | int | None:
        found = None if self.label is None else row.values.get(self.label)
        if isinstance(found, float) and found.is_integer():
            return int(found)  # whole numbers with gaps come as floats from pandas
        if found is None or found == "" or found != found:
            return None
        if isinstance(found, str | int):
            return found
        raise BadTable(
            f"{row.called}, column {quote(self.label)}: a label cannot be {_said(found)}.",
            "It is a text or a whole number.",
        )


@dataclass(frozen=True)
class Table:
    """Rows to go through, as often as one likes. ``count`` is None where only reading tells."""

    name: str
    columns: tuple[str, ...]
    rows: Callable[[], Iterator[Row]] = field(repr=False)
    count: int | None = None

    def __iter__(self) -> Iterator[Row]:
        return self.rows()

    def picked(
        self,
        text: str | None = None,
        second: str | None = None,
        label: str | None = None,
        rationale: str | None = None,
    ) -> Columns:
        """The columns by name. Without ``text``, whatever is not given is guessed by its name; ``""`` is none.

        Raises ``BadTable`` where there is no such column, or none that looks like a text.
        """
        asked = {"text": text, "second": second, "label": label, "rationale": rationale}
        for what, name in asked.items():
            if name and name not in self.columns:
                raise BadTable(
                    f"{self.name} has no column {quote(name)} for {what}.",
                    f"{nearest(name, self.columns[:20])} {self._has()}",
                )
        found = suggested(self.columns) if text is None else dict.fromkeys(asked)
        found |= {what: name or None for what, name in asked.items() if name is not None}
        if not found["text"]:
            raise BadTable(
                f"None of the columns of {self.name} is called text or sentence.",
                f"Name the one to explain. {self._has()}",
            )
        return Columns(**found)

    def _has(self) -> str:
        more = f" and {len(self.columns) - 20} more" if len(self.columns) > 20 else ""
        return f"It has: {', '.join(name[:60] for name in self.columns[:20])}{more}."


def suggested(columns: Iterable[str]) -> dict[str, str | None]:
    """Which column is probably the text, the second text, the label and the rationale; a table of one column has a text."""
    names = list(columns)
    plain = {name.strip().lower().replace(" ", "_"): name for name in reversed(names)}
    found = {
        what: next((plain[name] for name in usual if name in plain), None) for what, usual in NAMES.items()
    }
    if found["text"] is None and len(names) == 1:
        found = {**dict.fromkeys(found), "text": names[0]}
    return found


def requests(texts: Table | Iterable[Any], columns: Mapping[str, str] | None = None) -> Iterator[Any]:
    """What ``Engine.attribute_many`` takes of a table or of rows; texts as they are. Raises ``BadTable`` for the columns.

    The error of a row stands in its place.
    """
    if not isinstance(texts, Table):
        if not isinstance(texts, Iterable):
            raise BadTable(f"texts is {_said(texts)}.", "Give a list of texts, a list of rows, or a table.")
        if _is_frame(texts):
            return requests(open_table(texts), columns)
        items = iter(texts)
        first = list(islice(items, 1))
        texts = chain(first, items)
        if not columns and not (first and isinstance(first[0], Mapping)):
            return iter(texts)
        texts = open_table(texts)
    return _asked(texts, texts.picked(**(columns or {})))


def _asked(table: Table, columns: Columns) -> Iterator[Any]:
    for row in table:
        try:
            sample = columns.read(row)
        except BadTable as error:
            yield error
        else:
            yield {"text": sample.text, "second": sample.second}


def open_table(
    source: str | os.PathLike[str] | bytes | Iterable[Any],
    *,
    kind: Kind | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    quoted: bool | None = None,
    limit_bytes: int | None = None,
    name: str = "",
) -> Table:
    """A table from a file, from a file's bytes, from ``hf://datasets/OWNER/NAME[@REVISION][/SPLIT]``, or from rows.

    Parameters
    ----------
    source : rows are mappings by column, texts, or a pandas frame.
    kind : of file; else its ending tells. Bytes need it.
    encoding : else its byte order mark tells, and UTF-8 is meant without one.
    delimiter : of CSV; else the header tells comma, semicolon or tab.
    quoted : whether cells may stand in quotes: by default in CSV, and not in TSV.
    limit_bytes : a larger file is refused.
    name : what messages call it.

    Raises ``BadTable``, ``BadOption``, and ``HubUnavailable`` for a data set.
    """
    if isinstance(source, str) and source.startswith(HUB):
        from attribution.tables.datasets import fetch  # late: it needs huggingface_hub

        parts = [
            open_table(path, encoding=encoding, delimiter=delimiter, quoted=quoted)
            for path in fetch(source, limit_bytes)
        ]
        return _joined(source, parts)
    if not isinstance(source, str | os.PathLike | bytes):
        return _given(source, name or "the table")
    called = name or ("the table" if isinstance(source, bytes) else Path(source).name)
    found = kind or _kind(called)
    if found not in get_args(Kind):
        raise BadOption(f"kind is {quote(found)}.", f"It is one of {', '.join(get_args(Kind))}.")
    file = File(called, source, found, encoding, delimiter, quoted)
    file.check(limit_bytes)
    return file.table()


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
        if self.kind == "json" and (whole := self._array()) is not None:
            return _listed(self.name, whole)
        return Table(self.name, _keys(self.name, self._json_lines()), self._json_lines)

    def _cells(self, file: BinaryIO) -> Iterator[tuple[int, list[str]]]:
        """The header, checked, and the records after it."""
        lines = Lines(opened(file, self.encoding, newline=""))
        first = next(lines, "")
        lines.text.seek(0)
        lines.number = 0
        delimiter = self.delimiter or ("\t" if self.kind == "tsv" else delimiter_of(first))
        if len(delimiter) != 1 or delimiter in '"\r\n':
            raise BadOption(f"delimiter is {quote(delimiter)}.", "It is one character, such as a comma.")
        found = records(lines, delimiter, quoted=self.kind == "csv" if self.quoted is None else self.quoted)
        line, header = next(found, (1, []))
        yield line, _header(self.name, [unguard(cell).strip() for cell in header])
        yield from found

    def _delimited(self) -> Iterator[Row]:
        with self.open() as file:
            found = self._cells(file)
            _, columns = next(found)
            for place, (line, cells) in enumerate(found):
                values = dict(zip(columns, map(unguard, cells), strict=False))
                row = Row(place, line, values)
                if len(cells) != len(columns):
                    row = Row(place, line, values, _ragged(row, len(cells), columns))
                yield row

    def _json_lines(self) -> Iterator[Row]:
        with self.open() as file:
            lines = Lines(opened(file, self.encoding, newline="\n"))
            place = 0
            for line in lines:
                lines.begin()
                if line.strip():
                    yield _parsed(place, lines.number, line)
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
            return json.loads(content)
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
        parquet, wrong = _pyarrow()

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
                columns = _header(self.name, list(content.schema_arrow.names))
                return Table(self.name, tuple(columns), rows, content.metadata.num_rows)
        except wrong as error:
            raise self._no_parquet(error) from None

    def _no_parquet(self, error: Exception) -> BadTable:
        return BadTable(f"{self.name} cannot be read as Parquet: {str(error).splitlines()[0][:100]}.")


def _kind(name: str) -> Kind:
    ending = name.rpartition(".")[2].lower() if "." in name else ""
    if ending not in ENDINGS:
        raise BadTable(
            f"{quote(name)} does not say what kind of table it is.",
            f"Tables are {', '.join(get_args(Kind))}: save it as one of these, or name its kind.",
        )
    return ENDINGS[ending]


def _header(name: str, names: list[str]) -> list[str]:
    """The columns, those without a name called ``column N``. Raises ``BadTable`` for none, too many, and two of one name."""
    if not names:
        raise BadTable(
            f"{name} is empty: not even a row of column names is there.", "The first row names the columns."
        )
    if len(names) > DEFAULTS.max_columns:
        raise BadTable(
            f"The header of {name} has {len(names):,} columns; at most {DEFAULTS.max_columns:,} are read.",
            "Is this another kind of file?",
        )
    named = [cell or f"column {i}" for i, cell in enumerate(names, 1)]
    seen: dict[str, int] = {}
    for i, cell in enumerate(named, 1):
        if cell in seen:
            raise BadTable(
                f"Columns {seen[cell]} and {i} of {name} are both called {quote(cell)}.",
                "Give them different names.",
            )
        seen[cell] = i
    return named


def _ragged(row: Row, count: int, columns: list[str]) -> BadTable:
    if count > len(columns):
        return BadTable(
            f"{row.called} has {count:,} cells, {count - len(columns):,} after the last column, {quote(columns[-1])}.",
            "Put a text that holds the delimiter into quotes.",
        )
    cells = f"{count} cell{'' if count == 1 else 's'}"
    return BadTable(
        f"{row.called} has {cells}: there is none for column {quote(columns[count])}.", "Fill in the row."
    )


def _parsed(place: int, line: int, content: str) -> Row:
    """One line of JSON Lines."""
    row = Row(place, line, {})
    try:
        found = json.loads(content.rstrip())
    except json.JSONDecodeError as error:
        return Row(
            place, line, {}, BadTable(f"{row.called} is not JSON: character {error.colno}: {error.msg}.")
        )
    except (ValueError, RecursionError) as error:
        return Row(place, line, {}, BadTable(f"{row.called} cannot be read as JSON: {str(error)[:100]}."))
    return _mapped(place, line, found)


def _mapped(place: int, line: int, found: object) -> Row:
    """A row that somebody gives: a mapping by column, or a text."""
    if isinstance(found, Mapping):
        return Row(place, line, {str(key): value for key, value in found.items()})
    row = Row(place, line, {})
    return Row(
        place,
        line,
        {},
        BadTable(f"{row.called} is {_said(found)}.", "A row is an object with the columns as its names."),
    )


def _keys(name: str, rows: Iterable[Row]) -> tuple[str, ...]:
    """The columns of the first rows. Raises ``BadTable`` where none of them can be read."""
    first = list(islice(rows, PEEKED))
    names = list(dict.fromkeys(key for row in first for key in row.values))
    if not names and first and first[0].error is not None:
        raise first[0].error
    return tuple(_header(name, names))


def _listed(name: str, items: list[Any]) -> Table:
    def rows() -> Iterator[Row]:
        return (
            _mapped(place, 0, {"text": item} if isinstance(item, str) else item)
            for place, item in enumerate(items)
        )

    return Table(name, _keys(name, rows()), rows, len(items))


def _given(source: Iterable[Any], name: str) -> Table:
    """Rows that the caller has. Raises ``BadTable``."""
    if hasattr(source, "to_dict") and hasattr(
        source, "columns"
    ):  # a pandas frame, which gives its columns when it is gone through
        return _listed(name, source.to_dict("records"))
    if isinstance(source, Table):
        return source
    if isinstance(source, Mapping) or not isinstance(source, Iterable):
        raise BadTable(
            f"The table is {_said(source)}.", "Give a file's name, or a list of rows: mappings by column."
        )
    if not isinstance(source, Iterator):
        return _listed(name, list(source)) if not isinstance(source, list) else _listed(name, source)
    # Rows that come once: what was looked at for the columns is put back.
    first = list(islice(source, PEEKED))
    columns = _listed(name, first).columns
    left = iter((chain(first, source),))

    def rows() -> Iterator[Row]:
        items = next(left, None)
        if items is None:
            raise BadTable(
                f"The rows of {name} can be gone through only once.", "Give a list, or a file's name."
            )
        for place, item in enumerate(items):
            yield _mapped(place, 0, {"text": item} if isinstance(item, str) else item)

    return Table(name, columns, rows)


def _is_frame(source: object) -> bool:
    """Whether it is of pandas: gone through like a list, it would give its columns."""
    return hasattr(source, "to_dict") and hasattr(source, "columns")


def _joined(name: str, parts: list[Table]) -> Table:
    """Tables one after another. Raises ``BadTable`` where their columns differ."""
    for part in parts[1:]:
        if set(part.columns) != set(parts[0].columns):
            raise BadTable(f"{part.name} has other columns than {parts[0].name}.", "Name one of them.")

    def rows() -> Iterator[Row]:
        for place, row in enumerate(chain.from_iterable(parts)):
            yield Row(place, row.line, row.values, row.error)

    counts = [part.count for part in parts]
    return Table(name, parts[0].columns, rows, None if None in counts else sum(filter(None, counts)))


def _text(row: Row, column: str) -> str:
    found = row.values.get(column)
    if isinstance(found, str):
        return found
    if found is None:
        raise BadTable(
            f"{row.called}, column {quote(column)}: there is no text.", "Fill it in, or leave the row out."
        )
    raise BadTable(
        f"{row.called}, column {quote(column)}: {_said(found)} is not a text.",
        "Texts are strings, in quotes.",
    )


def _said(value: object) -> str:
    return f"a {type(value).__name__} ({quote(value, 30)})"


def _pyarrow() -> tuple[Any, type[Exception]]:
    """The module for Parquet, and the root of its errors. Raises ``BadTable``."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise BadTable(
            "Parquet files are read by pyarrow, which is not installed.", "Install it: pip install pyarrow."
        ) from error
    return parquet, pyarrow.ArrowException
