"""``python app.py`` as a separate process, with a fake Hub."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from attribution import Client
from tests.faults.fake_hub import FakeHub
from tests.tiny import FAMILIES

ROOT = Path(__file__).resolve().parents[1]
CHECKPOINT = "yoshitomo-matsubara/bert-base-uncased-sst2"
TEXT = "the movie was great"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint")
    model, tokenizer = FAMILIES["bert"]()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


StartApp = Callable[..., str]


@pytest.fixture
def start_app(tmp_path: Path) -> Iterator[StartApp]:
    """A function that starts the app with arguments and environment variables, and returns its address."""
    running: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str, **environment: str) -> str:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        clean = {k: v for k, v in os.environ.items() if k not in ("HF_HUB_OFFLINE", "HF_ENDPOINT")}
        clean |= {"HF_HOME": str(tmp_path / "home"), **environment}
        log = (tmp_path / "log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "app.py", "--port", str(port), *arguments],
            cwd=ROOT,
            env=clean,
            stdout=log,
            stderr=log,
        )
        running.append(process)
        url = f"http://127.0.0.1:{port}"
        until = time.monotonic() + 120
        while time.monotonic() < until:
            assert process.poll() is None, (tmp_path / "log").read_text()
            try:
                if httpx.get(url, timeout=10).status_code == 200:
                    return url
            except httpx.TransportError:
                time.sleep(0.1)
        raise TimeoutError((tmp_path / "log").read_text())

    yield start
    for process in running:
        process.terminate()
        process.wait(20)
        assert "Traceback" not in (tmp_path / "log").read_text()


def test_the_readmes_rest_call_is_answered_by_a_checkpoint_of_the_hub(
    start_app: StartApp, checkpoint: Path
) -> None:
    call = re.search(r"^requests\.post\(.*$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)[
        0
    ]
    with FakeHub({CHECKPOINT: checkpoint}) as hub:
        url = start_app(HF_ENDPOINT=hub.url)
        answers: list[dict[str, Any]] = []

        def post(address: str, json: dict[str, Any]) -> httpx.Response:
            answer = httpx.post(address, json=json, timeout=120)
            answers.append(answer.json())
            return answer

        attributions = eval(
            call.replace("http://localhost:8000", url), {"requests": SimpleNamespace(post=post)}
        )
        assert attributions[0]["token"] == "[CLS]"
        assert all(set(a) >= {"token", "score", "start", "end", "special", "word"} for a in attributions)
        assert answers[0]["model"]["requested"] == "bert-base-uncased"
        assert answers[0]["model"]["resolved"] == CHECKPOINT
        assert len(answers[0]["model"]["revision"]) == 40
        assert CHECKPOINT in answers[0]["model"]["note"]
        assert not any("authorization" in request.headers for request in hub.requests)

        # Without the Hub, loaded models still answer; others are a 503 that lists the available ones.
        hub.misbehave("refuse")
        again = httpx.post(f"{url}/api/attribute", json={"text": TEXT, "model": CHECKPOINT}, timeout=120)
        assert again.status_code == 200
        missing = httpx.post(f"{url}/api/attribute", json={"text": TEXT, "model": "gpt2"}, timeout=120)
        assert missing.status_code == 503
        assert "bundled/sst2-minilm" in missing.json()["hint"]
        other = httpx.post(f"{url}/api/attribute", json={"text": TEXT, "model": "owner/name"}, timeout=120)
        assert other.status_code == 403


def test_any_model_of_the_hub_where_the_operator_allows_it(start_app: StartApp, checkpoint: Path) -> None:
    with FakeHub({"owner/name": checkpoint}) as hub:
        url = start_app("--allow-any-model", HF_ENDPOINT=hub.url)
        result = Client(url).attribute(TEXT, "owner/name", "integrated_gradients")
        assert result.model.name == "owner/name"
        folder = httpx.post(
            f"{url}/api/attribute", json={"text": TEXT, "model": str(checkpoint)}, timeout=120
        )
        assert folder.status_code == 404


def test_the_app_runs_with_the_files_of_a_space(start_app: StartApp) -> None:
    """Offline, with no cache and no home: bundled models only."""
    url = start_app(HF_HUB_OFFLINE="1")
    answer = httpx.post(f"{url}/api/attribute", json={"text": "A wonderful film."}, timeout=120).json()
    assert answer["prediction"]["label"] == "positive"
    models = httpx.get(f"{url}/api/models", timeout=60).json()
    assert all(entry["available"] == entry["name"].startswith("bundled/") for entry in models)
