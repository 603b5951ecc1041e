"""A table: its columns, and rows that are read one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

from attribution.errors import BadTable, nearest, quote
from attribution.settings import DEFAULTS
from attribution.tables.rows import Columns, Row, describe_value, make_row, suggest_columns

PEEKED = 50
"""Rows from which the columns of a table without header are read."""


@dataclass(frozen=True)
class Table:
    """A table with rows that can be read repeatedly; ``count`` is None where it is unknown in advance."""

    name: str
    columns: tuple[str, ...]
    rows: Callable[[], Iterator[Row]] = field(repr=False)
    count: int | None = None

    def __iter__(self) -> Iterator[Row]:
        return self.rows()

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
                raise BadTable(
                    f"{self.name} has no column {quote(name)} for {role}.",
                    f"{nearest(name, self.columns[:20])} {self._list_columns()}",
                )
        choice = suggest_columns(self.columns) if text is None else dict.fromkeys(names)
        choice |= {role: name or None for role, name in names.items() if name is not None}
        if not choice["text"]:
            raise BadTable(
                f"None of the columns of {self.name} is called text or sentence.",
                f"Name the column to explain. {self._list_columns()}",
            )
        return Columns(**choice)

    def _list_columns(self) -> str:
        rest = f" and {len(self.columns) - 20} more" if len(self.columns) > 20 else ""
        return f"It has: {', '.join(name[:60] for name in self.columns[:20])}{rest}."


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
    """Make a table from rows in memory: a list, an iterator or a pandas frame. Raises ``BadTable``."""
    if is_frame(source):
        return make_table(name, source.to_dict("records"))  # type: ignore[attr-defined]
    if isinstance(source, Table):
        return source
    if isinstance(source, Mapping) or not isinstance(source, Iterable):
        raise BadTable(
            f"The table is {describe_value(source)}.",
            "Give a file's name, or a list of rows: mappings by column.",
        )
    if not isinstance(source, Iterator):
        return make_table(name, source if isinstance(source, list) else list(source))
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

    return Table(name, columns, rows)


def is_frame(source: object) -> bool:
    """Whether the source is a pandas frame, which iterates over columns instead of rows."""
    return hasattr(source, "to_dict") and hasattr(source, "columns")


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
