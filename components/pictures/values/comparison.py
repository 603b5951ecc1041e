"""What the pictures show of a comparison, on the two pages that compare."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import gradio as gr
import numpy as np

from attribution import sentences
from attribution.errors import AttributionError
from attribution.models import tasks
from attribution.studies.comparison import Comparison
from attribution.studies.disagreement import Difference
from attribution.types import Attribution, Output, Token

from ...live.answers import attribution_value, error_value, event_data
from .. import panel

TITLES = {
    "kendall": "Kendall’s τ-b",
    "spearman": "Spearman’s ρ",
    "overlap": "Overlap of the strongest words",
    "rbo": "Rank-biased overlap",
}
UNIT = "difference of shares"
SHOWN = 5
"""Disagreements that are listed."""
NO_DISAGREEMENT = (
    "No notable disagreement: no strong word has opposite signs, or ranks that differ by two or more."
)


def pictures(comparison: Comparison, chosen: int, further: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """The value of ``Multiples``: a row for each attribution, ``further`` rows, and findings about them."""
    rows = [
        _row(name, result, len(comparison.models) > 1)
        for name, result in zip(comparison.names, comparison.attributions, strict=True)
    ]
    disagreements = [item.sentence for item in comparison.disagreements(SHOWN)]
    findings = (
        [{"title": "Where they disagree", "lines": disagreements or [NO_DISAGREEMENT]}]
        if _several(comparison)
        else []
    )
    if comparison.notes:
        findings.insert(0, {"title": "Note", "lines": list(comparison.notes)})
    return {
        "items": [*rows, *further],
        "row": comparison.output,
        "chosen": chosen,
        "findings": findings,
        "more": not comparison.finished,
    }


def _several(comparison: Comparison) -> list[int]:
    """The places of the finished attributions, if there are at least two."""
    finished = [i for i, result in enumerate(comparison.results) if result is not None]
    return finished if len(finished) > 1 else []


def _row(name: str, result: Attribution | AttributionError | None, predicts: bool) -> dict[str, Any]:
    if result is None:
        return {"title": name}
    if isinstance(result, AttributionError):
        return {"title": name, **error_value(result)}
    return {
        "title": name,
        "attribution": attribution_value(result),
        **({"subtitle": sentences.prediction(result)} if predicts else {}),
    }


def words(comparison: Comparison, chosen: int) -> dict[str, Any]:
    """The value of ``Panel`` for one attribution; empty while it is awaited, or where it failed."""
    result = comparison.results[chosen] if 0 <= chosen < len(comparison.results) else None
    return {} if result is None else panel.answer(result)


def picked(event: gr.EventData) -> int:
    """The number of the row whose title was clicked."""
    item = event_data(event).get("item")
    return item if isinstance(item, int) else 0


def matrix(comparison: Comparison, measure: str) -> dict[str, Any]:
    """The value of ``Matrix``: how well the attributions agree; empty while there are fewer than two."""
    places = _several(comparison)
    if not places:
        return {}
    agreement, names = comparison.agreement(measure), [comparison.names[i] for i in places]
    return {
        "rows": names,
        "columns": names,
        "values": [[agreement.values[i][j] for j in places] for i in places],
        "signed": measure not in ("overlap", "rbo"),
        "scale": 1,
        "unit": TITLES[measure],
        "title": "How well they agree on the words",
        "numbers": True,
    }


def predictions(comparison: Comparison) -> dict[str, Any]:
    """The value of ``Matrix``: the probability of each label by each classifier; empty for other models."""
    rows = {
        name: dict(
            zip(
                (label.casefold() for label in result.prediction.labels),
                result.prediction.probabilities,
                strict=False,
            )
        )
        for name, result in zip(comparison.names, comparison.results, strict=True)
        if result is not None and tasks.of(result.model.task).classifies and result.prediction.probabilities
    }
    if len(rows) < 2:
        return {}
    labels = list(dict.fromkeys(label for row in rows.values() for label in row))
    return {
        "rows": list(rows),
        "columns": labels,
        "values": [[row.get(label) for label in labels] for row in rows.values()],
        "signed": False,
        "scale": 1,
        "unit": "probability",
        "title": "What the models say",
        "numbers": True,
    }


def difference(comparison: Comparison, first: int, second: int) -> dict[str, Any]:
    """The difference of two attributions as a row of ``Multiples``: a signed number per word of both."""
    try:
        difference = comparison.difference(first, second)
    except AttributionError as error:
        return {"title": _minus((comparison.names[first], comparison.names[second])), **error_value(error)}
    larger, smaller = difference.names
    return {
        "title": _minus(difference.names),
        "subtitle": f"for: {larger} gives the word the larger share; against: {smaller} does",
        "attribution": attribution_value(_as_attribution(comparison.results[first], difference)),  # type: ignore[arg-type]
    }


def _minus(names: tuple[str, str]) -> str:
    return " − ".join(names)


def _as_attribution(result: Attribution, difference: Difference) -> Attribution:
    """The difference with a token for each word, as the picture reads it."""
    both = [
        (word, value)
        for word, value in zip(difference.words, difference.values, strict=True)
        if value is not None
    ]
    return replace(
        result,
        tokens=tuple(Token(w.text, -1, w.start, w.end, word=w.index, segment=w.segment) for w, _ in both),
        outputs=(Output(_minus(difference.names), -1, 0.0, None),),
        scores=np.array([[value for _, value in both]]),
        signed=True,
        unit=UNIT,
        completeness=None,
        errors=None,
        fit=None,
        notes=(),
        provisional=False,
    )
