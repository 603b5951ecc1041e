"""Rows of a table, and the samples that they contain once the columns are chosen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from attribution.errors import BadTable, describe, quote
from attribution.request.values import to_python

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
"""Usual names of the columns of a table, the most likely first."""
FIELDS = ("target", "contrast", "position", "continuation", "quantity", "max_new_tokens")
"""Fields of a request that may differ from row to row."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of data.

    Attributes
    ----------
    place : the number of the row, from 0.
    line : the line in the file where it begins, from 1; 0 where there are no lines.
    values : the cells by column.
    error : of reading the row, if any.
    """

    place: int
    line: int
    values: Mapping[str, Any]
    error: BadTable | None = None

    @property
    def title(self) -> str:
        """``Row 3 (line 4)``, for messages."""
        return f"Row {self.place + 1}" + (f" (line {self.line})" if self.line else "")


@dataclass(frozen=True, slots=True)
class Sample:
    """The contents of a row: text, second text, gold label and people's marks; None where missing.

    ``fields`` are further fields of the row's own request, by name.
    """

    text: str
    second: str | None = None
    label: str | int | None = None
    rationale: Any = None
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Columns:
    """The column of each role; None for a role without a column.

    ``fields`` pairs fields of a row's own request (``FIELDS``) with their columns.
    """

    text: str
    second: str | None = None
    label: str | None = None
    rationale: str | None = None
    fields: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        # JSON has lists.
        object.__setattr__(self, "fields", tuple((name, column) for name, column in self.fields))

    def read(self, row: Row) -> Sample:
        """Read the sample of a row. Raises ``BadTable``: the error of the row, or that of a cell."""
        if row.error is not None:
            raise row.error
        second = None if self.second is None else _read_text(row, self.second)
        rationale = None if self.rationale is None else row.values.get(self.rationale)
        cells = {name: row.values.get(column) for name, column in self.fields}
        fields = {name: cell for name, cell in cells.items() if not _is_empty(cell)}
        return Sample(_read_text(row, self.text), second, self._label(row), rationale, fields)

    def _label(self, row: Row) -> str | int | None:
        value = None if self.label is None else row.values.get(self.label)
        if isinstance(value, float) and value.is_integer():
            return int(value)  # pandas stores integers with gaps as floats
        if _is_empty(value):
            return None
        if isinstance(value, str | int):
            return value
        raise BadTable(
            f"{row.title}, column {quote(self.label)}: a label cannot be {describe(value)}.",
            "It must be a text or a whole number.",
        )


def suggest_columns(columns: Iterable[str]) -> dict[str, str | None]:
    """Guess which column has which role, None for no column; the only column of a table is its text."""
    names = list(columns)
    normalised = {name.strip().lower().replace(" ", "_"): name for name in reversed(names)}
    roles = {
        role: next((normalised[name] for name in usual if name in normalised), None)
        for role, usual in NAMES.items()
    }
    if roles["text"] is None and len(names) == 1:
        roles = {**dict.fromkeys(roles), "text": names[0]}
    return roles


def make_row(place: int, line: int, content: object) -> Row:
    """Make a row from a mapping by column; anything else becomes the row's error."""
    if isinstance(content, Mapping):
        return Row(place, line, {str(key): to_python(value) for key, value in content.items()})
    title = Row(place, line, {}).title
    hint = "A row must be an object with the columns as keys."
    return Row(place, line, {}, BadTable(f"{title} is {describe(content)}.", hint))


def _is_empty(value: Any) -> bool:
    """Whether a cell has no value: None, an empty text, or NaN."""
    return value is None or value == "" or (isinstance(value, float) and value != value)


def _read_text(row: Row, column: str) -> str:
    value = row.values.get(column)
    if isinstance(value, str):
        return value
    where = f"{row.title}, column {quote(column)}"
    if value is None:
        raise BadTable(f"{where}: there is no text.", "Fill it in, or leave the row out.")
    raise BadTable(f"{where}: {describe(value)} is not a text.", "Texts are strings, in quotes.")
