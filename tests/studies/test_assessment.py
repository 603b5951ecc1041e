"""Assessments: the true scores of an additive function come first, random ones are not convincing."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from attribution import Assessment, Attribution, assess, attribute, load
from attribution.errors import BadFile, BadOption, InputError
from attribution.models.adapter import Adapter
from attribution.studies.assessment import ORDERS

TEXT = "one two three four five six seven eight"
WEIGHTS = dict(zip(TEXT.split(), (0.2, 0.1, 0.06, 0.04, 0.03, 0.02, 0.01, 0.005), strict=True))


def answers(rows: list[str]) -> list[list[float]]:
    right = [0.5 + sum(WEIGHTS.get(word, 0.0) for word in row.split()) for row in rows]
    return [[1 - p, p] for p in right]


@pytest.fixture(scope="module")
def additive() -> Any:
    return load(answers, labels=("no", "yes"))


@pytest.fixture(scope="module")
def true(additive: Any) -> Attribution:
    return attribute(TEXT, additive, "occlusion", "yes")


def rescore(true: Attribution, title: str, scores: Any) -> Attribution:
    return dataclasses.replace(true, title=title, scores=np.array(scores, dtype=float)[None])


@pytest.fixture(scope="module")
def assessment(additive: Any, true: Attribution) -> Assessment:
    middling = [1, 8, 3, 7, 2, 6, 5, 4]
    level = [1.0] * 8
    attributions = [
        rescore(true, "Reversed", -true.scores[0]),
        rescore(true, "Middling", middling),
        true,
        rescore(true, "Level", level),
    ]
    return assess(attributions, additive)


def test_the_truth_is_first_and_the_reverse_last(assessment: Assessment) -> None:
    assert [entry.title for entry in assessment.ranking] == ["Occlusion", "Middling", "Reversed"]
    assert [entry.place for entry in assessment.ranking] == [2, 1, 0]
    best, _, last = assessment.ranking
    # No order is better than the true one, and only one with the same first words is as good.
    assert best.score > 0.9 and best.convincing and best.chance_best == 1
    assert last.score < 0.1 and not last.convincing and last.chance_best == 0
    assert all(entry.low <= entry.score <= entry.high for entry in assessment.ranking)


def test_orders_at_random_are_at_chance(assessment: Assessment) -> None:
    assert len(assessment.control) == ORDERS
    assert list(assessment.control) == sorted(assessment.control)
    assert np.mean(assessment.control) == pytest.approx(0.5)


def test_the_ways_are_those_of_the_model(assessment: Assessment, tiny: dict[str, Adapter]) -> None:
    assert set(assessment.ways) == {
        "mask"
    }  # [MASK] in the text says as little as nothing: the two are one way here
    text = "the movie was not good"
    many = assess(
        [attribute(text, tiny["bert"], method) for method in ("saliency", "occlusion")],
        tiny["bert"],
        seconds=60,
    )
    assert many.ways == ("mask", "pad", "unk", "mean", "delete")
    assert len(assess([attribute(text, tiny["bert"], "saliency")], tiny["bert"], seconds=0).ways) == 1


def test_explanations_without_an_order_are_left_out(assessment: Assessment) -> None:
    assert assessment.left_out == ((3, "All words have the same score."),)


def test_three_sentences(assessment: Assessment) -> None:
    first, second, third = assessment.sentences
    assert first.startswith("Occlusion is the most faithful here")
    assert "100 % of the draws" in first and "may be no better" not in first
    assert "Reversed" in second and "cannot be distinguished" in second and "Occlusion" not in second
    assert "one text" in third


def test_figures_are_over_the_ways(assessment: Assessment) -> None:
    figure = next(
        entry
        for entry in assessment.figures
        if entry.metric == "aopc_comprehensiveness" and entry.method == "occlusion"
    )
    assert len(figure.values) == len(assessment.ways) == figure.count


def test_it_is_the_same_again_and_after_a_journey(
    assessment: Assessment, additive: Any, true: Attribution
) -> None:
    assert Assessment.from_dict(json.loads(json.dumps(assessment.to_dict()))) == assessment
    assert assess([true], additive, seed=1) == assess([true], additive, seed=1)
    for wrong in (
        {"schema": "x"},
        {**assessment.to_dict(), "sentences": ["one"]},
        {**assessment.to_dict(), "ranking": [{}]},
    ):
        with pytest.raises(BadFile):
            Assessment.from_dict(wrong)


def test_every_output_counts(tiny: dict[str, Adapter]) -> None:
    attributions = [
        attribute("the movie was", tiny["gpt2"], method, max_new_tokens=2)
        for method in ("saliency", "occlusion")
    ]
    assert len(assess(attributions, tiny["gpt2"], seconds=60).ranking) == 2


def test_what_does_not_belong_together(additive: Any, true: Attribution, tiny: dict[str, Adapter]) -> None:
    with pytest.raises(BadOption, match="no attribution"):
        assess([], additive)
    for other in (
        attribute("one two", additive, "occlusion", "yes"),
        attribute(TEXT, additive, "occlusion", "no"),
        attribute(TEXT, tiny["bert"], "occlusion"),
    ):
        with pytest.raises(BadOption, match="explains something else"):
            assess([true, other], additive)
    with pytest.raises(InputError, match="scores that are not finite"):
        assess([dataclasses.replace(true, scores=np.full_like(true.scores, np.inf))], additive)
    with pytest.raises(InputError, match="no order to assess"):
        assess([attribute("one", additive, "occlusion", "yes")], additive)
