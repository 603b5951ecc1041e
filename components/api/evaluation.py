"""The quality of explanations over the wire: what is asked for, how much a server takes at once, and for how long it works on it."""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

from attribution import rationales
from attribution.engine import Engine
from attribution.errors import AttributionError, BadFile, BadOption, InputError, nearest, quote
from attribution.rationales import Rationale
from attribution.settings import DEFAULT_MODEL, Settings
from attribution.studies.assessment import Assessment, assess
from attribution.studies.comparison import DEFAULTS, Comparison, compare
from attribution.studies.evaluation import CONTROL, METHODS, METRICS, Evaluation
from attribution.studies.measurement import steps
from attribution.types import Attribution, Target

from ..live.visitor_store import VisitorStore

FIELDS = ("texts", "model", "methods", "metrics", "rationales", "seed", "bootstrap", "options", "task")
GIVEN = ("attributions", "seconds", "seed")
JUDGED = ("text", "model", "methods", "options", "task", "seconds", "seed")
SECONDS = 3.0
"""Time for an assessment, if nothing else is asked for."""
KEPT: VisitorStore[Evaluation] = VisitorStore()
"""The last evaluation of each visitor of the page, which they may save."""


def check(settings: Settings, texts: object, methods: object, metrics: object) -> None:
    """Raises ``BadOption`` for more than a server measures at once, or for what are no texts and names."""
    _strings("texts", texts, settings.evaluated_texts)
    _strings("methods", methods, settings.evaluated_methods)
    _strings("metrics", metrics, settings.evaluated_metrics)


def _strings(what: str, given: object, most: int) -> None:
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise BadOption(f"{what} is {quote(given)}.", "It must be a list of strings.")
    if not 1 <= len(given) <= most:
        raise BadOption(f"There are {len(given)} {what}.", f"This server takes 1 to {most} at once.")


def growing(
    engine: Engine,
    texts: list[str],
    model: str,
    methods: list[str],
    metrics: list[str],
    *,
    cancelled: Callable[[], bool] = lambda: False,
    **more: Any,
) -> Generator[Evaluation, None, None]:
    """``evaluation.steps`` within the limits of a server: no text is begun after ``evaluation_seconds``, so that the last may be unfinished."""
    check(engine.settings, texts, methods, metrics)
    end = time.monotonic() + engine.settings.evaluation_seconds
    with closing(steps(engine, texts, model, methods, metrics, cancelled=cancelled, **more)) as found:
        for one in found:
            yield one
            if time.monotonic() > end:
                return


def asked(
    engine: Engine,
    body: object,
    target_fields: tuple[str, ...],
    cancelled: Callable[[], bool] = lambda: False,
) -> Generator[Evaluation, None, None]:
    """Answer a request as it came in over the wire: every field may be anything. Raises an ``AttributionError``."""
    given = _fields(body, "texts", (*FIELDS, *target_fields))
    texts, model = given.pop("texts"), given.pop("model", DEFAULT_MODEL)
    methods, metrics = given.pop("methods", list(METHODS)), given.pop("metrics", list(METRICS))
    check(engine.settings, texts, methods, metrics)
    if not isinstance(given.get("second"), str | list | None):
        raise BadOption(
            f"second is {quote(given['second'])}.", "It must be a text, or a list with one for each text."
        )
    if "rationales" in given:
        given["rationales"] = _marks(texts, given["rationales"])
    return growing(engine, texts, model, methods, metrics, cancelled=cancelled, **given)


def _fields(body: object, needed: str, allowed: Sequence[str]) -> dict[str, Any]:
    """The fields that say something. Raises ``InputError``, ``BadOption``."""
    if not isinstance(body, dict) or body.get(needed) is None:
        raise InputError(
            f"The field '{needed}' is missing.",
            f"Send a JSON object with it and what else of: {', '.join(allowed)}.",
        )
    for name in body:
        if name not in allowed:
            raise BadOption(f"There is no field {quote(name)}.", nearest(name, allowed))
    given = {name: value for name, value in body.items() if value is not None}
    options = given.get("options", {})
    if not isinstance(options, dict) or not all(isinstance(own, dict) for own in options.values()):
        raise BadOption(
            "options is not what it should be.",
            'It must name methods or metrics, such as {"lime": {"samples": 200}}.',
        )
    for name, means in (("model", "a name from GET /api/models"), ("task", "a word such as sentiment")):
        if not isinstance(given.get(name), str | None):
            raise BadOption(f"{name} is {quote(given[name])}.", f"It must be {means}.")
    return given


