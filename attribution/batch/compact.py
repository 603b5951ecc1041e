"""An attribution as the report's heatmap reads it: short enough for a page of thousands of rows."""

from __future__ import annotations

from typing import Any

from attribution.export.drawing.browser import layout
from attribution.types import Attribution, Output, Token

DIGITS = 4
"""Significant digits of a number: more than a picture shows."""


def compact_attribution(attribution: Attribution) -> dict[str, Any]:
    """What the heatmap needs of an attribution: lists instead of objects, no text that the spans tell."""
    return {
        "text": attribution.text,
        "second": attribution.request.second,
        "written": attribution.prediction.text,
        "layout": layout(attribution),
        "quantity": attribution.request.quantity,
        "unit": attribution.unit,
        "signed": attribution.signed,
        "tokens": [_token(attribution, token) for token in attribution.tokens],
        "outputs": [_output(output) for output in attribution.outputs],
        "scores": [[rounded(score) for score in row] for row in attribution.scores.tolist()],
        "errors": None
        if attribution.errors is None
        else [[rounded(error) for error in row] for row in attribution.errors.tolist()],
        "baselines": None
        if attribution.completeness is None
        else [rounded(check.baseline) for check in attribution.completeness],
    }


def _token(attribution: Attribution, token: Token) -> list[Any]:
    spelled = attribution.source(token.segment)[token.start : token.end]
    kind = ("text", "second", "generated").index(token.segment) + (4 if token.special else 0)
    short = [token.start, token.end, -1 if token.word is None else token.word, token.id, kind]
    return short if spelled == token.text else [*short, token.text]


def _output(output: Output) -> list[Any]:
    value, chance = rounded(output.value), rounded(output.probability)
    return [output.text, output.id, value, chance, output.start, output.end, output.position, output.contrast]


def rounded(value: float | None) -> float | None:
    """A number with ``DIGITS`` significant digits."""
    return None if value is None else float(f"{value:.{DIGITS}g}")
