"""What goes wrong, as a visitor or a script is told: the one place for ``gr.Error``, and the one for HTTP statuses."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import gradio as gr
from fastapi import Request, Response
from fastapi.responses import JSONResponse

from attribution.errors import AttributionError

from ..bugs import bug


@contextmanager
def as_gradio_errors() -> Iterator[None]:
    """Context manager: an ``AttributionError`` becomes a ``gr.Error`` with its class name as the title, which the client reads."""
    try:
        yield
    except AttributionError as error:
        raise gr.Error(str(error), title=type(error).__name__, print_exception=False) from error


def as_http_errors(
    handler: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """The handler, whose ``AttributionError`` becomes an HTTP status. A bug is logged with an id and never shown."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except AttributionError as error:
            headers = {"retry-after": "2"} if error.status in (429, 503) else None
            return JSONResponse(error.to_dict(), error.status, headers)
        except Exception:
            return JSONResponse(bug().to_dict(), 500)

    return answer
