"""Costs: counted rows, bytes that autograd keeps, and estimates that learn. No test depends on the clock."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from attribution import load
from attribution.costs import counts, estimates, memory, speeds
from attribution.costs import estimator as module
from attribution.costs.counts import Batch, Count
from attribution.costs.estimator import Estimator
from attribution.costs.speeds import Speed
from attribution.costs.workload import Options, Workload
from attribution.engine import Engine
from attribution.errors import AttributionError, BadOption, DeadlineExceeded, TooLong, Unsupported
from attribution.methods import Method, Scores, list_methods
from attribution.models.adapter import Adapter
from attribution.models.deadline import Deadline
from attribution.models.features import features_of
from attribution.models.function import Function
from attribution.models.objective import Objective
from attribution.models.perturbable import Perturbable
from attribution.models.readers import make_objective
from attribution.request import Request, Target
from components.controls.choices import cost_of
from tests import families, tiny
from tests.quick import QUICK

MODEL = "bundled/sst2-minilm"
TEXT = "The movie was not good, but the actor is great."
INSIDE = {name for name, m in list_methods().items() if m.needs == "attentions"} | {
    "attention_x_gradient",
    "lrp",
    "deeplift",
}
COUNTED = sorted(set(list_methods()) - INSIDE - {"reagent"})
SPEED = Speed((1e-3, 2e-5, 1e-8), (2e-3, 4e-5, 1e-8), (1e3, 1e3, 4.0), (1e2, 1e2, 1.0), 64, 0.5)


@pytest.fixture
def adapter() -> Adapter:
    """A model that has not been measured yet."""
    return Adapter(*tiny.bert(), name="tiny/bert")


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measuring gives fixed figures."""
    monkeypatch.setattr(module, "measure", lambda adapter: SPEED)


def make_function(
    adapter: Adapter | Function, method: str = "saliency", text: str = TEXT, target: Target | None = None
) -> Perturbable:
    return make_objective(
        adapter, text, target or Target(), Deadline(), gradient=list_methods()[method].at_text
    )


def options_of(method: str, **values: Any) -> Options:
    return list_methods()[method].check_options({**QUICK.get(method, {}), **values})


def count_method(f: Perturbable, method: Method, options: Options) -> tuple[Count, Count]:
    return counts.count_work(Workload(f, method, options))


def make_workload(f: Perturbable, method: str, **values: Any) -> Workload:
    return Workload(f, list_methods()[method], options_of(method, **values))


