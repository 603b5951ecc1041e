"""Many rows over the wire, the client's own journal, a server that dies, and the runs that visitors begin."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client.exceptions import AppError

from attribution import Client, attribute, errors
from attribution.batch import Progress, Run, make_plan
from attribution.batch.remote import ROWS_PER_CALL, RemoteEngine
from attribution.engine import Engine
from attribution.errors import BadTable, BatchError, BusyError, QueueFull, TooManyRequests, UnknownRun
from attribution.settings import DEFAULTS
from attribution.tables import open_table
from attribution.types import Attribution
from components.api.runs import Runs, VisitorRun
from components.application import build
from tests.waiting import eventually

ROOT = Path(__file__).resolve().parents[3]
TEXTS = ["A wonderful film.", "Dull.", "Not bad at all."]


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[Client]:
    result = Client(url)
    yield result
    result.close()


def stream(client: Client, **arguments: Any) -> list[dict[str, Any]]:
    return list(client.stream("/batch", **arguments))


class TestEndpoint:
    def test_answers_come_with_their_places_and_the_counts(self, client: Client) -> None:
        steps = stream(
            client, rows=[*TEXTS, "", 7, {"text": TEXTS[0], "target": "negative"}], method="saliency"
        )
        assert (steps[0]["total"], steps[0]["results"]) == (6, [])
        assert (steps[-1]["done"], steps[-1]["failed"]) == (4, 2)
        results = {result["row"]: result for step in steps for result in step["results"]}
        assert sorted(results) == list(range(6))
        assert Attribution.from_dict(results[0]["attribution"]).scores == pytest.approx(
            attribute(TEXTS[0], method="saliency").scores, rel=1e-4, abs=1e-6
        )
        assert results[3]["error"]["error"] == "EmptyInput"
        assert results[4]["error"]["error"] == "BadOption"
        assert Attribution.from_dict(results[5]["attribution"]).outputs[0].text == "negative"

    @pytest.mark.parametrize("rows", [[], ["x"] * (DEFAULTS.call_rows + 1)])
    def test_too_few_and_too_many_are_refused(self, client: Client, rows: list[Any]) -> None:
        with pytest.raises(errors.InputError):
            stream(client, rows=rows)

    def test_over_rest_each_step_is_a_line(self, url: str) -> None:
        answer = httpx.post(f"{url}api/batch", json={"rows": TEXTS, "method": "saliency"}, timeout=60)
        lines = [json.loads(line) for line in answer.text.splitlines()]
        assert answer.headers["content-type"] == "application/x-ndjson"
        assert sorted(result["row"] for line in lines for result in line["results"]) == [0, 1, 2]

    @pytest.mark.parametrize(
        ("body", "status"),
        [({}, 422), ({"rows": "x"}, 422), ({"rows": []}, 422), ({"rows": ["x"], "modell": "x"}, 422)],
    )
    def test_over_rest_what_is_wrong_has_a_status(self, url: str, body: dict[str, Any], status: int) -> None:
        answer = httpx.post(f"{url}api/batch", json=body, timeout=60)
        assert answer.status_code == status
        if "modell" in body:
            assert answer.json()["message"] == "There is no field 'modell'."

    def test_calls_beyond_the_places_are_refused(self, url: str) -> None:
        body = {"rows": ["A fine film."] * 3, "method": "lime", "options": {"samples": 500}}
        limit = DEFAULTS.running_calls
        with ThreadPoolExecutor(3 * limit) as pool:
            answers = list(
                pool.map(lambda _: httpx.post(f"{url}api/batch", json=body, timeout=120), range(3 * limit))
            )
        assert {entry.status_code for entry in answers} == {200, 503}
        assert sum(entry.status_code == 200 for entry in answers) >= limit
        assert all(entry.json()["error"] == "QueueFull" for entry in answers if entry.status_code == 503)
        assert httpx.post(f"{url}api/batch", json=body, timeout=120).status_code == 200, (
            "the places are free again"
        )

    def test_it_is_described(self, url: str) -> None:
        schemas = httpx.get(f"{url}openapi.json").json()["components"]["schemas"]
        rows = schemas["BatchRequest"]["properties"]["rows"]
        assert rows["maxItems"] == DEFAULTS.call_rows
        assert "/batch" in httpx.get(f"{url}gradio_api/info").json()["named_endpoints"]


class TestClient:
    def test_a_table_is_answered_and_kept(self, client: Client, tmp_path: Path) -> None:
        rows = [{"text": text, "label": "positive"} for text in (*TEXTS, TEXTS[0])] + [
            {"text": "", "label": "x"}
        ]
        steps: list[Progress] = []
        with client.run_batch(
            rows, tmp_path / "run", method=["saliency", "input_x_gradient"], progress=steps.append
        ) as run:
            assert (run.progress().done, run.progress().failed) == (8, 2)
            results = list(run.results())
        assert [(entry.place, entry.method) for entry in results[:3]] == [
            (0, "saliency"),
            (0, "input_x_gradient"),
            (1, "saliency"),
        ]
        expected = attribute(TEXTS[0], method="saliency")
        assert results[0].attribution.scores == pytest.approx(expected.scores, rel=1e-4, abs=1e-6)
        assert results[6].attribution == results[0].attribution
        assert results[8].error["error"] == "EmptyInput"
        assert steps[-1].finished
        repeated: list[Progress] = []
        client.run_batch(
            rows, tmp_path / "run", method=["saliency", "input_x_gradient"], progress=repeated.append
        ).close()
        assert [step.newest for step in repeated] == [()]

    def test_what_is_wrong_with_the_whole_is_raised(self, client: Client, tmp_path: Path) -> None:
        with pytest.raises(errors.UnknownMethod):
            client.run_batch(TEXTS, tmp_path / "a", method="no_such")
        with pytest.raises(errors.Unsupported):
            client.run_batch(TEXTS, tmp_path / "b", method="reagent")

    def test_more_rows_than_one_call_takes(self, tmp_path: Path) -> None:
        server = FakeServer()
        engine = RemoteEngine.of(server)
        items = [
            {"text": f"text {i}", "model": "m", "method": "saliency", "second": None}
            for i in range(2 * ROWS_PER_CALL + 5)
        ]
        result = [place for batch in engine.attribute_each(items) for place, _ in batch]
        assert sorted(result) == list(range(len(items)))
        assert [len(call) for call in server.calls] == [ROWS_PER_CALL, ROWS_PER_CALL, 5]
        assert "second" not in server.calls[0][0]

    def test_long_rows_go_in_smaller_calls(self) -> None:
        server = FakeServer()
        items = [{"text": "x" * 200_000, "model": "m", "method": "saliency"} for _ in range(5)]
        result = [place for batch in RemoteEngine.of(server).attribute_each(items) for place, _ in batch]
        assert result == [0, 1, 2, 3, 4]
        assert [len(call) for call in server.calls] == [2, 2, 1]


class FakeServer:
    """Answers every row with an error of its own, and remembers the calls."""

    def __init__(self) -> None:
        self.calls: list[list[dict[str, Any]]] = []

    def list_models(self) -> list[dict[str, Any]]:
        return []

    def list_methods(self) -> list[dict[str, Any]]:
        return []

    def stream(self, endpoint: str, cancelled: Callable[[], bool], **arguments: Any) -> Iterator[Any]:
        self.calls.append(arguments["rows"])
        error = {"error": "EmptyInput", "message": "", "hint": ""}
        yield json.dumps(
            {"results": [{"row": place, "error": error} for place in range(len(arguments["rows"]))]}
        )


class TestKilled:
    def start(self, port: int, log: Path) -> subprocess.Popen[bytes]:
        with log.open("ab") as out:
            process = subprocess.Popen(
                [sys.executable, "app.py", "--port", str(port)],
                cwd=ROOT,
                stdout=out,
                stderr=out,
                env={**os.environ},
            )
        until = time.monotonic() + 120
        while time.monotonic() < until:
            assert process.poll() is None, log.read_text()
            try:
                if httpx.get(f"http://127.0.0.1:{port}", timeout=10).status_code == 200:
                    return process
            except httpx.TransportError:
                time.sleep(0.2)
        raise TimeoutError(log.read_text())

    def test_a_server_that_dies_costs_no_answer_and_none_is_asked_twice(self, tmp_path: Path) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        url, rows = f"http://127.0.0.1:{port}", [f"This film is number {i} of many." for i in range(100)]
        server = self.start(port, tmp_path / "log")
        seen: list[tuple[int, str]] = []

        def take(progress: Progress) -> None:
            seen.extend((entry.place, entry.method) for entry in progress.newest)

        def kill_server(progress: Progress) -> None:
            take(progress)
            if len(seen) >= 20:
                server.send_signal(signal.SIGKILL)

        try:
            with pytest.raises(BusyError):
                Client(url).run_batch(rows, tmp_path / "run", method="saliency", progress=kill_server)
            server.wait(20)
            seen_before = len(seen)
            assert 20 <= seen_before < len(rows)
            server = self.start(port, tmp_path / "log")
            with Client(url).run_batch(rows, tmp_path / "run", method="saliency", progress=take) as run:
                assert run.progress().done == len(rows)
                assert len(list(run.results())) == len(rows)
        finally:
            server.kill()
            server.wait(20)
        assert len(seen) == len(set(seen)) == len(rows)


@pytest.fixture(scope="module")
def engine() -> Engine:
    _, result = build()
    return result


def plan_for(table: Any, **arguments: Any) -> Any:
    return make_plan(table.name, table.pick_columns(), ["bundled/sst2-minilm"], ["saliency"], **arguments)


def begin(runs: Runs, texts: list[str], visitor: str = "") -> VisitorRun:
    table = open_table(texts)
    return runs.begin(table, plan_for(table), visitor)


def wait_for_end(visitor_run: VisitorRun) -> VisitorRun:
    eventually(lambda: visitor_run.over)
    return visitor_run


@pytest.fixture
def runs(engine: Engine) -> Iterator[Runs]:
    result = Runs(engine)
    yield result
    result.close()


def limits(runs: Runs, **changed: Any) -> None:
    runs.settings = replace(runs.settings, **changed)


class TestRuns:
    def test_a_run_is_computed_and_gives_its_files(self, runs: Runs) -> None:
        visitor_run = wait_for_end(begin(runs, [*TEXTS, ""]))
        assert (visitor_run.state, visitor_run.progress.done, visitor_run.progress.failed) == (
            "finished",
            3,
            1,
        )
        document = json.loads(visitor_run.document()["json"])
        assert [row["place"] for row in document["rows"]] == [0, 1, 2, 3]
        assert document["pairs"][0]["failed"] == 1
        assert document["progress"]["files"][0] == [
            "results.zip",
            f"./api/batch/{visitor_run.name}/results.zip",
        ]
        assert runs.file(visitor_run.name, "results.jsonl").read_text().count("\n") == 4
        assert runs.file(visitor_run.name, "wrong.csv").read_bytes().startswith(b"\xef\xbb\xbfkind,")
        assert runs.file(visitor_run.name, "report.html").read_bytes().startswith(b"<!doctype html>")

    def test_a_run_that_is_stopped_goes_on(self, runs: Runs) -> None:
        for _ in range(runs.settings.runs_at_once):
            runs.turns.acquire()
        visitor_run = begin(runs, TEXTS)
        runs.cancel(visitor_run.name)
        assert wait_for_end(visitor_run).state == "stopped"
        for _ in range(runs.settings.runs_at_once):
            runs.turns.release()
        assert wait_for_end(runs.resume(visitor_run.name)).state == "finished"
        assert runs.resume(visitor_run.name).progress.done == 3

    def test_names_are_not_guessed(self, runs: Runs) -> None:
        names = {wait_for_end(begin(runs, ["a"])).name for _ in range(2)}
        assert len(names) == 2 and all(len(name) >= 22 for name in names)
        for name in ("", "..", "../..", "x" * 500):
            with pytest.raises(UnknownRun):
                runs.find(name)
        with pytest.raises(UnknownRun):
            runs.file(names.pop(), "rows.sqlite")

    @pytest.mark.parametrize(
        ("changed", "texts", "error"),
        [
            ({"run_rows": 2}, TEXTS, BadTable),
            ({"run_columns": 0}, TEXTS, BadTable),
            ({"run_attributions": 2}, TEXTS, BatchError),
            ({"runs_of_one": 0}, TEXTS, TooManyRequests),
            ({"runs_waiting": 0}, TEXTS, QueueFull),
            ({"run_bytes": -1}, TEXTS, BatchError),
        ],
    )
    def test_what_is_too_much_is_refused_and_leaves_nothing(
        self, runs: Runs, changed: dict[str, Any], texts: list[str], error: type[Exception]
    ) -> None:
        limits(runs, **changed)
        with pytest.raises(error):
            begin(runs, texts)
        assert list(Path(runs._folder.name).iterdir()) == []

    def test_a_table_without_rows_is_refused(self, runs: Runs) -> None:
        table = open_table(b"text\n", kind="csv")
        with pytest.raises(BadTable, match="no rows"):
            runs.begin(table, plan_for(table))

    def test_old_runs_are_deleted(self, runs: Runs) -> None:
        first, second = wait_for_end(begin(runs, ["a"])), wait_for_end(begin(runs, ["b"]))
        limits(runs, runs_kept=1)
        runs.find(second.name)
        with pytest.raises(UnknownRun):
            runs.find(first.name)
        assert not first.folder.exists() and second.folder.exists()
        limits(runs, run_hours=0.0)
        with pytest.raises(UnknownRun):
            runs.find(second.name)

    def test_what_is_wrong_with_the_model_is_said(self, runs: Runs) -> None:
        table = open_table(TEXTS)
        visitor_run = runs.begin(
            table,
            make_plan(table.name, table.pick_columns(), ["bundled/dates-t5"], ["lime"], position=60),
        )
        assert wait_for_end(visitor_run).state in ("broken", "finished")
        assert visitor_run.message or visitor_run.progress.failed == 3

    def test_files_are_downloads_by_their_name(self, url: str) -> None:
        answer = httpx.get(f"{url}api/batch/no-such-run/results.zip")
        assert (answer.status_code, answer.json()["error"]) == (404, "UnknownRun")


@pytest.mark.parametrize(
    ("size", "status"), [(DEFAULTS.max_body_bytes + 1, 200), (DEFAULTS.upload_bytes + 10_000, 413)]
)
def test_a_table_may_be_larger_than_a_request(url: str, size: int, status: int) -> None:
    answer = httpx.post(f"{url}gradio_api/upload", files={"files": ("a.csv", b"x" * size)}, timeout=60)
    assert answer.status_code == status


def test_an_endpoint_that_fails_at_once_says_so(client: Client) -> None:
    with pytest.raises((errors.InputError, AppError)):
        stream(client, rows=None)


def test_a_run_made_by_a_client_opens_anywhere(client: Client, tmp_path: Path) -> None:
    client.run_batch(TEXTS, tmp_path / "run", method="saliency").close()
    with Run.open(tmp_path / "run") as run:
        assert run.progress().finished
