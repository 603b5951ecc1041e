"""Tables of texts, read row by row: CSV, TSV, JSON, JSON Lines, Parquet, and data sets of the Hub."""

from attribution.tables.table import (
    NAMES,
    Columns,
    File,
    Kind,
    Row,
    Sample,
    Table,
    open_table,
    requests,
    suggested,
)

__all__ = [
    "NAMES",
    "Columns",
    "File",
    "Kind",
    "Row",
    "Sample",
    "Table",
    "open_table",
    "requests",
    "suggested",
]