class Wrapper:
    """Counts what really goes through a model: rows and row-tokens forward, and backward by outputs."""

    def __init__(self, f: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows, self.tokens, self.back, self.passes = 0, 0, 0, 0
        for model in {f.model, f.reader.computing_model(f.model)}:
            model.register_forward_pre_hook(self._forward, with_kwargs=True)
        real = torch.autograd.grad

        def grad(
            outputs: Any,
            inputs: Any,
            grad_outputs: Any = None,
            *args: Any,
            is_grads_batched: bool = False,
            **kwargs: Any,
        ) -> Any:
            leaves = [inputs] if isinstance(inputs, torch.Tensor) else list(inputs)
            picks = [grad_outputs] if isinstance(grad_outputs, torch.Tensor) else grad_outputs
            times = len(picks[0]) if is_grads_batched else 1
            self.back += times * sum(leaf.shape[0] * leaf.shape[1] for leaf in leaves)
            return real(outputs, inputs, grad_outputs, *args, is_grads_batched=is_grads_batched, **kwargs)

        monkeypatch.setattr(torch.autograd, "grad", grad)

    def _forward(self, module: Any, args: Any, kwargs: dict[str, Any]) -> None:
        embeddings = kwargs["inputs_embeds"]
        self.passes += 1
        self.rows += embeddings.shape[0]
        self.tokens += embeddings.shape[0] * (
            embeddings.shape[1] + kwargs.get("decoder_inputs_embeds", embeddings[:, :0]).shape[1]
        )


def tokens_of(count: Count) -> int:
    return sum(number * batch.rows * batch.tokens for batch, number in count.batches.items())


def back_of(count: Count) -> int:
    return sum(number * batch.rows * batch.tokens * batch.outputs for batch, number in count.batches.items())


class TestCounting:
    @pytest.mark.parametrize("family", ["bert", "gpt2", "t5", "gpt2-classifier"])
    @pytest.mark.parametrize("method", COUNTED)
    def test_the_count_is_what_the_model_computes(
        self, method: str, family: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model = Adapter(*tiny.FAMILIES[family](), name=family)
        model.shares_prefix = False  # a shared beginning saves tokens, which the count leaves out
        target = Target(continuation="it was") if family in ("gpt2", "t5") else Target()
        text = TEXT[:16] if family == "gpt2" else TEXT
        f = make_function(model, method, text, target)
        least, most = count_method(f, list_methods()[method], options_of(method))
        real = Wrapper(f, monkeypatch)
        list_methods()[method].run(f, **dict(options_of(method)))
        assert least.rows <= real.rows <= most.rows
        assert tokens_of(least) <= real.tokens <= tokens_of(most)
        assert back_of(least) <= real.back <= back_of(most)
        assert least.passes <= real.passes <= most.passes
        if method not in ("integrated_gradients", "sequential_integrated_gradients", "ensemble"):
            assert least == replace(most, overhead=least.overhead), "only adaptive methods have a range"

    @pytest.mark.parametrize("several", [False, True])
    @pytest.mark.parametrize(("method", "values"), [
        ("occlusion", {"hide": "delete"}),
        ("occlusion", {"hide": "zero", "features": "tokens"}),
        ("lime", {"hide": "pad", "samples": 200}),
        ("shapley", {"exact_up_to": 12}),
        ("gradient_shap", {"baseline": "pad"}),
        ("integrated_gradients", {"rule": "trapezoid", "steps": 100}),
        ("integrated_gradients", {"baseline": "zero", "rule": "gausslegendre", "steps": 3}),
    ])  # fmt: skip
    def test_options_and_outputs_count(
        self,
        adapter: Adapter,
        method: str,
        values: dict[str, Any],
        several: bool,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        f = make_function(adapter, method, target=Target(label=(0, 1) if several else None))
        count, same = count_method(f, list_methods()[method], options_of(method, **values))
        assert count == same
        real = Wrapper(f, monkeypatch)
        list_methods()[method].run(f, **dict(options_of(method, **values)))
        assert (real.rows, real.passes, real.tokens, real.back) == (
            count.rows,
            count.passes,
            tokens_of(count),
            back_of(count),
        )
        assert count.rows > 0

    def test_what_is_chunked_is_counted_in_chunks(
        self, adapter: Adapter, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        adapter.budget = 64
        f = make_function(adapter, "lime")
        count, _ = count_method(f, list_methods()["lime"], options_of("lime"))
        real = Wrapper(f, monkeypatch)
        list_methods()["lime"].run(f, **dict(options_of("lime")))
        assert real.passes == count.passes > 10

    @pytest.mark.parametrize("rule", ["straight", "rough"])
    def test_the_range_of_an_adaptive_method_is_met_at_both_ends(self, adapter: Adapter, rule: str) -> None:
        f = make_function(adapter, "integrated_gradients")
        least, most = count_method(
            f, list_methods()["integrated_gradients"], options_of("integrated_gradients")
        )
        assert least.rows < 20 < 250 < most.rows < 300
        lower = options_of("integrated_gradients", steps=33)
        assert count_method(f, list_methods()["integrated_gradients"], lower)[1].rows < 40

    @pytest.mark.parametrize("method", sorted(INSIDE))
    def test_methods_that_look_inside_say_so(self, adapter: Adapter, method: str) -> None:
        with pytest.raises(counts.Inside):
            count_method(make_function(adapter, method), list_methods()[method], options_of(method))

    def test_a_method_that_trips_over_the_stand_in_looks_inside(self, adapter: Adapter) -> None:
        def clumsy(f: Any) -> Scores:
            return Scores(f.gradient() @ torch.zeros(16, 1))  # the real model's width

        with pytest.raises(counts.Inside):
            count_method(make_function(adapter), replace(list_methods()["saliency"], function=clumsy), ())

    def test_a_new_method_is_counted_without_a_word_about_it(self, adapter: Adapter) -> None:
        def alone(f: Perturbable) -> Any:
            words = features_of(f, "words")
            values = f.evaluate_features(words, np.eye(len(words), dtype=bool))
            yield Scores(words.spread(values, len(f.tokens)))
            return Scores(words.spread(values, len(f.tokens)))

        count, _ = count_method(
            make_function(adapter), replace(list_methods()["occlusion"], function=alone, options=()), ()
        )
        assert count.rows == len(features_of(make_function(adapter), "words"))

    def test_what_a_method_refuses_is_refused(self, adapter: Adapter) -> None:
        with pytest.raises(BadOption, match="span"):
            count_method(make_function(adapter), list_methods()["lime"], options_of("lime", features="spans"))
        bare = Adapter(*tiny.gpt2_classifier())
        with pytest.raises(BadOption, match="no mask token"):
            count_method(make_function(bare), list_methods()["lime"], options_of("lime", hide="mask"))
        with pytest.raises(Unsupported, match="masked language model"):
            count_method(make_function(Adapter(*tiny.t5())), list_methods()["reagent"], options_of("reagent"))

    def test_counting_computes_nothing(self, adapter: Adapter, monkeypatch: pytest.MonkeyPatch) -> None:
        f = make_function(adapter, "lime")
        real = Wrapper(f, monkeypatch)
        for method in COUNTED:
            count_method(f, list_methods()[method], options_of(method))
        assert (real.passes, real.back) == (0, 0)

    def test_a_function_is_counted_in_its_own_batches(self) -> None:
        calls: list[int] = []

        def answer(texts: list[str]) -> list[list[float]]:
            calls.append(len(texts))
            return [[0.3, 0.7]] * len(texts)

        f = make_function(Function(answer, ("no", "yes"), batch=16))
        calls.clear()
        count, _ = count_method(f, list_methods()["lime"], options_of("lime"))
        assert calls == []
        list_methods()["lime"].run(f, **dict(options_of("lime")))
        assert sum(calls) == count.rows and len(calls) == count.passes


class TestMeasuring:
    @pytest.mark.parametrize("family", ["bert", "gpt2", "t5"])
    def test_bytes_of_a_batch_that_was_not_measured(self, family: str) -> None:
        model = Adapter(*tiny.FAMILIES[family]())
        speed = speeds.measure(model)
        f: Any = speeds.make_probe(model, 24)
        width, passes = len(f.tokens), speeds.Passes(f, f.embeddings.expand(5, -1, -1))
        size = speeds.basis(5, width)
        assert np.dot(speed.graph, size) == pytest.approx(memory.graph_bytes(f.model, passes.both), rel=0.15)
        assert np.dot(speed.fleeting, size) == pytest.approx(
            memory.peak_bytes(f.model, passes.forward), rel=0.35
        )
        assert speed.bytes(Batch(5, width, 1)) == pytest.approx(
            memory.peak_bytes(f.model, passes.both), rel=0.35
        )

    def test_kept_bytes_are_known_by_hand(self) -> None:
        model = torch.nn.Linear(7, 7)

        def run() -> None:
            a, b = (torch.ones(5, 7, requires_grad=True) for _ in range(2))
            torch.autograd.grad((model(a * b)).sum(), a)

        assert (
            memory.graph_bytes(model, run) == 2 * 5 * 7 * 4 + 5 * 7 * 4
        )  # both factors, and what the layer's weight is multiplied with

    def test_what_is_alive_at_once_is_known_by_hand(self) -> None:
        def run() -> None:
            a = torch.ones(1000)
            b = a * 2
            del a
            c = b * 3
            del b, c
            torch.ones(10)

        assert memory.peak_bytes(torch.nn.Linear(2, 2), run) == 8000

    @pytest.mark.parametrize("task", sorted({family.task for family in families.FAMILIES.values()}))
    def test_a_model_of_every_task_can_be_measured(self, task: str) -> None:
        chosen = next(family for family in families.FAMILIES.values() if family.task == task)
        model = load(*chosen.build(), task=chosen.task)
        assert isinstance(model, Adapter)
        speed = speeds.measure(model)
        assert all(
            np.dot(part, speeds.basis(1, 20)) > 0
            for part in (speed.forward, speed.backward, speed.graph, speed.fleeting)
        )
        assert speed.point > 0 and speed.further >= 0

    def test_a_larger_batch_never_costs_less(self) -> None:
        rng = np.random.default_rng(0)
        for _ in range(50):
            sizes = [(int(r), int(n)) for r, n in rng.integers(1, 200, (6, 2))]
            fitted = speeds.fit([speeds.basis(*size) for size in sizes], rng.uniform(0.001, 1, 6))
            assert min(fitted) >= 0 < max(fitted)
        for batch in (Batch(3, 10), Batch(3, 10, 2)):
            for larger in (
                replace(batch, rows=4),
                replace(batch, tokens=11),
                replace(batch, outputs=batch.outputs + 1),
            ):
                assert SPEED.seconds(larger) > SPEED.seconds(batch)
                assert SPEED.bytes(larger) >= SPEED.bytes(batch)

    def test_a_fit_finds_what_made_the_figures(self) -> None:
        bases = [
            speeds.basis(rows, tokens) for rows, tokens in [(1, 10), (8, 10), (1, 100), (8, 100), (1, 50)]
        ]
        np.testing.assert_allclose(
            speeds.fit(bases, [np.dot(b, (0.01, 2e-4, 3e-6)) for b in bases]),
            (0.01, 2e-4, 3e-6),
            rtol=1e-6,
        )

    @pytest.mark.parametrize("method", sorted(INSIDE))
    def test_methods_that_look_inside_are_timed_on_short_texts(self, adapter: Adapter, method: str) -> None:
        curve = speeds.time_method(adapter, list_methods()[method], options_of(method))
        short, long = (curve.seconds_range(tokens, 1) for tokens in (20, 60))
        assert 0 < short[0] <= long[0] and curve.seconds_range(20, 2)[0] >= short[0]
        low, high = curve.seconds_range(4 * curve.longest[0], 1)
        assert low <= high, "beyond what was timed there is a range"
        assert np.dot(curve.bytes, speeds.basis(1, 20)) > 0

    def test_the_model_is_as_it_was(self) -> None:
        model, tokenizer = tiny.bert()
        before = {name: value.clone() for name, value in model.state_dict().items()}
        training = model.train().training
        wrapped = Adapter(model, tokenizer)
        speeds.measure(wrapped)
        speeds.time_method(wrapped, list_methods()["lrp"], ())
        assert model.training is training and all(p.grad is None for p in model.parameters())
        assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


class TestEstimate:
    @pytest.mark.usefixtures("fast")
    def test_it_is_the_count_times_the_speed(self, adapter: Adapter) -> None:
        workload = make_workload(make_function(adapter, "occlusion"), "occlusion")
        count, _ = counts.count_work(workload)
        estimate = Estimator().estimate(workload)
        width = len(workload.f.tokens)
        expected = SPEED.seconds(Batch(1, width)) + SPEED.seconds(Batch(count.rows, width))
        assert estimate.seconds_low == pytest.approx(expected, abs=0.05), "apart from the method's own time"
        assert (estimate.rows, estimate.passes) == (count.rows + 1, count.passes + 1)
        assert estimate.bytes_peak == pytest.approx(
            adapter.bytes + SPEED.bytes(Batch(count.rows, width)) + 3 * 64 * width, rel=0.01
        )

    @pytest.mark.usefixtures("fast")
    @pytest.mark.parametrize(("method", "name", "values"), [
        ("lime", "samples", (50, 500, 5000)),
        ("smoothgrad", "samples", (10, 100, 1000)),
        ("shapley", "permutations", (20, 200, 2000)),
    ])  # fmt: skip
    def test_larger_options_cost_more(
        self, adapter: Adapter, method: str, name: str, values: tuple[int, ...]
    ) -> None:
        text = (
            "The movie, it was not good so the plot is bad and the actor is a very great and fine but awful."
        )
        f = make_function(adapter, method, text)
        estimate = Estimator().estimate
        rows = [estimate(make_workload(f, method, **{name: value})).rows or 0 for value in values]
        assert rows == sorted(set(rows))
        longer = estimate(make_workload(make_function(adapter, method, text + " " + text), method)).rows
        assert (longer or 0) >= (estimate(make_workload(f, method)).rows or 0)

    @pytest.mark.usefixtures("fast")
    def test_counts_are_remembered(self, adapter: Adapter, monkeypatch: pytest.MonkeyPatch) -> None:
        calls: Counter[str] = Counter()
        real = module.count_work

        def count_work(workload: Workload) -> Any:
            calls["counted"] += 1
            return real(workload)

        monkeypatch.setattr(module, "count_work", count_work)
        estimator, workload = Estimator(), make_workload(make_function(adapter, "lime"), "lime")
        estimates = {estimator.estimate(workload) for _ in range(3)}
        assert calls["counted"] == 1 and len(estimates) == 1

    def test_a_model_is_measured_once_and_forgotten_with_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        calls: list[str] = []
        monkeypatch.setattr(module, "measure", lambda adapter: calls.append("measured") or SPEED)
        model, estimator = Adapter(*tiny.bert()), Estimator()
        for method in ("lime", "occlusion", "saliency"):
            estimator.estimate(make_workload(make_function(model, method), method))
        assert calls == ["measured"]
        assert list(estimator._profiles) == [model]
        del model
        assert not list(estimator._profiles)

    @pytest.mark.usefixtures("fast")
    @pytest.mark.parametrize("factor", [0.2, 5.0])
    def test_a_finished_run_moves_the_estimate(self, adapter: Adapter, factor: float) -> None:
        estimator, workload = Estimator(), make_workload(make_function(adapter, "lime"), "lime")
        before = estimator.estimate(workload).seconds_low
        history = [before]
        for _ in range(7):
            estimator.observe(workload, factor * before)
            history.append(estimator.estimate(workload).seconds_low)
        assert history == sorted(history, reverse=factor < 1) and len(set(history)) == len(history)
        assert history[-1] == pytest.approx(factor * before, rel=0.25)
        other = make_workload(make_function(adapter, "occlusion"), "occlusion")
        others = estimator.estimate(other)
        estimator.observe(workload, factor * before)
        assert estimator.estimate(other) == others, "another method's own"

    @pytest.mark.usefixtures("fast")
    def test_a_run_inside_its_range_leaves_it(self, adapter: Adapter) -> None:
        estimator = Estimator()
        workload = make_workload(make_function(adapter, "integrated_gradients"), "integrated_gradients")
        before = estimator.estimate(workload)
        assert before.seconds_low < before.seconds_high
        estimator.observe(workload, (before.seconds_low + before.seconds_high) / 2)
        assert estimator.estimate(workload) == before
        estimator.observe(workload, 4 * before.seconds_high)
        assert estimator.estimate(workload).seconds_high > before.seconds_high

    def test_observing_before_the_first_estimate_costs_nothing(
        self, adapter: Adapter, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "count_work", lambda *_: pytest.fail("counted"))
        monkeypatch.setattr(module, "measure", lambda *_: pytest.fail("measured"))
        estimator, workload = Estimator(), make_workload(make_function(adapter, "lime"), "lime")
        estimator.observe(workload, 1.0)
        estimator.admit(workload, 1e-9)

    @pytest.mark.usefixtures("fast")
    def test_a_function_is_called_once_for_its_speed(self) -> None:
        calls: list[int] = []

        def answer(texts: list[str]) -> list[list[float]]:
            calls.append(len(texts))
            return [[0.3, 0.7]] * len(texts)

        f = make_function(Function(answer, ("no", "yes"), batch=8))
        calls.clear()
        estimate = Estimator().estimate(make_workload(f, "occlusion"))
        assert sum(calls) <= 2 and estimate.seconds_low <= estimate.seconds_high
        assert estimate.rows == len(features_of(f)) + 1

    @pytest.mark.usefixtures("fast")
    def test_reagent_is_declared(self) -> None:
        names = [name for name, family in families.FAMILIES.items() if family.task == "masked"]
        f = make_function(Adapter(*tiny.t5()), target=Target(continuation="it was"))
        f = f.replace(companion=Adapter(*families.FAMILIES[names[0]].build()))
        method = list_methods()["reagent"]
        estimate = Estimator().estimate(Workload(f, method, method.check_options({})))
        assert (
            estimate.seconds_low < estimate.seconds_high
            and estimate.rows == len(f.outputs) * (1 + 2 * 30 * 5) + 1
        )

    def test_the_sentence_has_the_estimate(self, adapter: Adapter, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "measure", lambda _: Speed((0.5, 0.0, 0.0), (0.5, 0.0, 0.0)))
        estimate = Estimator().estimate(
            make_workload(make_function(adapter, "integrated_gradients"), "integrated_gradients")
        )
        assert estimate.sentence.startswith("Integrated gradients will take ")
        assert (
            estimate.describe() in estimate.sentence
            and " to " in estimate.describe()
            and "MB" in estimate.describe()
        )
        assert estimate.to_dict()["sentence"] == estimate.sentence

    @pytest.mark.parametrize(("low", "high", "text"), [
        (0.01, 0.02, "less than 0.1 s"),
        (0.4, 0.42, "about 0.4 s"),
        (1.0, 6.0, "1 to 6 s"),
        (0.02, 3.0, "at most 3 s"),
        (44.0, 46.0, "about 45 s"),
        (40.0, 400.0, "40 s to 6.7 min"),
        (3000.0, 3100.0, "about 51 min"),
        (9e3, 9e4, "2.5 to 25 h"),
    ])  # fmt: skip
    def test_seconds_in_words(self, low: float, high: float, text: str) -> None:
        assert estimates.span(low, high) == text

    @pytest.mark.parametrize(
        ("size", "text"),
        [(90_000_000, "90 MB"), (940_000_000, "940 MB"), (960_000_000, "0.96 GB"), (12_345_678_901, "12 GB")],
    )
    def test_bytes_in_words(self, size: int, text: str) -> None:
        assert estimates.size(size) == text


class TestRefusal:
    @pytest.fixture
    def estimator(self, adapter: Adapter, monkeypatch: pytest.MonkeyPatch) -> Estimator:
        """It has measured the model, which is slow."""
        monkeypatch.setattr(module, "measure", lambda _: Speed((0.0, 0.01, 0.0), (0.0, 0.01, 0.0)))
        estimator = Estimator()
        estimator.speed_of_adapter(adapter)
        return estimator

    def test_a_run_that_cannot_end_in_time_is_refused_with_what_to_lower(
        self, estimator: Estimator, adapter: Adapter
    ) -> None:
        f = make_function(adapter, "lime")
        with pytest.raises(DeadlineExceeded, match=r"LIME would take .* or more") as error:
            estimator.admit(make_workload(f, "lime", samples=5000), 5.0)
        assert "Lower samples, which is 5000" in error.value.hint
        estimator.admit(make_workload(f, "lime", samples=10), 5.0)

    def test_the_least_that_it_may_take_decides(self, estimator: Estimator, adapter: Adapter) -> None:
        method = list_methods()["integrated_gradients"]
        workload = Workload(make_function(adapter, method.name), method, method.check_options({}))
        estimate = estimator.estimate(workload)
        between = estimate.seconds_low / module.FAR * 1.1
        assert module.FAR * between < estimate.seconds_high
        estimator.admit(workload, between)
        with pytest.raises(DeadlineExceeded):
            estimator.admit(workload, between / 1.3)

    def test_an_inside_that_was_not_timed_is_no_reason(self, estimator: Estimator, adapter: Adapter) -> None:
        for method in ("attention", "lrp"):
            estimator.admit(make_workload(make_function(adapter, method), method), 1e-9)


@pytest.fixture(scope="module")
def engine() -> Engine:
    """One for all: a model is timed once."""
    return Engine()


class TestDoor:
    @pytest.mark.usefixtures("fast")
    def test_the_same_arguments_and_errors_as_attribute(self, engine: Engine, adapter: Adapter) -> None:
        estimate = engine.estimate(TEXT, adapter, "lime", target="positive", options={"samples": 100})
        assert estimate.rows is not None and 1 < estimate.rows <= 101
        wrong: list[tuple[dict[str, Any], type[AttributionError]]] = [
            ({"options": {"sample": 1}}, BadOption),
            ({"text": "good " * 600}, TooLong),
            ({"second": TEXT, "position": 3}, BadOption),
        ]
        for arguments, kind in wrong:
            with pytest.raises(kind):
                engine.estimate(**{"text": TEXT, "model": adapter, "method": "lime", **arguments})
        function = load(lambda texts: [[1.0, 0.0]] * len(texts), labels=("a", "b"))
        with pytest.raises(Unsupported, match="needs the model's gradients"):
            engine.estimate(TEXT, function, "saliency")

    @pytest.mark.parametrize("method", [name for name in list_methods() if name != "reagent"])
    def test_every_method_is_estimated_on_a_bundled_model(self, engine: Engine, method: str) -> None:
        estimate = engine.estimate(
            "A good film.", "bundled/sst2-minilm", method, options=QUICK.get(method, {})
        )
        assert 0 < estimate.seconds_low <= estimate.seconds_high
        assert estimate.bytes_peak > 40e6
        assert (estimate.rows is None) == (method in INSIDE)

    def test_the_engine_tells_its_observer_of_every_computation(self, adapter: Adapter) -> None:
        calls: list[tuple[str, str, object]] = []

        class Recorder:
            def admit(self, workload: Workload, deadline_seconds: float) -> None:
                calls.append(("admit", workload.method.name, deadline_seconds))

            def observe(self, workload: Workload, seconds: float) -> None:
                calls.append(("observe", workload.method.name, seconds > 0))

            def estimate(self, workload: Workload) -> estimates.Estimate:
                calls.append(("estimate", workload.method.name, dict(workload.options)))
                return estimates.Estimate(1.0, 2.0, 3, 4, 5, "")

        engine = Engine(observer=Recorder())
        engine.attribute(TEXT, adapter, "saliency")
        assert calls == [
            ("admit", "saliency", engine.settings.deadline_seconds),
            ("observe", "saliency", True),
        ]
        calls.clear()
        assert engine.for_batch().estimate(TEXT, adapter, "lime", options={"samples": 50}).seconds_high == 2.0
        [(event, method, options)] = calls
        assert (event, method) == ("estimate", "lime") and options["samples"] == 50  # type: ignore[index]

    def test_a_computation_that_is_not_admitted_does_not_run(
        self, adapter: Adapter, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Refuser(Estimator):
            def admit(self, workload: Workload, deadline_seconds: float) -> None:
                monkeypatch.setattr(Method, "steps", lambda *_, **__: pytest.fail("it ran"))
                raise DeadlineExceeded("no")

        with pytest.raises(DeadlineExceeded, match="no"):
            Engine(observer=Refuser()).attribute(TEXT, adapter, "saliency")


def test_the_stand_in_has_all_that_a_method_may_ask_of_a_text() -> None:
    """The stand-in has every member of ``Perturbable``; a new one must be added to it too."""
    public = {name for name in (*vars(Perturbable), *Perturbable.__annotations__) if not name.startswith("_")}
    stand_in = counts.StandIn(make_function(Adapter(*tiny.bert())))
    for name in public:
        assert name in vars(counts.StandIn) or name in vars(stand_in) or name == "first_pass", name
    for name, member in vars(Objective).items():
        mine = inspect.getattr_static(counts.StandIn, name, None)
        if inspect.isfunction(member) and inspect.isfunction(mine) and name != "__init__":
            expected, actual = (list(inspect.signature(function).parameters) for function in (member, mine))
            assert expected == actual, f"{name} takes {expected}"


def test_only_reagent_declares_its_cost() -> None:
    assert set(counts.DECLARED) == {"reagent"}
    assert all(isinstance(m, Method) for m in list_methods().values())


@pytest.mark.usefixtures("fast")
class TestPage:
    def test_a_slow_method_is_announced(self, monkeypatch: pytest.MonkeyPatch) -> None:
        engine = Engine()
        monkeypatch.setattr(module, "measure", lambda _: Speed((0.02, 0.0, 0.0), (0.0, 0.0, 0.0)))
        assert cost_of(engine, Request(TEXT, MODEL, "lime")) == "", "nothing is loaded for an announcement"
        engine.attribute(TEXT, MODEL, "saliency")
        assert cost_of(engine, Request(TEXT, MODEL, "saliency")) == ""
        assert cost_of(engine, Request("", MODEL, "lime")) == "", "errors are reported with the answer"
        monkeypatch.setattr(module, "measure", lambda _: pytest.fail("measured twice"))
        text = " ".join(["A plot so thin, and a film so warm."] * 8)
        announcement = cost_of(engine, Request.of(text, MODEL, "shapley", permutations=2000))
        assert re.fullmatch(
            r"\*Here: (about|at most|[\d.]+ s to|[\d.]+ to) .* about [\d.]+ [MG]B\.\*", announcement
        )
