"""Weights & Biases offline: the real client and its core, and the file that they write read back record by record."""

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
    """The records of a ``.wandb`` file: LevelDB's log format (blocks of 32 KiB; checksum, length, type before each fragment)."""
    from wandb.proto.wandb_internal_pb2 import Record

    content = path.read_bytes()
    assert content[:4] == b":W&B"
    place, whole = 7, b""
    while place + 7 <= len(content):
        if BLOCK - place % BLOCK < 7:
            place += BLOCK - place % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", content[place : place + 7])
        whole = (whole if kind in (3, 4) else b"") + content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):
            yield Record.FromString(whole)


def only(folder: Path) -> Path:
    """The one run of a folder, which is not a link."""
    (found,) = (folder / "wandb").glob("offline-run-*")
    return found


def figures(run: Path, name: str) -> list[tuple[float, float]]:
    """A figure over the run's steps."""
    found = []
    for record in records(next(run.glob("*.wandb"))):
        row = {
            item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item
        }
        if name in row:
            found.append((row["step"], row[name]))
    return found


def configured(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for record in records(next(run.glob("*.wandb"))):
        for item in [*record.run.config.update, *record.config.update]:
            found[item.key or "/".join(item.nested_key)] = json.loads(item.value_json)
    return found


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
    standing = tracked.standing
    assert (standing.sent, standing.lost, standing.problem) == (306, 0, "")
    run = only(tmp_path)
    assert figures(run, "loss") == [(step, step / 4) for step in range(300)]
    assert {"model": "m", "steps": "3"}.items() <= configured(run).items()
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
    # Nothing of this machine or of the command that ran, and no key.
    written = [path.read_bytes() for path in (tmp_path / "wandb").rglob("*") if path.is_file()]
    assert {record.run.host for record in records(next(run.glob("*.wandb")))} == {""}
    for hidden in (SECRET, str(tmp_path / "spool"), "attribution.trackers.delivery.sender"):
        assert written and not any(hidden.encode() in content for content in written), hidden


def test_a_sender_that_is_killed_leaves_one_run_after_the_replay(tmp_path: Path) -> None:
    tracked = track("wandb", folder=tmp_path / "spool", mode="offline", directory=str(tmp_path))
    tracked.figures({"loss": 1.0}, step=1)
    eventually(lambda: list(tmp_path.glob("wandb/offline-run-*/*.wandb")))
    assert tracked._sender is not None
    tracked._sender.kill()
    first = only(tmp_path)
    tracked.figures({"loss": 2.0}, step=2)
    standing = tracked.finish()
    assert standing.waiting == 3 and standing.lost == 0
    while time.strftime("%Y%m%d_%H%M%S", time.gmtime()) in first.name:
        time.sleep(0.02)  # W&B names folders by the second
    assert [one.state for one in replay(tmp_path / "spool")] == ["sent"]
    assert figures(only(tmp_path), "loss") == [(1, 1.0), (2, 2.0)]
    assert replay(tmp_path / "spool") == ()


@pytest.mark.parametrize("mode", ["500", "hang"])
def test_a_server_that_is_down_keeps_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    with FakeTracker() as fake:
        fake.mode = mode  # type: ignore[assignment]
        monkeypatch.setenv("WANDB_BASE_URL", fake.url)
        monkeypatch.setenv("WANDB_MODE", "online")
        tracked = track("wandb", folder=tmp_path / "spool", directory=str(tmp_path))
        tracked.figures({"loss": 1.0}, step=1)
        eventually(lambda: fake.asked)
        standing = tracked.finish(wait=0.1)
        assert standing.waiting == 2 and standing.lost == 0
    kept = b"".join(path.read_bytes() for path in (tmp_path / "spool").rglob("*") if path.is_file())
    assert b"loss" in kept and SECRET.encode() not in kept
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert [one.state for one in replay(tmp_path / "spool")] == ["sent"]
    assert figures(only(tmp_path), "loss") == [(1, 1.0)]
    assert not list((tmp_path / "spool").iterdir())
