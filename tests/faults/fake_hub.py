"""A server on loopback with the part of the Hugging Face Hub's protocol that is needed for downloads.

Folders are served as repositories of one commit::

    with FakeHub({"owner/name": folder}) as hub:
        os.environ["HF_ENDPOINT"] = hub.url
        hub.misbehave("hang", only="/resolve/")

``MODES`` are the ways in which it can misbehave; ``requests`` records the requests with headers. As on the
Hub, the ETag of a small file is git's hash, and that of a file of weights its SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal, Self, get_args
from urllib.parse import unquote, urlsplit

Mode = Literal[
    "ok", "refuse", "500", "hang", "gated", "forbidden", "truncate", "larger", "smaller", "garbage", "damage"
]
MODES = get_args(Mode)

API = re.compile(r"/api/(models|datasets)/(?P<name>[^/]+/[^/]+)(/revision/(?P<revision>[^/]+))?")
TREE = re.compile(r"/api/(models|datasets)/(?P<name>[^/]+/[^/]+)/tree/(?P<revision>[^/]+)")
FILE = re.compile(r"/(datasets/)?(?P<name>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")


@dataclass(frozen=True)
class RecordedRequest:
    """One request. Header names are lower case."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass
class Repository:
    """A folder as one commit; ``info`` overrides fields of the description (``{"gated": "manual"}``)."""

    folder: Path
    info: dict[str, Any] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    """Sizes to state instead of the true ones."""

    @cached_property
    def files(self) -> dict[str, Path]:
        return {
            p.relative_to(self.folder).as_posix(): p for p in sorted(self.folder.rglob("*")) if p.is_file()
        }

    @cached_property
    def commit(self) -> str:
        return hashlib.sha1(
            repr([(name, _etag(path)) for name, path in self.files.items()]).encode()
        ).hexdigest()

    def size(self, name: str) -> int:
        return self.sizes.get(name, self.files[name].stat().st_size)


def _large(path: Path) -> bool:
    return path.suffix in (".safetensors", ".bin")


def _etag(path: Path) -> str:
    content = path.read_bytes()
    if _large(path):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class FakeHub:
    """The server; a context manager. ``hub.url`` is its endpoint."""

    def __init__(self, folders: Mapping[str, Path | Repository] | None = None) -> None:
        self.repositories = {
            name: held if isinstance(held, Repository) else Repository(Path(held))
            for name, held in (folders or {}).items()
        }
        self.mode: Mode = "ok"
        self.only = ""
        self.requests: list[RecordedRequest] = []
        self.released = threading.Event()
        hub = self

        class Handler(_Handler):
            server_hub = hub

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

    def misbehave(self, mode: Mode, only: str = "") -> None:
        """From now on behave as ``mode`` where the address contains ``only``; release hanging requests."""
        self.released.set()
        self.released = threading.Event()
        self.mode, self.only = mode, only

    def paths(self, part: str = "") -> list[str]:
        """The requested addresses that contain ``part``."""
        return [request.path for request in self.requests if part in request.path]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_hub: FakeHub

    def handle(self) -> None:
        with suppress(ConnectionError):  # a client that went away
            super().handle()

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        """No output: ``FakeHub.requests`` is the log."""

    def _answer(self) -> None:
        hub = self.server_hub
        path = unquote(urlsplit(self.path).path)
        headers = {key.lower(): value for key, value in self.headers.items()}
        hub.requests.append(RecordedRequest(self.command, self.path, headers))
        mode = hub.mode if hub.only in self.path else "ok"
        try:
            if not self._misbehave(mode):
                self._route(path, mode)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _misbehave(self, mode: Mode) -> bool:
        """Answer in a mode that does not depend on the request; whether there was such an answer."""
        self.close_connection = mode in ("refuse", "hang")
        if mode == "refuse":
            return True
        if mode == "hang":
            self.server_hub.released.wait(60)
            return True
        if mode == "500":
            self._error(500, "", "Internal Error")
        elif mode == "gated":
            self._error(401, "GatedRepo", "Access to this model is restricted.")
        elif mode == "forbidden":
            self._error(403, "", "Forbidden")
        elif mode == "garbage":
            self._send(200, b"<html>Sign in to this network</html>", {"Content-Type": "text/html"})
        else:
            return False
        return True

    def _route(self, path: str, mode: Mode) -> None:
        if match := TREE.fullmatch(path):
            self._serve(match, mode, self._tree)
        elif match := API.fullmatch(path):
            self._serve(match, mode, self._info)
        elif match := FILE.fullmatch(path):
            self._serve(match, mode, self._file)
        else:
            self._error(404, "", "Not found")

    def _serve(self, match: re.Match[str], mode: Mode, answer: Any) -> None:
        repository = self.server_hub.repositories.get(match["name"])
        if repository is None:
            self._error(401, "RepoNotFound", "Invalid username or password.")
        elif match["revision"] not in (None, "main", repository.commit):
            self._error(404, "RevisionNotFound", f"Invalid rev id: {match['revision']}")
        else:
            answer(match, repository, mode)

    def _info(self, match: re.Match[str], repository: Repository, mode: Mode) -> None:
        siblings = []
        for name, path in repository.files.items():
            stated: dict[str, Any] = {
                "rfilename": name,
                "size": repository.size(name),
                "blobId": _etag(path)[:40],
            }
            if _large(path):
                stated["lfs"] = {"sha256": _etag(path), "size": repository.size(name), "pointerSize": 134}
            siblings.append(stated)
        config = repository.folder / "config.json"
        described = {
            "id": match["name"],
            "modelId": match["name"],
            "sha": repository.commit,
            "private": False,
            "gated": False,
            "disabled": False,
            "tags": ["transformers"],
            "siblings": siblings,
            "config": {"model_type": json.loads(config.read_text()).get("model_type")}
            if config.is_file()
            else None,
        }
        self._send_json({**described, **repository.info})

    def _tree(self, match: re.Match[str], repository: Repository, mode: Mode) -> None:
        self._send_json(
            [
                {"type": "file", "path": name, "size": repository.size(name), "oid": _etag(path)[:40]}
                for name, path in repository.files.items()
            ]
        )

    def _file(self, match: re.Match[str], repository: Repository, mode: Mode) -> None:
        path = repository.files.get(match["file"])
        if path is None:
            self._error(404, "EntryNotFound", "Entry not found")
            return
        content = path.read_bytes()
        if mode == "larger":
            content += b"\0" * len(content)
        elif mode == "smaller":
            content = content[: len(content) // 2]
        elif mode == "damage":
            content = content[:-1] + bytes([content[-1] ^ 1])
        headers = {
            "ETag": f'"{_etag(path)}"',
            "X-Repo-Commit": repository.commit,
            "X-Linked-Size": str(len(content)),
        }
        if mode == "truncate" and self.command == "GET":
            self._send(200, content[: len(content) // 2], {**headers, "Content-Length": str(len(content))})
            self.close_connection = True
        else:
            self._send(200, content, headers)

    def _error(self, status: int, code: str, message: str) -> None:
        headers = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {})}
        self._send(
            status, json.dumps({"error": message}).encode(), {"Content-Type": "application/json", **headers}
        )

    def _send_json(self, data: Any) -> None:
        self._send(200, json.dumps(data).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
