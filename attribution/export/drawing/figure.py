"""Several results as one figure: what is the same for all is said once, and each picture is headed by what differs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from attribution.export.drawing.cells import Cell, cells, facts, limits, maker, shared_scales
from attribution.types import Attribution


class Head(NamedTuple):
    """How one of several results differs from the others: a name that no other has, and the rest.

    Both are empty for one result.
    """

    name: str
    rest: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture of a figure.

    ``scales`` [outputs] are the scores of the full colour. ``top`` is that score where the picture has a
    scale of its own, None where the legend says it. ``remarks`` are the sentences about this result alone.
    """

    result: Attribution
    cells: tuple[Cell, ...]
    head: Head
    scales: tuple[float, ...]
    top: float | None
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Legend:
    """One kind of scale.

    ``top`` is None where each picture has its own; ``names`` are those of its pictures, none if it is for
    all.
    """

    signed: bool
    unit: str
    top: float | None
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """Title and second line for all, a panel for each result, then the legends and the sentences about more than one result."""

    title: str
    what: str
    panels: tuple[Panel, ...]
    legends: tuple[Legend, ...]
    remarks: tuple[str, ...]


def figure(results: Sequence[Attribution], words: bool = True, special: bool = False) -> Figure:
    """The parts of the figure in the order of the results.

    Results whose scores have the same sign convention and unit share a legend. If they are of one method too
    they share its scale; else a full colour means another number in each picture, which stands above it.
    """
    common, heads = headings(results)
    drawn = [(result, cells(result, words, special)) for result in results]
    scales: dict[int, tuple[list[float], float | None]] = {}
    legends = []
    kinds = _kinds(results)
    for (signed, unit), places in kinds.items():
        alike = len({results[k].method for k in places}) == 1
        for group in [places] if alike else [[k] for k in places]:
            top, each = shared_scales([drawn[k] for k in group])
            scales.update({k: (row, None if alike else top) for k, row in zip(group, each, strict=True)})
        whose = tuple(heads[k].name for k in places) if len(kinds) > 1 else ()
        legends.append(Legend(signed, unit, top if alike else None, whose))
    said = [limits(result, special) for result in results]
    shared, own = _sorted_out(said, [head.name for head in heads])
    panels = tuple(
        Panel(*drawn[k], heads[k], tuple(scales[k][0]), scales[k][1], tuple(own[k]))
        for k in range(len(results))
    )
    title, *what = common or [""]
    return Figure(title, " · ".join(what), panels, tuple(legends), (*shared, maker(*results)))


def headings(results: Sequence[Attribution]) -> tuple[list[str], list[Head]]:
    """What is the same for all, fact by fact; and for each result what is not."""
    rows = [(*facts(result), _settings(result, results)) for result in results]
    columns = list(zip(*rows, strict=True))
    differ = [len(set(column)) > 1 for column in columns]
    common = [fact for fact, other in zip(rows[0], differ, strict=True) if fact and not other]
    # A result is called by its method, else by its model, its settings, what it says, or by all that differs.
    telling = (
        k for k in (1, 3, 4, 0) if differ[k] and all(columns[k]) and len(set(columns[k])) == len(results)
    )
    chosen = next(telling, None)
    heads = []
    for row in rows:
        others = " · ".join(fact for k, fact in enumerate(row) if fact and differ[k] and k != chosen)
        heads.append(Head(others, "") if chosen is None else Head(row[chosen], others))
    if len(set(heads)) < len(heads):
        heads = [
            Head(f"{k} · {head.name}" if head.name else str(k), head.rest) for k, head in enumerate(heads, 1)
        ]
    return common, heads


def _settings(result: Attribution, results: Sequence[Attribution]) -> str:
    """The options that another result of the same method has otherwise: ``steps = 32``."""
    others = [dict(other.request.options) for other in results if other.method == result.method]
    changed = [
        (name, value)
        for name, value in result.request.options
        if any(other.get(name) != value for other in others)
    ]
    return ", ".join(f"{name.replace('_', ' ')} = {value}" for name, value in changed)


def _kinds(results: Sequence[Attribution]) -> dict[tuple[bool, str], list[int]]:
    """The places of the results by their kind of scale: signed or not, and the unit."""
    kinds: dict[tuple[bool, str], list[int]] = {}
    for k, result in enumerate(results):
        kinds.setdefault((result.signed, result.unit), []).append(k)
    return kinds


def _sorted_out(said: Sequence[Sequence[str]], names: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Every sentence once: those about all or some results, the latter with their names, and for each result those about it alone."""
    shared: list[str] = []
    own: list[list[str]] = [[] for _ in said]
    for line in dict.fromkeys(line for lines in said for line in lines):
        whose = [k for k, lines in enumerate(said) if line in lines]
        if len(whose) == len(said):
            shared.append(line)
        elif len(whose) == 1:
            own[whose[0]].append(line)
        else:
            shared.append(f"{', '.join(names[k] for k in whose)}: {line}")
    return shared, own
