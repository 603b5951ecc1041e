"""Recording from pages: where the operator names a tracker and the visitor asks.

A real MLflow server; one that is down harms nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from attribution import attribute
from attribution.batch import make_plan
from attribution.engine import Engine
from attribution.errors import AttributionError, BadOption, UnknownTracker
from attribution.settings import DEFAULT_MODEL, DEFAULTS
from attribution.tables import open_table
from attribution.trackers import replay
from components.api.runs import Runs, VisitorRun
from components.application import build
from components.controls.recording import recorder_of
from tests.trackers.test_mlflow import file, runs
from tests.waiting import eventually

ROOT = Path(__file__).resolve().parents[3]
DOWN = "http://127.0.0.1:9"
"""Nobody listens there."""
Made = Callable[[str], Runs]


@pytest.fixture(autouse=True)
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ATTRIBUTION_SPOOL", str(tmp_path / "spool"))
    return tmp_path / "spool"


@pytest.fixture
def server() -> Iterator[Made]:
    """The runs of a server whose operator named this tracker."""
    made: list[Runs] = []

    def make(track: str) -> Runs:
        settings = replace(DEFAULTS, track=track, tracker_finish_seconds=60.0 if DOWN not in track else 1.0)
        made.append(Runs(Engine(settings)))
        return made[-1]

    yield make
    for runs_of_server in made:
        runs_of_server.close()


def run_to_end(server: Runs, *, recorded: bool) -> VisitorRun:
    table = open_table(b"text,label\nA fine film.,positive\nA bad plot.,positive\n", kind="csv")
    visitor_run = server.begin(
        table,
        make_plan("reviews.csv", table.pick_columns(), [DEFAULT_MODEL], ["saliency"]),
        recorded=recorded,
    )
    eventually(lambda: visitor_run.settled, 120)
    assert visitor_run.state == "finished"
    return visitor_run


def test_a_run_is_recorded_where_a_visitor_asks(server: Made, mlflow: str) -> None:
    server_runs = server(f"mlflow uri={mlflow} experiment=pages")
    run_to_end(server_runs, recorded=False)
    visitor_run = run_to_end(server_runs, recorded=True)
    assert visitor_run.message == "Recorded with MLflow." and visitor_run.describe_progress()["files"]
    (run,) = runs(mlflow, "pages")
    assert run["info"]["run_name"] == "reviews.csv" and run["info"]["status"] == "FINISHED"
    logged = {metric["key"]: metric["value"] for metric in run["data"]["metrics"]}
    assert logged["bundled_sst2-minilm.saliency.accuracy"] == 0.5
    assert b"A bad plot." in file(mlflow, run, "wrong.csv") and file(mlflow, run, "report.html").startswith(
        b"<!doctype html>"
    )


def test_one_attribution_is_a_run_of_its_own(server: Made, mlflow: str) -> None:
    recorder = recorder_of(server(f"mlflow uri={mlflow} experiment=singles").settings)
    assert recorder and recorder.about == "MLflow, singles. Your texts are sent there too."
    result = attribute("A fine film.", method="saliency")
    assert recorder.record(result) == "Recorded with MLflow."
    (run,) = runs(mlflow, "singles")
    assert run["info"]["run_name"] == "A fine film."
    assert file(mlflow, run, "attribution.png").startswith(b"\x89PNG")


def test_a_tracker_that_is_down_harms_nothing_and_gets_it_later(
    server: Made, mlflow: str, spool: Path
) -> None:
    server_runs = server(f"mlflow uri={DOWN} experiment=late")
    visitor_run = run_to_end(server_runs, recorded=True)
    assert visitor_run.progress.done == 2 and server_runs.file(visitor_run.name, "summary.csv").exists()
    assert (
        "MLflow is not reachable at the moment" in visitor_run.message
        and str(spool) not in visitor_run.message
    )
    (folder,) = [path.parent for path in spool.glob("*/spool.json")]
    described = folder / "spool.json"
    described.write_text(described.read_text().replace(DOWN, mlflow))
    (sent,) = replay(spool)
    assert sent.state == "sent"
    assert [run["info"]["run_name"] for run in runs(mlflow, "late")] == ["reviews.csv"]


def test_where_nothing_can_be_kept_it_says_so(server: Made, mlflow: str, spool: Path) -> None:
    spool.write_text("a file where a folder should be")
    server_runs = server(f"mlflow uri={mlflow} experiment=nowhere")
    assert run_to_end(server_runs, recorded=True).message == "It could not be saved for MLflow."
    recorder = recorder_of(server_runs.settings)
    assert (
        recorder
        and recorder.record(attribute("A fine film.", method="saliency"))
        == "It could not be saved for MLflow."
    )


@pytest.mark.parametrize(
    ("track", "kind"),
    [
        ("mlflwo", UnknownTracker),
        ("mlflow uri", BadOption),
        ("mlflow url=x", BadOption),
        ("mlflow uri='x", BadOption),
    ],
)
def test_what_the_operator_wrote_is_checked(track: str, kind: type[AttributionError]) -> None:
    with pytest.raises(kind):
        build(replace(DEFAULTS, track=track))
    assert recorder_of(DEFAULTS) is None


def test_what_is_wrong_with_it_is_said_at_the_start() -> None:
    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env={**os.environ, "ATTRIBUTION_TRACK": "mlflow url=x"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2 and done.stderr.startswith("error: ") and "Traceback" not in done.stderr
