"""The sentences about a result, for hand-made results with known numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from attribution import sentences
from attribution.types import Attribution, Completeness, Output
from tests.samples import NAMES, classification, sample


def make_result(*scores: float, errors: tuple[float, ...] | None = None, value: float = 2.0) -> Attribution:
    """Two words between two special tokens with these scores, and nothing that adds up."""
    result = classification("good film", scores=scores)
    outputs = (replace(result.outputs[0], value=value),)
    return replace(
        result, outputs=outputs, completeness=None, errors=None if errors is None else np.array([errors])
    )


class TestTarget:
    @pytest.mark.parametrize(
        ("name", "sentence"),
        [
            ("english", "the logit of 'positive', 2.5"),
            ("contrast", "the logit of 'positive' rather than 'negative', a difference of 2.5"),
            ("classes", "the logit of each of the 3 classes"),
            ("regression", "the number that the model gives, 0.83"),
            ("similarity", "the cosine similarity of the two texts, 0.725"),
            ("labelled", "the logit of each of the 2 labelled tokens"),
            ("masked", "the logit of 'film', 2"),
            ("question", "the logit of the start and the end of the answer"),
            ("causal", "the log-probability of each of the 6 generated tokens"),
            ("sequence", "the log-probability of the whole generated text, 12"),
        ],
    )
    def test_names_what_is_explained(self, name: str, sentence: str) -> None:
        assert sentences.target(sample(name)) == sentence

    def test_names_several_contrasts(self) -> None:
        result = sample("classes")
        outputs = tuple(replace(output, contrast="fear") for output in result.outputs)
        names = [sentences.output_name(output) for output in replace(result, outputs=outputs).outputs]
        assert names[:2] == ["joy rather than fear", "anger rather than fear"]


class TestPrediction:
    @pytest.mark.parametrize(
        ("name", "sentence"),
        [
            ("english", "positive 93.0%"),
            ("regression", "0.83"),
            ("similarity", "Similarity 0.725"),
            ("labelled", "This: B · movie: I"),
            ("masked", "film 60.0%"),
            ("question", "Answer: film"),
            ("causal", " to be, that is"),
        ],
    )
    def test_is_one_line(self, name: str, sentence: str) -> None:
        assert sentences.prediction(sample(name)) == sentence

    @pytest.mark.parametrize(
        ("chance", "text"), [(None, "−0.83"), (0.931, "93.1%"), (0.0004, "<0.1%"), (0.0, "0.0%")]
    )
    def test_without_a_probability_is_the_number(self, chance: float | None, text: str) -> None:
        assert sentences.chance(Output("a", 0, -0.83, chance)) == text

    def test_of_a_pair_names_both_texts(self) -> None:
        assert sentences.parts(sample("english")) is None
        assert sentences.parts(sample("pair")) == ("First text", "Second text")
        assert sentences.parts(sample("question")) == ("Question", "Text")


class TestErrors:
    def test_an_interval_is_1_96_standard_errors_wide_on_each_side(self) -> None:
        assert sentences.interval(0.31, 0.025) == "0.31 ± 0.049"
        assert sentences.interval(-0.31, None) == "−0.31"

    @pytest.mark.parametrize(
        ("score", "error", "unsure"),
        [(1.0, 0.5, False), (0.97, 0.5, True), (-0.97, 0.5, True), (0.0, 0.0, False), (0.0, 0.1, True)],
    )
    def test_a_score_is_unsure_where_its_interval_holds_0(
        self, score: float, error: float, unsure: bool
    ) -> None:
        assert sentences.is_unsure(score, error) is unsure

    def test_are_explained_where_there_are_some(self) -> None:
        assert "95%" in sentences.errors(sample("sampled"))
        assert sentences.errors(sample("english")) == ""


class TestFit:
    def test_says_how_much_is_explained(self) -> None:
        assert (
            sentences.fit(sample("sampled")) == "R² 0.83: the linear model explains 83.0% of what happened."
        )
        assert not sentences.is_poor(sample("sampled"))
        assert sentences.fit(sample("english")) == ""

    def test_warns_below_a_half(self) -> None:
        assert sentences.is_poor(sample("noise"))
        assert sentences.fit(sample("noise")).endswith(
            "20.0% of what happened. That is little: do not rely on these scores."
        )
        assert not sentences.is_poor(replace(sample("noise"), fit=(0.5,)))

    def test_names_the_worst_of_several(self) -> None:
        result = replace(sample("classes"), fit=(0.9, -0.25, 0.7))
        assert sentences.fit(result).startswith(
            "R² −0.25 for 'anger', the worst of 3 outputs: the linear model explains nothing"
        )
        assert sentences.is_poor(result)


class TestNoSignal:
    def test_where_all_scores_are_0(self) -> None:
        assert sentences.no_signal(sample("zero")) == "No signal: every score is 0."

    def test_where_every_interval_holds_0(self) -> None:
        assert "distinguishable from 0" in sentences.no_signal(
            make_result(0.0, 0.1, -0.2, 0.0, errors=(0.0, 0.06, 0.2, 0.0))
        )
        assert sentences.no_signal(make_result(0.0, 0.1, -0.2, 0.0, errors=(0.0, 0.05, 0.2, 0.0))) == "", (
            "0.1 > 1.96 · 0.05"
        )

    def test_where_the_scores_may_be_rounding(self) -> None:
        assert "rounding" in sentences.no_signal(make_result(0.0, 1.9e-6, -1e-6, 0.0, value=2.0))
        assert sentences.no_signal(make_result(0.0, 2.1e-6, -1e-6, 0.0, value=2.0)) == ""

    def test_compares_with_the_larger_end_of_the_path(self) -> None:
        result = make_result(0.0, 1.9e-6, 0.0, 0.0, value=0.001)
        assert sentences.no_signal(result) == ""
        assert sentences.no_signal(replace(result, completeness=(Completeness(0.001, 2.0, 0.0),))) != ""

    def test_does_not_compare_strengths_with_the_number(self) -> None:
        """The norm of a gradient does not count in the unit of the explained number."""
        assert sentences.no_signal(replace(make_result(0.0, 1e-9, 1e-9, 0.0), signed=False)) == ""

    def test_is_per_output_and_overall(self) -> None:
        result = sample("classes")
        scores = result.scores.copy()
        scores[1] = 0
        result = replace(result, scores=scores)
        assert [bool(sentences.silence(result, i)) for i in range(3)] == [False, True, False]
        assert sentences.no_signal(result) == ""


class TestAddsUp:
    def test_names_the_contrast_of_the_worst_output(self) -> None:
        result = sample("classes")
        outputs = tuple(replace(output, contrast="calm") for output in result.outputs)
        checks = tuple(Completeness(1.0, 0.0, residual) for residual in (0.0, 0.5, 0.1))
        result = replace(
            result,
            outputs=outputs,
            completeness=checks,
            request=replace(result.request, target="*", contrast="calm"),
        )
        assert "for 'anger rather than calm', the worst of 3 outputs" in sentences.adds_up(result)


@pytest.mark.parametrize("name", NAMES)
def test_no_sentence_holds_a_missing_number(name: str) -> None:
    result = sample(name)
    texts = [
        sentences.prediction(result),
        sentences.aim(result),
        sentences.target(result),
        sentences.adds_up(result),
        sentences.fit(result),
    ]
    assert not [text for text in texts if "None" in text or "nan" in text.lower()]
