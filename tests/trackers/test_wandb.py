"""Weights & Biases offline: the file that the real client writes is read back record by record."""

from __future__ import annotations

import json
import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from attribution.trackers import replay
from attribution.trackers.delivery.session import track
from tests.faults.fake_tracker import FakeTracker
from tests.waiting import eventually

SECRET = "canary0123456789012345678901234567890123"
BLOCK = 1 << 15


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("WANDB")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_API_KEY", SECRET)


def records(path: Path) -> Iterator[Any]:
    """The records of a ``.wandb`` file, which is in the log format of LevelDB.

    A checksum, a length and a type precede each fragment; blocks have 32 KiB.
    """
    from wandb.proto.wandb_internal_pb2 import Record

    content = path.read_bytes()
    assert content[:4] == b":W&B"
    place, record = 7, b""
    while place + 7 <= len(content):
        if BLOCK - place % BLOCK < 7:
            place += BLOCK - place % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", content[place : place + 7])
        record = (record if kind in (3, 4) else b"") + content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):
            yield Record.FromString(record)


def only_run(folder: Path) -> Path:
    """The folder of the only run, which is not a link."""
    (run,) = (folder / "wandb").glob("offline-run-*")
    return run


def figures(run: Path, name: str) -> list[tuple[float, float]]:
    """A figure over the run's steps."""
    points = []
    for record in records(next(run.glob("*.wandb"))):
        row = {
            item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item
        }
        if name in row:
            points.append((row["step"], row[name]))
    return points


def parameters(run: Path) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for record in records(next(run.glob("*.wandb"))):
        for item in [*record.run.config.update, *record.config.update]:
            values[item.key or "/".join(item.nested_key)] = json.loads(item.value_json)
    return values


def test_a_run_is_read_back(tmp_path: Path) -> None:
    with track(
        "wandb", "a run", folder=tmp_path / "spool", mode="offline", directory=str(tmp_path)
    ) as tracked:
        tracked.parameters({"model": "m", "steps": 3})
        for step in range(300):
            tracked.figures({"loss": step / 4}, step=step)
        tracked.figures({"accuracy": 0.75})
        tracked.table("rows", ["text", "score"], [["<b>ü", 1.5], ["", None]])
        tracked.artifact("picture.html", b"<p>hello", "text/html")
        tracked.artifact("x.csv", b"a,b", "text/csv")
    status = tracked.status
    assert (status.sent, status.lost, status.problem) == (306, 0, "")
    run = only_run(tmp_path)
    assert figures(run, "loss") == [(step, step / 4) for step in range(300)]
    assert {"model": "m", "steps": "3"}.items() <= parameters(run).items()
    files = {path.name: path for path in (run / "files").rglob("*") if path.is_file()}
    assert files["x.csv"].read_bytes() == b"a,b"
    picture = next(path for name, path in files.items() if name.startswith("picture.html"))
    assert b"<p>hello" in picture.read_bytes()
    table = json.loads(
        next(path for name, path in files.items() if name.endswith("table.json")).read_text(encoding="utf-8")
    )
    assert table["data"] == [["<b>ü", 1.5], ["", None]] and table["columns"] == ["text", "score"]
    summary = [item for record in records(next(run.glob("*.wandb"))) for item in record.summary.update]
    assert (
        json.loads(next(item.value_json for item in summary if "accuracy" in (item.key, *item.nested_key)))
        == 0.75
    )
    # Nothing about this machine or the command that ran, and no key.
    written = [path.read_bytes() for path in (tmp_path / "wandb").rglob("*") if path.is_file()]
    assert {record.run.host for record in records(next(run.glob("*.wandb")))} == {""}
    for hidden in (SECRET, str(tmp_path / "spool"), "attribution.trackers.delivery.sender"):
        assert written and not any(hidden.encode() in content for content in written), hidden


def test_a_killed_sender_leaves_a_single_run_after_the_replay(tmp_path: Path) -> None:
    tracked = track("wandb", folder=tmp_path / "spool", mode="offline", directory=str(tmp_path))
    tracked.figures({"loss": 1.0}, step=1)
    eventually(lambda: list(tmp_path.glob("wandb/offline-run-*/*.wandb")))
    assert tracked._sender is not None
    tracked._sender.kill()
    first = only_run(tmp_path)
    tracked.figures({"loss": 2.0}, step=2)
    status = tracked.finish()
    assert status.waiting == 3 and status.lost == 0
    while time.strftime("%Y%m%d_%H%M%S", time.gmtime()) in first.name:
        time.sleep(0.02)  # W&B names folders by the second
    assert [status.state for status in replay(tmp_path / "spool")] == ["sent"]
    assert figures(only_run(tmp_path), "loss") == [(1, 1.0), (2, 2.0)]
    assert replay(tmp_path / "spool") == ()


@pytest.mark.parametrize("mode", ["500", "hang"])
def test_nobody_waits_for_a_server_that_is_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    with FakeTracker() as fake:
        fake.mode = mode  # type: ignore[assignment]
        monkeypatch.setenv("WANDB_BASE_URL", fake.url)
        monkeypatch.setenv("WANDB_MODE", "online")
        tracked = track("wandb", folder=tmp_path / "spool", directory=str(tmp_path))
        tracked.figures({"loss": 1.0}, step=1)
        eventually(lambda: fake.requests)
        status = tracked.finish(wait=0.1)
        assert status.waiting == 2 and status.lost == 0
    stored = b"".join(path.read_bytes() for path in (tmp_path / "spool").rglob("*") if path.is_file())
    assert b"loss" in stored and SECRET.encode() not in stored
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert [status.state for status in replay(tmp_path / "spool")] == ["sent"]
    assert figures(only_run(tmp_path), "loss") == [(1, 1.0)]
    assert not list((tmp_path / "spool").iterdir())
