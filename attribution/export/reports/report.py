"""The parts of a report: tables, charts, notes and records, independent of any format."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

ARROWS = {"higher": "↑", "lower": "↓"}

Value = str | float | int | bool | None


@dataclass(frozen=True, slots=True)
class Interval:
    """A number with the bounds of its interval.

    ``value`` is None if it is undefined; ``best`` values are bold in formats that allow it.
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
    """The header of a column; ``better`` is the direction of better numbers, None if there is none."""

    title: str
    better: Literal["higher", "lower"] | None = None

    @property
    def text(self) -> str:
        """The title, with an arrow in the better direction."""
        return f"{self.title} {ARROWS[self.better]}" if self.better else self.title


Cell = str | Interval


def cell_text(cell: Cell) -> str:
    """The plain text of a cell."""
    return cell if isinstance(cell, str) else cell.text


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table."""

    name: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table; ``corner`` is the header above the row names."""

    title: str
    corner: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Dot:
    """One row of a chart; the control is drawn faint."""

    name: str
    interval: Interval
    is_control: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """Dots with intervals, one per row; ``baseline`` is drawn as a dotted line through all rows, if any."""

    title: str
    dots: tuple[Dot, ...]
    baseline: float | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """The results of a study.

    Parameters
    ----------
    tables, charts, notes : for people, in reading order.
    columns, records : for programs: one record per row, with stable column names.
    """

    title: str
    tables: tuple[Table, ...]
    notes: tuple[str, ...]
    columns: tuple[str, ...]
    records: tuple[tuple[Value, ...], ...]
    charts: tuple[Chart, ...] = field(default=())


def short_number(value: float) -> str:
    """Format with three decimals, or three significant digits from 1000 on, and a true minus sign."""
    return (f"{value:.3f}" if abs(value) < 1000 else f"{value:.3g}").replace("-", "−")
