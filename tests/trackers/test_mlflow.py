"""MLflow: a real server with an SQLite store on loopback, behind a proxy that misbehaves.

Results are read back by its REST API.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from attribution.__main__ import main
from attribution.trackers import replay
from attribution.trackers.delivery.session import track
from tests.faults.fake_tracker import DOWN, FakeTracker, Mode
from tests.trackers.test_trackers import Sender, ended_run, write_spool
from tests.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "canary-token-5d0c"


@pytest.fixture(autouse=True)
def client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives senders in this process the settings of the sender's own process, with a shorter timeout."""
    for name, value in {"TIMEOUT": "2", "MAX_RETRIES": "0"}.items():
        monkeypatch.setenv(f"MLFLOW_HTTP_REQUEST_{name}", value)
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")


def call(address: str, path: str, **body: Any) -> Any:
    request = urllib.request.Request(f"{address}/api/2.0/{path}")
    if body:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read())


def runs(address: str, experiment: str) -> list[Any]:
    experiment_id = call(address, f"mlflow/experiments/get-by-name?experiment_name={experiment}")[
        "experiment"
    ]["experiment_id"]
    return call(address, "mlflow/runs/search", experiment_ids=[experiment_id]).get("runs", [])


def history(address: str, run: Any, figure: str) -> list[tuple[int, float]]:
    answer = call(address, f"mlflow/metrics/get-history?run_id={run['info']['run_id']}&metric_key={figure}")
    return [(metric["step"], float(metric["value"])) for metric in answer.get("metrics", [])]


def file(address: str, run: Any, name: str) -> bytes:
    place = run["info"]["artifact_uri"].removeprefix("mlflow-artifacts:/")
    with urllib.request.urlopen(
        f"{address}/api/2.0/mlflow-artifacts/artifacts/{place}/{name}", timeout=20
    ) as answer:
        return answer.read()


def check(address: str, experiment: str, count: int = 1) -> None:
    """Check that the server has the items of ``write_spool``, each run once."""
    stored = runs(address, experiment)
    assert len(stored) == count
    for run in stored:
        check_run(address, run)


def check_run(address: str, run: Any) -> None:
    assert run["info"]["status"] == "FINISHED" and run["info"]["run_name"] == "a run"
    assert run["data"]["params"] == [{"key": "model", "value": "m"}, {"key": "steps", "value": "3"}]
    assert history(address, run, "loss") == [(1, 0.5), (2, 0.25)]
    ((step, value),) = history(address, run, "nan")
    assert step == 1 and math.isnan(value)
    assert json.loads(file(address, run, "rows.json")) == {
        "columns": ["text", "score"],
        "data": [["<b>ü", 1.5], ["", None]],
    }
    tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
    assert json.loads(tags["mlflow.loggedArtifacts"]) == [{"path": "rows.json", "type": "table"}]
    assert file(address, run, "picture.html") == b"<p>"


def spool_for(folder: Path, address: str, experiment: str, key: str = "") -> Any:
    spool = write_spool(folder, key=key or experiment)
    spool.settings = {"uri": address, "experiment": experiment}
    spool._describe()
    return spool


def test_a_run_is_read_back_and_continued(mlflow: str, tmp_path: Path) -> None:
    for loss in (0.5, 0.25):
        with track("mlflow", "a run", key="a", folder=tmp_path, uri=mlflow, experiment="live") as tracked:
            tracked.parameters({"model": "m"})
            tracked.figures({"loss": loss}, step=int(1 / loss))
            tracked.artifact("x.csv", f"{loss}".encode(), "text/csv")
        status = tracked.finish()
        assert (status.sent, status.lost, status.problem) == (4, 0, "")
    (run,) = runs(mlflow, "live")
    assert run["info"]["status"] == "FINISHED" and history(mlflow, run, "loss") == [(2, 0.5), (4, 0.25)]
    assert file(mlflow, run, "x.csv") == b"0.25"


