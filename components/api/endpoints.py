"""The queued endpoints for ``gradio_client`` and the REST routes beside them: the same calls, the same engine.

No ``from __future__ import annotations`` here: Gradio reads the return types of endpoints as they stand.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypedDict

import gradio as gr
from anyio.to_thread import run_sync
from fastapi import Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from attribution import export, formats, list_methods
from attribution.engine import Engine
from attribution.errors import AttributionError, BadOption, InputError, nearest, quote
from attribution.fields import MANY
from attribution.models.sources import catalogue, hub
from attribution.settings import DEFAULT_METHOD, DEFAULT_MODEL, VERSION
from attribution.studies.comparison import DEFAULTS as COMPARED
from attribution.types import Attribution, Quantity

from ..bugs import bug
from ..controls.values import MOST_BESIDE
from . import comparison


class EstimateEntry(TypedDict):
    """What a request will take. ``passes`` and ``rows`` are None where a method looks inside the model."""

    seconds_low: float
    seconds_high: float
    bytes_peak: int
    passes: int | None
    rows: int | None
    sentence: str


class ModelEntry(TypedDict):
    """One model that this server takes. ``available`` says whether it can be had without the Hub."""

    name: str
    task: str
    topics: list[str]
    description: str
    language: str
    families: list[str]
    available: bool


class OptionEntry(TypedDict, total=False):
    """One option of a method."""

    name: str
    kind: Literal["int", "float", "bool", "choice", "text"]
    default: bool | int | float | str
    help: str
    minimum: float
    maximum: float
    choices: list[str]


class MethodEntry(TypedDict):
    """One attribution method."""

    name: str
    title: str
    summary: str
    caveat: str
    cost: str
    signed: bool
    unit: str
    needs: str
    tasks: list[str]
    aliases: list[str]
    options: list[OptionEntry]
    reference: str


def model_entries() -> list[ModelEntry]:
    """The models that this server takes, bundled ones first."""
    at_hand = set(hub.available_offline())
    return [
        {
            "name": e.name,
            "task": e.task,
            "topics": list(e.topics),
            "description": e.description,
            "language": e.language,
            "families": list(e.families),
            "available": e.name in at_hand,
        }
        for e in catalogue.entries()
    ]


def method_entries() -> list[MethodEntry]:
    """Every attribution method with its options."""
    return [method.to_dict() for method in list_methods().values()]  # type: ignore[misc]


def declare(engine: Engine) -> None:
    """Declare the endpoints inside a ``gr.Blocks``. Call it before any page: Gradio renames a later clash in silence."""

    def attribute(
        text: str,
        model: str = DEFAULT_MODEL,
        method: str = DEFAULT_METHOD,
        target: str | int | list[str | int] | None = None,
        quantity: Literal["logit", "log_probability", "probability"] = "logit",
        max_new_tokens: int = 16,
        task: str | None = None,
        options: dict[str, Any] | None = None,
        second: str | None = None,
        contrast: str | int | None = None,
        position: int | str | list[int] | None = None,
        continuation: str | None = None,
    ) -> dict[str, Any]:
        """Explain one prediction: which tokens drive it.

        Args:
            text: What the model reads.
            model: A name from /models, or a family name together with task.
            method: A name or alias from /methods.
            target: A label's name or index, or a list of them; "*" for all. None: the model's own prediction.
            quantity: The explained number.
            max_new_tokens: For generation, how many tokens at most.
            task: For a family name such as bert-base-uncased, what it should be fine-tuned for, e.g. sentiment.
            options: The method's own options by name, see /methods.
            second: The other text of a pair: a hypothesis, the text that holds the answer, a sentence to compare with.
            contrast: Why the target rather than this; "runner-up" is the next best.
            position: Which token of the text, or which generated one; "sequence" for the whole generated text. None: all.
            continuation: Explain this text instead of what the model would generate.

        Returns:
            The document that Attribution.from_dict reads.
        """
        body: dict[str, Any] = {
            "text": text,
            "model": model,
            "method": method,
            "target": target,
            "quantity": quantity,
        }
        body |= {"max_new_tokens": max_new_tokens, "task": task, "options": options, "second": second}
        body |= {"contrast": contrast, "position": position, "continuation": continuation}
        try:
            return ask(engine, body).to_dict()
        except AttributionError as error:
            raise gr.Error(str(error), title=type(error).__name__, print_exception=False) from error

    def estimate(
        text: str,
        model: str = DEFAULT_MODEL,
        method: str = DEFAULT_METHOD,
        target: str | int | list[str | int] | None = None,
        quantity: Literal["logit", "log_probability", "probability"] = "logit",
        max_new_tokens: int = 16,
        task: str | None = None,
        options: dict[str, Any] | None = None,
        second: str | None = None,
        contrast: str | int | None = None,
        position: int | str | list[int] | None = None,
        continuation: str | None = None,
    ) -> EstimateEntry:
        """What a request to attribute will take on this server, in seconds and bytes, before it is made.

        Args:
            text: What the model reads.
            model: A name from /models, or a family name together with task.
            method: A name or alias from /methods.
            target: A label's name or index, or a list of them; "*" for all. None: the model's own prediction.
            quantity: The explained number.
            max_new_tokens: For generation, how many tokens at most.
            task: For a family name such as bert-base-uncased, what it should be fine-tuned for, e.g. sentiment.
            options: The method's own options by name, see /methods.
            second: The other text of a pair: a hypothesis, the text that holds the answer, a sentence to compare with.
            contrast: Why the target rather than this; "runner-up" is the next best.
            position: Which token of the text, or which generated one; "sequence" for the whole generated text. None: all.
            continuation: Explain this text instead of what the model would generate.

        Returns:
            The least and the most seconds, the most bytes, forward passes and rows, and all of it as a sentence.
        """
        body: dict[str, Any] = {
            "text": text,
            "model": model,
            "method": method,
            "target": target,
            "quantity": quantity,
        }
        body |= {"max_new_tokens": max_new_tokens, "task": task, "options": options, "second": second}
        body |= {"contrast": contrast, "position": position, "continuation": continuation}
        try:
            return judge(engine, body)
        except AttributionError as error:
            raise gr.Error(str(error), title=type(error).__name__, print_exception=False) from error

    def compare(
        text: str,
        methods: list[str] | None = None,
        models: list[str] | None = None,
        target: str | int | list[str | int] | None = None,
        quantity: Literal["logit", "log_probability", "probability"] = "logit",
        max_new_tokens: int = 16,
        task: str | None = None,
        options: dict[str, dict[str, Any]] | None = None,
        second: str | None = None,
        contrast: str | int | None = None,
        position: int | str | list[int] | None = None,
        continuation: str | None = None,
        output: int = 0,
    ) -> dict[str, Any]:
        """Explain one prediction by several methods, or of several models, and say where they agree.

        Args:
            text: What the models read.
            methods: Names or aliases from /methods. None: one or two of each kind.
            models: Names from /models. None: the default one.
            target: A label's name or index, or a list of them; "*" for all. None: each model's own prediction.
            quantity: The explained number.
            max_new_tokens: For generation, how many tokens at most.
            task: For family names such as bert-base-uncased, what they should be fine-tuned for, e.g. sentiment.
            options: The options of each method, by its name, see /methods.
            second: The other text of a pair: a hypothesis, the text that holds the answer, a sentence to compare with.
            contrast: Why the target rather than this; "runner-up" is the next best.
            position: Which token of the text, or which generated one; "sequence" for the whole generated text. None: all.
            continuation: Explain this text instead of what the models would generate.
            output: Which of the explained numbers is compared, from 0.

        Returns:
            The document that Comparison.from_dict reads, with names, agreement, disagreements and notes beside it.
        """
        body: dict[str, Any] = {
            "text": text,
            "models": models,
            "methods": methods,
            "target": target,
            "quantity": quantity,
        }
        body |= {"max_new_tokens": max_new_tokens, "task": task, "options": options, "second": second}
        body |= {"contrast": contrast, "position": position, "continuation": continuation, "output": output}
        try:
            found = comparison.ask(engine, body, TARGET_FIELDS)
            return {**found.to_dict(), **comparison.judged(found)}
        except AttributionError as error:
            raise gr.Error(str(error), title=type(error).__name__, print_exception=False) from error

    gr.api(
        attribute,
        api_name="attribute",
        concurrency_limit=engine.settings.running_requests,
        concurrency_id="engine",
    )
    gr.api(
        estimate,
        api_name="estimate",
        concurrency_limit=engine.settings.running_requests,
        concurrency_id="engine",
    )
    gr.api(
        compare,
        api_name="compare",
        concurrency_limit=engine.settings.running_requests,
        concurrency_id="engine",
    )
    gr.api(method_entries, api_name="methods", queue=False)
    gr.api(model_entries, api_name="models", queue=False)


TARGET_FIELDS = ("target", "second", "contrast", "position", "continuation", "quantity", "max_new_tokens")
"""What goes to the engine under the same name, if it is given."""
FIELDS = ("text", "model", "method", "task", "options", *TARGET_FIELDS)


def ask(engine: Engine, body: object) -> Attribution:
    """Answer a request as it came in over the wire: every field may be anything. Raises an ``AttributionError``."""
    text, model, method, more = read(body)
    return engine.attribute(text, model, method, **more)


def ask_each(engine: Engine, body: object) -> list[Attribution]:
    """Answer a request for a file: ``beside`` names methods whose results stand in it too, with their default options."""
    if not isinstance(body, dict) or body.get("beside") is None:
        return [ask(engine, body)]
    beside = body["beside"]
    if (
        not isinstance(beside, list)
        or len(beside) > MOST_BESIDE
        or not all(isinstance(name, str) for name in beside)
    ):
        raise BadOption(
            f"beside is {quote(beside)}.", f"It must be a list of at most {MOST_BESIDE} names of methods."
        )
    asked = {name: value for name, value in body.items() if name != "beside"}
    others = ({**asked, "method": name, "options": {}} for name in beside)
    return [ask(engine, asked), *(ask(engine, other) for other in others)]


def judge(engine: Engine, body: object) -> EstimateEntry:
    """What answering a request will take. Raises an ``AttributionError``."""
    text, model, method, more = read(body)
    return engine.estimate(text, model, method, **more).to_dict()  # type: ignore[return-value]


def read(body: object) -> tuple[Any, Any, Any, dict[str, Any]]:
    """A request body as text, model, method and the other arguments of the engine. Raises an ``InputError``."""
    if not isinstance(body, dict):
        raise InputError(
            "The request is not a JSON object.", 'Send {"text": "..."} and what else you want to choose.'
        )
    for name in body:
        if name not in FIELDS:
            raise BadOption(f"There is no field {quote(name)}.", nearest(name, FIELDS))
    if "text" not in body:
        raise InputError("The field 'text' is missing.", 'Send {"text": "..."}.')
    given = {name: value for name, value in body.items() if value is not None}
    options = given.get("options", {})
    if not isinstance(options, dict):
        raise BadOption(
            f"options is a {type(options).__name__}.", 'It must be an object such as {"steps": 64}.'
        )
    task = given.get("task")
    if task is not None and not isinstance(task, str):
        raise BadOption(f"task is a {type(task).__name__}.", "It must be a word such as sentiment.")
    more = {name: given[name] for name in TARGET_FIELDS if name in given}
    model, method = given.get("model", DEFAULT_MODEL), given.get("method", DEFAULT_METHOD)
    return body["text"], model, method, {**more, "task": task, "options": options}


def summary(result: Attribution, requested: object = None) -> dict[str, Any]:
    """The REST answer: flat lists that are easy to read in any language; ``attributions`` belongs to the first output."""
    every_error = (
        [[None] * len(result.tokens)] * len(result.outputs)
        if result.errors is None
        else result.errors.tolist()
    )
    rows = [
        [
            {
                "token": t.text,
                "score": s,
                "error": e,
                "start": t.start,
                "end": t.end,
                "special": t.special,
                "word": t.word,
                "segment": t.segment,
            }
            for t, s, e in zip(result.tokens, scores, errors, strict=True)
        ]
        for scores, errors in zip(result.scores.tolist(), every_error, strict=True)
    ]
    residuals = result.residual or (None,) * len(rows)
    outputs = [
        {
            "text": o.text,
            "contrast": o.contrast or None,
            "position": o.position,
            "value": o.value,
            "probability": o.probability,
            "residual": residual,
            "fit": fit,
            "attributions": row,
        }
        for o, residual, fit, row in zip(
            result.outputs, residuals, result.fit or (None,) * len(rows), rows, strict=True
        )
    ]
    first = result.outputs[0]
    said = result.prediction
    best = max(range(len(said.labels)), key=(said.probabilities or said.logits).__getitem__)
    label = said.labels[best] if said.text is None else said.text
    return {
        "attributions": rows[0],
        "outputs": outputs,
        "prediction": {
            "label": label,
            "probability": said.probabilities[best] if said.text is None and said.probabilities else None,
            "values": list(said.logits),
            "labels": list(said.labels),
            "probabilities": list(said.probabilities),
            "text": said.text,
        },
        "target": {
            "label": first.text,
            "index": first.id,
            "quantity": result.request.quantity,
            "value": first.value,
        },
        "residual": residuals[0],
        "method": result.method,
        "signed": result.signed,
        "unit": result.unit,
        "model": {
            "requested": requested if isinstance(requested, str) else result.model.name,
            "resolved": result.model.name,
            "revision": result.model.revision,
            "note": result.model.note,
        },
        "notes": list(result.notes),
        "version": VERSION,
    }


def routes(engine: Engine) -> list[APIRoute]:
    """``POST`` ``/api/attribute``, ``/api/estimate``, ``/api/compare`` and ``/api/export/{format}``; ``GET`` ``/api/methods`` and
    ``/api/models``."""

    async def attribute(request: Request) -> Response:
        body = await body_of(request)
        result = await run_sync(ask, engine, body)
        return JSONResponse(summary(result, body.get("model")))

    async def estimate(request: Request) -> Response:
        return JSONResponse(await run_sync(judge, engine, await body_of(request)))

    async def compare(request: Request) -> Response:
        found = await run_sync(comparison.ask, engine, await body_of(request), TARGET_FIELDS)
        pairs = [(model, method) for model in found.models for method in found.methods]
        attributions = [
            summary(one, model)
            if isinstance(one, Attribution)
            else {"model": {"requested": model}, "method": method, **(one.to_dict() if one else {})}
            for (model, method), one in zip(pairs, found.attributions, strict=True)
        ]
        return JSONResponse(
            {"text": found.text, "attributions": attributions, **comparison.judged(found), "version": VERSION}
        )

    async def save(request: Request) -> Response:
        entry = formats.find(request.path_params["format"])
        results = await run_sync(ask_each, engine, await body_of(request))
        data = await run_sync(formats.render, results, entry.extension)
        headers = {
            "content-disposition": f'attachment; filename="{export.file_name(results, entry.extension)}"'
        }
        return Response(data, media_type=entry.media_type, headers=headers)

    async def list_methods() -> Response:
        return JSONResponse(method_entries())

    async def list_models() -> Response:
        return JSONResponse(await run_sync(model_entries))

    schema = {"requestBody": {"required": True, "content": {"application/json": {"schema": schema_of()}}}}
    return [
        APIRoute(
            "/api/attribute",
            answering(attribute),
            methods=["POST"],
            openapi_extra=schema,
            summary="Explain one prediction",
        ),
        APIRoute(
            "/api/estimate",
            answering(estimate),
            methods=["POST"],
            openapi_extra=schema,
            summary="What a request will take, in seconds and bytes",
        ),
        APIRoute(
            "/api/compare",
            answering(compare),
            methods=["POST"],
            openapi_extra={
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": _compare_schema(engine)}},
                }
            },
            summary="Explain one prediction by several methods, or of several models",
        ),
        APIRoute(
            "/api/export/{format}",
            answering(save),
            methods=["POST"],
            openapi_extra=schema,
            summary="The same, as a file",
        ),
        APIRoute("/api/methods", list_methods, methods=["GET"], summary="Every attribution method"),
        APIRoute("/api/models", list_models, methods=["GET"], summary="The models that this server takes"),
    ]


async def body_of(request: Request) -> Any:
    """The JSON object that was sent. Raises ``InputError``."""
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise InputError(
            "The request body is not JSON.", 'Send {"text": "..."} with the content type application/json.'
        ) from error
    if not isinstance(body, dict):
        raise InputError("The request body is not a JSON object.", 'Send {"text": "..."}.')
    return body


def answering(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """The one place where an error becomes an HTTP status. A bug is logged with an id and never shown."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except AttributionError as error:
            headers = {"retry-after": "2"} if error.status in (429, 503) else None
            return JSONResponse(error.to_dict(), error.status, headers)
        except Exception:
            return JSONResponse(bug().to_dict(), 500)

    return answer


