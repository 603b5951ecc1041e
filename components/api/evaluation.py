"""The quality of explanations over the wire: fields, and limits on their size and time."""

import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from attribution import list_metrics
from attribution.engine import Engine
from attribution.errors import BadFile, BadOption, quote
from attribution.request.kinds import Kind
from attribution.settings import DEFAULT_MODEL, Settings
from attribution.studies.assessment import Assessment, assess
from attribution.studies.comparison import DEFAULTS, compare
from attribution.studies.evaluating import evaluate_steps
from attribution.studies.evaluation import CONTROL, METHODS, METRICS, Evaluation
from attribution.types import Attribution, Target

from ..live.visitor_store import VisitorStore
from .endpoint import Endpoint
from .fields import SEED, Document, Number, Strings, field, method_names, request_fields

LATEST: VisitorStore[Evaluation] = VisitorStore()
"""The last evaluation of each visitor of the page, for saving it."""


@dataclass(frozen=True, slots=True)
class Seconds(Kind):
    """The second texts of pairs: one for all, or one for each text."""

    @property
    def wire(self) -> Any:
        return str | list[str | None]

    def check(self, name: str, value: Any, settings: Settings) -> str | list[str | None]:
        if not isinstance(value, str | list):
            raise BadOption(
                f"{name} is {quote(value)}.", "It must be a text, or a list with one for each text."
            )
        return value

    def schema(self, settings: Settings) -> dict[str, Any]:
        return {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": ["string", "null"]}}]}


def _list_metric_names() -> list[str]:
    return list(list_metrics())


def _describe_rationales(settings: Settings) -> dict[str, Any]:
    marks = {"anyOf": [{"type": "array", "items": {}}, {"type": "null"}]}
    return {"type": "array", "items": marks, "maxItems": settings.evaluated_texts}


def _describe_attributions(settings: Settings) -> dict[str, Any]:
    count = settings.evaluated_methods
    return {"type": "array", "items": {"type": "object"}, "minItems": 1, "maxItems": count}


_METHODS = Strings(
    "methods to measure: names or aliases from /methods.", at_most="evaluated_methods", choices=method_names
)
_TEXT, _MODEL, *_OTHERS = request_fields("method")
EVALUATE = Endpoint(
    "evaluate",
    "Measure the quality of explanations: each method by each metric over the texts, beside scores at random",
    'After each text {"done", "total"}; at last the document that Evaluation.from_dict reads.',
    "texts",
    (
        field("texts", Strings("the texts that the model reads.", at_most="evaluated_texts")),
        _MODEL,
        field("methods", _METHODS, list(METHODS)),
        field(
            "metrics",
            Strings(
                "metrics of quality: names from /metrics.",
                at_most="evaluated_metrics",
                choices=_list_metric_names,
            ),
            list(METRICS),
        ),
        field(
            "rationales",
            Document(
                "what people marked in each text, for the metrics that need it: a list of spans "
                "[start, end], of the offsets of the marked characters, or of one number for each word; "
                "null for a text that nobody marked.",
                type=list[Any],
                described=_describe_rationales,
            ),
            None,
        ),
        SEED,
        field(
            "bootstrap",
            Number("how many draws stand behind each interval.", minimum=100, maximum=100_000),
            1000,
        ),
        *(entry for entry in _OTHERS if entry.name != "second"),
        field("second", Seconds("the other text of each pair, or one for all."), None),
    ),
    streams=True,
)
_SECONDS = field(
    "seconds",
    Number(
        "how long to go on; afterwards no further way of hiding words is tried.",
        maximum="assessment_seconds",
        is_integer=False,
    ),
    3.0,
)
_ATTRIBUTIONS = field(
    "attributions",
    Document(
        "attributions of one text, perhaps another tool's, as /attribute answers; they say all but seconds "
        "and seed.",
        type=list[dict[str, Any]],
        described=_describe_attributions,
    ),
    None,
)
ASSESS = Endpoint(
    "assess",
    "Which of several explanations of one text to believe: ranked against orders of the words at random",
    "The document that Assessment.from_dict reads.",
    "text",
    (
        _TEXT._replace(default=None),
        _MODEL,
        field("methods", _METHODS, list(DEFAULTS)),
        _SECONDS,
        SEED,
        *_OTHERS,
        _ATTRIBUTIONS,
    ),
)
ASSESS_TEXT = replace(ASSESS, fields=tuple(entry for entry in ASSESS.fields if entry is not _ATTRIBUTIONS))
ASSESS_ATTRIBUTIONS = replace(ASSESS, needed="attributions", fields=(_ATTRIBUTIONS, _SECONDS, SEED))


def check_size(settings: Settings, texts: object, methods: object, metrics: object) -> None:
    """Raise ``BadOption`` for more than a server measures at once, and for invalid texts and names."""
    EVALUATE.check({"texts": texts, "methods": methods, "metrics": metrics}, settings)


def evaluate_within_limits(
    engine: Engine,
    texts: list[str],
    model: str,
    methods: list[str],
    metrics: list[str],
    *,
    cancelled: Callable[[], bool] = lambda: False,
    **arguments: Any,
) -> Generator[Evaluation, None, None]:
    """``evaluate_steps`` within the limits of a server: no text is started after ``evaluation_seconds``."""
    check_size(engine.settings, texts, methods, metrics)
    end = time.monotonic() + engine.settings.evaluation_seconds
    with closing(
        evaluate_steps(engine, texts, model, methods, metrics, cancelled=cancelled, **arguments)
    ) as evaluations:
        for evaluation in evaluations:
            yield evaluation
            if time.monotonic() > end:
                return


def answer_evaluation(
    engine: Engine, body: object, cancelled: Callable[[], bool] = lambda: False
) -> Generator[Evaluation, None, None]:
    """Answer a JSON body, whose fields may hold anything. Raises an ``AttributionError``."""
    values = EVALUATE.read(body, engine.settings)
    texts, model = values.pop("texts"), values.pop("model", DEFAULT_MODEL)
    methods, metrics = values.pop("methods", list(METHODS)), values.pop("metrics", list(METRICS))
    return evaluate_within_limits(engine, texts, model, methods, metrics, cancelled=cancelled, **values)


def answer_assessment(
    engine: Engine, body: object, cancelled: Callable[[], bool] = lambda: False
) -> Assessment:
    """Assess the ``methods`` for the ``text`` of a JSON body, or the ``attributions`` in it.

    Raises an ``AttributionError``.
    """
    of_attributions = isinstance(body, dict) and body.get("attributions") is not None
    values = (ASSESS_ATTRIBUTIONS if of_attributions else ASSESS_TEXT).read(body, engine.settings)
    limits = {name: values.pop(name) for name in ("seconds", "seed") if name in values}
    if of_attributions:
        attributions = _attributions(engine, values["attributions"])
    else:
        text, model = values.pop("text"), values.pop("model", DEFAULT_MODEL)
        methods = values.pop("methods", list(DEFAULTS))
        attributions = compare(engine, text, [model], methods, cancelled=cancelled, **values).successful()
    return assess(engine, attributions, cancelled=cancelled, **limits)


def _attributions(engine: Engine, documents: object) -> list[Attribution]:
    """Read attributions and check their requests as any other. Raises an ``AttributionError``."""
    limit = engine.settings.evaluated_methods
    if not isinstance(documents, list) or not 1 <= len(documents) <= limit:
        raise BadOption(
            "attributions is not a list of attributions.",
            f"It must be a list of 1 to {limit} attributions, as POST /api/export/json answers.",
        )
    attributions = []
    for document in documents:
        attribution = Attribution.from_dict(document if isinstance(document, dict) else {})
        request = attribution.request
        # Another tool's method may have any name; all else must be a valid request.
        checked = engine.request(replace(request, text=attribution.text, method=CONTROL, options=()))
        same = (checked.text, Target.of(checked)) == (request.text, Target.of(request))
        if not same or not isinstance(request.method, str):
            raise BadFile(
                "This attribution is not of the text, the target or the method that it names.",
                "Send it as it was received.",
            )
        attributions.append(replace(attribution, request=replace(checked, method=request.method[:100])))
    return attributions
