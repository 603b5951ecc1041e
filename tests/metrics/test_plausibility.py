"""Agreement with human marks, against scipy, scikit-learn, brute force and closed forms."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from scipy.stats import kendalltau, somersd
from sklearn.metrics import average_precision_score, f1_score, jaccard_score, roc_auc_score

from attribution import attribute, load
from attribution.metrics import Measurement, find, list_metrics
from attribution.metrics.common.case import Case
from attribution.rationales import Rationale, merge, of_words

WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight")
TEXT = " ".join(WORDS)
NAMES = tuple(name for name, metric in list_metrics().items() if metric.kind == "plausibility")
RANDOM = [np.random.default_rng(seed) for seed in range(12)]


@pytest.fixture(scope="module")
def plain() -> Case:
    """Eight words and a constant function; tests set the scores."""
    return Case(attribute(TEXT, load(lambda rows: [[0.4, 0.6]] * len(rows), labels=("no", "yes")), "random"))


def beside(case: Case, scores: Any, marks: Any, *, method_signed: bool = True, **changes: Any) -> Case:
    """The case with these scores and one person's marks, one a word."""
    result = dataclasses.replace(
        case.attribution, scores=np.array([scores], dtype=float), signed=method_signed
    )
    return dataclasses.replace(
        case, attribution=result, marks=of_words(TEXT, WORDS, [float(m) for m in marks], **changes)
    )


def measure(name: str, case: Case, **options: Any) -> Measurement:
    return find(name).measure(case, **options)


def value(name: str, case: Case, **options: Any) -> float:
    measurement = measure(name, case, **options)
    assert measurement.value is not None, measurement.reason
    return measurement.value


def draw_scores_and_marks(rng: np.random.Generator, levels: int, tied: bool) -> tuple[np.ndarray, np.ndarray]:
    """Scores, with or without ties, and marks with this many levels."""
    scores = rng.integers(-3, 4, len(WORDS)).astype(float) if tied else rng.normal(size=len(WORDS))
    return scores, rng.permutation([*range(levels), *rng.integers(0, levels, len(WORDS) - levels)]).astype(
        float
    )


@pytest.mark.parametrize("rng", RANDOM)
@pytest.mark.parametrize("levels", [2, 3])
@pytest.mark.parametrize("tied", [False, True])
def test_correlations_agree_with_scipy(
    plain: Case, rng: np.random.Generator, levels: int, tied: bool
) -> None:
    scores, marks = draw_scores_and_marks(rng, levels, tied)
    case = beside(plain, scores, marks)
    assert value("kendall_tau", case) == pytest.approx(kendalltau(scores, marks).statistic)
    assert value("somers_d", case) == pytest.approx(somersd(marks, scores).statistic)
    if levels == 2:
        assert value("somers_d", case) == pytest.approx(2 * roc_auc_score(marks > 0, scores) - 1)


@pytest.mark.parametrize("rng", RANDOM)
@pytest.mark.parametrize("tied", [False, True])
def test_sets_agree_with_scikit_learn(plain: Case, rng: np.random.Generator, tied: bool) -> None:
    scores, marks = draw_scores_and_marks(rng, 2, tied)
    case = beside(plain, scores, marks)
    assert value("auprc", case) == pytest.approx(average_precision_score(marks > 0, scores))
    for k in (0, 1, 3, 8):
        first = np.zeros(len(WORDS), dtype=bool)
        first[np.argsort(-scores, kind="stable")[: k or int(marks.sum())]] = True
        assert value("token_f1", case, k=k) == pytest.approx(f1_score(marks > 0, first))
        assert value("iou", case, k=k) == pytest.approx(jaccard_score(marks > 0, first))
        if k:
            assert value("hit", case, k=k) == float(any(marks[first]))


@pytest.mark.parametrize("rng", RANDOM[:4])
def test_no_order_of_the_scores_exceeds_the_ceiling(plain: Case, rng: np.random.Generator) -> None:
    scores, marks = rng.integers(0, 3, 5).astype(float), np.array([0, 0, 1, 1, 2], dtype=float)
    scores[0] = 5  # not all alike
    orders = np.array(list(itertools.permutations(scores)))
    best = max(kendalltau(order, marks).statistic for order in np.unique(orders, axis=0))
    words = " ".join(WORDS[:5])
    result = dataclasses.replace(
        attribute(words, load(lambda rows: [[0.4, 0.6]] * len(rows), labels=("no", "yes")), "random"),
        scores=scores[None],
    )
    measurement = measure("kendall_tau", Case(result, marks=of_words(words, WORDS[:5], marks.tolist())))
    assert measurement.ceiling == pytest.approx(best)


def test_ceilings_of_sets(plain: Case) -> None:
    """With k given, not even the best words reach 1."""
    marks = [1, 1, 1, 0, 0, 0, 0, 0]
    best = beside(plain, [8, 7, 6, 5, 4, 3, 2, 1], marks)
    for name in ("token_f1", "iou"):
        for k in (0, 1, 2, 5):
            measurement = measure(name, best, k=k)
            assert measurement.value == pytest.approx(measurement.ceiling)
    assert measure("iou", best, k=1).ceiling == pytest.approx(1 / 3)
    assert measure("token_f1", best).ceiling == 1.0


