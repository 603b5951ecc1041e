"""Running means against numpy and scipy, bounded memory, and the words of results that are made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from attribution.batch.result import Result
from attribution.batch.words import Group, Running, Tallies, aggregates, choose_output, group_of, score_words
from attribution.types import Prediction
from tests.samples import classification, sample


def result(
    text: str, scores: list[float], predicted: str = "positive", place: int = 0, label: str | None = None
) -> Result:
    """A row with a score for each word; the special tokens have 9, which must not count."""
    chances = (0.2, 0.8) if predicted == "positive" else (0.7, 0.3)
    found = classification(text, scores=[9.0, *scores, 9.0])
    output = replace(found.outputs[0], text=predicted, probability=max(chances))
    found = replace(
        found, outputs=(output,), prediction=Prediction(("negative", "positive"), (0.0, 1.0), chances)
    )
    return Result(place, place + 2, {"text": text}, "m", "lime", text, label=label, attribution=found)


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
    words = aggregates([result("good Good", [1.0, 3.0]), result("good", [4.0], place=1)])
    [word] = words.positive[POSITIVE]
    assert (word.text, word.rows, word.mean) == ("good", 2, 3.0)


def test_words_are_apart_by_predicted_class() -> None:
    words = aggregates([result("fine", [1.0]), result("fine", [-2.0], "negative")])
    assert [(group.predicted, group.explained) for group in words.groups] == [
        ("negative", "negative"),
        ("positive", "positive"),
    ]
    assert words.positive[POSITIVE][0].mean == 1.0
    assert words.negative[Group("m", "lime", "negative", "negative")][0].mean == -2.0
    assert words.rows == {POSITIVE: 1, Group("m", "lime", "negative", "negative"): 1}


def test_sure_words_come_first_by_the_end_of_their_interval() -> None:
    steady = [result("steady", [1.0 + 0.01 * i], place=i) for i in range(5)]
    wild = [result("wild", [value], place=i) for i, value in enumerate((-20.0, 50.0, 1.0, 2.0, 3.0), 5)]
    once = [result("once", [30.0], place=10)]
    found = aggregates(steady + wild + once).positive[POSITIVE]
    assert [word.text for word in found] == ["steady", "once", "wild"]
    assert [word.sure for word in found] == [True, False, False]


def test_what_fails_says_nothing_and_special_tokens_do_not_count() -> None:
    failed = Result(3, 0, {}, "m", "lime", error={"error": "EmptyInput", "message": "", "hint": ""})
    words = aggregates([failed, result("a", [0.5])])
    assert words.rows[POSITIVE] == 1
    assert [word.text for word in words.positive[POSITIVE]] == ["a"]


def test_a_model_that_is_no_classifier_has_one_group_and_no_generated_words() -> None:
    found = sample("causal")
    one = Result(0, 0, {}, "m", "lime", found.text, attribution=found)
    assert group_of(one) == Group("m", "lime", "", "")
    generated = {token.text.strip() for token in found.tokens if token.segment == "generated"}
    assert generated - {token.text.strip() for token in found.tokens if token.segment != "generated"}
    read = {word for word, _ in score_words(found)}
    assert read and not read & (
        generated - {token.text.strip() for token in found.tokens if token.segment != "generated"}
    )


def test_of_several_classes_the_predicted_one_counts() -> None:
    found = sample("classes")
    name = found.outputs[-1].text
    assert choose_output(found, name) == len(found.outputs) - 1
    assert choose_output(found, "no such class") == 0


def test_memory_is_bounded_and_says_what_may_be_missing() -> None:
    tallies = Tallies(most=10)
    for i in range(1000):
        tallies.add("g", "often", 1.0)
        tallies.add("g", f"rare {i}", 1.0)
    kept = {word: running.count for _, word, running in tallies.items()}
    assert len(kept) <= 10
    assert tallies.missed > 0
    assert 1000 - tallies.missed <= kept["often"] <= 1000


def test_a_word_without_end_is_cut() -> None:
    [(word, _)] = score_words(result("a" * 500, [1.0]).attribution)
    assert len(word) == 60 and word.endswith("…")
