"""A model on loopback that follows a fixed rule, over both protocols of ``InferenceClient``.

The log-odds of ``positive`` are ``BIAS`` plus the ``WEIGHTS`` of all words of the text, so that hiding a word
changes them by its weight::

    with FakeEndpoint() as endpoint:
        model = remote("rule", base_url=endpoint.url, labels=["negative", "positive"])
        endpoint.misbehave("500", times=1)

Paths that end with ``/chat/completions`` use OpenAI's chat protocol with log-probabilities, all others the
task text-classification of Hugging Face. A chat prompt must end in ``Text: ...`` (and ``Second text: ...``).
"""

from __future__ import annotations

import json
import math
import re
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self, get_args
from urllib.parse import urlsplit

Mode = Literal[
    "ok", "drop", "hang", "half", "garbage", "null", "list", "shapes", "nan", "loud", "no logprobs", "flat",
    "one label", "echo", "400", "401", "403", "404", "413", "429", "500", "503",
]  # fmt: skip
MODES = get_args(Mode)

WEIGHTS = {
    "good": 2.0,
    "great": 1.25,
    "fine": 0.5,
    "bad": -1.5,
    "awful": -2.25,
    "好": 1.75,
    "坏": -1.0,
    "رائع": 0.75,
    "😀": 0.6,
}
BIAS = 0.25
OTHER = 0.1
"""Probability that a chat answer begins with something other than a label."""
TEXT = re.compile(r"(?:First text|Text): (.*?)(?:\n\nSecond text: (.*?))?\n\nLabel:", re.DOTALL)


def log_odds(text: str) -> float:
    """Log-odds of ``positive`` against ``negative``; a word counts as often as it occurs."""
    return BIAS + sum(weight * text.count(word) for word, weight in WEIGHTS.items())


def positive(text: str) -> float:
    return 1 / (1 + math.exp(-log_odds(text)))


@dataclass(frozen=True)
class RecordedRequest:
    """One request. Header names are lower case."""

    path: str
    headers: dict[str, str]
    body: Any


class FakeEndpoint:
    """The server; a context manager. ``endpoint.url`` is its address.

    ``pause`` seconds pass before each answer; ``busiest`` is the largest number of simultaneous requests.
    ``first`` maps the probability of ``positive`` to the first tokens of a chat answer with probabilities.
    """

    def __init__(self) -> None:
        self.mode: Mode = "ok"
        self.times = 0
        self.retry_after = ""
        self.first = _first
        self.requests: list[RecordedRequest] = []
        self.busy = 0
        self.busiest = 0
        self.lock = threading.Lock()
        self.meet: threading.Barrier | None = None
        self.pause = 0.0
        self.released = threading.Event()
        endpoint = self

        class Handler(_Handler):
            server_endpoint = endpoint

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

    def misbehave(self, mode: Mode, times: int = 1_000_000, retry_after: str = "") -> None:
        """Answer the next ``times`` requests in this mode."""
        self.mode, self.times, self.retry_after = mode, times, retry_after

    def next_mode(self) -> Mode:
        with self.lock:
            if self.times == 0:
                return "ok"
            self.times -= 1
            return self.mode


