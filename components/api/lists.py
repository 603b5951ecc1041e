"""What a server has, as lists of plain entries: models, methods, metrics.

No ``from __future__ import annotations`` here: Gradio reads the return types of endpoints as they stand.
"""

from typing import Literal

from anyio.to_thread import run_sync
from fastapi import Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from typing_extensions import TypedDict

from attribution import list_methods, list_metrics
from attribution.models.sources import catalogue, hub
from attribution.settings import Settings

from . import queue
from .endpoint import Endpoint


class ModelEntry(TypedDict):
    """One model that this server takes. ``available`` ones need no download from the Hub."""

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


def list_model_entries() -> list[ModelEntry]:
    """The models that this server takes, bundled ones first."""
    offline = set(hub.available_offline())
    return [
        {
            "name": e.name,
            "task": e.task,
            "topics": list(e.topics),
            "description": e.description,
            "language": e.language,
            "families": list(e.families),
            "available": e.name in offline,
        }
        for e in catalogue.entries()
    ]


def list_method_entries() -> list[MethodEntry]:
    """Every attribution method with its options."""
    return [method.to_dict() for method in list_methods().values()]  # type: ignore[misc]


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


def list_metric_entries() -> list[MetricEntry]:
    """Every metric of quality with its options."""
    return [metric.to_dict() for metric in list_metrics().values()]  # type: ignore[misc]


METHODS = Endpoint("methods", "Every attribution method with its options", "One entry for each method.")
MODELS = Endpoint(
    "models", "The models that this server takes, bundled ones first", "One entry for each model."
)
METRICS = Endpoint("metrics", "Every metric of quality with its options", "One entry for each metric.")


def declare(settings: Settings) -> None:
    """Declare ``/methods``, ``/models`` and ``/metrics`` inside a ``gr.Blocks``, before any page."""
    queue.declare(METHODS, list_method_entries, settings)
    queue.declare(MODELS, list_model_entries, settings)
    queue.declare(METRICS, list_metric_entries, settings)


def routes() -> list[APIRoute]:
    """``GET`` ``/api/methods``, ``/api/models`` and ``/api/metrics``."""

    async def methods() -> Response:
        return JSONResponse(list_method_entries())

    async def models() -> Response:
        return JSONResponse(await run_sync(list_model_entries))

    async def metrics() -> Response:
        return JSONResponse(list_metric_entries())

    return [
        APIRoute("/api/methods", methods, methods=["GET"], summary=METHODS.summary),
        APIRoute("/api/models", models, methods=["GET"], summary=MODELS.summary),
        APIRoute("/api/metrics", metrics, methods=["GET"], summary=METRICS.summary),
    ]