def test_signed_marks_follow_the_explained_label(plain: Case) -> None:
    scores, marks = np.arange(8.0), [2, 0, 0, 0, 0, 0, -1, -2]
    assert plain.attribution.outputs[0].text == "yes"
    for label, expected in (("yes", -1.0), ("no", 1.0), (None, -1.0)):
        case = beside(plain, scores, marks, signed=True, label=label)
        assert np.sign(value("somers_d", case)) == expected
    other = measure("somers_d", beside(plain, scores, marks, signed=True, label="maybe"))
    assert other.value is None and "'maybe'" in other.reason and "'yes'" in other.reason


def test_unsigned_marks_for_the_other_label_turn_signed_scores_only(plain: Case) -> None:
    scores, marks = np.arange(8.0), [0, 0, 0, 0, 0, 0, 1, 1]
    assert value("auprc", beside(plain, scores, marks, label="yes")) == 1.0
    assert value("somers_d", beside(plain, scores, marks, label="no")) == -1.0
    assert value("somers_d", beside(plain, scores, marks, label="no", method_signed=False)) == 1.0


def test_a_method_without_signs_is_compared_with_the_size_of_signed_marks(plain: Case) -> None:
    case = beside(
        plain, [5, 0, 0, 1, 0, 0, 0, 4], [-2, 0, 0, 1, 0, 0, 0, 2], signed=True, method_signed=False
    )
    assert value("somers_d", case) > 0.99
    assert value("hit", case) == 1.0


def test_words_without_a_judgement_do_not_count(plain: Case) -> None:
    scores = np.array([3, 1, 2, 9, 9, 9, 9, 9], dtype=float)
    marks = Rationale(((0, 3, 1), (4, 13, 0)), partial=True)
    result = dataclasses.replace(plain.attribution, scores=scores[None])
    case = dataclasses.replace(plain, attribution=result, marks=marks)
    assert value("somers_d", case) == 1.0
    assert value("hit", case) == 1.0


@pytest.mark.parametrize("name", NAMES)
def test_marks_that_are_all_alike_give_a_reason(plain: Case, name: str) -> None:
    for marks in ([0] * 8, [1] * 8):
        measurement = measure(name, beside(plain, np.arange(8.0), marks))
        assert measurement.value is None and measurement.reason.endswith(".")
    unknown = dataclasses.replace(plain, marks=Rationale((), partial=True))
    assert measure(name, unknown).value is None
    assert measure(name, plain).reason == "Nobody has marked this text."


def test_the_threshold_is_a_majority(plain: Case) -> None:
    people = [
        of_words(TEXT, WORDS, row)
        for row in ([1, 1, 0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0, 0, 0])
    ]
    case = dataclasses.replace(beside(plain, [3, 2, 1, 0, 0, 0, 0, 0], [0] * 8), marks=merge(people))
    assert value("token_f1", case) == 1.0
    assert measure("token_f1", case, k=1).ceiling == pytest.approx(2 / 3)
    assert measure("token_f1", case, threshold=0.9, k=1).value == 1.0


class TestPeople:
    def test_people_who_agree_reach_one(self, plain: Case) -> None:
        person = of_words(TEXT, WORDS, [1, 0, 1, 0, 0, 0, 0, 0])
        assert (
            value("person_agreement", dataclasses.replace(plain, marks=merge([person, person, person])))
            == 1.0
        )

    @pytest.mark.parametrize("rng", RANDOM[:4])
    def test_it_is_the_leave_one_out_mean(self, plain: Case, rng: np.random.Generator) -> None:
        rows = [rng.permutation([1.0, 1, 1, 0, 0, 0, 0, 0]) for _ in range(3)]
        marks = merge([of_words(TEXT, WORDS, row.tolist()) for row in rows])
        expected = [
            somersd(np.mean([r for j, r in enumerate(rows) if j != k], axis=0), rows[k]).statistic
            for k in range(3)
        ]
        assert value("person_agreement", dataclasses.replace(plain, marks=marks)) == pytest.approx(
            np.mean(expected)
        )

    def test_it_needs_two_people(self, plain: Case) -> None:
        measurement = measure("person_agreement", beside(plain, np.arange(8.0), [1, 0, 0, 0, 0, 0, 0, 0]))
        assert measurement.value is None and "two people" in measurement.reason


def test_scores_at_random_are_at_zero(plain: Case) -> None:
    marks = [0, 1, 0, 0, 2, 0, 0, 1]
    rng = np.random.default_rng(3)
    for name in ("kendall_tau", "somers_d"):
        values = [value(name, beside(plain, rng.normal(size=8), marks)) for _ in range(300)]
        assert abs(np.mean(values)) < 3.5 * np.std(values) / np.sqrt(len(values))
