"""Running means against numpy and scipy, bounded memory, and the words of hand-made results."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from attribution.batch.result import Result
from attribution.batch.words import (
    Group,
    Running,
    Tallies,
    aggregate_words,
    group_of,
    output_index,
    score_words,
)
from attribution.types import Prediction
from tests.samples import classification, sample


def result(
    text: str, scores: list[float], predicted: str = "positive", place: int = 0, label: str | None = None
) -> Result:
    """A row with a score for each word; special tokens have the score 9, which must not count."""
    probabilities = (0.2, 0.8) if predicted == "positive" else (0.7, 0.3)
    attribution = classification(text, scores=[9.0, *scores, 9.0])
    output = replace(attribution.outputs[0], text=predicted, probability=max(probabilities))
    attribution = replace(
        attribution,
        outputs=(output,),
        prediction=Prediction(("negative", "positive"), (0.0, 1.0), probabilities),
    )
    return Result(place, place + 2, {"text": text}, "m", "lime", text, label=label, attribution=attribution)


POSITIVE = Group("m", "lime", "positive", "positive")


@settings(deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50))
def test_the_running_mean_and_its_interval_are_those_of_scipy(values: list[float]) -> None:
    running = Running()
    for value in values:
        running.add(value)
    assert running.count == len(values)
    assert running.mean == pytest.approx(np.mean(values), abs=1e-6)
    error = stats.sem(values)
    assert running.error == pytest.approx(error, abs=1e-6)
    half = stats.t.ppf(0.975, len(values) - 1) * error
    assert running.interval == pytest.approx(
        (np.mean(values) - half, np.mean(values) + half), abs=1e-4, rel=1e-9
    )


def test_one_number_has_no_interval() -> None:
    running = Running()
    running.add(3.0)
    assert (running.mean, running.error, running.interval) == (3.0, None, None)


def test_a_row_counts_once_for_a_word_with_the_mean_of_its_places() -> None:
    assert score_words(result("good Good bad", [1.0, 3.0, -1.0]).attribution) == [
        ("good", 2.0),
        ("bad", -1.0),
    ]
    words = aggregate_words([result("good Good", [1.0, 3.0]), result("good", [4.0], place=1)])
    [word] = words.positive[POSITIVE]
    assert (word.text, word.rows, word.mean) == ("good", 2, 3.0)


def test_words_are_grouped_by_predicted_class() -> None:
    words = aggregate_words([result("fine", [1.0]), result("fine", [-2.0], "negative")])
    assert [(group.predicted, group.explained) for group in words.groups] == [
        ("negative", "negative"),
        ("positive", "positive"),
    ]
    assert words.positive[POSITIVE][0].mean == 1.0
    assert words.negative[Group("m", "lime", "negative", "negative")][0].mean == -2.0
    assert words.rows == {POSITIVE: 1, Group("m", "lime", "negative", "negative"): 1}


def test_words_whose_interval_excludes_0_come_first() -> None:
    steady = [result("steady", [1.0 + 0.01 * i], place=i) for i in range(5)]
    wild = [result("wild", [value], place=i) for i, value in enumerate((-20.0, 50.0, 1.0, 2.0, 3.0), 5)]
    once = [result("once", [30.0], place=10)]
    strongest = aggregate_words(steady + wild + once).positive[POSITIVE]
    assert [word.text for word in strongest] == ["steady", "once", "wild"]
    assert [word.sure for word in strongest] == [True, False, False]


def test_failed_rows_and_special_tokens_do_not_count() -> None:
    failed = Result(3, 0, {}, "m", "lime", error={"error": "EmptyInput", "message": "", "hint": ""})
    words = aggregate_words([failed, result("a", [0.5])])
    assert words.rows[POSITIVE] == 1
    assert [word.text for word in words.positive[POSITIVE]] == ["a"]


def test_a_generator_has_a_single_group_without_generated_words() -> None:
    attribution = sample("causal")
    row = Result(0, 0, {}, "m", "lime", attribution.text, attribution=attribution)
    assert group_of(row) == Group("m", "lime", "", "")
    generated = {token.text.strip() for token in attribution.tokens if token.segment == "generated"}
    assert generated - {token.text.strip() for token in attribution.tokens if token.segment != "generated"}
    read = {word for word, _ in score_words(attribution)}
    assert read and not read & (
        generated - {token.text.strip() for token in attribution.tokens if token.segment != "generated"}
    )


def test_the_predicted_class_of_several_counts() -> None:
    attribution = sample("classes")
    name = attribution.outputs[-1].text
    assert output_index(attribution, name) == len(attribution.outputs) - 1
    assert output_index(attribution, "no such class") == 0


def test_memory_is_bounded_and_missing_rows_are_reported() -> None:
    tallies = Tallies(most=10)
    for i in range(1000):
        tallies.add("g", "often", 1.0)
        tallies.add("g", f"rare {i}", 1.0)
    counts = {word: running.count for _, word, running in tallies.items()}
    assert len(counts) <= 10
    assert tallies.missed > 0
    assert 1000 - tallies.missed <= counts["often"] <= 1000


def test_a_long_word_is_shortened() -> None:
    [(word, _)] = score_words(result("a" * 500, [1.0]).attribution)
    assert len(word) == 60 and word.endswith("…")
