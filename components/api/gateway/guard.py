"""An ASGI guard before everything else: size of bodies, requests per client.

Gradio itself accepts bodies of any size, and lets a client displace the undelivered answers of others.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from typing import Any

from attribution.errors import AttributionError, TooLong, TooManyRequests
from attribution.settings import DEFAULTS, Settings

from ..failures import refuse

FORM_BYTES = 4096
"""The bytes of a form around an uploaded file."""


class TooLarge(TooLong):
    """The request body is over the limit."""

    status = 413


class Guard:
    """ASGI middleware."""

    def __init__(self, app: Any, settings: Settings = DEFAULTS) -> None:
        self.app, self.settings = app, settings
        self._clients: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        try:
            self._check_rate(client_of(scope, headers))
            limit = self._body_limit(scope["path"])
            length = headers.get(b"content-length", b"0")
            if not length.isdigit() or int(length) > limit:
                raise _too_large(limit)
        except AttributionError as error:
            await refuse(send, error)
            return
        await self._pass_on(scope, receive, send, limit)

    def _body_limit(self, path: str) -> int:
        """Bytes of a body. An uploaded table, with the form around it, may be larger than a request."""
        if path.rstrip("/") == "/gradio_api/upload":
            return self.settings.upload_bytes + FORM_BYTES
        return self.settings.max_body_bytes

    async def _pass_on(self, scope: dict[str, Any], receive: Any, send: Any, limit: int) -> None:
        """Pass on a body, which may come without a length, and cut it off at the limit."""
        size, refused = 0, False

        async def counting() -> Any:
            nonlocal size, refused
            if refused:
                return {"type": "http.disconnect"}
            message = await receive()
            size += len(message.get("body", b""))
            if size > limit:
                refused = True
                await refuse(send, _too_large(limit))
                return {"type": "http.disconnect"}
            return message

        async def sending(message: Any) -> None:
            if not refused:
                await send(message)

        try:
            await self.app(scope, counting, sending)
        except Exception:
            if not refused:
                raise

    def _check_rate(self, client: str) -> None:
        """A token bucket per client: ``request_burst`` at once, ``requests_per_second`` in the long run."""
        now = time.monotonic()
        tokens, last = self._clients.pop(client, (float(self.settings.request_burst), now))
        tokens = min(self.settings.request_burst, tokens + (now - last) * self.settings.requests_per_second)
        self._clients[client] = (max(0.0, tokens - 1), now)
        while len(self._clients) > self.settings.remembered_clients:
            self._clients.popitem(last=False)
        if tokens < 1:
            raise TooManyRequests(
                f"More than {self.settings.requests_per_second:g} requests a second came from you.",
                "Please wait a moment.",
            )


def client_of(scope: dict[str, Any], headers: dict[bytes, bytes]) -> str:
    """The client's address.

    On a Space the hop that the platform's proxy added (the last one; earlier ones can be forged), else the
    peer.
    """
    if os.environ.get("SYSTEM") == "spaces" and (
        hops := headers.get(b"x-forwarded-for", b"").decode("latin-1")
    ):
        return hops.rsplit(",", 1)[-1].strip()
    return scope["client"][0] if scope.get("client") else ""


def _too_large(limit: int) -> TooLarge:
    return TooLarge(
        f"The request is larger than {limit:,} bytes.", "Send a shorter text, or a smaller table."
    )
