"""The quality of explanations for scripts: queued endpoints and REST routes.

No ``from __future__ import annotations`` here: Gradio reads the return types of endpoints as they stand.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any, Literal, TypedDict, TypeVar

import gradio as gr
from anyio.to_thread import run_sync
from fastapi import Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from attribution import formats, list_metrics
from attribution.engine import Engine
from attribution.errors import AttributionError, BadFile
from attribution.settings import DEFAULT_MODEL, VERSION
from attribution.studies.comparison import DEFAULTS
from attribution.studies.evaluation import METHODS, METRICS, Evaluation

from . import evaluation
from .endpoints import TARGET_FIELDS, OptionEntry, answering, body_of, schema_of
from .waiting_line import Line

Found = TypeVar("Found")


class MetricEntry(TypedDict):
    """One metric of quality."""

    name: str
    title: str
    summary: str
    caveat: str
    kind: Literal["faithfulness", "robustness", "complexity", "plausibility"]
    better: Literal["higher", "lower"]
    low: float | None
    high: float | None
    cost: str
    needs: list[str]
    options: list[OptionEntry]
    reference: str


def metric_entries() -> list[MetricEntry]:
    """Every metric of quality with its options."""
    return [metric.to_dict() for metric in list_metrics().values()]  # type: ignore[misc]


def declare(engine: Engine) -> None:
    """Declare the endpoints inside a ``gr.Blocks``, before any page."""

    def evaluate(
        texts: list[str],
        model: str = DEFAULT_MODEL,
        methods: list[str] | None = None,
        metrics: list[str] | None = None,
        rationales: list[Any] | None = None,
        seed: int = 0,
        bootstrap: int = 1000,
        options: dict[str, dict[str, Any]] | None = None,
        target: str | int | list[str | int] | None = None,
        quantity: Literal["logit", "log_probability", "probability"] = "logit",
        max_new_tokens: int = 16,
        task: str | None = None,
        second: str | list[str | None] | None = None,
        contrast: str | int | None = None,
        position: int | str | list[int] | None = None,
        continuation: str | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Measure the quality of explanations: each method by each metric over the texts, beside scores at random.

        Args:
            texts: What the model reads.
            model: A name from /models, or a family name together with task.
            methods: Names or aliases from /methods. None: one or two of each kind.
            metrics: Names from /metrics. None: the usual ones of faithfulness and complexity.
            rationales: What people marked in each text, for the metrics that need it: a list of spans [start, end], of the offsets
                of the marked characters, or of one number for each word. None for a text that nobody marked.
            seed: Of everything that is drawn.
            bootstrap: Draws behind each interval.
            options: The options of methods and metrics, by their names.
            target: A label's name or index, or a list of them; "*" for all. None: the model's own prediction.
            quantity: The explained number.
            max_new_tokens: For generation, how many tokens at most.
            task: For a family name such as bert-base-uncased, what it should be fine-tuned for, e.g. sentiment.
            second: The other text of each pair, or one for all.
            contrast: Why the target rather than this; "runner-up" is the next best.
            position: Which token of the text, or which generated one; "sequence" for the whole generated text. None: all.
            continuation: Explain this text instead of what the model would generate.

        Returns:
            After each text {"done", "total"}; at last the document that Evaluation.from_dict reads.
        """
        body: dict[str, Any] = {
            "texts": texts,
            "model": model,
            "methods": methods,
            "metrics": metrics,
            "rationales": rationales,
        }
        body |= {
            "seed": seed,
            "bootstrap": bootstrap,
            "options": options,
            "target": target,
            "quantity": quantity,
        }
        body |= {"max_new_tokens": max_new_tokens, "task": task, "second": second, "contrast": contrast}
        body |= {"position": position, "continuation": continuation}
        found = None
        try:
            for found in evaluation.asked(engine, body, TARGET_FIELDS):
                yield {"done": found.done, "total": found.total}
        except AttributionError as error:
            raise gr.Error(str(error), title=type(error).__name__, print_exception=False) from error
        if found is not None:
            yield found.to_dict()

    def assess(
        text: str | None = None,
        model: str = DEFAULT_MODEL,
        methods: list[str] | None = None,
        seconds: float = evaluation.SECONDS,
        seed: int = 0,
        options: dict[str, dict[str, Any]] | None = None,
        target: str | int | list[str | int] | None = None,
        quantity: Literal["logit", "log_probability", "probability"] = "logit",
        max_new_tokens: int = 16,
        task: str | None = None,
        second: str | None = None,
        contrast: str | int | None = None,
        position: int | str | list[int] | None = None,
        continuation: str | None = None,
        attributions: list[dict[str, Any]] | None = None,
    ) -> dict[str, Any]:
        """Which of several explanations of one text to believe: ranked against orders of the words at random.

        Args:
            text: What the model reads. None where attributions are given, which say all but seconds and seed.
            model: A name from /models, or a family name together with task.
            methods: Names or aliases from /methods. None: one or two of each kind.
            seconds: After them no further way of hiding words is tried.
            seed: Of everything that is drawn.
            options: The options of each method, by its name.
            target: A label's name or index, or a list of them; "*" for all. None: the model's own prediction.
            quantity: The explained number.
            max_new_tokens: For generation, how many tokens at most.
            task: For a family name such as bert-base-uncased, what it should be fine-tuned for, e.g. sentiment.
            second: The other text of a pair.
            contrast: Why the target rather than this; "runner-up" is the next best.
            position: Which token of the text, or which generated one; "sequence" for the whole generated text. None: all.
            continuation: Explain this text instead of what the model would generate.
            attributions: Explanations that are there already, perhaps another tool's, as /attribute gives them.

        Returns:
            The document that Assessment.from_dict reads.
        """
        body: dict[str, Any] = {"seconds": seconds, "seed": seed}
        if attributions is not None:
            body |= {"attributions": attributions, **({} if text is None else {"text": text})}
        else:
            body |= {
                "text": text,
                "model": model,
                "methods": methods,
                "options": options,
                "target": target,
                "quantity": quantity,
            }
            body |= {"max_new_tokens": max_new_tokens, "task": task, "second": second, "contrast": contrast}
            body |= {"position": position, "continuation": continuation}
        try:
            return evaluation.judged(engine, body, TARGET_FIELDS).to_dict()
        except AttributionError as error:
            raise gr.Error(str(error), title=type(error).__name__, print_exception=False) from error

    gr.api(
        evaluate,
        api_name="evaluate",
        concurrency_limit=engine.settings.running_evaluations,
        concurrency_id="evaluation",
    )
    gr.api(
        assess, api_name="assess", concurrency_limit=engine.settings.running_requests, concurrency_id="engine"
    )
    gr.api(metric_entries, api_name="metrics", queue=False)


