"""What a page must know before Gradio's own scripts run: its language, its theme, whether it is embedded.

Gradio inserts the ``head`` of ``launch`` when its app starts, which is too late for that.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from . import languages
from .pictures.picture import asset

HEAD = b"<head>"
STATIC = Path(__file__).with_name("static")


class Early:
    """ASGI middleware: puts a script at the beginning of the head of every HTML page."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self.app(scope, receive, send)
            return
        start: dict[str, Any] = {}
        parts: list[bytes] = []

        async def sending(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start" and _is_page(message):
                start.update(message)
            elif message["type"] == "http.response.body" and start:
                parts.append(message.get("body", b""))
                if not message.get("more_body"):
                    await _finish(send, start, b"".join(parts))
            else:
                await send(message)

        await self.app(scope, receive, sending)


def _is_page(message: dict[str, Any]) -> bool:
    return any(
        name == b"content-type" and value.startswith(b"text/html") for name, value in message["headers"]
    )


async def _finish(send: Any, start: dict[str, Any], body: bytes) -> None:
    changed = body.replace(HEAD, HEAD + script(), 1)
    headers = [(name, value) for name, value in start["headers"] if name != b"content-length"]
    await send({**start, "headers": [*headers, (b"content-length", str(len(changed)).encode())]})
    await send({"type": "http.response.body", "body": changed})


@cache
def script() -> bytes:
    """The language of the page, and its address."""
    return (languages.script() + f"<script>{asset('address.js', STATIC)}</script>").encode()
