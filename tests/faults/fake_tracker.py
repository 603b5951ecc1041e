"""A tracker's server that misbehaves: a proxy of a real one, or nothing but faults.

::

    with FakeTracker(upstream="http://127.0.0.1:5000") as tracker:
        tracker.mode = "hang"

``refuse`` closes connections at once. ``drop_at`` is the number of a request, from 0, that is
forwarded, but whose connection closes without an answer: the client cannot know that it was processed.
Without ``upstream`` only the faulty modes answer.
"""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal, Self

Mode = Literal["ok", "refuse", "hang", "500", "429", "401", "garbage"]
DOWN: tuple[Mode, ...] = ("refuse", "hang", "500", "429", "401", "garbage")
"""Modes in which no request gets through."""


class FakeTracker:
    """The server; a context manager. ``requests`` are the paths of all requests, ``bodies`` their bodies."""

    def __init__(self, upstream: str = "") -> None:
        self.upstream = upstream
        self.mode: Mode = "ok"
        self.drop_at: int | None = None
        self.requests: list[str] = []
        self.bodies: list[bytes] = []
        self.released = threading.Event()
        fake = self

        class Handler(_Handler):
            tracker = fake

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16
    tracker: FakeTracker

    def handle(self) -> None:
        with suppress(ConnectionError):
            super().handle()

    def log_message(self, *_: object) -> None:
        """No output: ``requests`` is the log."""

    def _answer(self) -> None:
        tracker = self.tracker
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        place = len(tracker.requests)
        tracker.requests.append(self.path)
        tracker.bodies.append(body + repr(dict(self.headers)).encode())
        mode = tracker.mode
        if mode == "hang":
            tracker.released.wait(60)
        if mode in ("hang", "refuse"):
            self.close_connection = True
        elif mode.isdecimal():
            self._send(int(mode), b'{"error_code": "INTERNAL_ERROR", "message": "as you wish"}')
        elif mode == "garbage":
            self._send(200, b"<html>Sign in</html>")
        else:
            status, content = self._upstream(body)
            if place == tracker.drop_at:
                self.close_connection = True
            else:
                self._send(status, content)

    do_GET = do_POST = do_PUT = do_PATCH = _answer

    def _upstream(self, body: bytes) -> tuple[int, bytes]:
        headers = {"Content-Type": self.headers.get("Content-Type", "application/json")}
        forwarded = urllib.request.Request(
            self.tracker.upstream + self.path, body or None, headers, method=self.command
        )
        try:
            with urllib.request.urlopen(forwarded, timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def _send(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
