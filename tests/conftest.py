from __future__ import annotations

import os
from collections.abc import Iterator

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest
import torch

from attribution.models.adapter import Adapter
from tests.tiny import FAMILIES

# As many threads as there are cores for each of pytest's processes.
torch.set_num_threads(1 if "PYTEST_XDIST_WORKER" in os.environ else 2)


@pytest.fixture(scope="session")
def tiny() -> dict[str, Adapter]:
    """An adapter over a tiny model of each family."""
    return {name: Adapter(*make(), name=f"tiny/{name}") for name, make in FAMILIES.items()}


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    """A real server of the app on loopback, with the limits of a public one but for a larger burst: the tests share one client."""
    import dataclasses

    from attribution.settings import DEFAULTS
    from components.application import build, serve

    settings = dataclasses.replace(DEFAULTS, request_burst=10_000, requests_per_second=1_000.0)
    demo, engine = build(settings)
    _, address, _ = serve(demo, engine, host="127.0.0.1", block=False, quiet=True)
    yield address
    demo.close()
