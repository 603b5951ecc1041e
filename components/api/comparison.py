"""Comparisons over the wire: fields, and limits on their number."""

from collections.abc import Generator
from typing import Any

from attribution.engine import Engine
from attribution.settings import DEFAULT_MODEL
from attribution.studies.comparison import DEFAULTS, Comparison, compare, compare_steps

from .endpoint import Endpoint
from .fields import Number, Strings, field, method_names, request_fields

_TEXT, *_OTHERS = request_fields("model", "method")
COMPARE = Endpoint(
    "compare",
    "Explain one prediction by several methods, or of several models, and say where they agree",
    "The document that Comparison.from_dict reads, with names, agreement, disagreements and notes beside it.",
    "text",
    (
        _TEXT,
        field(
            "methods",
            Strings(
                "methods to compare: names or aliases from /methods.",
                at_most="compared_methods",
                choices=method_names,
            ),
            list(DEFAULTS),
        ),
        field(
            "models",
            Strings("models to compare: names from /models.", at_most="compared_models"),
            [DEFAULT_MODEL],
        ),
        *_OTHERS,
        field("output", Number("which of the explained numbers is compared, from 0.", maximum=100_000), 0),
    ),
)


def answer_comparison(engine: Engine, body: object) -> Comparison:
    """Answer a JSON body, whose fields may hold anything. Raises an ``AttributionError``."""
    values = COMPARE.read(body, engine.settings)
    text, models = values.pop("text"), values.pop("models", [DEFAULT_MODEL])
    return compare(engine, text, models, values.pop("methods", list(DEFAULTS)), **values)


def compare_within_limits(
    engine: Engine, text: str, models: list[str], methods: list[str], **arguments: Any
) -> Generator[Comparison, None, None]:
    """``compare_steps`` with previews, within the limits of a server. Raises ``BadOption`` beyond them."""
    COMPARE.check({"models": models, "methods": methods}, engine.settings)
    return compare_steps(engine, text, models, methods, previews=True, **arguments)
