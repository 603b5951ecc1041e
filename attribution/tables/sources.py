"""Tables in memory as rows: frames of pandas, polars and pyarrow, columns in a mapping, and open files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attribution.errors import BadTable, describe, quote
from attribution.request.values import to_python

TO_ROWS = ("to_dicts", "to_pylist")
"""Methods of frames that return rows: of polars and of pyarrow."""
TO_FRAME = ("collect", "to_pandas", "toPandas")
"""Methods that return a frame: of polars' lazy frames, of other libraries, and of Spark."""


def is_frame(source: object) -> bool:
    """Whether a source iterates over its columns, or not at all, instead of over its rows."""
    if hasattr(source, "columns"):
        return any(hasattr(source, name) for name in (*TO_ROWS, *TO_FRAME, "to_dict"))
    # Data sets of the Hub's library have the names too, and are read row by row.
    return hasattr(source, "column_names") and any(hasattr(source, name) for name in TO_ROWS)


def rows_of(source: Any) -> Any:
    """The rows of a frame, of a mapping of columns, or of an open file; any other source itself.

    Raises ``BadTable`` for a mapping whose columns do not fit together.
    """
    if isinstance(source, Mapping):
        return _rows_of_columns(source)
    if is_frame(source):
        return _rows_of_frame(source)
    if hasattr(source, "readline") and isinstance(source, Iterable):
        return _lines(source)
    return to_python(source)


def _rows_of_frame(frame: Any) -> list[Any]:
    for name in TO_ROWS:
        if callable(getattr(frame, name, None)):
            return list(getattr(frame, name)())
    if hasattr(frame, "to_dict"):
        try:
            return list(frame.to_dict("records"))
        except (TypeError, ValueError) as error:
            raise BadTable(
                f"The rows of a {type(frame).__name__} cannot be read ({str(error)[:100]}).",
                "Give a list of rows: mappings by column.",
            ) from error
    return _rows_of_frame(next(getattr(frame, name)() for name in TO_FRAME if hasattr(frame, name)))


def _rows_of_columns(columns: Mapping[Any, Any]) -> list[dict[str, Any]]:
    """The rows of a mapping from names to columns, such as a slice of a data set. Raises ``BadTable``."""
    if columns and all(hasattr(part, "column_names") for part in columns.values()):
        first = next(iter(columns))
        raise BadTable(
            f"This data set has the parts {', '.join(map(str, columns))}.",
            f"Give one of them: data[{first!r}].",
        )
    lists: dict[str, list[Any]] = {}
    for name, column in columns.items():
        values = to_python(column)
        if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
            raise BadTable(
                f"The table is a mapping, and its column {quote(name)} is {describe(column)}.",
                "A column is a list. Put a single row into a list: [{...}].",
            )
        lists[str(name)] = list(values)
    counts = {name: len(values) for name, values in lists.items()}
    if len(set(counts.values())) > 1:
        listing = ", ".join(f"{quote(name)} {count}" for name, count in list(counts.items())[:5])
        raise BadTable(f"The columns have different lengths: {listing}.", "Give as many cells in each.")
    return [dict(zip(lists, cells, strict=True)) for cells in zip(*lists.values(), strict=True)]


def _lines(file: Iterable[Any]) -> Iterator[str]:
    """The lines of a file that is open as text, without their line breaks. Raises ``BadTable``."""
    for line in file:
        if not isinstance(line, str):
            raise BadTable(
                f"A line of the file is {describe(line)}.",
                "Open it as text: open(path, encoding='utf-8').",
            )
        yield line.removesuffix("\n").removesuffix("\r")
