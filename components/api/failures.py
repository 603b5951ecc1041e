"""Errors for visitors and scripts: the only place for ``gr.Error``, and the only one for HTTP statuses."""

import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr
from fastapi import Request, Response
from fastapi.responses import JSONResponse

from attribution.errors import AttributionError

from ..bugs import bug


@contextmanager
def as_gradio_errors() -> Iterator[None]:
    """Context manager: turn an ``AttributionError`` into a ``gr.Error``.

    The title is the name of the class, and a line break separates the hint: the client reads both.
    """
    try:
        yield
    except AttributionError as error:
        text = f"{error.message}\n{error.hint}".strip()
        raise gr.Error(text, title=type(error).__name__, print_exception=False) from error


def as_http_errors(
    handler: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """Decorator: turn an ``AttributionError`` into an HTTP status; log a bug with an id, never show it."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except AttributionError as error:
            headers = {"retry-after": "2"} if error.status in (429, 503) else None
            return JSONResponse(error.to_dict(), error.status, headers)
        except Exception:
            return JSONResponse(bug().to_dict(), 500)

    return answer


async def refuse(send: Any, error: AttributionError) -> None:
    """Answer an ASGI request with an error."""
    body = json.dumps(error.to_dict()).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if error.status == 429:
        headers.append((b"retry-after", b"2"))
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
