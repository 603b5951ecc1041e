"""Explanations of one text, queued and over REST: ``attribute``, ``estimate``, ``compare``, and files.

No ``from __future__ import annotations`` here: Gradio reads the return types of endpoints as they stand.
"""

from typing import Any

from anyio.to_thread import run_sync
from fastapi import Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from typing_extensions import TypedDict

from attribution import export, formats
from attribution import request as requests
from attribution.engine import Engine
from attribution.errors import BadOption, quote
from attribution.types import Attribution

from ..controls.values import MOST_BESIDE
from . import queue
from .comparison import COMPARE, answer_comparison
from .documents import describe_agreement, describe_attribution, describe_comparison
from .endpoint import Endpoint, post
from .fields import request_fields
from .reading import read_json

ATTRIBUTE = Endpoint(
    "attribute",
    "Explain one prediction: which tokens drive it",
    "The document that Attribution.from_dict reads.",
    "text",
    tuple(request_fields()),
)
ESTIMATE = Endpoint(
    "estimate",
    "What a request to attribute will take on this server, in seconds and bytes, before it is made",
    "The least and the most seconds, the most bytes, forward passes and rows, and all of it as a sentence.",
    "text",
    tuple(request_fields()),
)


class EstimateEntry(TypedDict):
    """The cost of a request. ``passes`` and ``rows`` are None for methods that look inside the model."""

    seconds_low: float
    seconds_high: float
    bytes_peak: int
    passes: int | None
    rows: int | None
    sentence: str


def declare(engine: Engine) -> None:
    """Declare the endpoints inside a ``gr.Blocks``, before any page."""

    def attribute(body: dict[str, Any]) -> dict[str, Any]:
        return answer(engine, body).to_dict()

    def estimate(body: dict[str, Any]) -> EstimateEntry:
        return estimate_cost(engine, body)

    def compare(body: dict[str, Any]) -> dict[str, Any]:
        comparison = answer_comparison(engine, body)
        return {**comparison.to_dict(), **describe_agreement(comparison)}

    settings = engine.settings
    limit = settings.running_requests
    queue.declare(ATTRIBUTE, attribute, settings, limit=limit, group="engine")
    queue.declare(ESTIMATE, estimate, settings, limit=limit, group="engine")
    queue.declare(COMPARE, compare, settings, limit=limit, group="engine")


def routes(engine: Engine) -> list[APIRoute]:
    """``POST`` ``/api/attribute``, ``/api/estimate``, ``/api/compare`` and ``/api/export/{format}``."""

    async def attribute(request: Request) -> Response:
        body = await read_json(request)
        result = await run_sync(answer, engine, body)
        return JSONResponse(describe_attribution(result, body.get("model")))

    async def estimate(request: Request) -> Response:
        return JSONResponse(await run_sync(estimate_cost, engine, await read_json(request)))

    async def compare(request: Request) -> Response:
        comparison = await run_sync(answer_comparison, engine, await read_json(request))
        return JSONResponse(describe_comparison(comparison))

    async def save(request: Request) -> Response:
        entry = formats.find(request.path_params["format"])
        results = await run_sync(answer_with_others, engine, await read_json(request))
        data = await run_sync(formats.render, results, entry.extension)
        name = export.file_name(results, entry.extension)
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        return Response(data, media_type=entry.media_type, headers=headers)

    settings = engine.settings
    return [
        ATTRIBUTE.route(attribute, settings),
        ESTIMATE.route(estimate, settings),
        COMPARE.route(compare, settings),
        post("/api/export/{format}", save, summary="The same, as a file", schema=ATTRIBUTE.schema(settings)),
    ]


def answer(engine: Engine, body: object) -> Attribution:
    """Answer a JSON body, whose fields may hold anything. Raises an ``AttributionError``."""
    return engine.attribute(requests.Request.read(body))


def estimate_cost(engine: Engine, body: object) -> EstimateEntry:
    """The cost of answering a JSON body. Raises an ``AttributionError``."""
    return engine.estimate(requests.Request.read(body)).to_dict()  # type: ignore[return-value]


def answer_with_others(engine: Engine, body: object) -> list[Attribution]:
    """Answer a request for a file; ``beside`` names further methods, which have their default options."""
    if not isinstance(body, dict) or body.get("beside") is None:
        return [answer(engine, body)]
    methods = body["beside"]
    are_names = isinstance(methods, list) and all(isinstance(name, str) for name in methods)
    if not are_names or len(methods) > MOST_BESIDE:
        raise BadOption(
            f"beside is {quote(methods)}.", f"It must be a list of at most {MOST_BESIDE} names of methods."
        )
    request = requests.Request.read({name: value for name, value in body.items() if name != "beside"})
    others = (requests.Request.of(request, method=name, options={}) for name in methods)
    return [engine.attribute(entry) for entry in (request, *others)]
