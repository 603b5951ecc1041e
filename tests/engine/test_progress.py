"""Progress: bars where a person looks on, nothing in pipes, and the deadline of functions."""

from __future__ import annotations

import dataclasses
import io
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from attribution import attribute, attribute_many, compare, evaluate, load, run_batch
from attribution.engine import Engine
from attribution.errors import DeadlineExceeded
from attribution.models import deadline
from attribution.request import progress as module
from attribution.request.progress import Bar, count_rows
from attribution.settings import DEFAULTS

LABELS = ("negative", "positive")
TEXT = "a good plot and a bad actor"


class Terminal(io.StringIO):
    """Standard error as a terminal that notes when something is drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn = threading.Event()

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if text.strip():
            self.drawn.set()
        return super().write(text)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    stream = Terminal()
    # pytest changes sys.stderr between a fixture and its test.
    monkeypatch.setattr(module, "sys", SimpleNamespace(stderr=stream, modules=sys.modules))
    monkeypatch.setattr(module, "DELAY_SECONDS", 0.01)
    monkeypatch.setattr(module, "REFRESH_SECONDS", 0.1)
    return stream


def rule(texts: list[str]) -> list[list[float]]:
    return [[0.3, 0.7] if "good" in text else [0.6, 0.4] for text in texts]


def test_a_long_call_of_a_function_shows_how_many_texts_are_done(terminal: Terminal) -> None:
    def slow(texts: list[str]) -> list[list[float]]:
        assert len(texts) == 1 or terminal.drawn.wait(60)
        return rule(texts)

    attribute(TEXT, load(slow, labels=LABELS), "lime", samples=200)
    assert " rows" in terminal.getvalue() and "%|" in terminal.getvalue()


def test_quick_work_shows_nothing(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DELAY_SECONDS", 600)
    attribute(TEXT, load(rule, labels=LABELS), "occlusion")
    assert terminal.getvalue() == ""


@pytest.mark.parametrize(
    ("choice", "watched", "drawn"), [(None, False, False), (True, False, True), (False, True, False)]
)
def test_pipes_get_nothing_unless_the_caller_says_so(
    choice: bool | None, watched: bool, drawn: bool, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "isatty", lambda: watched)
    with Bar(choice, "texts", total=3) as bar:
        bar.advance()
        if drawn:
            assert terminal.drawn.wait(60)
    assert ("1/3" in terminal.getvalue()) == drawn


def test_a_process_with_a_pipe_writes_nothing() -> None:
    code = (
        "import attribution.request.progress as p; p.DELAY_SECONDS = 0\n"
        "from attribution import attribute, load\n"
        "import time\n"
        "def f(texts): time.sleep(0.2); return [[0.3, 0.7]] * len(texts)\n"
        "attribute('a good film', load(f, labels=('a', 'b')), 'occlusion')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")


def test_functions_are_told_how_far_the_work_is(tmp_path: Path) -> None:
    model = load(rule, labels=LABELS, name="rule")
    calls: list[Any] = []

    def note(*values: Any) -> None:
        calls.append(values if len(values) == 2 else (values[0].done, values[0].total))

    def last() -> Any:
        value = calls[-1]
        calls.clear()
        return value

    attribute(TEXT, model, "occlusion", progress=note)
    done, total = last()
    assert done == total > 5
    adapter_done: list[tuple[int, int]] = []
    attribute(
        TEXT, "bundled/sst2-minilm", "occlusion", progress=lambda *pair: adapter_done.append(pair), hide="pad"
    )
    assert not adapter_done or adapter_done[-1][0] <= adapter_done[-1][1]
    list(attribute_many([TEXT, "bad"], model, "occlusion", progress=note))
    assert last() == (2, 2)
    compare(TEXT, model, ["occlusion", "lime"], samples=50, progress=note)
    assert last() == (2, 2)
    evaluate([TEXT, "not bad"], model, ["occlusion"], ["comprehensiveness"], bootstrap=100, progress=note)
    assert last() == (2, 2)
    run_batch([TEXT, "bad"], tmp_path / "run", model, "occlusion", progress=note)
    assert last() == (2, 2)


def test_counts_are_those_of_the_rows() -> None:
    assert [count_rows(source) for source in (["a", "b"], iter("ab"), {"text": ["a"]})] == [2, 0, 0]


class Clock:
    """Time that passes only in calls of a function."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.mark.parametrize("seconds", [9.0, 100.0])
def test_the_deadline_is_kept_between_calls_and_after_a_single_long_one(
    seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(deadline, "time", clock)
    calls = []

    def slow(texts: list[str]) -> list[list[float]]:
        calls.append(len(texts))
        clock.now += seconds
        return rule(texts)

    model = load(slow, labels=LABELS)
    engine = Engine(dataclasses.replace(DEFAULTS, deadline_seconds=60.0))
    engine.attribute("good", load(rule, labels=LABELS), "occlusion")
    with pytest.raises(
        DeadlineExceeded, match=r"longer than 60 seconds\. The function had answered .* of .* texts"
    ) as raised:
        engine.attribute(" ".join(f"word{i}" for i in range(60)), model, "lime", samples=1000)
    assert "deadline_seconds=600" in raised.value.hint and len(calls) <= 60 / seconds + 2
