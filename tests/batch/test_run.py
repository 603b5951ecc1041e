"""Durable runs over tables: nothing is lost or repeated, in order, whatever happens."""

from __future__ import annotations

import copy
import csv
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import attribution
from attribution import Attribution, errors
from attribution.batch import Plan, Run, files, make_plan, run_batch
from attribution.batch.debugging import debug
from attribution.batch.disk import open_atomic
from attribution.batch.journal import Journal, State, key_of
from attribution.batch.plan import name_in_plan
from attribution.batch.result import Result, label_of
from attribution.engine import Engine
from attribution.errors import (
    AttributionError,
    BadFile,
    BadOption,
    BadTable,
    BatchError,
    NotEnoughMemory,
    UnknownMethod,
    UnknownModel,
    UnknownRun,
    Unsupported,
)  # fmt: skip
from attribution.export.csv import guard
from attribution.models.adapter import Adapter
from attribution.models.function import Function
from attribution.tables import Columns, open_table
from attribution.types import Request
from tests.tables.test_table import HOSTILE

ROOT = Path(__file__).resolve().parents[2]
ROWS = [
    {"text": f"the film {i} is {'good' if i % 3 else 'bad and very very awful'}", "label": i % 2, "id": i}
    for i in range(25)
]


class RecordingModel:
    """A model that records the texts of its calls, and may fail; ``random`` calls it text by text."""

    def __init__(self, fail: Callable[[str], None] = lambda text: None) -> None:
        self.texts: list[str] = []
        self.fail = fail

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        for text in texts:
            self.texts.append(text)
            self.fail(text)
        good = np.array([0.1 + 0.8 * ("good" in text) for text in texts])
        return np.stack([1 - good, good], axis=1)

    @property
    def model(self) -> Function:
        return Function(self, ("negative", "positive"), name="counted")


def create(folder: Path, rows: Any = None, methods: Sequence[str] = ("random",), **options: Any) -> Run:
    table = open_table(ROWS if rows is None else rows)
    return Run.create(folder, table, make_plan("rows", table.pick_columns(), ["counted"], methods, **options))


def finish(run: Run, model: Any, **options: Any) -> list[Any]:
    return list(run.steps(Engine(), models={"counted": model}, **options))


def fail_on(*texts: str, error: Exception) -> Callable[[str], None]:
    def fail(text: str) -> None:
        if text in texts:
            raise error

    return fail


