from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Gradio takes the first free port from here on: parallel processes must not search the same range.
os.environ["GRADIO_SERVER_PORT"] = str(
    7860 + 100 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
)

import pytest
import torch

from attribution.models.adapter import Adapter
from tests.tiny import FAMILIES

# One thread for each of several pytest processes, two for a single one.
torch.set_num_threads(1 if "PYTEST_XDIST_WORKER" in os.environ else 2)


@pytest.fixture(scope="session")
def tiny() -> dict[str, Adapter]:
    """An adapter over a tiny model of each family."""
    return {name: Adapter(*make(), name=f"tiny/{name}") for name, make in FAMILIES.items()}


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    """A server of the app on loopback, with public limits except for the request rate."""
    import dataclasses

    from attribution.settings import DEFAULTS
    from components.application import build, serve

    settings = dataclasses.replace(DEFAULTS, request_burst=10_000, requests_per_second=1_000.0)
    demo, engine = build(settings)
    _, address, _ = serve(demo, engine, host="127.0.0.1", block=False, quiet=True)
    yield address
    demo.close()


@pytest.fixture(scope="session")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real MLflow server."""
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    store = [
        "--backend-store-uri",
        f"sqlite:///{folder}/store.db",
        "--artifacts-destination",
        str(folder / "artifacts"),
    ]
    quiet = {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GIT_PYTHON_REFRESH": "quiet",
    }
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "mlflow",
                "server",
                *store,
                "--host",
                "127.0.0.1",
                "--port",
                str(port),
                "--workers",
                "1",
            ],
            stdout=log,
            stderr=log,
            cwd=folder,
            env={**os.environ, **quiet},
            start_new_session=True,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{address}/health", timeout=1).close()
                break
            except OSError:
                assert server.poll() is None, (folder / "log").read_text(encoding="utf-8")
                time.sleep(0.1)
        yield address
    finally:
        os.killpg(server.pid, 9)
        server.wait()
