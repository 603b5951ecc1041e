"""What the pictures show of an evaluation and of an assessment."""

import math
from collections.abc import Sequence
from typing import Any

from attribution.metrics import KINDS, list_metrics
from attribution.metrics.common.case import Case
from attribution.studies.assessment import Assessment
from attribution.studies.evaluation import CONTROL, Evaluation, Figure
from attribution.types import Attribution

ARROWS = {"higher": "↑", "lower": "↓"}
REASONS = 3
"""Failures that are listed; further ones are counted."""
PERCENT = 100


def metric_choices(*, marks: bool) -> list[tuple[str, str]]:
    """The metrics with an arrow to the better side; with ``marks`` those that need people's marks, too."""
    return [
        (f"{m.title} {ARROWS[m.better]}", m.name)
        for m in list_metrics().values()
        if marks or "rationale" not in m.needs
    ]


def guide() -> str:
    """Every metric in Markdown, by the question that it answers."""
    parts = []
    for kind, question in KINDS.items():
        metrics = [m for m in list_metrics().values() if m.kind == kind]
        lines = [
            f"**{m.title} {ARROWS[m.better]}** {m.summary} {m.caveat} *Cost: {m.cost}.*" for m in metrics
        ]
        parts += [f"#### {question}", *lines] if metrics else []
    return "\n\n".join(parts)


PENDING = {"pending": True, "more": True}
"""The value of ``Intervals`` while figures are computed: the present ones stay."""


def intervals(evaluation: Evaluation, *, stopped: bool = False) -> dict[str, Any]:
    """The value of ``Intervals``: a panel for each metric, its methods best first."""
    best = evaluation.best() if len(evaluation.columns) > 1 else evaluation.best(evaluation.metrics[0])
    return {
        "lead": [best.sentence] if best.method is not None else [],
        "panels": [_panel(evaluation, column.name) for column in evaluation.columns],
        "progress": {"done": evaluation.done, "total": evaluation.total, "stopped": stopped},
        "notes": _notes(evaluation),
    }


def _panel(evaluation: Evaluation, metric: str) -> dict[str, Any]:
    column, best = evaluation.column(metric), evaluation.best(metric)
    ranking = evaluation.ranking(metric)
    ceilings = [figure.ceiling for figure in ranking if figure.ceiling is not None]
    rows = [_row(evaluation, figure, _place(figure, best.method, best.rivals)) for figure in ranking]
    # Few texts distinguish nothing, which is said once and not for every metric.
    sentence = best.sentence if best.chance is not None and len(evaluation.columns) > 1 else ""
    if len({row["reason"] for row in rows}) == 1 and rows[0]["reason"]:
        sentence = rows[0]["reason"]  # why no method has a value
        rows = [{**row, "reason": ""} for row in rows]
    return {
        "title": column.title,
        "better": column.better,
        "sentence": sentence,
        "bounds": [column.low, column.high],
        "ceiling": max(ceilings) if ceilings else None,
        "rows": rows,
    }


def _place(figure: Figure, first: str | None, rivals: Sequence[str]) -> str:
    if figure.method == CONTROL:
        return "control"
    return "first" if figure.method == first else "rival" if figure.method in rivals else "other"


def _row(evaluation: Evaluation, figure: Figure, place: str) -> dict[str, Any]:
    reason = ""
    if figure.mean is None:
        reasons = [
            why
            for _, method, metric, why in evaluation.reasons
            if (method, metric) == (figure.method, figure.metric)
        ]
        reasons += [why for _, method, why in evaluation.failures if method == figure.method]
        reason = reasons[0] if reasons else ""
    return {
        "name": evaluation.title(figure.method),
        "place": place,
        "mean": figure.mean,
        "low": figure.low,
        "high": figure.high,
        "count": figure.count,
        "reason": reason,
    }


