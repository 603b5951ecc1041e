"""The benchmark commands on tiny models: which lines there are, and whether both sides computed the same.

Never how long it took.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import gpu
from benchmarks.measure import (
    Duel,
    Outcome,
    aligned,
    difference,
    facts_of,
    markdown,
    ranked,
    slope,
    turns,
    written,
)
from benchmarks.peers import cases, chosen_rows, every_row, line
from benchmarks.rows import QUICK, Case, Row
from benchmarks.scale import WHERE, Grew, curves, table
from benchmarks.subjects import CONTINUATION, NAMES, subject

ROOT = Path(__file__).resolve().parents[2]
ROWS = {row.name: row for row in every_row()}


def command(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    made = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    return subprocess.run(made, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[dict[str, Any]]]:
    """What ``python -m benchmarks.peers --quick`` prints and writes, for the shorter texts and one thread."""
    path = tmp_path_factory.mktemp("peers") / "peers.json"
    done = command("peers", "--quick", "--threads", "1", "--tokens", "22", "--json", str(path))
    assert path.exists(), done.stderr
    return done.stdout, json.loads(path.read_text(encoding="utf-8"))["results"]


@pytest.mark.parametrize("name", ROWS)
def test_a_row_runs_and_agrees(name: str, peers: tuple[str, list[dict[str, Any]]]) -> None:
    row, (printed, results) = ROWS[name], peers
    if row.missing():
        assert f"{row.missing()} is not installed" in printed and "requirements-peers.txt" in printed
        assert not [result for result in results if result["row"] == name]
        pytest.skip(f"{row.missing()} is in requirements-peers.txt only")
    found = [result for result in results if result["row"] == name]
    assert [result["model"] for result in found] == [model for model in NAMES if model in row.models]
    for result in found:
        assert not result["error"]
        assert result["rounds"] == 1 and result["threads"] == 1
        assert row.title in printed
        if result["unit"] == "s":
            low, middle, high = result["ratio"]
            assert 0 < low <= middle <= high
            assert result["ours"] > 0 and result["theirs"] > 0
        if not result["same"]:
            assert result["note"], "what differs has to be said"
            assert 0.5 < result["agreement"] <= 1.0001
        else:
            # Where each has its own points on the path, they meet within the residual; else within rounding.
            assert 0 <= result["agreement"] < (0.05 if row.note else 1e-4)


def test_the_models_are_told(peers: tuple[str, list[dict[str, Any]]]) -> None:
    for name in NAMES:
        assert f"{name}: random weights, seed 0" in peers[0]


def test_a_residual_stands_beside_integrated_gradients(peers: tuple[str, list[dict[str, Any]]]) -> None:
    for result in peers[1]:
        if result["row"] == "ig":
            assert 0 <= result["facts"]["our residual %"][1] <= 1


def test_equal_error_is_equal_error(peers: tuple[str, list[dict[str, Any]]]) -> None:
    (result,) = [result for result in peers[1] if result["row"] == "shapley_equal_error"]
    facts = result["facts"]
    assert 0 < facts["our error %"][0] <= facts["their error %"][0]
    assert facts["their evaluations"][0] >= 2048


def test_an_unknown_row_is_told() -> None:
    with pytest.raises(SystemExit, match=r"There are no rows nothing.*saliency"):
        chosen_rows(["nothing"])


def test_a_row_that_breaks_is_a_line_of_its_own() -> None:
    def broken(case: Case, text: str) -> Duel:
        raise ValueError("the peer is not there")

    from benchmarks.peers import measured

    chosen = list(cases([Row("broken", "broken", "", broken, ("minilm",), (22,))], NAMES, (22,), (1,), QUICK))
    (result,) = measured(chosen)
    assert result.error == "does not run: ValueError: the peer is not there"
    assert result.error in line(result)


def test_cases_are_those_asked_for() -> None:
    rows = [ROWS["saliency"], ROWS["occlusion_window"]]
    found = [
        (row.name, case.subject.name, case.tokens, case.threads)
        for row, case in cases(rows, ("minilm",), (128,), None, QUICK)
    ]
    assert found == [
        ("saliency", "minilm", 128, 1),
        ("saliency", "minilm", 128, 2),
        ("occlusion_window", "minilm", 22, 2),
    ]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("tokens", [7, 22, 128])
def test_texts_have_the_tokens_they_should(name: str, tokens: int) -> None:
    chosen = subject(name, small=True)
    texts = list(itertools.islice(chosen.texts(tokens), 4))
    assert [chosen.count(text) for text in texts] == [tokens] * 4
    assert len(set(texts)) == 4
    assert chosen.count(f"{texts[0]}{CONTINUATION}") >= tokens + 5


@pytest.fixture(scope="module")
def scale(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[dict[str, Any]]]:
    path = tmp_path_factory.mktemp("scale") / "scale.json"
    done = command("scale", "--quick", "--threads", "1", "--json", str(path))
    assert path.exists(), done.stderr
    return done.stdout, json.loads(path.read_text(encoding="utf-8"))["results"]


@pytest.mark.parametrize("sweep", WHERE)
def test_a_sweep_has_its_lines(sweep: str, scale: tuple[str, list[dict[str, Any]]]) -> None:
    printed, results = scale
    found = [result for result in results if result["sweep"] == sweep]
    assert [result["name"] for result in found] == [
        curve.name for curve in curves(quick=True) if curve.sweep == sweep
    ]
    assert WHERE[sweep] in printed
    for result in found:
        assert result["name"] in printed and len(result["sizes"]) == len(result["amounts"]) >= 2
        assert all(amount > 0 if result["unit"] == "s" else amount >= 0 for amount in result["amounts"])
        if result["exponent"] is not None:
            assert result["exponent"] == pytest.approx(slope(result["sizes"], result["amounts"]))


def test_the_exponent_is_that_of_a_power() -> None:
    assert slope([8, 16, 64, 512], [3 * n**1.5 for n in (8, 16, 64, 512)]) == pytest.approx(1.5)
    assert Grew("tokens", "none", (1, 2), (0.0, 0.0), "MiB").exponent is None


def test_a_line_that_misses_a_size_leaves_it_empty() -> None:
    found = [Grew("tokens", "a", (8, 16), (0.5, 1.0), "s"), Grew("tokens", "b", (16, 32), (2.0, 2.0), "s")]
    lines = table("tokens", found, markdown).splitlines()
    assert lines[2:] == ["| a | 500 ms | 1 s |  | 1.00 |", "| b |  | 2 s | 2 s | 0.00 |"]


def test_both_take_turns() -> None:
    said: list[str] = []

    def call(name: str) -> Outcome:
        said.append(name)
        return Outcome(np.array([1.0, -2.0]), {"size": len(said)})

    def duels() -> Any:
        for number in itertools.count():
            yield Duel(lambda k=number: call(f"ours {k}"), lambda k=number: call(f"theirs {k}"))

    done = turns(duels(), 3, 1e9)
    assert said == [f"{who} {number}" for number in range(4) for who in ("ours", "theirs")]
    assert len(done) == 3, "the first only warms up"
    assert facts_of([found for one in done for found in one.outcomes]) == {"size": (3, 8)}
    assert len(turns(duels(), 3, 0.0)) == 1, "no time left still means one round"


def test_agreement_is_what_it_says() -> None:
    ours, theirs = Outcome(np.array([1.0, 2.0, -4.0, 9.0])), Outcome(np.array([1.0, 2.5, -4.0, np.nan]))
    assert difference(ours, theirs) == pytest.approx(0.5 / 4)
    assert ranked(ours, theirs) == pytest.approx(1.0)
    assert ranked(ours, Outcome(-ours.scores)) == pytest.approx(-1.0)
    assert np.isnan(ranked(ours, Outcome(np.ones(4))))


def test_tables() -> None:
    assert markdown(["a", "b"], [["x", "1|2"]]) == "| a | b |\n| --- | ---: |\n| x | 1\\|2 |"
    assert aligned(["name", "n", "more"], [["a", "10", "words"], ["long one", "2", ""]]).splitlines() == [
        "name       n  more",
        "a         10  words",
        "long one   2",
    ]
    assert [written(v) for v in (0.0123, 0.9999, 12.34, 1234.0)] == ["12.3 ms", "1 s", "12.3 s", "1,234 s"]
    assert written(1234.5, "MiB") == "1,234 MiB"


def test_what_an_accelerator_is_asked_runs_without_one() -> None:
    done = command("gpu", "--small")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()[1:]
    counts = {
        part: sum(line.startswith(f"{part}: ") for line in lines)
        for part in ("scores", "single", "many", "memory", "decoder")
    }
    assert counts == {"scores": 6, "single": 4, "many": 4, "memory": 1, "decoder": 1}
    assert all("differ by 0.0e+00" in line for line in lines if line.startswith("scores: ")), (
        "both sides are the processors"
    )
    assert "4 tokens generated" in lines[-1]


def test_without_an_accelerator_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu"])
    assert gpu.main() == 2
    assert "no accelerator" in capsys.readouterr().err
