"""Tables of texts, read row by row: CSV, TSV, JSON, JSON Lines, Parquet, and data sets of the Hub."""

from attribution.tables.files import File
from attribution.tables.kinds import Kind
from attribution.tables.opening import open_table, requests
from attribution.tables.rows import NAMES, Columns, Row, Sample, suggest_columns
from attribution.tables.table import Table
from attribution.tables.texts import Texts, read_study, read_texts

__all__ = [
    "NAMES",
    "Columns",
    "File",
    "Kind",
    "Row",
    "Sample",
    "Table",
    "Texts",
    "open_table",
    "read_study",
    "read_texts",
    "requests",
    "suggest_columns",
]
