"""Many rows in one call: the queued endpoint ``/batch`` and ``POST /api/batch``. Nothing is kept here: the client has the journal.

No ``from __future__ import annotations`` here: Gradio reads the return types of endpoints as they stand.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import gradio as gr
from anyio.to_thread import run_sync
from fastapi import Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from fastapi.routing import APIRoute

from attribution.engine import Engine
from attribution.errors import AttributionError, BadOption, InputError, QueueFull, TooLong, quote
from attribution.settings import DEFAULT_METHOD, DEFAULT_MODEL
from attribution.types import Attribution

from .endpoints import answering, body_of, read, schema_of
from .runs import Runs

AT_ONCE = 16
"""Answers of one message at most."""


def declare(engine: Engine) -> None:
    """Declare the endpoint inside a ``gr.Blocks``, before any page."""

    def batch(
        rows: list[Any],
        model: str = DEFAULT_MODEL,
        method: str = DEFAULT_METHOD,
        target: str | int | list[str | int] | None = None,
        quantity: str = "logit",
        max_new_tokens: int = 16,
        task: str | None = None,
        options: dict[str, Any] | None = None,
        contrast: str | int | None = None,
        position: int | str | list[int] | None = None,
    ) -> Iterator[str]:
        """Explain many texts in one call; answers come as they are ready, and an error of a row stands in its place.

        Args:
            rows: Texts, or objects with text and any other field of /attribute, which then counts instead of the one given here.
            model: A name from /models.
            method: A name or alias from /methods.
            target: A label's name or index. None: the model's own prediction.
            quantity: The explained number.
            max_new_tokens: For generation, how many tokens at most.
            task: For a family name such as bert-base-uncased, what it should be fine-tuned for, e.g. sentiment.
            options: The method's own options by name, see /methods.
            contrast: Why the target rather than this; "runner-up" is the next best.
            position: Which token of the text, or which generated one. None: all.

        Yields:
            A JSON object as text: done, failed and total; seconds_left; and results: row (its place), and attribution or error.
        """
        common: dict[str, Any] = {"model": model, "method": method, "target": target, "quantity": quantity}
        common |= {
            "max_new_tokens": max_new_tokens,
            "task": task,
            "options": options,
            "contrast": contrast,
            "position": position,
        }
        try:
            # As text: of any other value Gradio sends what differs from the one before, and its client changes that one with it.
            yield from map(json.dumps, answers(engine, rows, common))
        except AttributionError as error:
            raise gr.Error(str(error), title=type(error).__name__, print_exception=False) from error

    gr.api(batch, api_name="batch", concurrency_limit=engine.settings.runs_at_once, concurrency_id="batch")


def answers(
    engine: Engine,
    rows: object,
    common: dict[str, Any],
    turned: Callable[[Attribution], dict[str, Any]] = Attribution.to_dict,
) -> Iterator[dict[str, Any]]:
    """What ``/batch`` yields: first the counts alone, then answers as they are ready. Raises an ``InputError`` for what are no rows."""
    items = [_item(row, common) for row in _checked(engine, rows)]
    done = failed = 0
    total, begun = len(items), time.monotonic()
    yield {"done": 0, "failed": 0, "total": total, "seconds_left": None, "results": []}
    with closing(engine.for_batch().attribute_each(items)) as found:  # type: ignore[type-var]
        for ready in found:
            for start in range(0, len(ready), AT_ONCE):
                some = ready[start : start + AT_ONCE]
                failed += sum(isinstance(answer, AttributionError) for _, answer in some)
                done += sum(isinstance(answer, Attribution) for _, answer in some)
                left = (time.monotonic() - begun) / (done + failed) * (total - done - failed)
                results = [_result(place, answer, turned) for place, answer in some]
                yield {
                    "done": done,
                    "failed": failed,
                    "total": total,
                    "seconds_left": round(left, 1),
                    "results": results,
                }


def _checked(engine: Engine, rows: object) -> list[Any]:
    if not isinstance(rows, list) or not rows:
        raise InputError(f"rows is {quote(rows)}.", "It must be a list of texts, or of objects with a text.")
    most = engine.settings.call_rows
    if len(rows) > most:
        raise TooLong(
            f"{len(rows):,} rows are given; at most {most:,} are answered in one call.",
            "Send them in several calls.",
        )
    return rows


def _item(row: object, common: dict[str, Any]) -> Any:
    """A row as ``Engine.attribute`` takes it, or what is wrong with it."""
    try:
        if not isinstance(row, str | dict):
            raise BadOption(f"A row is {quote(row)}.", "It must be a text, or an object with a text.")
        text, model, method, more = read({**common, **(row if isinstance(row, dict) else {"text": row})})
        return {"text": text, "model": model, "method": method, **more}
    except AttributionError as error:
        return error


def _result(
    place: int, answer: Attribution | AttributionError, turned: Callable[[Attribution], dict[str, Any]]
) -> dict[str, Any]:
    if isinstance(answer, AttributionError):
        return {"row": place, "error": answer.to_dict()}
    return {"row": place, "attribution": turned(answer)}


def _bounded(steps: Iterator[dict[str, Any]], places: threading.BoundedSemaphore) -> Iterator[dict[str, Any]]:
    """The steps, for as long as one of the places is held. Raises ``QueueFull`` where there is none."""
    if not places.acquire(blocking=False):
        raise QueueFull("Many such calls are being answered.", "Please try again later.")
    try:
        yield from steps
    finally:
        places.release()


def routes(engine: Engine, runs: Runs) -> list[APIRoute]:
    """``POST /api/batch``, a line of JSON for each step, and ``GET /api/batch/{run}/{file}`` for the files of a run of the page."""

    places = threading.BoundedSemaphore(engine.settings.running_calls)

    async def many(request: Request) -> Response:
        body = await body_of(request)
        rows = body.pop("rows", None)
        steps = _bounded(answers(engine, rows, body), places)
        first = await run_sync(next, steps)  # what is wrong with the whole request is an answer of its own

        def lines() -> Iterator[str]:
            with closing(steps):  # type: ignore[type-var]
                yield json.dumps(first) + "\n"
                for step in steps:
                    yield json.dumps(step) + "\n"

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    async def file(request: Request) -> Response:
        name, wanted = request.path_params["run"], request.path_params["file"]
        path = await run_sync(runs.file, name, wanted)
        # As a download: a report that opened here would run as a page of ours.
        return FileResponse(path, filename=wanted, headers={"x-content-type-options": "nosniff"})

    schema = schema_of()
    fields = {
        name: value
        for name, value in schema["properties"].items()
        if name not in ("text", "second", "continuation")
    }
    row = {"anyOf": [{"type": "string"}, {"type": "object", "required": ["text"]}]}
    rows = {"type": "array", "items": row, "minItems": 1, "maxItems": engine.settings.call_rows}
    asked = {**schema, "required": ["rows"], "properties": {"rows": rows, **fields}}
    return [
        APIRoute(
            "/api/batch",
            answering(many),
            methods=["POST"],
            openapi_extra={
                "requestBody": {"required": True, "content": {"application/json": {"schema": asked}}}
            },
            summary="Explain many texts, a line of JSON for each step",
        ),
        APIRoute(
            "/api/batch/{run}/{file}",
            answering(file),
            methods=["GET"],
            summary="A file of a run of the batch page",
        ),
    ]