class TestAnswers:
    def test_equal_single_attributions_in_order(self, tmp_path: Path, tiny: dict[str, Adapter]) -> None:
        adapter = tiny["bert"]
        run = run_batch(ROWS[:8], tmp_path, adapter, ["saliency", "input_x_gradient"], quantity="probability")
        results = list(run.results())
        assert [(r.place, r.method) for r in results] == [
            (i, m) for i in range(8) for m in ("saliency", "input_x_gradient")
        ]
        for result in results:
            single = attribution.attribute(
                ROWS[result.place]["text"], adapter, result.method, quantity="probability"
            )
            assert result.attribution is not None and result.attribution.request == single.request
            np.testing.assert_allclose(result.attribution.scores, single.scores, rtol=1e-4, atol=1e-6)

    def test_two_models_and_a_pair_of_texts(self, tmp_path: Path, tiny: dict[str, Adapter]) -> None:
        rows = [
            {"premise": "the film is good", "hypothesis": "the film is bad"},
            {"premise": "good", "hypothesis": "bad"},
        ]
        even = Function(lambda pairs: [[0.5, 0.5]] * len(pairs), ("a", "b"), name="f")
        run = run_batch(rows, tmp_path, [tiny["bert"], even], "occlusion")
        assert [(r.place, r.model, r.second) for r in run.results()] == [
            (i, name, rows[i]["hypothesis"]) for i in (0, 1) for name in (tiny["bert"].info.name, "f")
        ]

    def test_equal_requests_are_computed_once(self, tmp_path: Path) -> None:
        counted = RecordingModel()
        run = create(tmp_path, ["good"] * 40 + ["bad"] + ["good"] * 300)
        last = finish(run, counted.model)[-1]
        assert last.done == last.total == 341
        assert sorted(counted.texts) == ["bad", "good"]
        assert [r.place for r in run.results()] == list(range(341))

    def test_a_bad_row_has_its_error_and_the_run_continues(self, tmp_path: Path) -> None:
        content = b'text,label\ngood,1\n,1\nbad\nbad,0\n"' + b"x" * 30_000 + b'",1\n'
        table = open_table(content, kind="csv")
        run = Run.create(
            tmp_path, table, make_plan("rows", table.pick_columns(), ["counted"], ["occlusion", "random"])
        )
        last = finish(run, RecordingModel().model)[-1]
        assert (last.done, last.failed, last.total) == (4, 6, 10) and last.finished
        assert [(r.place, r.line, r.error["error"]) for r in run.errors() if r.error] == [
            failure
            for failure in ((1, 3, "EmptyInput"), (2, 4, "BadTable"), (4, 6, "TooLong"))
            for _ in range(2)
        ]
        assert run.progress().failed == 6

    def test_a_bug_in_a_row_is_reported_and_retried(self, tmp_path: Path) -> None:
        run = create(tmp_path, ["good", "odd", "bad"])
        finish(run, RecordingModel(fail_on("odd", error=ZeroDivisionError("of mine"))).model)
        (failed,) = run.errors()
        assert (
            failed.text == "odd"
            and failed.error is not None
            and "ZeroDivisionError: of mine" in failed.error["message"]
        )
        fixed = RecordingModel()
        assert finish(run, fixed.model)[-1].done == 3 and fixed.texts == ["odd"]
        assert list(run.errors()) == []

    @pytest.mark.parametrize("again", [True, False])
    def test_only_temporary_failures_are_retried(self, tmp_path: Path, again: bool) -> None:
        error = NotEnoughMemory("no room") if again else Unsupported("never")
        run = create(tmp_path, ["good", "odd", "bad"])
        assert finish(run, RecordingModel(fail_on("odd", error=error)).model)[-1].failed == 1
        later = RecordingModel()
        assert finish(run, later.model)[-1].failed == (0 if again else 1)
        assert later.texts == (["odd"] if again else [])

    def test_labels_and_predictions(self, tmp_path: Path) -> None:
        rows = [
            {"text": "good", "label": label} for label in ("positive", "POSITIVE", 1, "1", 0, "else", None)
        ]
        run = create(tmp_path, rows)
        finish(run, RecordingModel().model)
        results = list(run.results())
        assert [r.label for r in results] == ["positive"] * 4 + ["negative", "else", None]
        assert [r.correct for r in results] == [True] * 4 + [False, None, None]
        assert {(r.predicted, round(r.probability or 0, 6)) for r in results} == {("positive", 0.9)}

    def test_a_label_index_must_be_a_decimal_number(self) -> None:
        assert label_of("²", ("a", "b", "c")) == "²" and label_of(7, ("a",)) == "7"


