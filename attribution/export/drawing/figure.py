"""Compose several results into one figure: common facts stand once, each panel is headed by what differs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from attribution.export.drawing.cells import Cell, build_cells, credit_line, facts, limits, shared_scales
from attribution.types import Attribution


class Head(NamedTuple):
    """How one of several results differs from the others: a unique name, and further details.

    Both are empty for a single result.
    """

    name: str
    details: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One result of a figure.

    ``scales`` [outputs] are the scores of the full colour. ``top`` is that score if the panel has its own
    scale, None if the legend states it. ``remarks`` apply to this result alone.
    """

    result: Attribution
    cells: tuple[Cell, ...]
    head: Head
    scales: tuple[float, ...]
    top: float | None
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Legend:
    """The legend of one kind of scale.

    ``top`` is None if each panel has its own scale; ``names`` are its panels, empty if it applies to all.
    """

    signed: bool
    unit: str
    top: float | None
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """Title and subtitle, a panel per result, the legends, and the remarks on more than one result."""

    title: str
    subtitle: str
    panels: tuple[Panel, ...]
    legends: tuple[Legend, ...]
    remarks: tuple[str, ...]


def compose_figure(results: Sequence[Attribution], words: bool = True, special: bool = False) -> Figure:
    """Compose the figure, with the panels in the order of the results.

    Results whose scores have the same sign convention and unit share a legend. If they also share a method
    they share one scale; otherwise each panel has its own scale, which is stated above it.
    """
    common, heads = compare_facts(results)
    drawings = [(result, build_cells(result, words, special)) for result in results]
    scales: dict[int, tuple[list[float], float | None]] = {}
    legends = []
    groups = _group_by_scale(results)
    for (signed, unit), places in groups.items():
        alike = len({results[k].method for k in places}) == 1
        for group in [places] if alike else [[k] for k in places]:
            top, rows = shared_scales([drawings[k] for k in group])
            scales.update({k: (row, None if alike else top) for k, row in zip(group, rows, strict=True)})
        owners = tuple(heads[k].name for k in places) if len(groups) > 1 else ()
        legends.append(Legend(signed, unit, top if alike else None, owners))
    remarks = [limits(result, special) for result in results]
    shared, own = _split_remarks(remarks, [head.name for head in heads])
    panels = tuple(
        Panel(*drawings[k], heads[k], tuple(scales[k][0]), scales[k][1], tuple(own[k]))
        for k in range(len(results))
    )
    title, *subtitle = common or [""]
    return Figure(title, " · ".join(subtitle), panels, tuple(legends), (*shared, credit_line(*results)))


def compare_facts(results: Sequence[Attribution]) -> tuple[list[str], list[Head]]:
    """Split the facts about the results: those common to all, and a ``Head`` with the others per result."""
    rows = [(*facts(result), _settings(result, results)) for result in results]
    columns = list(zip(*rows, strict=True))
    differ = [len(set(column)) > 1 for column in columns]
    common = [fact for fact, other in zip(rows[0], differ, strict=True) if fact and not other]
    # Name each result by its method, else its model, settings or prediction, or by everything that differs.
    distinctive = (
        k for k in (1, 3, 4, 0) if differ[k] and all(columns[k]) and len(set(columns[k])) == len(results)
    )
    chosen = next(distinctive, None)
    heads = []
    for row in rows:
        others = " · ".join(fact for k, fact in enumerate(row) if fact and differ[k] and k != chosen)
        heads.append(Head(others, "") if chosen is None else Head(row[chosen], others))
    if len(set(heads)) < len(heads):
        heads = [
            Head(f"{k} · {head.name}" if head.name else str(k), head.details)
            for k, head in enumerate(heads, 1)
        ]
    return common, heads


def _settings(result: Attribution, results: Sequence[Attribution]) -> str:
    """The options that differ between the results of one method, for example ``steps = 32``."""
    others = [dict(other.request.options) for other in results if other.method == result.method]
    changed = [
        (name, value)
        for name, value in result.request.options
        if any(other.get(name) != value for other in others)
    ]
    return ", ".join(f"{name.replace('_', ' ')} = {value}" for name, value in changed)


def _group_by_scale(results: Sequence[Attribution]) -> dict[tuple[bool, str], list[int]]:
    """Group the indices of the results by their kind of scale: signed or not, and the unit."""
    groups: dict[tuple[bool, str], list[int]] = {}
    for k, result in enumerate(results):
        groups.setdefault((result.signed, result.unit), []).append(k)
    return groups


def _split_remarks(
    remarks: Sequence[Sequence[str]], names: Sequence[str]
) -> tuple[list[str], list[list[str]]]:
    """Separate the remarks shared by several results from those on one result alone.

    Each remark appears once; one shared by some of the results is prefixed with their names.
    """
    shared: list[str] = []
    own: list[list[str]] = [[] for _ in remarks]
    for line in dict.fromkeys(line for lines in remarks for line in lines):
        owners = [k for k, lines in enumerate(remarks) if line in lines]
        if len(owners) == len(remarks):
            shared.append(line)
        elif len(owners) == 1:
            own[owners[0]].append(line)
        else:
            shared.append(f"{', '.join(names[k] for k in owners)}: {line}")
    return shared, own
