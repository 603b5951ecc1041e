"""Laws for every registered metric on models of several families; new metrics need no edit."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from attribution import attribute, list_metrics, load
from attribution.metrics.common.case import Case, Passes
from attribution.metrics.common.rerun import MethodRerun
from attribution.models.adapter import Adapter
from attribution.models.deadline import Deadline
from attribution.models.readers import make_objective
from attribution.request import Target
from attribution.studies.randomisation import randomise_all
from tests import families as wide
from tests.laws.test_methods import assert_same, state
from tests.tiny import FAMILIES

TEXT, OTHER = "the movie was not good, but great!", "a very fine plot"
BUILD = {
    **FAMILIES,
    **{n: wide.FAMILIES[n].build for n in ("bert-masked", "bert-similarity", "bert-tokens", "bert-question")},
}
WEIGHTS = {"one": 0.2, "two": 0.1, "three": 0.08, "four": 0.05, "five": 0.03}
QUICK: dict[str, dict[str, Any]] = {
    "infidelity": {"samples": 16},
    "max_sensitivity": {"samples": 1},
    "stability": {"runs": 1},
}
NAMES = tuple(list_metrics())


@dataclasses.dataclass(frozen=True)
class Marks:
    """Stands for a rationale in which every other word is marked."""

    single: tuple[Marks, ...] = ()
    shift: int = 0

    signed = False
    label = None

    @property
    def annotators(self) -> tuple[Marks, ...]:
        return self.single

    def over(self, spans: Sequence[tuple[int, int]]) -> np.ndarray:
        return (np.arange(len(spans)) + self.shift) % 2.0


MARKED = Marks((Marks(), Marks(shift=1)))


def cases_of(adapter: Adapter, method: str = "occlusion") -> Iterator[Case]:
    text = f"{TEXT} [MASK]" if adapter.task.fills_masks else TEXT
    result = attribute(
        text, adapter, method, second=OTHER if adapter.task.second == "required" else None, max_new_tokens=2
    )
    f = make_objective(
        adapter, result.text, Target.of(result.request), Deadline(), second=result.request.second
    )
    again = MethodRerun(result, f, randomise_all)
    for row in range(len(result.outputs)):
        yield Case(result, row, Passes(f, row), MARKED, again, seed=3)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def cases() -> dict[str, list[Case]]:
    return {name: list(cases_of(Adapter(*build(), name=f"tiny/{name}"))) for name, build in BUILD.items()}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("family", BUILD)
def test_a_value_is_in_range_or_has_a_reason(cases: dict[str, list[Case]], family: str, name: str) -> None:
    metric = list_metrics()[name]
    for case in cases[family][:2]:
        measurement = metric.measure(case, **QUICK.get(name, {}))
        if measurement.value is None:
            assert measurement.reason.endswith("."), measurement
            continue
        assert np.isfinite(measurement.value)
        if case.probable:
            assert metric.low is None or measurement.value >= metric.low - 1e-9
            assert metric.high is None or measurement.value <= metric.high + 1e-9
        if measurement.curve is not None:
            assert len(measurement.curve.x) == len(measurement.curve.y) > 1
            assert np.isfinite(measurement.curve.y).all()


@pytest.fixture(scope="module")
def twins(tiny: dict[str, Adapter]) -> list[Case]:
    """The same case built twice, so that nothing is cached."""
    return [next(cases_of(tiny["bert"])) for _ in range(2)]


@pytest.mark.parametrize("name", NAMES)
def test_the_same_case_gives_the_same_value(twins: list[Case], name: str) -> None:
    first, second = (list_metrics()[name].measure(case, **QUICK.get(name, {})) for case in twins)
    assert first == second


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_the_model_is_bit_identical_afterwards(family: str) -> None:
    model, tokenizer = BUILD[family]()
    before = state(model, tokenizer)
    case = next(cases_of(load(model, tokenizer)))
    values = {
        name: metric.measure(case, **QUICK.get(name, {})).value for name, metric in list_metrics().items()
    }
    assert sum(value is not None for value in values.values()) > len(values) / 2
    assert_same(before, state(model, tokenizer))


def additive_case() -> Case:
    """A function that adds up the weights of its words, and its true scores."""

    def answers(rows: list[str]) -> list[list[float]]:
        right = [0.5 + sum(WEIGHTS.get(word, 0.0) for word in row.split()) for row in rows]
        return [[1 - p, p] for p in right]

    model = load(answers, labels=("no", "yes"))
    result = attribute(" ".join(WEIGHTS), model, "occlusion", "yes", quantity="probability")
    return Case(result, 0, Passes(make_objective(model, result.text, Target.of(result.request), Deadline())))


def with_scores(case: Case, scores: np.ndarray) -> Case:
    return dataclasses.replace(case, attribution=dataclasses.replace(case.attribution, scores=scores[None]))


@pytest.mark.parametrize(
    "name", [name for name, metric in list_metrics().items() if metric.needs == {"model"}]
)
def test_the_truth_is_better_than_the_reverse(name: str) -> None:
    """For an additive function, the true scores beat the reversed order and the opposite signs.

    They are never worse, and better at least once.
    """
    metric, case = list_metrics()[name], additive_case()
    true = metric.measure(case).value
    if true is None:
        pytest.skip("not defined for a function of texts; tests/metrics/test_metrics.py has a model for it")
    wrong = [metric.measure(with_scores(case, scores)).value for scores in (case.scores[::-1], -case.scores)]
    sign = 1 if metric.better == "higher" else -1
    gains = [sign * (true - value) for value in wrong if value is not None]
    assert min(gains) >= -1e-9
    assert max(gains) > 0.01


@pytest.mark.parametrize(
    "name",
    [name for name, metric in list_metrics().items() if metric.kind == "faithfulness" and metric.needs],
)
def test_scores_at_random_are_no_better_than_the_truth(name: str) -> None:
    metric, case = list_metrics()[name], additive_case()
    true = metric.measure(case).value
    if true is None:
        pytest.skip("not defined for a function of texts; tests/metrics/test_metrics.py has a model for it")
    random = np.random.default_rng(0)
    random_values = [
        metric.measure(with_scores(case, random.normal(size=len(case.words)))).value for _ in range(30)
    ]
    chance = float(np.mean([value for value in random_values if value is not None]))
    assert (true - chance) * (1 if metric.better == "higher" else -1) > 0.01
