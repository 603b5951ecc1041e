"""Many rows in one call: the queued endpoint ``/batch`` and ``POST /api/batch``. The client has the journal.

No ``from __future__ import annotations`` here: Gradio reads the return types of endpoints as they stand.
"""

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import asdict
from operator import itemgetter
from typing import Any

from anyio.to_thread import run_sync
from fastapi import Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from fastapi.routing import APIRoute

from attribution import request as requests
from attribution.engine import Engine
from attribution.errors import AttributionError, BadOption, InputError, QueueFull, TooLong, quote
from attribution.request import read_fields
from attribution.settings import Settings
from attribution.types import Attribution

from . import queue
from .endpoint import Endpoint
from .failures import as_http_errors
from .fields import Document, field, request_fields
from .reading import read_json
from .runs import Runs

AT_ONCE = 16
"""The maximum number of results in one message."""


def _describe_rows(settings: Settings) -> dict[str, Any]:
    row = {"anyOf": [{"type": "string"}, {"type": "object", "required": ["text"]}]}
    return {"type": "array", "items": row, "minItems": 1, "maxItems": settings.call_rows}


BATCH = Endpoint(
    "batch",
    "Explain many texts in one call; answers come as they are ready, and an error of a row stands in its "
    "place",
    "Objects, one after the other: done, failed and total; seconds_left; and results, the new ones: row (its "
    "place), and attribution or error. The last object has all results.",
    "rows",
    (
        field(
            "rows",
            Document(
                "texts, or objects with text and any other field of /attribute, which then counts instead of "
                "the one for all rows.",
                type=list[Any],
                described=_describe_rows,
            ),
        ),
        *request_fields("text"),
    ),
    streams=True,
)


def declare(engine: Engine) -> None:
    """Declare the endpoint inside a ``gr.Blocks``, before any page."""

    def batch(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield from complete_last(answer_rows(engine, body.pop("rows", None), body))

    queue.declare(BATCH, batch, engine.settings, limit=engine.settings.runs_at_once, group="batch")


def answer_rows(
    engine: Engine,
    rows: object,
    common: dict[str, Any],
    describe: Callable[[Attribution], dict[str, Any]] = Attribution.to_dict,
) -> Iterator[dict[str, Any]]:
    """What ``/batch`` yields: first only the counts, then results as they are ready.

    Raises an ``InputError`` for invalid rows, and for an unknown field.
    """
    read_fields(common, [entry.name for entry in BATCH.fields])
    items = [_item(row, common) for row in _check_rows(engine, rows)]
    done = failed = 0
    total, start_time = len(items), time.monotonic()
    yield {"done": 0, "failed": 0, "total": total, "seconds_left": None, "results": []}
    with closing(engine.for_batch().attribute_each(items)) as batches:  # type: ignore[type-var]
        for batch in batches:
            for start in range(0, len(batch), AT_ONCE):
                part = batch[start : start + AT_ONCE]
                failed += sum(isinstance(answer, AttributionError) for _, answer in part)
                done += sum(isinstance(answer, Attribution) for _, answer in part)
                left = (time.monotonic() - start_time) / (done + failed) * (total - done - failed)
                results = [_describe_result(place, answer, describe) for place, answer in part]
                yield {
                    "done": done,
                    "failed": failed,
                    "total": total,
                    "seconds_left": round(left, 1),
                    "results": results,
                }


def complete_last(steps: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The steps for Gradio's queue, whose clients may read the last one only: it has the results of all.

    Gradio sends the differences between two objects, and those of lists within lists are wrong: one list is
    emptied before the next one is sent.
    """
    results: list[dict[str, Any]] = []
    step: dict[str, Any] = {"results": []}
    for step in _with_empty_lists_between(steps):
        results += step["results"]
        yield step
    if len(results) > len(step["results"]):
        yield {**step, "results": []}
        yield {**step, "results": sorted(results, key=itemgetter("row"))}


def _with_empty_lists_between(steps: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    was_empty = True
    for step in steps:
        if not was_empty:
            yield {**step, "results": []}
        yield step
        was_empty = not step["results"]


def _check_rows(engine: Engine, rows: object) -> list[Any]:
    if not isinstance(rows, list) or not rows:
        raise InputError(f"rows is {quote(rows)}.", "It must be a list of texts, or of objects with a text.")
    limit = engine.settings.call_rows
    if len(rows) > limit:
        raise TooLong(
            f"{len(rows):,} rows are given; at most {limit:,} are answered in one call.",
            "Send them in several calls.",
        )
    return rows


def _item(row: object, common: dict[str, Any]) -> Any:
    """The arguments of ``Engine.attribute`` for a row, or its error."""
    try:
        if not isinstance(row, str | dict):
            raise BadOption(f"A row is {quote(row)}.", "It must be a text, or an object with a text.")
        own = row if isinstance(row, dict) else {"text": row}
        return asdict(requests.Request.read({**common, **own}))
    except AttributionError as error:
        return error


def _describe_result(
    place: int, answer: Attribution | AttributionError, describe: Callable[[Attribution], dict[str, Any]]
) -> dict[str, Any]:
    if isinstance(answer, AttributionError):
        return {"row": place, "error": answer.to_dict()}
    return {"row": place, "attribution": describe(answer)}


def _hold_place(
    steps: Iterator[dict[str, Any]], places: threading.BoundedSemaphore
) -> Iterator[dict[str, Any]]:
    """Yield the steps while holding one of the places. Raises ``QueueFull`` if there is none."""
    if not places.acquire(blocking=False):
        raise QueueFull("Many such calls are being answered.", "Please try again later.")
    try:
        yield from steps
    finally:
        places.release()


def routes(engine: Engine, runs: Runs) -> list[APIRoute]:
    """``POST /api/batch``, with a line of JSON for each step, and ``GET /api/batch/{run}/{file}``."""
    places = threading.BoundedSemaphore(engine.settings.running_calls)

    async def many(request: Request) -> Response:
        body = await read_json(request)
        rows = body.pop("rows", None)
        steps = _hold_place(answer_rows(engine, rows, body), places)
        first = await run_sync(next, steps)  # an error of the whole request becomes a status

        def lines() -> Iterator[str]:
            with closing(steps):  # type: ignore[type-var]
                yield json.dumps(first) + "\n"
                for step in steps:
                    yield json.dumps(step) + "\n"

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    async def file(request: Request) -> Response:
        run_name, file_name = request.path_params["run"], request.path_params["file"]
        path = await run_sync(runs.file, run_name, file_name)
        # As a download: a report that opened in the browser would run as a page of this server.
        return FileResponse(path, filename=file_name, headers={"x-content-type-options": "nosniff"})

    return [
        BATCH.route(many, engine.settings),
        APIRoute(
            "/api/batch/{run}/{file}",
            as_http_errors(file),
            methods=["GET"],
            summary="A file of a run of the batch page",
        ),
    ]
