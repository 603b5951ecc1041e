"""The quality of explanations for scripts: queued endpoints and REST routes.

No ``from __future__ import annotations`` here: Gradio reads the return types of endpoints as they stand.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from anyio.to_thread import run_sync
from fastapi import Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from attribution import formats
from attribution.engine import Engine
from attribution.errors import BadFile
from attribution.settings import VERSION
from attribution.studies.evaluation import Evaluation

from . import queue
from .documents import describe_evaluation
from .endpoint import post
from .evaluation import ASSESS, EVALUATE, LATEST, answer_assessment, answer_evaluation
from .gateway.waiting_line import WaitingLine
from .reading import read_json

Answer = TypeVar("Answer")
POLL_SECONDS = 0.5
"""Seconds between two checks whether the client is still connected."""


def declare(engine: Engine) -> None:
    """Declare the endpoints inside a ``gr.Blocks``, before any page."""

    def evaluate(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        evaluation = None
        for evaluation in answer_evaluation(engine, body):
            yield {"done": evaluation.done, "total": evaluation.total}
        if evaluation is not None:
            yield evaluation.to_dict()

    def assess(body: dict[str, Any]) -> dict[str, Any]:
        return answer_assessment(engine, body).to_dict()

    settings = engine.settings
    queue.declare(
        EVALUATE,
        evaluate,
        settings,
        limit=settings.running_evaluations,
        group="evaluation",
    )
    queue.declare(ASSESS, assess, settings, limit=settings.running_requests, group="engine")


def routes(engine: Engine) -> list[APIRoute]:
    """``POST`` ``/api/evaluate``, ``/api/assess`` and, for the page, ``/api/evaluation/{format}``."""
    settings = engine.settings
    evaluations = WaitingLine(settings.running_evaluations, settings.waiting_evaluations)
    assessments = WaitingLine(settings.running_requests, settings.waiting_requests)

    async def evaluate(request: Request) -> Response:
        body = await read_json(request)

        def work(cancelled: Callable[[], bool]) -> Evaluation:
            *_, evaluation = answer_evaluation(engine, body, cancelled)
            return evaluation

        return JSONResponse(describe_evaluation(await work_for(request, work, evaluations)))

    async def assess(request: Request) -> Response:
        body = await read_json(request)
        assessment = await work_for(
            request, lambda cancelled: answer_assessment(engine, body, cancelled), assessments
        )
        return JSONResponse({**assessment.to_dict(), "version": VERSION})

    async def save(request: Request) -> Response:
        extension = request.path_params["format"]
        data, name = await run_sync(_file, await read_json(request), extension)
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        return Response(data, media_type=formats.find(extension, "evaluation").media_type, headers=headers)

    schema = ASSESS.schema(settings)
    del schema["required"]
    either = {"oneOf": [{"required": ["text"]}, {"required": ["attributions"]}]}
    return [
        EVALUATE.route(evaluate, settings),
        post("/api/assess", assess, summary=ASSESS.summary, schema={**schema, **either}),
        post("/api/evaluation/{format}", save),
    ]


async def work_for(
    request: Request, work: Callable[[Callable[[], bool]], Answer], line: WaitingLine
) -> Answer:
    """Do the work in its turn; a client that disconnects cancels it. Raises ``QueueFull``."""
    disconnected = threading.Event()

    async def watch() -> None:
        while not await request.is_disconnected():
            await asyncio.sleep(POLL_SECONDS)
        disconnected.set()

    watcher = asyncio.create_task(watch())
    try:
        return await line.run(work, disconnected.is_set)
    finally:
        watcher.cancel()


def _file(body: dict[str, Any], extension: str) -> tuple[bytes, str]:
    """A visitor's own evaluation as a file, and its name. Raises ``BadFile``."""
    entry = formats.find(extension, "evaluation")
    evaluation = LATEST.get(str(body.get("run")))
    if evaluation is None:
        raise BadFile("There is no evaluation to save (any more).", "Please run it again.")
    return entry.write(evaluation), f"quality.{entry.extension}"
