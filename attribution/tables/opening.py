"""Open tables from files, bytes, data sets of the Hub and rows in memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any, get_args

from attribution.errors import BadOption, BadTable, describe, quote
from attribution.tables.files import File
from attribution.tables.kinds import Kind, kind_of
from attribution.tables.rows import Columns
from attribution.tables.sources import is_frame, rows_of
from attribution.tables.table import Table, join_tables, table_of_rows

HUB = "hf://datasets/"


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
    """Open a table: a file, its bytes, ``hf://datasets/OWNER/NAME[@REVISION][/SPLIT]``, or rows in memory.

    Parameters
    ----------
    source : rows are mappings by column, or texts: in a list, a generator, an open file, a mapping of
        columns, or a frame of pandas, polars or pyarrow.
    kind : of the file, by default by its extension; required for bytes.
    encoding : by default that of the byte order mark, or UTF-8.
    delimiter : of CSV, by default detected in the header: a comma, semicolon or tab.
    quoted : whether cells may be quoted, by default only in CSV.
    limit_bytes : the largest size of a file.
    name : of the table, for messages.

    Raises ``BadTable``, ``BadOption``, and ``HubUnavailable`` for a data set.
    """
    if isinstance(source, str) and source.startswith(HUB):
        from attribution.tables.datasets import fetch  # imported late: it needs huggingface_hub

        parts = [
            open_table(path, encoding=encoding, delimiter=delimiter, quoted=quoted)
            for path in fetch(source, limit_bytes)
        ]
        return join_tables(source, parts)
    if not isinstance(source, str | os.PathLike | bytes):
        return table_of_rows(source, name or "the table")
    title = name or ("the table" if isinstance(source, bytes) else Path(source).name)
    kind = kind or kind_of(title)
    if kind not in get_args(Kind):
        raise BadOption(f"kind is {quote(kind)}.", f"It must be one of {', '.join(get_args(Kind))}.")
    file = File(title, source, kind, encoding, delimiter, quoted)
    file.check(limit_bytes)
    return file.table()


def requests(texts: Table | Iterable[Any], columns: Mapping[str, str] | None = None) -> Iterator[Any]:
    """Yield the items of ``Engine.attribute_many`` for a table, rows or texts.

    The item of a row that cannot be read is its error. Raises ``BadTable`` for missing columns, and
    ``BadOption`` for ``columns`` that are no roles.
    """
    if isinstance(texts, os.PathLike):
        texts = open_table(texts)
    if not isinstance(texts, Table):
        if isinstance(texts, Mapping) or is_frame(texts):
            texts = open_table(texts)
            return _read_requests(texts, texts.choose_columns(columns))
        texts = rows_of(texts)
        if not isinstance(texts, Iterable) or isinstance(texts, bytes):
            raise BadTable(
                f"texts is {describe(texts)}.", "Give a list of texts, a list of rows, or a table."
            )
        items = iter(texts)
        first = list(islice(items, 1))
        texts = chain(first, items)
        if not columns and not (first and isinstance(first[0], Mapping)):
            return iter(texts)
        texts = open_table(texts)
    return _read_requests(texts, texts.choose_columns(columns))


def _read_requests(table: Table, columns: Columns) -> Iterator[Any]:
    for row in table:
        try:
            sample = columns.read(row)
        except BadTable as error:
            yield error
        else:
            second = {} if sample.second is None else {"second": sample.second}
            yield {"text": sample.text, **second, **sample.fields}