def _notes(evaluation: Evaluation) -> list[str]:
    """What failed, what is undefined, which options are not the defaults, and what the whiskers mean."""
    notes = [
        f"Text {place + 1}, {evaluation.title(method)}: {why}"
        for place, method, why in evaluation.failures[:REASONS]
    ]
    if len(evaluation.failures) > REASONS:
        notes.append(f"{len(evaluation.failures) - REASONS} more explanations failed.")
    if undefined := len(evaluation.reasons):
        place, method, metric, why = evaluation.reasons[0]
        first = f"Text {place + 1}, {evaluation.title(method)}, {evaluation.title(metric)}: {why}"
        count = "is 1" if undefined == 1 else f"are {undefined}"
        notes.append(f"Undefined values are left out of the means; there {count}. {first}")
    for name, own in evaluation.arguments.get("options", {}).items():
        options = ", ".join(f"{option.replace('_', ' ')}: {value}" for option, value in own.items())
        notes.append(f"{evaluation.title(name)} with {options}.")
    if evaluation.done > 1:
        notes.append(f"Whiskers hold 95 % of {evaluation.bootstrap:,} bootstrap draws over the texts.")
    return notes


def curves(evaluation: Evaluation) -> dict[str, Any]:
    """The value of ``Curves``: for each metric that draws one the mean curve of every method."""
    charts = []
    for column in evaluation.columns:
        by_method = {method: evaluation.curves.get((method, column.name)) for method in evaluation.methods}
        defined = {method: curve for method, curve in by_method.items() if curve is not None}
        if not defined:
            continue
        first = next(iter(defined.values()))
        charts.append(
            {
                "title": f"{column.title} {ARROWS[column.better]}",
                "x": first.x_title,
                "y": first.y_title,
                "at": _steps(first.x),
                "lines": [
                    {
                        "name": evaluation.title(method),
                        "values": _rounded(curve.y),
                        "faint": method == CONTROL,
                    }
                    for method, curve in defined.items()
                ],
            }
        )
    return {"charts": charts, "title": "Word by word, from first to last"} if charts else {}


def _steps(x: Sequence[float]) -> list[str]:
    """What stands below the axis: shares as per cent."""
    return [f"{value * PERCENT:.0f} %" if x[-1] <= 1 else f"{value:g}" for value in x]


def _rounded(values: Sequence[float]) -> list[float | None]:
    return [round(value, 4) if math.isfinite(value) else None for value in values]


def verdict(assessment: Assessment) -> dict[str, Any]:
    """The value of ``Intervals`` for an assessment: the share of random orders that each method beats."""
    ranking, control = assessment.ranking, assessment.control
    first = ranking[0]
    rows = [
        {
            "name": standing.title,
            "place": "first" if standing is first else "rival" if standing.chance_best >= LEAST else "other",
            "mean": standing.score,
            "low": standing.low,
            "high": standing.high,
            "count": 1,
            "reason": "",
        }
        for standing in ranking
    ]
    panel = {
        "title": SHARE,
        "better": "higher",
        "range": [0, 1],
        "band": [control[0], control[-1]],
        "rows": rows,
    }
    notes = [f"Left out: {why}" for _, why in assessment.left_out]
    return {"lead": list(assessment.sentences), "panels": [panel], "notes": notes, "text": assessment.text}


SHARE = "Share of random orders that it beats"
LEAST = 0.025
"""The share of draws from which on an explanation may be the best."""


def pieces(attribution: Attribution) -> list[dict[str, Any]]:
    """The text in pieces: words with ``start`` and ``end``, which can be marked, and what is between them."""
    case, text = Case(attribution), attribution.text
    tokens = attribution.tokens
    spans = [
        (tokens[group[0]].start, tokens[group[-1]].end)
        for group in case.features.groups
        if tokens[group[0]].segment == "text"
    ]
    parts: list[dict[str, Any]] = []
    end = 0
    for start, stop in sorted(spans):
        if stop <= start or start < end:
            continue  # a word without characters of its own
        parts += [{"text": text[end:start]}] if start > end else []
        parts.append({"text": text[start:stop], "start": start, "end": stop})
        end = stop
    return parts + ([{"text": text[end:]}] if end < len(text) else [])