def test_the_command_line_logs_an_evaluation(
    mlflow: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATTRIBUTION_SPOOL", str(tmp_path / "spool"))
    texts, saved = tmp_path / "reviews.txt", tmp_path / "quality.json"
    texts.write_text("A fine film.\nA bad plot.\n", encoding="utf-8")
    arguments = [
        "evaluate",
        str(texts),
        "--method",
        "saliency",
        "--metric",
        "sparsity",
        "--output",
        str(saved),
    ]
    tracker = [
        "--track",
        "mlflow",
        "--track-option",
        f"uri={mlflow}",
        "--track-option",
        "experiment=evaluations",
    ]
    assert main([*arguments, *tracker]) == 0
    (run,) = runs(mlflow, "evaluations")
    assert run["info"]["run_name"] == "reviews" and run["info"]["status"] == "FINISHED"
    assert {"key": "texts", "value": "2"} in run["data"]["params"]
    logged = {metric["key"]: metric["value"] for metric in run["data"]["metrics"]}
    figures = json.loads(saved.read_text(encoding="utf-8"))["figures"]
    assert logged == {
        f"{figure['metric']}.{figure['method']}": pytest.approx(figure["mean"]) for figure in figures
    }
    assert b"<svg" in file(mlflow, run, "evaluation.svg")


@pytest.mark.parametrize("mode", DOWN)
def test_items_are_queued_while_a_tracker_is_down_and_sent_once(
    mlflow: str, tmp_path: Path, mode: Mode
) -> None:
    with FakeTracker(mlflow) as fake:
        spool = spool_for(tmp_path, fake.url, f"down-{mode}")
        fake.mode = mode
        assert Sender(spool, ended_run()).run() is False
        assert fake.requests and spool.waits and "MLflow does not accept it" in spool.sent.problem
        fake.mode = "ok"
        assert Sender(spool, ended_run()).run() is True
    check(mlflow, f"down-{mode}")


def test_a_lost_answer_duplicates_nothing(mlflow: str, tmp_path: Path) -> None:
    """Each request in turn is processed but not answered; then the sender starts again."""
    with FakeTracker(mlflow) as fake:
        for place in range(50):
            spool = spool_for(tmp_path, fake.url, "dropped", key=str(place))
            fake.requests.clear()
            fake.drop_at = place
            complete = Sender(spool, ended_run()).run()
            assert complete == (place >= len(fake.requests))
            if complete:
                break
            fake.drop_at = None
            assert Sender(spool, ended_run()).run() is True
    assert place > 8
    check(mlflow, "dropped", count=place + 1)


def test_the_rest_is_sent_after_a_rejected_parameter(mlflow: str, tmp_path: Path) -> None:
    spool = spool_for(tmp_path, mlflow, "refused")
    assert Sender(spool, ended_run()).run() is True
    tracked = track("mlflow", key="refused", folder=tmp_path, send=False, uri=mlflow, experiment="refused")
    tracked.parameters({"model": "another"})  # MLflow keeps the first value
    tracked.figures({"late": 1})
    tracked.finish()
    assert Sender(tracked.spool, ended_run()).run() is True
    assert tracked.spool.sent.refused == 1
    (run,) = runs(mlflow, "refused")
    assert history(mlflow, run, "late") == [(0, 1.0)] and run["data"]["params"][0]["value"] == "m"


def test_a_killed_process_leaves_a_killed_run(mlflow: str, tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom attribution.trackers import track\n"
        "tracked = track('mlflow', 'a run', folder=sys.argv[1], uri=sys.argv[2], experiment='killed')\n"
        "for step in range(50): tracked.figures({'loss': step}, step=step)\n"
        "while tracked.spool.count < 50: pass\n"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path), mlflow], cwd=ROOT, check=False)
    assert done.returncode == -9
    # Its sender continues by itself; a concurrent replay duplicates nothing.
    assert {status.state for status in replay(tmp_path)} <= {"sent", "running"}
    eventually(lambda: not any((folder / "items.jsonl").exists() for folder in tmp_path.iterdir()))
    (run,) = runs(mlflow, "killed")
    assert run["info"]["status"] == "KILLED" and history(mlflow, run, "loss") == [
        (i, float(i)) for i in range(50)
    ]


def test_a_token_is_sent_in_its_header_only(
    mlflow: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", TOKEN)
    with FakeTracker(mlflow) as fake:
        spool = spool_for(tmp_path, fake.url, "token")
        fake.mode = "401"
        assert Sender(spool, ended_run()).run() is False
        stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        assert b"<b>" in stored and TOKEN.encode() not in stored
        assert all(TOKEN.encode() in body for body in fake.bodies)
        fake.mode = "ok"
        assert Sender(spool, ended_run()).run() is True
        assert not any(TOKEN.encode() in body.split(b"{'Host'")[0] for body in fake.bodies)
    check(mlflow, "token")