class TestProgress:
    def test_is_reported_at_once_and_with_results(self, tmp_path: Path) -> None:
        run = create(tmp_path, methods=["occlusion", "random"])
        steps = finish(run, RecordingModel().model)
        assert (steps[0].done, steps[0].total, steps[0].rate, steps[0].newest) == (0, 50, None, ())
        assert [step.done for step in steps] == sorted(step.done for step in steps)
        assert sum(len(step.newest) for step in steps) == 50 and all(len(step.newest) <= 10 for step in steps)
        assert steps[-1].finished and steps[-1].seconds_left == 0 and steps[-1].rate and steps[-1].rate > 0

    def test_reported_results_are_stored(self, tmp_path: Path) -> None:
        run = create(tmp_path)
        steps = run.steps(Engine(), models={"counted": RecordingModel().model})
        reported = [result.place for step in (next(steps), next(steps)) for result in step.newest]
        with Run.open(tmp_path) as other:
            assert set(reported) <= {result.place for result in other.results()} and reported
        steps.close()  # type: ignore[attr-defined]

    def test_a_cancelled_run_is_resumed(self, tmp_path: Path) -> None:
        texts = [f"row {i}" for i in range(600)]  # more than are computed at the same time
        run, first, second = create(tmp_path, texts), RecordingModel(), RecordingModel()
        reported: list[int] = []
        for step in run.steps(
            Engine(), models={"counted": first.model}, cancelled=lambda: len(reported) >= 5
        ):
            reported.extend(result.place for result in step.newest)
        assert 5 <= len(reported) < 600
        with Run.open(tmp_path) as again:
            steps = finish(again, second.model)
            assert steps[0].done == len(reported)
            later = [result.place for step in steps for result in step.newest]
            assert sorted(reported + later) == list(range(600))
            assert sorted(second.texts) == sorted(texts[place] for place in later)
            assert [result.place for result in again.results()] == list(range(600))

    def test_a_finished_run_computes_nothing_and_needs_no_model(self, tmp_path: Path) -> None:
        run = create(tmp_path)
        finish(run, RecordingModel().model)
        (only,) = run.steps(Engine())
        assert only.finished and only.newest == ()

    def test_a_part_of_the_results(self, tmp_path: Path) -> None:
        run = create(tmp_path, methods=["occlusion", "random"])
        finish(run, RecordingModel().model)
        assert [r.place for r in run.results(3, 5)] == [3, 3, 4, 4]


