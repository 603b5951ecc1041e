"""Data sets of the Hub, served by a fake Hub."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from huggingface_hub import close_session, constants

from attribution.errors import AttributionError, BadTable, HubUnavailable
from attribution.tables import open_table
from tests.faults.fake_hub import FakeHub

NAME = "tiny/reviews"
CANARY = "hf_canary_that_must_not_be_sent"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A data set with two splits, one of them in two shards, and files that are not tables."""
    folder = tmp_path / "repository"
    (folder / "data").mkdir(parents=True)
    for i in (0, 1):
        frame = pd.DataFrame({"text": [f"row {i} {j}" for j in range(3)], "label": [0, 1, 0]})
        frame.to_parquet(folder / "data" / f"train-0000{i}-of-00002.parquet")
    (folder / "data" / "test.csv").write_text("text,label\ngood,1\n")
    (folder / "README.md").write_text("A data set.")
    (folder / "script.py").write_text("raise SystemExit")
    (folder / "more.csv.gz").write_bytes(gzip.compress(b"text\na\n"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", CANARY)
    with FakeHub({NAME: folder}) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server
    close_session()


def texts(source: str) -> list[str]:
    return [row.values["text"] for row in open_table(source)]


@pytest.mark.parametrize("part", ["train", "data/train"])
def test_a_split_is_its_shards_in_order(hub: FakeHub, part: str) -> None:
    table = open_table(f"hf://datasets/{NAME}/{part}")
    assert table.columns == ("text", "label") and table.count == 6
    assert [(row.place, row.values["text"]) for row in table] == [
        (3 * i + j, f"row {i} {j}") for i in (0, 1) for j in range(3)
    ]


@pytest.mark.parametrize("source", [f"{NAME}/test", f"{NAME}/data/test.csv", f"{NAME}@main/test"])
def test_a_file_and_a_revision(hub: FakeHub, source: str) -> None:
    assert texts(f"hf://datasets/{source}") == ["good"]


def test_only_tables_are_requested_and_no_token_is_sent(hub: FakeHub) -> None:
    texts(f"hf://datasets/{NAME}/train")
    assert not [path for path in hub.paths("/resolve/") if not path.endswith(".parquet")]
    assert not [request for request in hub.requests if CANARY in str(request.headers)]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (NAME, "several parts.*data/test, data/train"),
        (f"{NAME}/validation", "no part 'validation'.*data/test, data/train"),
        (f"{NAME}/more.csv.gz", "no part"),
        ("tiny/others", "no data set tiny/others"),
        (f"{NAME}@other/test", "no data set .* at 'other'"),
        ("reviews", "must be hf://datasets/OWNER/NAME"),
        ("../../etc/passwd", "must be hf://datasets/OWNER/NAME"),
    ],
)
def test_a_missing_source_is_reported(hub: FakeHub, source: str, message: str) -> None:
    with pytest.raises(BadTable, match=message):
        texts(f"hf://datasets/{source}")


def test_a_large_data_set_is_refused_before_the_download(hub: FakeHub) -> None:
    with pytest.raises(BadTable, match="the limit is"):
        open_table(f"hf://datasets/{NAME}/train", limit_bytes=100)
    assert not hub.paths("/resolve/")


@pytest.mark.parametrize("mode", ["500", "garbage", "gated"])
def test_a_hub_that_fails(hub: FakeHub, mode: str) -> None:
    hub.misbehave(mode)  # type: ignore[arg-type]
    with pytest.raises(BadTable if mode == "gated" else HubUnavailable) as caught:
        texts(f"hf://datasets/{NAME}/test")
    assert isinstance(caught.value, AttributionError) and NAME in caught.value.message


def test_offline(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HubUnavailable, match="works offline"):
        texts(f"hf://datasets/{NAME}/test")
    assert not hub.requests
