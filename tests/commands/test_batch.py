"""``python -m attribution batch``, in one and in several processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from attribution.__main__ import main
from attribution.batch import Run, files

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.csv"
    path.write_text("id,review,stars\n1,a wonderful film,1\n2,,0\n3,a dull film,0\n")
    return path


@pytest.fixture
def command(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs the command in this process; returns exit code, standard output and standard error."""

    def call(*arguments: str, source: bool = True) -> tuple[int, str, str]:
        code = main(
            ["batch", *([str(table)] if source else []), "--out", str(tmp_path / "run"), *arguments], {}
        )
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_a_table_becomes_files(command: Any, tmp_path: Path) -> None:
    code, out, err = command(
        "--label", "stars", "--text", "review", "--method", "random", "saliency", "--option", "random.seed=3"
    )
    assert (
        code == 0 and "4 of 6 attributions, 2 failed" in out and str(tmp_path / "run" / files.ARCHIVE) in out
    )
    assert "%|" not in err and err.count("row ") == 3  # no bar in a pipe; the first results
    with Run.open(tmp_path / "run") as run:
        assert run.plan.methods == ("random", "saliency") and run.plan.options["random"]["seed"] == 3
        assert [result.label for result in run.results() if result.attribution] == ["positive"] * 2 + [
            "negative"
        ] * 2
    lines = list(files.read(tmp_path / "run" / files.RESULTS))
    assert [line["row"]["id"] for line in lines] == ["1", "1", "2", "2", "3", "3"]


def test_a_run_is_resumed_with_and_without_its_table(command: Any, tmp_path: Path) -> None:
    arguments = ("--text", "review", "--method", "random")
    assert command(*arguments)[0] == 0
    code, _, err = command(*arguments)
    assert code == 1 and "--resume" in err
    assert command(*arguments, "--resume")[0] == 0
    assert command("--resume", source=False)[0] == 0
    code, _, err = command("--text", "review", "--method", "saliency", "--resume")
    assert code == 1 and "another run" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--text", "reviews"), "Did you mean 'review'?"),
        (("--text", "review", "--method", "limes"), "lime"),
        (("--text", "review", "--method", "lime", "random", "--option", "samples=50"), "NAME.OPTION=VALUE"),
        (("--text", "review", "--method", "lime", "--option", "sampels=50"), "samples"),
        (("--text", "review", "--quantity", "much"), "quantity"),
        (("--text", "review", "--live", "not-an-address"), "address of the live page"),
    ],
)
def test_bad_arguments_are_a_single_line_and_nothing_is_created(
    command: Any, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    code, out, err = command(*arguments)
    assert code == 2 and out == "" and message in err and len(err.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_no_table_and_no_run(command: Any) -> None:
    assert command(source=False)[0] == 2
    code, _, err = command("--resume", source=False)
    assert code == 1 and "There is no run" in err


def test_results_are_stored_on_ctrl_c(command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from attribution.commands import batch

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(batch, "_move", interrupt)
        code, _, err = command("--text", "review", "--method", "random")
    assert code == 130 and "interrupted" in err and "of 3 are stored; continue with --resume" in err
    with Run.open(tmp_path / "run") as run:
        assert 1 <= run.progress().done + run.progress().failed <= 3
    assert command("--resume", source=False)[0] == 0


def test_a_run_with_a_killed_process_is_resumed(tmp_path: Path) -> None:
    words = ["good", "bad", "a film", "not", "very"]
    rows = [
        {"text": " ".join(words[(i * k) % 5] for k in range(1, 30)) + f" {i}", "label": i % 2}
        for i in range(200)
    ]
    table = tmp_path / "table.jsonl"
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = ["batch", str(table), "--out", str(tmp_path / "run"), "--method", "saliency"]
    launcher = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "attribution",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    with subprocess.Popen(
        [*launcher, *arguments], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as group:
        _kill_worker(group, tmp_path / "run")
        output = group.communicate(timeout=120)[0].decode()
    with Run.open(tmp_path / "run") as run:
        before = {result.place: result.attribution.seconds for result in run.results() if result.attribution}
    assert group.returncode != 0 and 0 < len(before) < 200, output
    assert main([*arguments, "--resume"], {}) == 0
    with Run.open(tmp_path / "run") as run:
        after = [
            (result.place, result.attribution.seconds if result.attribution else None)
            for result in run.results()
        ]
    assert [place for place, _ in after] == list(range(200))
    assert before.items() <= dict(after).items()  # nothing that was there has been computed again


def _kill_worker(group: subprocess.Popen[bytes], folder: Path) -> None:
    """Kill one of the two workers as soon as both have stored something."""
    until = time.monotonic() + 120
    while time.monotonic() < until and group.poll() is None:
        parts = sorted(folder.glob("part-*.sqlite"))
        if len(parts) == 2 and all(_has_results(path) for path in parts):
            worker = psutil.Process(group.pid).children()[-1]
            worker.send_signal(signal.SIGKILL)
            return
        time.sleep(0.05)


def _has_results(path: Path) -> bool:
    from attribution.batch.journal import Journal

    with Journal(path) as journal:
        return any(True for _ in journal.entries(bodies=False))