def document(found: Evaluation) -> dict[str, Any]:
    """The REST answer: what ``Evaluation.from_dict`` reads, and the method that is first over all metrics of faithfulness."""
    best = found.best()
    overall = {
        "method": best.method,
        "chance": best.chance,
        "rivals": list(best.rivals),
        "sentence": best.sentence,
    }
    return {**found.to_dict(), "overall": overall, "version": VERSION}


def routes(engine: Engine) -> list[APIRoute]:
    """``POST`` ``/api/evaluate``, ``/api/assess`` and, for the page, ``/api/evaluation/{format}``; ``GET`` ``/api/metrics``."""
    settings = engine.settings
    evaluations = Line(settings.running_evaluations, settings.waiting_evaluations)
    assessments = Line(settings.running_requests, settings.waiting_requests)

    async def evaluate(request: Request) -> Response:
        body = await body_of(request)

        def work(cancelled: Callable[[], bool]) -> Evaluation:
            *_, last = evaluation.asked(engine, body, TARGET_FIELDS, cancelled)
            return last

        return JSONResponse(document(await _for(request, work, evaluations)))

    async def assess(request: Request) -> Response:
        body = await body_of(request)
        found = await _for(
            request, lambda cancelled: evaluation.judged(engine, body, TARGET_FIELDS, cancelled), assessments
        )
        return JSONResponse({**found.to_dict(), "version": VERSION})

    async def save(request: Request) -> Response:
        data, name = await run_sync(_file, await body_of(request), request.path_params["format"])
        media_type = formats.find(request.path_params["format"], "evaluation").media_type
        return Response(
            data, media_type=media_type, headers={"content-disposition": f'attachment; filename="{name}"'}
        )

    async def list_metrics() -> Response:
        return JSONResponse(metric_entries())

    return [
        _post(
            "/api/evaluate",
            evaluate,
            _evaluate_schema(engine),
            "Measure the quality of explanations over texts",
        ),
        _post(
            "/api/assess",
            assess,
            _assess_schema(engine),
            "Which of several explanations of one text to believe",
        ),
        APIRoute("/api/evaluation/{format}", answering(save), methods=["POST"], include_in_schema=False),
        APIRoute("/api/metrics", list_metrics, methods=["GET"], summary="Every metric of quality"),
    ]


