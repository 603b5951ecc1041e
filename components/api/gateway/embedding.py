"""What ``<gradio-app src=".../methods">`` asks for: the configuration of a page other than the first."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any


class PageConfigs:
    """ASGI middleware: answers ``/PAGE/config``, which Gradio does not, from its ``/config?page=PAGE``.

    Gradio's web component draws the first page of the configuration that it gets. ``paths`` are those of the
    pages.
    """

    def __init__(self, app: Any, paths: Iterable[str]) -> None:
        self.app = app
        self.pages = {f"/{path}/config": path for path in paths if path}

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        page = self.pages.get(scope["path"]) if scope["type"] == "http" else None
        if page is None:
            await self.app(scope, receive, send)
            return
        start: dict[str, Any] = {}
        parts: list[bytes] = []

        async def collect(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
                return
            parts.append(message.get("body", b""))
            if message.get("more_body"):
                return
            body = b"".join(parts)
            if start["status"] == 200:
                body = _as_first_page(body, page)
            headers = [pair for pair in start["headers"] if pair[0] != b"content-length"]
            await send({**start, "headers": [*headers, (b"content-length", str(len(body)).encode())]})
            await send({"type": "http.response.body", "body": body})

        plain = [pair for pair in scope["headers"] if pair[0] != b"accept-encoding"]
        changes = {"path": "/config", "raw_path": b"/config", "query_string": f"page={page}".encode()}
        await self.app({**scope, **changes, "headers": plain}, receive, collect)


def _as_first_page(body: bytes, page: str) -> bytes:
    config = json.loads(body)
    config["page"] = {"": config["page"][page]}
    config["current_page"] = ""
    return json.dumps(config).encode()
