"""A table: its columns, and rows that are read one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Any

from attribution.errors import BadOption, BadTable, describe, nearest, quote
from attribution.settings import DEFAULTS
from attribution.tables.rows import FIELDS, NAMES, Columns, Row, make_row, suggest_columns
from attribution.tables.sources import rows_of

PEEKED = 50
"""Rows from which the columns of a table without header are read."""


@dataclass(frozen=True)
class Table:
    """A table with rows that can be read repeatedly; ``count`` is None where it is unknown in advance.

    ``in_memory`` says that the caller made the rows: columns called like fields of a request then are those.
    """

    name: str
    columns: tuple[str, ...]
    rows: Callable[[], Iterator[Row]] = field(repr=False)
    count: int | None = None
    in_memory: bool = False

    def __iter__(self) -> Iterator[Row]:
        return self.rows()

    def choose_columns(self, columns: Mapping[str, str] | None) -> Columns:
        """The columns that a caller names by role or by field of a request; by default they are guessed.

        Raises ``BadOption`` for names that are no roles, and what ``pick_columns`` raises.
        """
        names = {} if columns is None else _check_roles(columns)
        own = {name: name for name in FIELDS if self.in_memory and name in self.columns}
        own |= {name: column for name, column in names.items() if name in FIELDS}
        for name, column in own.items():
            if column and column not in self.columns:
                raise self._missing_column_error(column, name)
        picked = self.pick_columns(**{role: column for role, column in names.items() if role in NAMES})
        return replace(picked, fields=tuple((name, column) for name, column in own.items() if column))

    def pick_columns(
        self,
        text: str | None = None,
        second: str | None = None,
        label: str | None = None,
        rationale: str | None = None,
    ) -> Columns:
        """Choose columns by name. Without ``text``, omitted ones are guessed; ``""`` means no column.

        Raises ``BadTable`` for an unknown column, and where no column looks like a text.
        """
        names = {"text": text, "second": second, "label": label, "rationale": rationale}
        for role, name in names.items():
            if name and name not in self.columns:
                raise self._missing_column_error(name, role)
        choice = suggest_columns(self.columns) if text is None else dict.fromkeys(names)
        choice |= {role: name or None for role, name in names.items() if name is not None}
        if not choice["text"]:
            raise BadTable(
                f"None of the columns of {self.name} is called text or sentence.",
                f"Name the column to explain. {self._list_columns()}",
            )
        return Columns(**choice)

    def _missing_column_error(self, name: str, role: str) -> BadTable:
        return BadTable(
            f"{self.name} has no column {quote(name)} for {role}.",
            f"{nearest(name, self.columns[:20])} {self._list_columns()}",
        )

    def _list_columns(self) -> str:
        rest = f" and {len(self.columns) - 20} more" if len(self.columns) > 20 else ""
        return f"It has: {', '.join(name[:60] for name in self.columns[:20])}{rest}."


def _check_roles(columns: object) -> Mapping[str, str]:
    """The columns by role, as a caller names them. Raises ``BadOption``."""
    roles = (*NAMES, *FIELDS)
    example = f"It must map roles ({', '.join(NAMES)}) to columns, such as {{'text': 'sentence'}}."
    if not isinstance(columns, Mapping):
        raise BadOption(f"columns is {describe(columns)}.", example)
    flipped = {value: key for key, value in columns.items() if isinstance(value, str) and value in roles}
    for role, column in columns.items():
        if role not in roles and len(flipped) == len(columns):
            raise BadOption(f"columns is the wrong way round: {quote(role)} is no role.", f"Write {flipped}.")
        if role not in roles:
            raise BadOption(
                f"columns has no role {quote(role)}.", f"{nearest(role, roles)} {example}".strip()
            )
        if column is not None and not isinstance(column, str):
            raise BadOption(f"The column for {role} is {describe(column)}.", example)
    return columns


def check_header(name: str, names: list[str]) -> list[str]:
    """Check column names; empty ones become ``column N``.

    Raises ``BadTable`` for no columns, too many, or duplicates.
    """
    if not names:
        raise BadTable(
            f"{name} is empty: it has no row of column names.", "The first row must name the columns."
        )
    if len(names) > DEFAULTS.max_columns:
        raise BadTable(
            f"The header of {name} has {len(names):,} columns; at most {DEFAULTS.max_columns:,} are read.",
            "Is this another kind of file?",
        )
    columns = [cell or f"column {i}" for i, cell in enumerate(names, 1)]
    seen: dict[str, int] = {}
    for i, cell in enumerate(columns, 1):
        if cell in seen:
            raise BadTable(
                f"Columns {seen[cell]} and {i} of {name} are both called {quote(cell)}.",
                "Give them different names.",
            )
        seen[cell] = i
    return columns


def read_columns(name: str, rows: Iterable[Row]) -> tuple[str, ...]:
    """Read the columns of the first rows. Raises ``BadTable`` where none can be read."""
    first = list(islice(rows, PEEKED))
    names = list(dict.fromkeys(key for row in first for key in row.values))
    if not names and first and first[0].error is not None:
        raise first[0].error
    return tuple(check_header(name, names))


def make_table(name: str, items: list[Any]) -> Table:
    """Make a table from a list of rows: mappings or texts. Raises ``BadTable``."""

    def rows() -> Iterator[Row]:
        return (
            make_row(place, 0, {"text": item} if isinstance(item, str) else item)
            for place, item in enumerate(items)
        )

    return Table(name, read_columns(name, rows()), rows, len(items))


def table_of_rows(source: Iterable[Any], name: str) -> Table:
    """Make a table from rows in memory: a list, an iterator, a frame, a mapping of columns or an open file.

    Raises ``BadTable``.
    """
    if isinstance(source, Table):
        return source
    source = rows_of(source)
    if isinstance(source, str | bytes) or not isinstance(source, Iterable):
        raise BadTable(
            f"The table is {describe(source)}.",
            "Give a file's name, or a list of rows: mappings by column.",
        )
    if not isinstance(source, Iterator):
        return replace(make_table(name, source if isinstance(source, list) else list(source)), in_memory=True)
    # An iterator: the rows that were read for the columns are yielded again.
    first = list(islice(source, PEEKED))
    columns = make_table(name, first).columns
    remaining = iter((chain(first, source),))

    def rows() -> Iterator[Row]:
        items = next(remaining, None)
        if items is None:
            raise BadTable(f"The rows of {name} can be read only once.", "Give a list, or a file's name.")
        for place, item in enumerate(items):
            yield make_row(place, 0, {"text": item} if isinstance(item, str) else item)

    return Table(name, columns, rows, in_memory=True)


def join_tables(name: str, parts: list[Table]) -> Table:
    """Concatenate tables. Raises ``BadTable`` where their columns differ."""
    for part in parts[1:]:
        if set(part.columns) != set(parts[0].columns):
            raise BadTable(f"{part.name} has other columns than {parts[0].name}.", "Name one of them.")

    def rows() -> Iterator[Row]:
        for place, row in enumerate(chain.from_iterable(parts)):
            yield Row(place, row.line, row.values, row.error)

    counts = [part.count for part in parts]
    return Table(name, parts[0].columns, rows, None if None in counts else sum(filter(None, counts)))
