"""The table of a run: uploaded or pasted, its columns, its first rows."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from attribution.errors import AttributionError, BadTable
from attribution.settings import Settings
from attribution.tables import NAMES, Columns, Kind, Row, Table, open_table

from ...api.runs import limit_size
from ...controls.fields import Field, Values
from ...languages import say
from ...live.answers import QUIET, error_value

EXAMPLE = Path(__file__).parents[2] / "static" / "reviews.csv"
PREVIEW_ROWS = 5
"""Rows of a table that are shown before it is explained."""
CELL_CHARACTERS = 200
NONE = ""
"""The choice that stands for no column."""
COLUMNS = {"text": "Text column", "second": "Second column", "label": "Label column"}
TABLE_FIRST = "Upload a table, paste one, or load the example."


class TableInput:
    """Where the table comes from and which columns are read.

    Build it where it should stand, then ``wire`` it.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.file = gr.File(
            label=say("Table: CSV, TSV, JSON or Parquet"),
            file_types=[".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".json", ".parquet", ".pq"],
            elem_id="table",
            height=130,
        )
        self.pasted = gr.Textbox(
            "",
            label=say("Or paste it here"),
            placeholder=say("One text per line, or cells from a spreadsheet"),
            lines=3,
            max_lines=6,
            elem_id="pasted",
        )
        self.example = gr.Button(say("Load example"), size="sm", elem_id="example")
        with gr.Row():
            self.columns = [
                gr.Dropdown([], value=None, label=say(title), elem_id=f"column-{name}", min_width=120)
                for name, title in COLUMNS.items()
            ]

    @property
    def fields(self) -> list[Field]:
        """The two sources and the columns."""
        columns = [Field(box, name) for name, box in zip(COLUMNS, self.columns, strict=True)]
        return [Field(self.file, "file"), Field(self.pasted, "pasted"), *columns]

    def wire(self, board: Any, price: dict[str, Any]) -> None:
        """Show each new table on ``board`` and run ``price`` for it."""

        def show(path: str | None, text: str) -> list[Any]:
            return _show(self._settings, path, text)

        outputs = [*self.columns, board]
        shown: dict[str, Any] = {"fn": show, "inputs": [self.file, self.pasted], "outputs": outputs, **QUIET}
        self.file.upload(lambda: "", None, [self.pasted], **QUIET).then(**shown).then(**price)
        self.file.clear(**shown)
        self.pasted.change(**shown)
        self.pasted.blur(**price)
        self.example.click(_load_example, None, [self.pasted], **QUIET).then(**shown).then(**price)


def table_of(settings: Settings, path: str | None, text: str) -> Table | None:
    """The table that was pasted, else the one that was uploaded, None where there is none.

    Raises ``BadTable``.
    """
    if not text.strip():
        return open_table(path, limit_bytes=settings.upload_bytes, name=Path(path).name) if path else None
    if kind := _kind(text):
        return open_table(text.encode("utf-8", "replace"), kind=kind, name="the pasted table")
    lines = [line for line in text.splitlines() if line.strip()]
    return open_table(lines, name="the pasted texts")


def columns_of(table: Table, values: Values) -> Columns:
    """The columns that the page names. Raises ``BadTable``."""
    return table.pick_columns(
        text=values["text"] or None,
        second=values["second"] or NONE,
        label=values["label"] or NONE,
        rationale=NONE,
    )


def _kind(text: str) -> Kind | None:
    """The kind of a pasted table: JSON, or one whose header names a text; None for one text per line."""
    first = text.lstrip().split("\n", 1)[0].strip()
    if first.startswith(("{", "[")):
        return "json" if first.startswith("[") else "jsonl"
    delimiters: dict[Kind, str] = {"tsv": "\t", "csv": ";" if ";" in first else ","}
    for kind, delimiter in delimiters.items():
        cells = {cell.strip().lower() for cell in next(csv.reader([first], delimiter=delimiter), [])}
        if cells & set(NAMES["text"]):
            return kind
    return None


def _show(settings: Settings, path: str | None, text: str) -> list[Any]:
    """The columns to choose from with suggested choices, and the first rows."""
    empty = [gr.Dropdown([], value=None) for _ in COLUMNS]
    try:
        table = table_of(settings, path, text)
        if table is None:
            return [*empty, {"fresh": True, "note": TABLE_FIRST}]
        table = limit_size(table, settings)
        count, first = _preview(table)
        suggested = _suggest_columns(table)
    except AttributionError as error:
        return [*empty, error_value(error)]
    names = list(table.columns)
    optional = [("–", NONE), *((name, name) for name in names)]
    boxes = [
        gr.Dropdown(names if column == "text" else optional, value=suggested.get(column) or NONE)
        for column in COLUMNS
    ]
    rows = [[_cell(row.values.get(name)) for name in names] for row in first]
    preview = {"name": table.name, "count": count, "columns": names, "rows": rows}
    return [*boxes, {"fresh": True, "preview": preview}]


def _preview(table: Table) -> tuple[int, Sequence[Row]]:
    """How many rows there are, and the first of them.

    Raises ``BadTable`` for an unreadable row and for too many.
    """
    count = 0
    first: list[Row] = []
    for row in table:
        count += 1
        if len(first) < PREVIEW_ROWS:
            first.append(row)
    return count, first


def _suggest_columns(table: Table) -> dict[str, str | None]:
    try:
        columns = table.pick_columns()
    except BadTable:  # the visitor has to choose
        return {"text": table.columns[0]}
    return {"text": columns.text, "second": columns.second, "label": columns.label}


def _cell(value: object) -> str:
    return "" if value is None else str(value)[:CELL_CHARACTERS]


def _load_example() -> str:
    return EXAMPLE.read_text(encoding="utf-8")
