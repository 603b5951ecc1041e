"""Evaluations: figures, intervals and the best methods against plain computations; failures; files."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from attribution import Evaluation, evaluate, load
from attribution.engine import Engine
from attribution.errors import (
    BadFile,
    BadOption,
    Cancelled,
    DeadlineExceeded,
    EmptyInput,
    HubUnavailable,
    UnknownMethod,
    UnknownMetric,
)
from attribution.formats import list_formats, render
from attribution.metrics import Measurement, Metric
from attribution.models.adapter import Adapter
from attribution.settings import DEFAULTS
from attribution.studies.evaluating import evaluate_steps
from attribution.studies.evaluation import CONTROL, GRID, OVERALL, Column

WEIGHTS = {"one": 0.2, "two": 0.1, "three": 0.08, "four": 0.05, "five": 0.03}
TEXTS = [
    "one two three four",
    "two three x y",
    "five one z",
    "three four two w v",
    "x y one q",
    "two five one",
]


def answers(rows: list[str]) -> list[list[float]]:
    right = [0.5 + sum(WEIGHTS.get(word, 0.0) for word in row.split()) for row in rows]
    return [[1 - p, p] for p in right]


@pytest.fixture(scope="module")
def additive() -> Any:
    return load(answers, labels=("no", "yes"))


@pytest.fixture(scope="module")
def evaluation(additive: Any) -> Evaluation:
    return evaluate(
        [*TEXTS, " "],
        additive,
        ["lime", "occlusion"],
        ["deletion", "aopc_comprehensiveness", "sparsity", "completeness"],
        target="yes",
    )


def make_evaluation(
    table: Sequence[Sequence[Sequence[float | None]]], better: Sequence[Any] = ("higher",), **fields: Any
) -> Evaluation:
    """An evaluation of made-up values [methods][metrics][texts]; the last method is the control."""
    names = [*(f"m{k}" for k in range(len(table) - 1)), CONTROL]
    columns = tuple(Column(f"k{k}", f"K{k}", way, "faithfulness") for k, way in enumerate(better))
    count = len(table[0][0])
    rows = tuple(tuple(tuple(values) for values in method_rows) for method_rows in table)
    return Evaluation(
        "a/model", tuple(names), columns, tuple("abcdefghijklmnopqrstuvwxyz"[:count]), count, rows, **fields
    )


class TestFigures:
    def test_the_control_is_measured_beside_them(self, evaluation: Evaluation) -> None:
        assert evaluation.methods == ("lime", "occlusion", "random")
        assert evaluation.finished and evaluation.total == 7

    def test_a_mean_is_over_the_texts_where_it_is_defined(self, evaluation: Evaluation) -> None:
        figure = evaluation.figure("occlusion", "deletion")
        defined = [value for value in figure.values if value is not None]
        assert figure.mean == pytest.approx(np.mean(defined))
        assert (figure.count, figure.undefined) == (6, 1)
        assert figure.low is not None and figure.high is not None
        assert figure.low < figure.mean < figure.high

    def test_what_is_undefined_says_why(self, evaluation: Evaluation) -> None:
        figure = evaluation.figure("occlusion", "completeness")
        assert (figure.mean, figure.low, figure.high, figure.count) == (None, None, None, 0)
        assert (0, "occlusion", "completeness", "The method does not claim to add up.") in evaluation.reasons

    def test_what_fails_is_listed(self, evaluation: Evaluation) -> None:
        assert [(place, method) for place, method, _ in evaluation.failures] == [
            (6, m) for m in ("lime", "occlusion", "random")
        ]
        assert "no text" in evaluation.failures[0][2]

    def test_values_are_those_of_the_metric(self, evaluation: Evaluation) -> None:
        p = [
            0.5 + sum(sorted((WEIGHTS.get(w, 0.0) for w in TEXTS[0].split()), reverse=True)[k:])
            for k in range(5)
        ]
        assert evaluation.figure("occlusion", "deletion").values[0] == pytest.approx(
            np.trapezoid(p, np.linspace(0, 1, 5))
        )

    def test_a_curve_is_the_mean_of_the_texts(self, evaluation: Evaluation) -> None:
        curve = evaluation.curves["occlusion", "deletion"]
        assert curve.x == pytest.approx(GRID)
        assert curve.y[0] == pytest.approx(np.mean([answers([text])[0][1] for text in TEXTS]))
        assert curve.y[-1] == pytest.approx(0.5)

    def test_the_interval_is_that_of_a_bootstrap(self) -> None:
        values = np.random.default_rng(1).normal(size=26)
        evaluation = make_evaluation([[values.tolist()], [[0.0] * 26]], bootstrap=20_000)
        figure = evaluation.figure("m0", "k0")
        draw = np.random.default_rng(5)
        means = [draw.choice(values, 26).mean() for _ in range(20_000)]
        assert [figure.low, figure.high] == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.02)

    def test_one_text_has_no_interval(self) -> None:
        figure = make_evaluation([[[0.4]], [[0.1]]]).figure("m0", "k0")
        assert (figure.mean, figure.low, figure.high) == (0.4, None, None)

    def test_the_mean_over_the_outputs_of_a_text(self, tiny: dict[str, Adapter]) -> None:
        both = evaluate(["the plot"], tiny["gpt2"], "saliency", "sparsity", max_new_tokens=2)
        each = [
            evaluate(["the plot"], tiny["gpt2"], "saliency", "sparsity", max_new_tokens=2, position=k)
            for k in range(2)
        ]
        single = [evaluation.figure("saliency", "sparsity").mean for evaluation in each]
        assert both.figure("saliency", "sparsity").mean == pytest.approx(np.mean(single))


class TestBest:
    def test_a_clear_winner_and_a_rival(self) -> None:
        base = np.linspace(0, 1, 20)
        noise = np.random.default_rng(0).normal(size=20) * 0.05
        evaluation = make_evaluation(
            [
                [(base + 0.5).tolist()],
                [(base + 0.5 + noise - noise.mean() - 0.001).tolist()],
                [(base + 0.4).tolist()],
            ]
        )
        best = evaluation.best("k0")
        assert best.method == "m0"
        assert best.rivals == ("m1",)
        # The texts differ far more than the methods: only pairing them tells the control apart.
        assert evaluation.figure("m0", "k0").low < evaluation.figure(CONTROL, "k0").high  # type: ignore[operator]
        assert 0.4 < best.chance < 0.7  # type: ignore[operator]
        assert "m0 is first" in best.sentence and "Not distinguishable from it: m1." in best.sentence

    def test_lower_may_be_better(self) -> None:
        table = [[[0.1] * 6], [[0.9] * 6], [[0.5] * 6]]
        assert make_evaluation(table, ["lower"]).best("k0").method == "m0"
        assert make_evaluation(table, ["higher"]).best("k0").method == "m1"
        assert [figure.method for figure in make_evaluation(table, ["lower"]).ranking("k0")] == [
            "m0",
            CONTROL,
            "m1",
        ]

    def test_the_control_never_wins_but_is_named(self) -> None:
        best = make_evaluation([[[0.1] * 6], [[0.5] * 6]]).best("k0")
        assert (best.method, best.chance, best.rivals) == ("m0", 1.0, (CONTROL,))
        assert best.sentence.endswith("Nor is it distinguishable from random scores.")

    def test_few_texts_cannot_tell(self) -> None:
        best = make_evaluation([[[0.9] * 3], [[0.1] * 3], [[0.0] * 3]]).best("k0")
        assert best.chance is None
        assert best.rivals == ("m1", CONTROL)
        assert "3 texts cannot distinguish it" in best.sentence

    def test_overall_is_the_mean_rank_over_what_all_have(self) -> None:
        table = [
            [[0.9] * 6, [0.2] * 6, [1.0] * 6],
            [[0.8] * 6, [0.1] * 6, [None] * 6],
            [[0.1] * 6, [0.9] * 6, [None] * 6],
        ]
        evaluation = make_evaluation(table, ["higher", "lower", "higher"])
        assert evaluation.best().metric == OVERALL
        assert evaluation.best().rivals == ("m1",)  # one rank each: the third metric is not m1's

    def test_nothing_is_defined(self) -> None:
        best = make_evaluation([[[None] * 6], [[None] * 6]]).best("k0")
        assert best.method is None
        assert best.sentence == "K0 is not defined for any of these texts."
        assert make_evaluation([[[None] * 6], [[None] * 6]]).best().method is None


class TestSteps:
    def test_it_grows_text_by_text_and_can_be_left(self, additive: Any) -> None:
        growing = evaluate_steps(Engine(), TEXTS, additive, "occlusion", "deletion", target="yes")
        first = next(growing)
        assert (first.done, first.total, first.finished) == (1, 6, False)
        assert first.figure("occlusion", "deletion").count == 1
        second = next(growing)
        growing.close()
        assert second.done == 2
        assert second.table[0][0][0] == first.table[0][0][0]

    def test_the_same_seed_gives_the_same_evaluation(self, additive: Any) -> None:
        first, second, third = (
            evaluate(TEXTS, additive, "lime", ["deletion", "infidelity"], seed=seed, target="yes")
            for seed in (3, 3, 4)
        )
        assert first == second
        assert first.figure(CONTROL, "deletion").values != third.figure(CONTROL, "deletion").values

    def test_cancelling(self, additive: Any) -> None:
        calls: list[int] = []
        growing = evaluate_steps(
            Engine(), TEXTS, additive, "occlusion", "deletion", cancelled=lambda: len(calls) > 0
        )
        next(growing)
        calls.append(1)
        with pytest.raises(Cancelled):
            next(growing)

    def test_options_reach_methods_and_metrics(self, additive: Any) -> None:
        evaluation = evaluate(
            TEXTS[:1],
            additive,
            "lime",
            "deletion",
            target="yes",
            options={"lime": {"samples": 20}, "deletion": {"normalize": True}},
        )
        assert evaluation.arguments["options"]["lime"] == {"samples": 20}
        assert evaluation.curves["lime", "deletion"].y[0] == pytest.approx(1)

    def test_pairs_have_a_second_text_each(self, tiny: dict[str, Adapter]) -> None:
        evaluation = evaluate(
            ["so good", "so bad"], tiny["bert"], "saliency", "deletion", second=["a film", None]
        )
        assert evaluation.figure("saliency", "deletion").count == 2

    @pytest.mark.parametrize(
        ("change", "kind", "message"),
        [
            ({"texts": []}, EmptyInput, "no texts"),
            ({"methods": "no-such"}, UnknownMethod, "no-such"),
            ({"metrics": "no-such"}, UnknownMetric, "no-such"),
            ({"methods": "random"}, BadOption, "nothing to evaluate"),
            ({"metrics": []}, BadOption, "metrics is empty"),
            ({"seed": -1}, BadOption, "seed is -1"),
            ({"bootstrap": 5}, BadOption, "bootstrap is 5"),
            ({"options": {"lime": {}}}, BadOption, "options for 'lime', which is not among"),
            ({"options": {"deletion": {"hide": "no"}}}, BadOption, "hide is 'no'"),
            ({"second": ["a"]}, BadOption, "1 second for 6 texts"),
            ({"rationales": [None]}, BadOption, "1 rationales for 6 texts"),
            ({"model": "no/such-model"}, HubUnavailable, "no/such-model"),
        ],
    )
    def test_what_cannot_be_asked(
        self, additive: Any, change: dict[str, Any], kind: type[Exception], message: str
    ) -> None:
        arguments = {
            "texts": TEXTS,
            "model": additive,
            "methods": "occlusion",
            "metrics": "deletion",
            **change,
        }
        with pytest.raises(kind, match=message):
            evaluate(**arguments)


class TestExplained:
    """The door that an evaluation goes through."""

    def test_the_function_is_that_of_the_attribution(self, tiny: dict[str, Adapter]) -> None:
        engine = Engine()
        result = engine.attribute("the plot is bad", tiny["bert"], "saliency", target=0)
        with engine.lease_function(result.request, tiny["bert"]) as f:
            assert f.tokens == result.tokens
            assert f.values.tolist() == pytest.approx([result.outputs[0].value])
        named = engine.attribute("the plot is bad", method="saliency")
        with engine.lease_function(named.request) as f:
            assert f.values.tolist() == pytest.approx([named.outputs[0].value])

    def test_time_is_limited_and_the_place_is_free_again(self, tiny: dict[str, Adapter]) -> None:
        engine = Engine(dataclasses.replace(DEFAULTS, running_requests=1))
        result = engine.attribute("the plot is bad", tiny["bert"], "saliency")
        with (
            pytest.raises(DeadlineExceeded),
            engine.lease_function(result.request, tiny["bert"], seconds=0.0),
        ):
            pass
        with (
            pytest.raises(Cancelled),
            engine.lease_function(result.request, tiny["bert"], cancelled=lambda: True),
        ):
            pass
        assert engine.attribute("the plot is good", tiny["bert"], "saliency").scores.any()

    def test_what_takes_too_long_is_listed_and_the_rest_goes_on(
        self, monkeypatch: pytest.MonkeyPatch, additive: Any
    ) -> None:
        def measure(self: Any, case: Any, **options: Any) -> Any:
            if case.attribution.method == "occlusion":
                raise DeadlineExceeded("Too late.")
            return Measurement(0.5)

        monkeypatch.setattr(Metric, "measure", measure)
        evaluation = evaluate(TEXTS[:2], additive, ["occlusion", "lime"], "deletion", target="yes")
        assert evaluation.failures == ((0, "occlusion", "Too late."), (1, "occlusion", "Too late."))
        assert evaluation.figure("lime", "deletion").values == (0.5, 0.5)


class TestFiles:
    def test_json_is_read_back_equal(self, evaluation: Evaluation, tmp_path: Path) -> None:
        evaluation.save(tmp_path / "a.json")
        assert Evaluation.load(tmp_path / "a.json") == evaluation
        assert Evaluation.from_dict(json.loads(json.dumps(evaluation.to_dict()))) == evaluation

    @pytest.mark.parametrize(
        "change",
        [
            lambda d: d.update(schema="evaluation/9"),
            lambda d: d.pop("figures"),
            lambda d: d["figures"][0].update(values=[1.0]),
            lambda d: d["figures"][0].update(values=["x"] * 7),
            lambda d: d.update(columns=[{"name": "deletion"}]),
        ],
    )
    def test_what_is_no_evaluation(self, evaluation: Evaluation, change: Any) -> None:
        data = json.loads(json.dumps(evaluation.to_dict()))
        change(data)
        with pytest.raises(BadFile):
            Evaluation.from_dict(data)

    def test_csv_has_a_row_for_each_figure(self, evaluation: Evaluation, tmp_path: Path) -> None:
        evaluation.save(tmp_path / "a.csv")
        rows = list(csv.DictReader((tmp_path / "a.csv").read_text("utf-8-sig").splitlines()))
        assert len(rows) == len(evaluation.figures)
        for row, figure in zip(rows, evaluation.figures, strict=True):
            assert (row["method"], row["metric"]) == (figure.method, figure.metric)
            assert row["mean"] == ("" if figure.mean is None else repr(figure.mean))

    def test_hostile_names_stay_text(self) -> None:
        evil = "<script>alert(1)</script>|&\\end{tabular}$"
        evaluation = make_evaluation(
            [[[0.4] * 6], [[0.1] * 6]], titles={"m0": evil}, failures=((0, "m0", f"=cmd()\n{evil}"),)
        )
        evaluation = dataclasses.replace(
            evaluation, model=evil, columns=(dataclasses.replace(evaluation.columns[0], title=evil),)
        )
        for kind in list_formats("evaluation"):
            content = render(evaluation, kind)
            if kind in ("html", "svg", "md"):
                assert b"<script" not in content, kind
        ElementTree.fromstring(evaluation.plot())
        assert "<script" not in evaluation._repr_html_()
        body = "\n".join(
            line for line in render(evaluation, "tex").decode().splitlines() if not line.startswith("%")
        )
        assert body.count(r"\end{tabular}") == 1

    def test_pictures(self, evaluation: Evaluation, tmp_path: Path) -> None:
        root = ElementTree.fromstring(evaluation.plot(width=600, theme="dark"))
        circles = [node for node in root.iter() if node.tag.endswith("circle")]
        assert len(circles) == sum(figure.mean is not None for figure in evaluation.figures)
        evaluation.save(tmp_path / "a.png")
        assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
        for wrong in ({"width": 10}, {"theme": "blue"}):
            with pytest.raises(BadOption):
                evaluation.plot(**wrong)  # type: ignore[arg-type]

    def test_an_unknown_ending(self, evaluation: Evaluation, tmp_path: Path) -> None:
        with pytest.raises(BadFile, match="no file type 'docx'"):
            evaluation.save(tmp_path / "a.docx")
