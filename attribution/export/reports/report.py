"""Tables, charts, notes and records: all that the formats need to know of a comparison, an evaluation or an assessment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

ARROWS = {"higher": "↑", "lower": "↓"}

Value = str | float | int | bool | None


@dataclass(frozen=True, slots=True)
class Interval:
    """A number with the ends of its interval.

    ``value`` is None where it is undefined, ``best`` is set in bold where possible.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    best: bool = False

    @property
    def text(self) -> str:
        """``0.412 [0.380, 0.444]``, ``0.412`` or ``undefined``."""
        if self.value is None:
            return "undefined"
        if self.low is None or self.high is None:
            return short_number(self.value)
        return f"{short_number(self.value)} [{short_number(self.low)}, {short_number(self.high)}]"


@dataclass(frozen=True, slots=True)
class Column:
    """The head of a column; ``better`` says in which direction its numbers are better, if in any."""

    title: str
    better: Literal["higher", "lower"] | None = None

    @property
    def text(self) -> str:
        """The title with its arrow."""
        return f"{self.title} {ARROWS[self.better]}" if self.better else self.title


Cell = str | Interval


def cell_text(cell: Cell) -> str:
    """A cell in plain text."""
    return cell if isinstance(cell, str) else cell.text


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table."""

    name: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """One table; ``corner`` is the head above the names of the rows."""

    title: str
    corner: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Dot:
    """One line of a chart. ``is_control`` draws it faint."""

    name: str
    interval: Interval
    is_control: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """Dots with their intervals, one a line; ``baseline`` is a dotted line through all, None for none."""

    title: str
    dots: tuple[Dot, ...]
    baseline: float | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """A study's results.

    Parameters
    ----------
    tables, charts, notes : for people, in the order in which they are read.
    columns, records : for programs: one row a fact, with names that stay.
    """

    title: str
    tables: tuple[Table, ...]
    notes: tuple[str, ...]
    columns: tuple[str, ...]
    records: tuple[tuple[Value, ...], ...]
    charts: tuple[Chart, ...] = field(default=())


def short_number(value: float) -> str:
    """Three decimals, or three significant digits from 1000 on, with a true minus sign."""
    return (f"{value:.3f}" if abs(value) < 1000 else f"{value:.3g}").replace("-", "−")