class TestFolders:
    def test_the_same_run_is_opened_again(self, tmp_path: Path) -> None:
        first, second = create(tmp_path), create(tmp_path)
        assert first.plan == second.plan and second.plan.count == 25 and len(second.plan.fingerprint) == 64

    @pytest.mark.parametrize(
        ("rows", "methods"), [(ROWS[:24], ["random"]), (ROWS, ["occlusion"]), (ROWS[::-1], ["random"])]
    )
    def test_another_run_is_refused(self, tmp_path: Path, rows: list[Any], methods: list[str]) -> None:
        create(tmp_path)
        with pytest.raises(BatchError, match="another run"):
            create(tmp_path, rows, methods)
        assert create(tmp_path).plan.count == 25

    def test_an_incomplete_table_leaves_no_run(self, tmp_path: Path) -> None:
        table = open_table(b'text,label\na,1\n"b,1\n', kind="csv")
        with pytest.raises(BadTable, match="Line 3, column 1"):
            Run.create(
                tmp_path / "run", table, make_plan("rows", table.pick_columns(), ["counted"], ["random"])
            )
        with pytest.raises(UnknownRun, match="no run in"):
            Run.open(tmp_path / "run")
        assert not list((tmp_path / "run").iterdir())
        assert create(tmp_path / "run").plan.count == 25

    def test_a_bad_plan_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "plan.json").write_text('{"schema": "batch/0"}')
        with pytest.raises(BadFile, match="batch/0"):
            Run.open(tmp_path)
        (tmp_path / "plan.json").write_text("[")
        with pytest.raises(UnknownRun):
            Run.open(tmp_path)

    def test_a_folder_that_cannot_be_made_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(BatchError, match="resume"):
            create(tmp_path / "file" / "run")

    def test_a_damaged_journal_is_refused(self, tmp_path: Path) -> None:
        run = create(tmp_path)
        (tmp_path / "part-0000.sqlite").write_bytes(b"not a database at all" * 100)
        with pytest.raises(BatchError, match=r"part-0000\.sqlite"):
            finish(run, RecordingModel().model)

    def test_a_plan_comes_back_equal(self) -> None:
        plan = make_plan(
            "t",
            Columns("a", "b"),
            ["m"],
            ["lime"],
            options={"lime": {"samples": 50}},
            target=["x", "y"],
            quantity="probability",
        )
        assert Plan.from_dict(json.loads(json.dumps(plan.to_dict()))).is_same(plan)
        assert plan.options["lime"]["samples"] == 50 and len(plan.options["lime"]) > 1

    def test_a_model_of_the_hub_stays_at_the_first_commit(
        self, tmp_path: Path, tiny: dict[str, Adapter], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        revisions: list[str | None] = []

        def load(store: Any, source: Any) -> Any:
            revisions.append(source.revision)
            adapter = copy.copy(tiny["bert"])
            adapter.info = replace(adapter.info, name=source.name, revision=source.revision or "a" * 40)
            return adapter

        monkeypatch.setattr("attribution.models.sources.store.Store._load", load)
        table = open_table(ROWS)
        run = Run.create(tmp_path, table, make_plan("rows", table.pick_columns(), ["owner/name"], ["random"]))
        next(steps := run.steps(Engine()))
        next(steps)
        steps.close()  # type: ignore[attr-defined]
        list(run.steps(Engine()))
        assert revisions == [None, "a" * 40]
        assert {result.attribution.model.revision for result in run.results() if result.attribution} == {
            "a" * 40
        }


class TestParts:
    def test_share_the_rows_and_results_are_in_order(self, tmp_path: Path) -> None:
        run, models = create(tmp_path, [*ROWS, *ROWS]), (RecordingModel(), RecordingModel())
        for i, model in enumerate(models):
            with Run.open(tmp_path) as part:
                finish(part, model.model, part=(i, 2))
        assert not set(models[0].texts) & set(models[1].texts) and all(
            len(model.texts) > 5 for model in models
        )
        assert sorted(models[0].texts + models[1].texts) == sorted(row["text"] for row in ROWS)
        assert [result.place for result in run.results()] == list(range(50)) and run.progress().finished

    def test_of_a_killed_process_are_picked_up_by_any_number(self, tmp_path: Path) -> None:
        run, rest = create(tmp_path), RecordingModel()
        last = finish(run, RecordingModel().model, part=(0, 2))[-1]
        assert 0 < last.done < 25 and not last.finished
        assert finish(run, rest.model, part=(0, 1))[-1].finished
        assert len(rest.texts) == 25 - last.done

    def test_nobody_computes_the_same_rows_at_the_same_time(self, tmp_path: Path) -> None:
        run, other = create(tmp_path), Run.open(tmp_path)
        steps = run.steps(Engine(), models={"counted": RecordingModel().model}, part=(0, 2))
        next(steps)
        for part in ((0, 2), (0, 1), (2, 3)):
            with pytest.raises(BatchError, match="Another process is computing"):
                finish(other, RecordingModel().model, part=part)
        assert finish(other, RecordingModel().model, part=(1, 2))
        steps.close()  # type: ignore[attr-defined]
        assert finish(other, RecordingModel().model)[-1].finished

    @pytest.mark.parametrize("part", [(1, 1), (-1, 2), (0, 0)])
    def test_must_exist(self, tmp_path: Path, part: tuple[int, int]) -> None:
        with pytest.raises(BatchError, match="no part"):
            finish(create(tmp_path), RecordingModel().model, part=part)


class TestRefusals:
    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            ({"method": "limes"}, UnknownMethod),
            ({"method": []}, BadOption),
            ({"options": {"lime": {"samples": 5}}}, BadOption),
            ({"method": "lime", "options": {"lime": {"samplse": 5}}}, BadOption),
            ({"text": "x"}, BadOption),
            ({"quantity": "much"}, BadOption),
            ({"columns": {"text": "texts"}}, BadTable),
        ],
    )
    def test_before_anything_is_written(
        self, tmp_path: Path, arguments: dict[str, Any], error: type[AttributionError]
    ) -> None:
        with pytest.raises(error):
            run_batch(ROWS, tmp_path / "run", **arguments)
        assert not (tmp_path / "run").exists()

    def test_a_method_that_does_not_work_with_the_model(self, tmp_path: Path) -> None:
        counted = RecordingModel()
        with pytest.raises(Unsupported, match="saliency and counted"):
            finish(create(tmp_path, methods=["occlusion", "saliency"]), counted.model)
        assert not counted.texts

    def test_an_unknown_model(self, tmp_path: Path) -> None:
        with pytest.raises(UnknownModel):
            run_batch(ROWS, tmp_path, "no model")

    def test_two_models_of_the_same_name(self, tmp_path: Path) -> None:
        with pytest.raises(BadOption, match="its own name"):
            run_batch(ROWS, tmp_path, [RecordingModel().model, RecordingModel().model], "random")