def _marks(texts: Sequence[str], given: object) -> list[Rationale | None]:
    """What people marked; a weight below 0 speaks against. Raises ``BadTable`` with the text's number, ``BadOption``."""
    if not isinstance(given, list) or len(given) != len(texts):
        raise BadOption(
            "rationales is not a list with one for each text.", "Use null for a text that nobody marked."
        )
    rows = enumerate(zip(texts, given, strict=True), start=1)
    return [
        rationales.read(text, marks, row=f"Text {k}", column="rationales", signed=_negative(marks))
        for k, (text, marks) in rows
    ]


def _negative(marks: object) -> bool:
    """Whether there is a weight below 0."""
    spans = marks if isinstance(marks, list) else []
    return any(
        isinstance(weight, int | float) and weight < 0
        for span in spans
        if isinstance(span, list)
        for weight in span[2:]
    )


def judged(
    engine: Engine,
    body: object,
    target_fields: tuple[str, ...],
    cancelled: Callable[[], bool] = lambda: False,
) -> Assessment:
    """Answer a request for an assessment of what ``methods`` say of ``text``, or of the ``attributions`` that are given.

    Raises an ``AttributionError``.
    """
    ready = isinstance(body, dict) and body.get("attributions") is not None
    given = _fields(body, *(("attributions", GIVEN) if ready else ("text", (*JUDGED, *target_fields))))
    seconds, seed = given.pop("seconds", SECONDS), given.pop("seed", 0)
    most = engine.settings.assessment_seconds
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= most:
        raise BadOption(f"seconds is {quote(seconds)}.", f"It must be a number from 0 to {most:g}.")
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**31:
        raise BadOption(f"seed is {quote(seed)}.", "It must be a whole number from 0 to 2,147,483,647.")
    if ready:
        found = _attributions(engine, given["attributions"])
    else:
        methods = given.pop("methods", list(DEFAULTS))
        _strings("methods", methods, engine.settings.evaluated_methods)
        text, model = given.pop("text"), given.pop("model", DEFAULT_MODEL)
        found = there(compare(engine, text, [model], methods, cancelled=cancelled, **given))
    return assess(engine, found, seconds=seconds, seed=seed, cancelled=cancelled)


def _attributions(engine: Engine, given: object) -> list[Attribution]:
    """Attributions as they came in over the wire, asked of a model as any request is. Raises an ``AttributionError``."""
    most = engine.settings.evaluated_methods
    if not isinstance(given, list) or not 1 <= len(given) <= most:
        raise BadOption(
            "attributions is not what it should be.",
            f"It must be a list of 1 to {most} attributions, as POST /api/export/json gives them.",
        )
    found = []
    for one in given:
        read = Attribution.from_dict(one if isinstance(one, dict) else {})
        asked = read.request
        # Of a tool of one's own the method has any name; all else is what a request may ask.
        checked = engine.request(
            replace(asked, text=read.text, method=CONTROL, options=()),
        )
        if not isinstance(asked.method, str) or (checked.text, Target.of(checked)) != (
            asked.text,
            Target.of(asked),
        ):
            raise BadFile(
                "This attribution is not of the text, the target or the method that it names.",
                "Send it as it was given.",
            )
        found.append(replace(read, request=replace(checked, method=asked.method[:100])))
    return found


def there(comparison: Comparison) -> list[Attribution]:
    """The attributions that did not fail. Raises the error of the first where all did."""
    found = [one for one in comparison.attributions if isinstance(one, Attribution)]
    for one in comparison.attributions:
        if not found and isinstance(one, AttributionError):
            raise one
    return found
