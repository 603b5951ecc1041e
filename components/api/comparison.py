"""A comparison over the wire: what is asked for, how much a server takes at once, and what is answered beside the attributions."""

from collections.abc import Generator
from dataclasses import asdict
from typing import Any

from attribution.engine import Engine
from attribution.errors import BadOption, InputError, nearest, quote
from attribution.settings import DEFAULT_MODEL, Settings
from attribution.studies.agreement import MEASURES
from attribution.studies.comparison import DEFAULTS, Comparison, compare, steps

FIELDS = ("text", "models", "methods", "task", "options", "output")


def check(settings: Settings, models: object, methods: object) -> None:
    """Raises ``BadOption`` for more than a server compares at once, or for what are no names."""
    for what, given, most in (
        ("models", models, settings.compared_models),
        ("methods", methods, settings.compared_methods),
    ):
        if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
            raise BadOption(f"{what} is {quote(given)}.", "It must be a list of names.")
        if not 1 <= len(given) <= most:
            raise BadOption(f"{len(given)} {what} are named.", f"This server compares 1 to {most} at once.")


def growing(
    engine: Engine, text: str, models: list[str], methods: list[str], **arguments: Any
) -> Generator[Comparison, None, None]:
    """``comparison.steps`` with previews, within the limits of a server. Raises ``BadOption`` beyond them."""
    check(engine.settings, models, methods)
    return steps(engine, text, models, methods, previews=True, **arguments)


def ask(engine: Engine, body: object, target_fields: tuple[str, ...]) -> Comparison:
    """Answer a request as it came in over the wire: every field may be anything. Raises an ``AttributionError``."""
    if not isinstance(body, dict) or "text" not in body:
        raise InputError("The field 'text' is missing.", 'Send {"text": "..."}.')
    allowed = (*FIELDS, *target_fields)
    for name in body:
        if name not in allowed:
            raise BadOption(f"There is no field {quote(name)}.", nearest(name, allowed))
    given = {name: value for name, value in body.items() if value is not None}
    options = given.pop("options", {})
    if not isinstance(options, dict) or not all(isinstance(own, dict) for own in options.values()):
        raise BadOption(
            "options is not what it should be.", 'It must name methods, such as {"lime": {"samples": 200}}.'
        )
    text, models, methods = (
        body["text"],
        given.pop("models", [DEFAULT_MODEL]),
        given.pop("methods", list(DEFAULTS)),
    )
    check(engine.settings, models, methods)
    more = {name: value for name, value in given.items() if name != "text"}
    if not isinstance(more.get("task"), str | None):
        raise BadOption(f"task is a {type(more['task']).__name__}.", "It must be a word such as sentiment.")
    return compare(engine, text, models, methods, options=options, **more)


def judged(comparison: Comparison) -> dict[str, Any]:
    """What a comparison says beside its attributions, as plain JSON types: names, every measure of agreement, disagreements, notes."""
    return {
        "names": list(comparison.names),
        "agreement": {measure: _plain(asdict(comparison.agreement(measure))) for measure in MEASURES},
        "disagreements": [
            {**_plain(asdict(one)), "spread": one.spread, "sentence": one.sentence}
            for one in comparison.disagreements()
        ],
        "notes": list(comparison.notes),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value