@pytest.fixture(name="run", scope="module")
def written_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A run over hostile cells, with an error, and its files."""
    rows = [{"text": f"good {cell}", "label": 1, "cell": cell} for cell in HOSTILE] + [
        {"text": cell, "label": 0, "cell": "\ud800"} for cell in HOSTILE
    ]
    run = create(tmp_path_factory.mktemp("run"), rows, ["occlusion", "random"])
    finish(run, RecordingModel().model)
    files.archive(run)
    yield run
    run.close()


class TestFiles:
    def test_json_lines_are_exact(self, run: Run) -> None:
        lines, results = list(files.read(run.folder / files.RESULTS)), list(run.results())
        assert lines == [json.loads(json.dumps(result.to_dict())) for result in results] and len(
            lines
        ) == 2 * 2 * len(HOSTILE)
        for line, result in zip(lines, results, strict=True):
            again = line["attribution"] and Attribution.from_dict(line["attribution"])
            assert again == result.attribution

    def test_parquet_has_the_scores(self, run: Run) -> None:
        frame, results = pd.read_parquet(run.folder / files.PARQUET), list(run.results())
        assert len(frame) == len(results)
        for row, result in zip(frame.to_dict("records"), results, strict=True):
            assert (row["place"], row["model"], row["method"]) == (result.place, result.model, result.method)
            if result.attribution is None:
                assert row["scores"] is None and row["error"].startswith("EmptyInput: ")
                continue
            np.testing.assert_array_equal(np.stack(list(row["scores"])), result.attribution.scores)
            assert list(row["tokens"]) == [token.text for token in result.attribution.tokens]
            assert pd.isna(row["error"]) and row["correct"] == result.correct

    def test_the_summary_runs_nothing_in_a_spreadsheet_and_comes_back(self, run: Run) -> None:
        content = (run.folder / files.SUMMARY).read_bytes()
        cells = [
            cell for line in csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")) for cell in line
        ]
        assert not [cell for cell in cells if cell[:1] in "=+@\t\r\n\0＝＋－＠" and cell]
        assert all(float(cell) < 0 for cell in cells if cell.startswith("-"))
        rows = list(open_table(content, kind="csv"))
        assert [row.values["text"] for row in rows] == [result.text for result in run.results()]
        assert rows[0].values["probability"] == "0.9" and rows[0].values["correct"] == "1"

    def test_the_archive_has_all_of_them(self, run: Run) -> None:
        with zipfile.ZipFile(run.folder / files.ARCHIVE) as archive:
            names = {files.RESULTS, files.PARQUET, files.SUMMARY, files.REPORT, files.WRONG, files.WORDS}
            assert set(archive.namelist()) == {"plan.json", *names}
            assert archive.testzip() is None
        assert not list(run.folder.glob(".*.tmp"))

    @pytest.mark.parametrize("name", [files.WRONG, files.WORDS])
    def test_the_tables_of_mistakes_run_nothing_in_a_spreadsheet(self, run: Run, name: str) -> None:
        lines = list(
            csv.reader(io.StringIO((run.folder / name).read_bytes().decode("utf-8-sig"), newline=""))
        )
        assert not [cell for line in lines for cell in line if cell[:1] in "=+@\t\r\n\0＝＋－＠" and cell]
        findings = debug(run.results())
        assert len(lines) == 1 + sum(
            len(entry.wrong) + len(entry.unsure) if name == files.WRONG else len(entry.differences)
            for entry in findings
        )

    def test_links_lead_to_a_running_app(self, tmp_path: Path) -> None:
        run = create(tmp_path)
        finish(run, RecordingModel().model)
        files.write(run, "http://127.0.0.1:7860/app")
        rows = list(
            csv.DictReader(io.StringIO((tmp_path / files.WRONG).read_text(encoding="utf-8-sig"), newline=""))
        )
        assert rows and all(row["link"].startswith("http://127.0.0.1:7860/app/?text=") for row in rows)
        assert '"base":"http://127.0.0.1:7860/app/"' in (tmp_path / files.REPORT).read_text()
        with pytest.raises(BadOption, match="address of the live page"):
            files.write(run, "javascript:alert(1)")

    def test_temporary_files_of_a_killed_process_are_deleted(self, tmp_path: Path) -> None:
        code = (
            "import os, signal, sys\nfrom pathlib import Path\n"
            "from attribution.batch.disk import open_atomic\n"
            "with open_atomic(Path(sys.argv[1]) / 'summary.csv') as file:\n"
            "    file.write(b'half'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)"
        )
        subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
        [left] = tmp_path.glob(".summary.csv-*.tmp")
        others = tmp_path / ".summary.csv-elsewhere-1-0.tmp"
        others.write_bytes(b"of another machine")
        with open_atomic(tmp_path / "report.html") as file:
            file.write(b"another file")
        assert left.exists()
        with open_atomic(tmp_path / "summary.csv") as first, open_atomic(tmp_path / "summary.csv") as second:
            assert not left.exists() and others.exists(), "living processes write them"
            first.write(b"whole")
            second.write(b"whole")
        assert (tmp_path / "summary.csv").read_bytes() == b"whole"

    def test_an_unfinished_run_has_files_of_its_results_so_far(self, tmp_path: Path) -> None:
        run = create(tmp_path)
        finish(run, RecordingModel().model, part=(0, 2))
        files.write(run)
        assert 0 < len(list(files.read(tmp_path / files.RESULTS))) < 25

    def test_an_empty_table(self, tmp_path: Path) -> None:
        table = open_table(b"text,label\n", kind="csv")
        run = Run.create(tmp_path, table, make_plan("rows", table.pick_columns(), ["counted"], ["random"]))
        assert finish(run, RecordingModel().model)[-1].finished
        assert files.archive(run).exists() and list(files.read(tmp_path / files.RESULTS)) == []


class TestJournal:
    def test_a_transaction_is_all_or_nothing(self, tmp_path: Path, tiny: dict[str, Adapter]) -> None:
        from attribution.batch.journal import Answer

        answer = Answer.of(attribution.attribute("good", tiny["bert"], "random"))
        with Journal(tmp_path / "part.sqlite") as journal:
            with pytest.raises(TypeError), journal.transaction():
                journal.write(b"key", answer, [(0, 0), 3])  # type: ignore[list-item]
            assert journal.answer(b"key") is None and list(journal.entries()) == []
            with journal.transaction():
                journal.write(b"key", answer, [(1, 0), (0, 0)])
            assert [(entry.task, entry.answer.state) for entry in journal.entries()] == [
                ((0, 0), State.DONE),
                ((1, 0), State.DONE),
            ]

    def test_keys_differ_where_requests_do(self) -> None:
        request = Request("a", "m", "random")
        others = [
            Request("b", "m", "random"),
            Request("a", "m", "random", second=""),
            Request("a", "m", "random", options=(("seed", 1),)),
        ]
        assert (
            key_of(request) == key_of(Request("a", "m", "random"))
            and len({key_of(each) for each in [request, *others]}) == 4
        )


def test_nothing_is_lost_or_repeated_after_kills() -> None:
    command = [sys.executable, "-m", "benchmarks.kills", "--runs", "1", "--kills", "3"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        "0 lost, 0 repeated" in done.stdout
        and "all in order; disk full: refused, then resumed" in done.stdout
    )


def test_the_bases_of_the_errors() -> None:
    assert (
        issubclass(BadTable, errors.InputError)
        and issubclass(UnknownRun, BatchError)
        and UnknownRun.status == 404
    )


def test_a_result_without_an_attribution_predicts_nothing() -> None:
    result = Result(0, 0, {}, "m", "random", error={"error": "BadTable", "message": "", "hint": ""})
    assert (result.predicted, result.probability, result.correct) == (None, None, None)


def test_cells_of_the_summary_are_those_of_every_table() -> None:
    assert [guard(cell) != cell for cell in HOSTILE] == [True] * 11 + [False] * 8


def test_a_bundled_model_keeps_its_name_where_a_folder_has_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bundled" / "sst2-minilm").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert name_in_plan("bundled/sst2-minilm") == "bundled/sst2-minilm"
    assert name_in_plan("bundled") == str(tmp_path / "bundled")
