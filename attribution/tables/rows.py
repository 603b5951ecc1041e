"""Rows of a table, and what a row says once its columns are chosen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from attribution.errors import BadTable, quote

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
    """One row of data.

    Attributes
    ----------
    place : counts the rows from 0.
    line : where it begins in the file, from 1; 0 where there are no lines.
    values : the cells by column.
    error : what is wrong with the row, if anything.
    """

    place: int
    line: int
    values: Mapping[str, Any]
    error: BadTable | None = None

    @property
    def called(self) -> str:
        """``Row 3 (line 4)``, for messages."""
        return f"Row {self.place + 1}" + (f" (line {self.line})" if self.line else "")


@dataclass(frozen=True, slots=True)
class Sample:
    """What a row says: text, second text of a pair, gold label, people's marks; None where it has none."""

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
        second = None if self.second is None else _read_text(row, self.second)
        rationale = None if self.rationale is None else row.values.get(self.rationale)
        return Sample(_read_text(row, self.text), second, self._label(row), rationale)

    def _label(self, row: Row) -> str | int | None:
        value = None if self.label is None else row.values.get(self.label)
        if isinstance(value, float) and value.is_integer():
            return int(value)  # whole numbers with gaps come as floats from pandas
        if value is None or value == "" or value != value:  # NaN
            return None
        if isinstance(value, str | int):
            return value
        raise BadTable(
            f"{row.called}, column {quote(self.label)}: a label cannot be {describe_value(value)}.",
            "It is a text or a whole number.",
        )


def suggest_columns(columns: Iterable[str]) -> dict[str, str | None]:
    """Guess which column has which role, None for no column; the only column of a table is its text."""
    names = list(columns)
    plain = {name.strip().lower().replace(" ", "_"): name for name in reversed(names)}
    roles = {
        role: next((plain[name] for name in usual if name in plain), None) for role, usual in NAMES.items()
    }
    if roles["text"] is None and len(names) == 1:
        roles = {**dict.fromkeys(roles), "text": names[0]}
    return roles


def make_row(place: int, line: int, content: object) -> Row:
    """The row of a mapping by column; anything else is an error of the row."""
    if isinstance(content, Mapping):
        return Row(place, line, {str(key): value for key, value in content.items()})
    called = Row(place, line, {}).called
    hint = "A row is an object with the columns as its names."
    return Row(place, line, {}, BadTable(f"{called} is {describe_value(content)}.", hint))


def describe_value(value: object) -> str:
    """A value for messages: its type and the beginning of what it says."""
    return f"a {type(value).__name__} ({quote(value, 30)})"


def _read_text(row: Row, column: str) -> str:
    value = row.values.get(column)
    if isinstance(value, str):
        return value
    where = f"{row.called}, column {quote(column)}"
    if value is None:
        raise BadTable(f"{where}: there is no text.", "Fill it in, or leave the row out.")
    raise BadTable(f"{where}: {describe_value(value)} is not a text.", "Texts are strings, in quotes.")