def schema_of() -> dict[str, Any]:
    """JSON schema of a request; options as in ``GET /api/methods``."""
    return {
        "type": "object",
        "required": ["text"],
        "additionalProperties": False,
        "properties": {
            "text": {"type": "string"},
            "model": {"type": "string", "default": DEFAULT_MODEL},
            "method": {"type": "string", "default": DEFAULT_METHOD, "enum": _names()},
            "target": {
                "anyOf": [
                    {"type": ["string", "integer", "null"]},
                    {
                        "type": "array",
                        "items": {"type": ["string", "integer"]},
                        "minItems": 1,
                        "maxItems": MANY,
                    },
                ],
                "default": None,
            },
            "second": {"type": ["string", "null"], "default": None},
            "contrast": {"type": ["string", "integer", "null"], "default": None},
            "position": {
                "anyOf": [
                    {"type": "integer", "minimum": 0},
                    {
                        "type": "array",
                        "items": {"type": "integer", "minimum": 0},
                        "minItems": 1,
                        "maxItems": MANY,
                    },
                    {"enum": ["sequence", None]},
                ],
                "default": None,
            },
            "continuation": {"type": ["string", "null"], "default": None},
            "quantity": {"type": "string", "enum": list(Quantity.__args__), "default": "logit"},  # type: ignore[attr-defined]
            "max_new_tokens": {"type": "integer", "minimum": 1, "default": 16},
            "task": {"type": ["string", "null"], "default": None},
            "options": {"type": "object", "default": {}},
        },
    }


def _compare_schema(engine: Engine) -> dict[str, Any]:
    """JSON schema of a comparison; the options of each method stand under its name."""

    def several(items: dict[str, Any], most: int, default: list[str]) -> dict[str, Any]:
        return {"type": "array", "items": items, "minItems": 1, "maxItems": most, "default": default}

    schema = schema_of()
    fields = {name: value for name, value in schema["properties"].items() if name not in ("model", "method")}
    fields["methods"] = several({"enum": _names()}, engine.settings.compared_methods, list(COMPARED))
    fields["models"] = several({"type": "string"}, engine.settings.compared_models, [DEFAULT_MODEL])
    fields["options"] = {"type": "object", "additionalProperties": {"type": "object"}, "default": {}}
    fields["output"] = {"type": "integer", "minimum": 0, "default": 0}
    return {**schema, "properties": fields}


def _names() -> list[str]:
    return [name for method in list_methods().values() for name in (method.name, *method.aliases)]
