"""What a page must know before Gradio's own scripts run: its language, its theme, whether it is embedded.

Gradio inserts the ``head`` of ``launch`` once its app has started, which is too late for these.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from .header import page_scripts

HEAD = b"<head>"


class Preload:
    """ASGI middleware: inserts a script at the start of the head of every HTML page."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self.app(scope, receive, send)
            return
        start: dict[str, Any] = {}
        parts: list[bytes] = []

        async def forward(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start" and _is_page(message):
                start.update(message)
            elif message["type"] == "http.response.body" and start:
                parts.append(message.get("body", b""))
                if not message.get("more_body"):
                    await _finish(send, start, b"".join(parts))
            else:
                await send(message)

        await self.app(scope, receive, forward)


def _is_page(message: dict[str, Any]) -> bool:
    return any(
        name == b"content-type" and value.startswith(b"text/html") for name, value in message["headers"]
    )


async def _finish(send: Any, start: dict[str, Any], body: bytes) -> None:
    page = body.replace(HEAD, HEAD + script(), 1)
    headers = [(name, value) for name, value in start["headers"] if name != b"content-length"]
    await send({**start, "headers": [*headers, (b"content-length", str(len(page)).encode())]})
    await send({"type": "http.response.body", "body": page})


@cache
def script() -> bytes:
    """The scripts of the page's language and of its address, which ``Header`` repeats for other pages."""
    return f"<script>globalThis.attributionPage = true;</script>{page_scripts()}".encode()