def _post(path: str, handler: Any, schema: dict[str, Any], summary: str) -> APIRoute:
    described = {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
    return APIRoute(path, answering(handler), methods=["POST"], openapi_extra=described, summary=summary)


async def _for(request: Request, work: Callable[[Callable[[], bool]], Found], line: Line) -> Found:
    """Work in its turn for as long as the client waits for it: whoever leaves cancels it. Raises ``QueueFull``."""
    left = threading.Event()

    async def watch() -> None:
        while not await request.is_disconnected():
            await asyncio.sleep(0.5)
        left.set()

    watching = asyncio.create_task(watch())
    try:
        return await line.run(work, left.is_set)
    finally:
        watching.cancel()


def _file(body: dict[str, Any], kind: str) -> tuple[bytes, str]:
    """A visitor's own evaluation as a file, and its name. Raises ``BadFile``."""
    entry = formats.find(kind, "evaluation")
    found = evaluation.KEPT.get(str(body.get("run")))
    if found is None:
        raise BadFile("There is no evaluation to save (any more).", "Please run it again.")
    return entry.write(found), f"quality.{entry.extension}"


def _several(items: dict[str, Any], most: int, default: list[str] | None = None) -> dict[str, Any]:
    described: dict[str, Any] = {"type": "array", "items": items, "minItems": 1, "maxItems": most}
    return described if default is None else {**described, "default": default}


def _common(engine: Engine) -> dict[str, Any]:
    fields: dict[str, Any] = schema_of()["properties"]
    method, text = fields.pop("method"), fields.pop("text")
    return {
        **fields,
        "text": text,
        "methods": _several({"enum": method["enum"]}, engine.settings.evaluated_methods),
        "seed": {"type": "integer", "minimum": 0, "default": 0},
        "options": {"type": "object", "additionalProperties": {"type": "object"}, "default": {}},
    }


def _evaluate_schema(engine: Engine) -> dict[str, Any]:
    """JSON schema of an evaluation; the options of each method and metric stand under its name."""
    fields = _common(engine)
    text = fields.pop("text")
    fields["texts"] = _several(text, engine.settings.evaluated_texts)
    fields["methods"]["default"] = list(METHODS)
    fields["metrics"] = _several(
        {"enum": list(list_metrics())}, engine.settings.evaluated_metrics, list(METRICS)
    )
    fields["rationales"] = {"type": ["array", "null"], "items": {"type": ["array", "null"]}, "default": None}
    fields["second"] = {
        "anyOf": [{"type": ["string", "null"]}, {"type": "array", "items": {"type": ["string", "null"]}}]
    }
    fields["bootstrap"] = {"type": "integer", "minimum": 100, "maximum": 100_000, "default": 1000}
    return {"type": "object", "required": ["texts"], "additionalProperties": False, "properties": fields}


def _assess_schema(engine: Engine) -> dict[str, Any]:
    """JSON schema of an assessment."""
    fields = _common(engine)
    fields["methods"]["default"] = list(DEFAULTS)
    most = engine.settings.assessment_seconds
    fields["seconds"] = {"type": "number", "minimum": 0, "maximum": most, "default": evaluation.SECONDS}
    fields["attributions"] = _several({"type": "object"}, engine.settings.evaluated_methods)
    asked = [{"required": ["text"]}, {"required": ["attributions"]}]
    return {"type": "object", "oneOf": asked, "additionalProperties": False, "properties": fields}