def _first(p: float) -> list[tuple[str, float]]:
    """The first tokens of an answer: both labels in two spellings, and other words."""
    rest = 1 - OTHER
    return [
        (" positive", 0.75 * rest * p),
        ("Pos", 0.25 * rest * p),
        ("neg", 0.5 * rest * (1 - p)),
        ("▁Negative", 0.5 * rest * (1 - p)),
        (" The", 0.75 * OTHER),
        ("\n", 0.25 * OTHER),
    ]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16
    """Send head and body in one packet: otherwise the body waits for the acknowledgement of the head."""
    server_endpoint: FakeEndpoint

    def handle(self) -> None:
        with suppress(ConnectionError):  # a client that went away
            super().handle()

    def log_message(self, *_: object) -> None:
        """No output: ``FakeEndpoint.requests`` is the log."""

    def do_POST(self) -> None:
        endpoint = self.server_endpoint
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        headers = {key.lower(): value for key, value in self.headers.items()}
        with endpoint.lock:
            endpoint.requests.append(RecordedRequest(self.path, headers, body))
            endpoint.busy += 1
            endpoint.busiest = max(endpoint.busiest, endpoint.busy)
        try:
            if endpoint.meet is not None:
                with suppress(threading.BrokenBarrierError):
                    endpoint.meet.wait(10)
            endpoint.released.wait(endpoint.pause)
            self._reply(body, headers)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            with endpoint.lock:
                endpoint.busy -= 1

    def _reply(self, body: Any, headers: Mapping[str, str]) -> None:
        endpoint = self.server_endpoint
        mode = endpoint.next_mode()
        chat = urlsplit(self.path).path.endswith("/chat/completions")
        if mode.isdecimal() or mode == "echo":
            echoed = headers.get("authorization", "nothing") if mode == "echo" else "as you wish"
            extra_headers = {"Retry-After": endpoint.retry_after} if endpoint.retry_after else {}
            self._send(
                401 if mode == "echo" else int(mode),
                json.dumps({"error": {"message": f"Said {echoed}"}}).encode(),
                extra_headers,
            )
        elif mode in ("drop", "hang"):
            if mode == "hang":
                endpoint.released.wait(60)
            self.close_connection = True
        elif mode == "half":
            self._send(200, b'{"choices": [', {"Content-Length": "5000"})
            self.close_connection = True
        elif mode in ("garbage", "null", "list"):
            self._send(200, {"garbage": b"<html>\xff Sign in", "null": b"null", "list": b"[1, 2]"}[mode])
        else:
            self._send(
                200, json.dumps(self._chat(body, mode) if chat else self._classify(body, mode)).encode()
            )

    def _chat(self, body: Any, mode: Mode) -> Any:
        if mode == "shapes":
            return {
                "choices": [
                    {
                        "message": "no",
                        "logprobs": {"content": [{"top_logprobs": [{"token": 3, "logprob": "much"}]}]},
                    }
                ]
            }
        match = TEXT.search(body["messages"][0]["content"])
        assert match is not None, body
        tokens = endpoint_tokens(self.server_endpoint, match[1] + (match[2] or ""), body["top_logprobs"])
        if mode == "nan":
            tokens[0]["logprob"] = math.nan
        if mode == "loud":
            tokens[0]["logprob"] = 3.0
        logprobs = None if mode == "no logprobs" else {"content": [{**tokens[0], "top_logprobs": tokens}]}
        message = {"role": "assistant", "content": tokens[0]["token"]}
        choice = {"index": 0, "finish_reason": "length", "message": message, "logprobs": logprobs}
        usage = {"completion_tokens": 1, "prompt_tokens": 9, "total_tokens": 10}
        return {
            "id": "x",
            "object": "chat.completion",
            "created": 0,
            "model": body["model"],
            "choices": [choice],
            "usage": usage,
        }

    def _classify(self, body: Any, mode: Mode) -> Any:
        if mode == "shapes":
            return [[{"label": 3, "score": "much"}]]
        many = isinstance(body["inputs"], list)
        answers = [self._scores(text, mode) for text in (body["inputs"] if many else [body["inputs"]])]
        top = body["parameters"]["top_k"]
        answers = [scores[: 1 if mode == "one label" else top] for scores in answers]
        return answers[0] if mode == "flat" and not many else answers

    def _scores(self, text: Any, mode: Mode) -> list[dict[str, Any]]:
        p = positive(text if isinstance(text, str) else text["text"] + text["text_pair"])
        p = {"nan": math.nan, "loud": 2.0}.get(mode, p)
        return sorted(
            [{"label": "POSITIVE", "score": p}, {"label": "NEGATIVE", "score": 1 - p}],
            key=lambda s: -s["score"],
        )

    def _send(self, status: int, body: bytes, extra_headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **(extra_headers or {}),
        }.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)


def endpoint_tokens(endpoint: FakeEndpoint, text: str, top: int) -> list[dict[str, Any]]:
    """The most probable first tokens, in the format of the protocol."""
    tokens = sorted(endpoint.first(positive(text)), key=lambda pair: -pair[1])[:top]
    return [{"token": token, "logprob": math.log(p), "bytes": list(token.encode())} for token, p in tokens]
