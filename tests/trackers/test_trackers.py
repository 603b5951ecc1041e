"""The session, its spool and its sender, with a tracker in memory instead of a real client."""

from __future__ import annotations

import json
import math
import pkgutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from attribution import attribute, evaluate, run_batch, trackers
from attribution.__main__ import main
from attribution.commands import track as command
from attribution.errors import BadFile, BadOption, NotInstalled, UnknownTracker
from attribution.models.adapter import Adapter
from attribution.trackers import Item, Refusal, TrackedRun, find, list_trackers, replay, tracker
from attribution.trackers.delivery import results, sender, session
from attribution.trackers.delivery.sender import Sender
from attribution.trackers.delivery.session import Session, track
from attribution.trackers.delivery.spool import Spool, plain_name, plain_number, take_lock
from tests.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class MemoryTracker:
    """A tracker in memory: the items it received, and how it responds."""

    lasting: bool = True
    got: list[tuple[str, int]] = field(default_factory=list)
    content: dict[str, Any] = field(default_factory=dict)
    before: Callable[[str, int], None] = lambda kind, number: None
    connected: int = 0

    def _take(self, kind: str, number: int) -> None:
        self.before(kind, number)
        self.got.append((kind, number))

    def parameters(self, item: Item) -> None:
        self._take("parameters", item.number)

    def figures(self, items: Sequence[Item]) -> None:
        for item in items:
            self._take("figures", item.number)
            self.content[f"figures {item.number}"] = item.data["values"]

    def table(self, item: Item, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        self._take("table", item.number)
        self.content[item.data["name"]] = (columns, rows)

    def artifact(self, item: Item, path: str) -> None:
        self._take("artifact", item.number)
        self.content[item.data["name"]] = Path(path).read_bytes()

    def finish(self, status: str) -> None:
        self._take(f"finish {status}", -1)


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> MemoryTracker:
    """Replaces the tracker ``mlflow`` for senders in this process."""
    connection = MemoryTracker()

    def connect(run: TrackedRun, **settings: object) -> MemoryTracker:
        connection.connected += 1
        return connection

    replacement = replace(find("mlflow"), connect=connect)
    monkeypatch.setattr(sender, "find", lambda name: replacement)
    monkeypatch.setattr(sender, "FIRST_PAUSE", 0.01)
    return connection


def write_spool(folder: Path, status: str | None = "finished", key: str = "a") -> Spool:
    """Write a spool with one item of each kind, as a session leaves it."""
    tracked = track("mlflow", "a run", key=key, folder=folder, send=False)
    tracked.parameters({"model": "m", "steps": 3})
    tracked.figures({"loss": 0.5, "nan": math.nan, "none": None}, step=1)
    tracked.figures({"loss": 0.25}, step=2)
    tracked.table("rows", ["text", "score"], [["<b>ü", 1.5], ["", None]])
    tracked.artifact("picture.html", lambda: b"<p>", "text/html")
    if status:
        tracked.finish(status)  # type: ignore[arg-type]
    else:
        drain(tracked)
        tracked._owner.release()
    return Spool.open(tracked.spool.folder)


def drain(tracked: Session) -> None:
    """Wait until the writer thread has write_spool every item."""
    eventually(lambda: tracked.spool.count - tracked._start + tracked._lost == tracked._total)


def ended_run() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


EVERYTHING = [
    ("parameters", 0),
    ("figures", 1),
    ("figures", 2),
    ("table", 3),
    ("artifact", 4),
    ("finish finished", -1),
]


def test_every_module_of_the_package_registers_a_described_tracker() -> None:
    assert list(list_trackers()) == sorted(
        info.name for info in pkgutil.iter_modules(trackers.__path__) if not info.ispkg
    )
    for entry in list_trackers().values():
        assert entry.summary.endswith(".") and entry.connect.__doc__ and json.dumps(entry.to_dict())
        assert all(option.help for option in entry.options)
    assert find(" MLflow ").name == "mlflow"
    with pytest.raises(UnknownTracker, match="Did you mean 'mlflow'"):
        find("mlfow")


def test_bad_settings_are_refused_before_the_run_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadOption, match="no option 'url'"):
        track("mlflow", folder=tmp_path, url="http://127.0.0.1:1")
    with pytest.raises(BadOption, match="mode"):
        track("wandb", folder=tmp_path, mode="loud")
    with pytest.raises(BadOption, match="MLFLOW_TRACKING_USERNAME"):
        track("mlflow", folder=tmp_path, uri="http://me:secret@127.0.0.1:1")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(NotInstalled, match="pip install wandb"):
        track("wandb", folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_nothing_of_a_client_is_imported() -> None:
    code = (
        "import sys, attribution.trackers as t\n"
        "t.list_trackers(); t.track; t.replay; t.log_run\n"
        "assert not {'mlflow', 'wandb', 'torch', 'gradio'} & set(sys.modules), sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_item_arrives_in_order_and_a_key_continues_the_run(
    tmp_path: Path, memory: MemoryTracker
) -> None:
    spool = write_spool(tmp_path)
    assert Sender(spool, ended_run()).run() is True
    assert memory.got == EVERYTHING
    assert memory.content["rows.json"] == (["text", "score"], [["<b>ü", 1.5], ["", None]])
    assert memory.content["picture.html"] == b"<p>"
    figures = memory.content["figures 1"]
    assert figures["loss"] == 0.5 and math.isnan(figures["nan"]) and "none" not in figures
    assert not spool.waits and not list(spool.folder.glob("files/*"))
    # The same key continues the same run and its numbering.
    again = write_spool(tmp_path)
    assert again.folder == spool.folder and again.run == spool.run
    assert [item.number for item, _ in again.read(0, 100)] == [6, 7, 8, 9, 10, 11]


@pytest.mark.parametrize("lasting", [True, False])
def test_a_tracker_that_fails_anywhere_gets_the_rest_later(
    tmp_path: Path, memory: MemoryTracker, lasting: bool
) -> None:
    memory.lasting = lasting
    for place in range(6):
        memory.got.clear()
        failing = [True]

        def fail(kind: str, number: int, place: int = place, failing: list[bool] = failing) -> None:
            if failing and len(memory.got) == place:
                failing.clear()
                raise ConnectionError("a text that must not appear")

        memory.before = fail
        spool = write_spool(tmp_path, key=str(place))
        assert Sender(spool, ended_run()).run() is False  # the run has ended_run: one attempt
        assert spool.waits and spool.sent.problem == "MLflow does not accept it (ConnectionError)."
        # Figures are sent in one call: the first of two, which was accepted, is sent again.
        first = 1 if place == 2 else place
        assert Sender(Spool.open(spool.folder), ended_run()).run() is True
        assert memory.got == EVERYTHING[:place] + EVERYTHING[first if lasting else 0 :]
        assert not spool.waits


def test_a_tracker_that_is_down_is_retried_during_the_run(tmp_path: Path, memory: MemoryTracker) -> None:
    down = threading.Event()

    def fail(kind: str, number: int) -> None:
        if not down.is_set():
            raise OSError("down")

    memory.before = fail
    spool, over = write_spool(tmp_path), threading.Event()
    thread = threading.Thread(target=Sender(spool, over).run, daemon=True)
    thread.start()
    eventually(lambda: memory.connected >= 3)
    assert "OSError" in spool.sent.problem and not memory.got
    down.set()
    thread.join(60)
    assert memory.got == EVERYTHING and not spool.waits


def test_a_rejected_item_is_counted_and_the_rest_is_sent(tmp_path: Path, memory: MemoryTracker) -> None:
    def refuse(kind: str, number: int) -> None:
        if number in (2, 3):
            raise Refusal

    memory.before = refuse
    spool = write_spool(tmp_path)
    assert Sender(spool, ended_run()).run() is True
    # The first of the two figures was sent with the second, and then alone.
    assert [number for _, number in memory.got] == [0, 1, 1, 4, -1]
    assert spool.sent.refused == 2


@pytest.mark.parametrize("lasting", [True, False])
def test_the_run_of_a_dead_process_ends_as_killed(
    tmp_path: Path, memory: MemoryTracker, lasting: bool
) -> None:
    memory.lasting = lasting
    spool = write_spool(tmp_path, status=None)
    with (spool.folder / "items.jsonl").open("ab") as file:
        file.write(b'{"number": 5, "kind": "figu')  # half a line: the process was killed while it wrote
    assert Sender(spool, ended_run()).run() is True
    assert memory.got == [*EVERYTHING[:-1], ("finish killed", -1)]
    # Whoever resumes the run continues its numbering.
    assert [item.number for item, _ in write_spool(tmp_path).read(0, 100)] == [5, 6, 7, 8, 9, 10]


def test_a_run_continues_behind_an_incomplete_line(tmp_path: Path, memory: MemoryTracker) -> None:
    spool = write_spool(tmp_path, status=None)
    with (spool.folder / "items.jsonl").open("ab") as file:
        file.write(b'{"number": 5, "kind": "figu')
    again = write_spool(tmp_path)
    assert [item.number for item, _ in again.read(0, 100)] == list(range(11))
    owner = take_lock(spool.folder, "owner")
    assert owner is not None
    owner.release()
    assert Sender(again, ended_run()).run() is True
    assert [number for _, number in memory.got] == [*range(10), -1]


def test_a_run_owned_by_another_process_is_not_finished(tmp_path: Path, memory: MemoryTracker) -> None:
    spool = write_spool(tmp_path, status=None)
    owner = take_lock(spool.folder, "owner")
    assert owner is not None
    with pytest.raises(BadOption, match="being tracked already"):
        track("mlflow", key="a", folder=tmp_path, send=False)
    assert [status.state for status in replay(tmp_path)] == ["running"]
    assert Sender(spool, ended_run()).run() is False
    assert memory.got == EVERYTHING[:-1] and spool.waits
    owner.release()


def test_a_crash_after_the_finish_does_not_send_it_again(
    tmp_path: Path, memory: MemoryTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = write_spool(tmp_path)
    monkeypatch.setattr(Spool, "clear", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        Sender(spool, ended_run()).run()
    monkeypatch.undo()
    assert spool.waits and spool.sent.over
    monkeypatch.setattr(sender, "find", lambda name: replace(find("mlflow"), connect=lambda run, **_: 1 / 0))
    assert Sender(spool, ended_run()).run() is True
    assert memory.got == EVERYTHING and not spool.waits


def test_a_hanging_sender_ends_itself_after_the_run(
    tmp_path: Path, memory: MemoryTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "DEFAULTS", replace(sender.DEFAULTS, tracker_stalled_seconds=0.0))
    monkeypatch.setattr(sender.os, "_exit", lambda code: (_ for _ in ()).throw(SystemExit(code)))
    with pytest.raises(SystemExit, match="1"):
        sender._watch(Sender(write_spool(tmp_path), ended_run()))


def test_no_value_makes_a_session_raise(tmp_path: Path) -> None:
    class Rude:
        def __str__(self) -> str:
            raise RuntimeError("no")

    tracked = track("mlflow", folder=tmp_path, send=False)
    tracked.parameters({"a": Rude()})
    tracked.figures(3)  # type: ignore[arg-type]
    tracked.figures({"a": "many", "b": 1}, step="first")  # type: ignore[arg-type]
    tracked.table("t", None, [1])  # type: ignore[arg-type]
    tracked.artifact("../../etc/passwd", lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    results.log_run(tracked, None)  # type: ignore[arg-type]
    results.log_attribution(tracked, None)  # type: ignore[arg-type]
    tracked.table("t", ["n", "p"], [[math.inf, Path("x")], ["\ud800", 2**70]])
    status = tracked.finish("happily")  # type: ignore[arg-type]
    assert status.lost == 7 and status.total == 9 and status.waiting == 2
    assert "could not be" in status.sentence
    tracked.figures({"late": 1})
    assert tracked.status.lost == 8
    entries = list(Spool.open(tracked.spool.folder).read(0, 100))
    assert [item.kind for item, _ in entries] == ["table", "finish"] and entries[1][0].data == {
        "status": "failed"
    }
    table = json.loads((tracked.spool.files / entries[0][0].data["file"]).read_text(encoding="utf-8"))
    assert table["data"] == [["inf", "x"], ["?", 2**70]]


def test_the_oldest_items_are_dropped_when_disk_and_queue_are_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = replace(session.DEFAULTS, tracker_queue=5, spool_bytes=3000)
    monkeypatch.setattr(session, "DEFAULTS", limits)
    monkeypatch.setattr(session, "DISK_PAUSE", 0.01)
    tracked = track("mlflow", folder=tmp_path, send=False)
    tracked.artifact("large", b"x" * 4000)
    tracked.artifact("fits", b"x" * 2900)
    eventually(lambda: tracked.spool.count == 1)
    for step in range(20):
        tracked.figures({"loss": step}, step=step)
        time.sleep(0.002)
    assert "MiB are queued" in tracked.status.problem
    status = tracked.finish()
    assert status.total == 23 and status.lost == 21 and status.waiting == 2
    assert [item.kind for item, _ in Spool.open(tracked.spool.folder).read(0, 100)] == ["artifact", "finish"]


def test_a_session_waits_for_space_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "DISK_PAUSE", 0.01)
    tracked = track("mlflow", folder=tmp_path, send=False)
    write, full = Spool.write, [3]

    def stuck(spool: Spool, item: Item, content: bytes | None = None) -> None:
        if full[0]:
            full[0] -= 1
            raise OSError(28, "No space left on device")
        write(spool, item, content)

    monkeypatch.setattr(Spool, "write", stuck)
    tracked.figures({"loss": 1})
    drain(tracked)
    status = tracked.finish()
    assert full == [0] and status.lost == 0 and status.waiting == 2 and status.problem == ""


def test_replay_reports_what_it_cannot_send(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadFile, match="no folder"):
        replay(tmp_path / "nothing")
    assert replay(tmp_path) == ()
    spool = write_spool(tmp_path)
    content = (spool.folder / "spool.json").read_text(encoding="utf-8")
    (spool.folder / "spool.json").write_text(content.replace('"mlflow"', '"other"'), encoding="utf-8")
    assert [status.sentence for status in replay(spool.folder)] == [
        f"other: a run: queued in {spool.folder}. There is no tracker 'other'. "
        f"There are: {', '.join(list_trackers())}."
    ]
    (spool.folder / "spool.json").write_text("{}", encoding="utf-8")
    with pytest.raises(BadFile, match="is not the queue of a tracker"):
        replay(tmp_path)


def test_only_its_owner_can_read_the_spool(tmp_path: Path) -> None:
    assert write_spool(tmp_path).folder.stat().st_mode & 0o077 == 0


def test_names_and_numbers_are_plain() -> None:
    assert plain_name("../../a b/ü.png") == "a_b_.png" and plain_name("") == plain_name("..") == "unnamed"
    assert (
        plain_number(True) == 1.0
        and plain_number(math.inf) == "inf"
        and plain_number("x") is plain_number(None) is None
    )


def test_an_attribution_is_logged_with_its_words_and_pictures(
    tmp_path: Path, memory: MemoryTracker, tiny: dict[str, Adapter]
) -> None:
    result = attribute("A wonderful, gripping film.", tiny["bert"], "integrated_gradients", steps=8)
    tracked = track("mlflow", folder=tmp_path, send=False)
    results.log_attribution(tracked, result)
    assert tracked.finish(wait=60).problem == ""
    assert Sender(tracked.spool, ended_run()).run() is True
    columns, rows = memory.content["attribution-words.json"]
    words = result.words()
    assert columns == ["word", words.outputs[0].text]
    assert rows == [
        [token.text, score] for token, score in zip(words.tokens, words.scores[0].tolist(), strict=True)
    ]
    figures = next(values for name, values in memory.content.items() if name.startswith("figures"))
    assert figures["attribution.0.value"] == result.outputs[0].value
    assert result.residual is not None and figures["attribution.0.residual"] == result.residual[0]
    assert (
        memory.content["attribution.png"].startswith(b"\x89PNG")
        and b"wonderful" in memory.content["attribution.html"]
    )


def test_a_run_is_logged_with_figures_of_each_model_and_method(
    tmp_path: Path, memory: MemoryTracker, tiny: dict[str, Adapter]
) -> None:
    rows = [
        {"text": "a fine film", "label": "positive"},
        {"text": "a bad plot", "label": "positive"},
        {"text": "", "label": "negative"},
    ]
    methods = ["saliency", "integrated_gradients"]
    tracked = track("mlflow", folder=tmp_path / "spool", send=False)
    run = run_batch(
        rows,
        tmp_path / "run",
        tiny["bert"],
        methods,
        progress=lambda progress: results.log_progress(tracked, progress),
    )
    (tmp_path / "run" / "summary.csv").write_bytes(b"a,b\n")
    results.log_run(tracked, run)
    assert tracked.finish().problem == ""
    assert Sender(tracked.spool, ended_run()).run() is True
    columns, table = memory.content["summary.json"]
    assert columns == [
        "model",
        "method",
        "answered",
        "failed",
        "accuracy",
        "mean_probability",
        "mean_residual",
    ]
    for row, method in zip(table, methods, strict=True):
        method_results = [result for result in run.results() if result.method == method]
        answered = [result for result in method_results if result.attribution is not None]
        residuals = [abs(value) for result in answered for value in result.attribution.residual or ()]
        assert row[:4] == ["tiny/bert", method, 2, 1]
        assert row[4] == sum(result.predicted == "positive" for result in answered) / 2
        assert row[5] == pytest.approx(sum(result.probability or 0.0 for result in answered) / 2)
        assert row[6] == (pytest.approx(sum(residuals) / len(residuals)) if residuals else None)
    run.close()
    assert memory.content["summary.csv"] == b"a,b\n" and "report.html" not in memory.content
    figures = {
        name: value
        for key, values in memory.content.items()
        if key.startswith("figures")
        for name, value in values.items()
    }
    assert (figures["done"], figures["failed"]) == (4, 2) and figures["tiny_bert.saliency.accuracy"] == table[
        0
    ][4]


def test_an_evaluation_is_logged(tmp_path: Path, memory: MemoryTracker, tiny: dict[str, Adapter]) -> None:
    evaluation = evaluate(
        ["a fine film", "a bad plot"], tiny["bert"], ["saliency"], ["sparsity"], bootstrap=100
    )
    tracked = track("mlflow", folder=tmp_path, send=False)
    results.log_evaluation(tracked, evaluation)
    assert tracked.finish(wait=60).problem == ""
    assert Sender(tracked.spool, ended_run()).run() is True
    figure = evaluation.figure("saliency", "sparsity")
    row = ["sparsity", "saliency", figure.mean, figure.low, figure.high, figure.count, figure.undefined]
    assert row in memory.content["evaluation.json"][1] and b"<svg" in memory.content["evaluation.svg"]
    assert (
        next(values for key, values in memory.content.items() if key.startswith("figures"))[
            "sparsity.saliency"
        ]
        == figure.mean
    )


def test_the_command_lists_and_replays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import argparse

    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    assert command.run(parser.parse_args(["--list"]), {}) == 0
    assert "wandb: " in capsys.readouterr().out
    assert command.run(parser.parse_args(["--replay", str(tmp_path)]), {}) == 0
    assert capsys.readouterr().out == "Nothing is queued.\n"
    tracked = argparse.ArgumentParser()
    command.add_tracker_arguments(tracked)
    arguments = ["--track", "mlflow", "--track-option", "experiment=reviews"]
    assert command.read_settings(tracked.parse_args(arguments)) == {"experiment": "reviews", "uri": ""}
    for wrong in ("reviews", "name=reviews"):
        with pytest.raises(BadOption):
            command.read_settings(tracked.parse_args([*arguments[:2], "--track-option", wrong]))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(NotInstalled, match="MLflow is not installed"):
        command.read_settings(tracked.parse_args(arguments))


def test_the_command_line_logs_its_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: dict[str, Adapter]
) -> None:
    attributions = [attribute("A fine film.", tiny["bert"], method) for method in ("saliency", "random")]
    answers = iter(attributions)
    monkeypatch.setattr("attribution.attribute", lambda **_: next(answers))
    monkeypatch.setenv("ATTRIBUTION_SPOOL", str(tmp_path))
    monkeypatch.setattr(Session, "_start_sender", lambda self: None)
    assert (
        main(
            [
                "A fine film.",
                "--method",
                "saliency",
                "--beside",
                "random",
                "--track",
                "wandb",
                "--output",
                str(tmp_path / "a.json"),
            ]
        )
        == 0
    )
    (folder,) = [path.parent for path in tmp_path.glob("*/spool.json")]
    items = [item for item, _ in Spool.open(folder).read(0, 100)]
    assert [
        item.data["values"]["saliency.method"]
        for item in items
        if "saliency.method" in item.data.get("values", {})
    ] == ["saliency"]
    assert {item.data.get("name") for item in items} >= {
        "saliency-words.json",
        "random-words.json",
        "saliency.png",
        "random.html",
    }


def test_another_package_adds_a_tracker(monkeypatch: pytest.MonkeyPatch) -> None:
    @tracker(title="Paper", package="json", summary="On paper.", sign_in="a pen")
    def paper(run: TrackedRun) -> MemoryTracker:
        return MemoryTracker()

    list_trackers.cache_clear()
    monkeypatch.setattr(
        "attribution.registry.entry_points",
        lambda group: [SimpleNamespace(name="paper", load=lambda: paper, dist=None)],
    )
    try:
        assert find("paper") is paper
        paper.check_installed()
    finally:
        list_trackers.cache_clear()
