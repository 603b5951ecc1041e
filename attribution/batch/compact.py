"""Attributions in the compact form of the report's heatmaps, so that a page holds thousands of rows."""

from __future__ import annotations

from typing import Any

from attribution.export.drawing.browser import layout
from attribution.types import Attribution, Output, Token

DIGITS = 4
"""Significant digits of a number: more than a picture can show."""


def compact_attribution(attribution: Attribution) -> dict[str, Any]:
    """The data of a heatmap: lists instead of objects, and no text that follows from the spans."""
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
        "scores": [[round_digits(score) for score in row] for row in attribution.scores.tolist()],
        "errors": None
        if attribution.errors is None
        else [[round_digits(error) for error in row] for row in attribution.errors.tolist()],
        "baselines": None
        if attribution.completeness is None
        else [round_digits(check.baseline) for check in attribution.completeness],
    }


def _token(attribution: Attribution, token: Token) -> list[Any]:
    source_text = attribution.source(token.segment)[token.start : token.end]
    kind = ("text", "second", "generated").index(token.segment) + (4 if token.special else 0)
    short = [token.start, token.end, -1 if token.word is None else token.word, token.id, kind]
    return short if source_text == token.text else [*short, token.text]


def _output(output: Output) -> list[Any]:
    value, probability = round_digits(output.value), round_digits(output.probability)
    return [
        output.text,
        output.id,
        value,
        probability,
        output.start,
        output.end,
        output.position,
        output.contrast,
    ]


def round_digits(value: float | None) -> float | None:
    """Round a number to ``DIGITS`` significant digits."""
    return None if value is None else float(f"{value:.{DIGITS}g}")
