"""Human rationales: how they are read, merged, and mapped to words."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from attribution.errors import BadOption, BadTable
from attribution.rationales import Rationale, merge, of_characters, of_spans, of_words, read

TEXT = "a good, good film"
WORDS = [(0, 1), (2, 6), (6, 7), (8, 12), (13, 17)]


def test_a_word_has_the_mean_weight_of_its_characters() -> None:
    marks = Rationale(((2, 7, 1.0), (8, 10, 1.0), (13, 17, 3.0)))
    np.testing.assert_array_equal(marks.over(WORDS), [0, 1, 1, 0.5, 3])


def test_words_of_one_weight_are_equal_whatever_their_lengths() -> None:
    lengths = np.cumsum([0, *range(1, 40)])
    spans = list(zip(lengths[:-1].tolist(), lengths[1:].tolist(), strict=True))
    rationale = Rationale(tuple((a, b, 1 / 3) for a, b in spans)).over(spans)
    assert len(set(rationale.tolist())) == 1


def test_what_nobody_spoke_of_is_zero_or_unknown() -> None:
    marks = ((2, 4, -1.0),)
    np.testing.assert_array_equal(Rationale(marks, signed=True).over(WORDS), [0, -0.5, 0, 0, 0])
    np.testing.assert_array_equal(
        Rationale(marks, signed=True, partial=True).over(WORDS), [np.nan, -1, np.nan, np.nan, np.nan]
    )
    np.testing.assert_array_equal(Rationale(()).over([*WORDS, (3, 3)]), [0, 0, 0, 0, 0, np.nan])
    assert Rationale(()).over([]).shape == (0,)


def test_marks_do_not_depend_on_how_words_are_cut() -> None:
    """The weights of all characters add up to the same, whatever the words: nothing is lost."""
    marks, rng = Rationale(((0, 3, 0.7), (5, 9, 2.0), (10, 17, 0.2))), np.random.default_rng(0)
    for _ in range(20):
        edges = [0, *sorted(rng.choice(np.arange(1, 17), 5, replace=False).tolist()), 17]
        spans = list(pairwise(edges))
        total = float(marks.over(spans) @ np.diff(edges))
        assert total == pytest.approx(0.7 * 3 + 2 * 4 + 0.2 * 7)


@pytest.mark.parametrize(
    ("weights", "signed", "message"),
    [
        (((3, 3, 1.0),), False, "is empty"),
        (((-1, 3, 1.0),), False, "is empty"),
        (((0, 3, 1.0), (2, 4, 1.0)), False, "The span 2-4 overlaps"),
        (((0, 3, float("nan")),), True, "weight of the span 0-3 is nan"),
        (((0, 3, -1.0),), False, "signed"),
    ],
)
def test_spans_that_mean_nothing_are_refused(weights: Any, signed: bool, message: str) -> None:
    with pytest.raises(BadOption, match=message):
        Rationale(weights, signed=signed)


def test_several_people_are_averaged_and_kept() -> None:
    people = [of_characters(TEXT, range(2, 6)), of_characters(TEXT, range(2, 7)), Rationale(((8, 12, 1.0),))]
    both = merge(people)
    np.testing.assert_allclose(both.over(WORDS), np.mean([person.over(WORDS) for person in people], axis=0))
    assert both.annotators == tuple(people)
    assert merge([Rationale(())]).weights == ()
    with pytest.raises(BadOption, match="no marks"):
        merge([])
    with pytest.raises(BadOption, match="differ"):
        merge([Rationale(()), Rationale((), signed=True)])


def test_people_who_did_not_see_all_of_it_count_where_they_did() -> None:
    first, second = (
        Rationale(((2, 6, 1.0),), partial=True),
        Rationale(((2, 6, 0.0), (8, 12, 1.0)), partial=True),
    )
    np.testing.assert_array_equal(merge([first, second]).over(WORDS), [np.nan, 0.5, np.nan, 1, np.nan])


class TestReading:
    @pytest.mark.parametrize(
        ("value", "form"),
        [
            ([0, 1, 1, 0], "words"),
            ("[0, 1, 1, 0]", "auto"),
            ("(0, 1.0, 1.0, 0)", "auto"),
            (np.array([0, 1, 1, 0]), "auto"),
            ([2, 3, 4, 5, 6, 8, 9, 10, 11], "auto"),
            ("[11, 10, 9, 8, 6, 5, 4, 3, 2]", "characters"),
            ([[2, 7], [8, 12]], "auto"),
            ([[8, 12, 1], [2, 7, 1]], "spans"),
            ([{"start": 2, "end": 7}, {"start": 8, "end": 12, "weight": 1}], "auto"),
            ({"start": [2, 8], "end": [7, 12]}, "auto"),
        ],
    )
    def test_the_forms_of_a_cell(self, value: Any, form: str) -> None:
        rationale = read(TEXT, value, form)
        assert rationale is not None
        np.testing.assert_array_equal(rationale.over(WORDS), [0, 1, 1, 1, 0])

    @pytest.mark.parametrize("value", [None, "", "  ", float("nan")])
    def test_an_empty_cell_is_no_rationale(self, value: Any) -> None:
        assert read(TEXT, value) is None

    def test_an_empty_list_marks_nothing(self) -> None:
        assert read(TEXT, "[]") == Rationale(())

    def test_lists_of_several_people(self) -> None:
        rationale = read(TEXT, [[0, 1, 0, 0], [0, 1, 1, 0]])
        assert rationale is not None and len(rationale.annotators) == 2
        np.testing.assert_array_equal(rationale.over(WORDS), [0, 1, 1, 0.5, 0])

    def test_words_of_the_table_and_graded_signed_weights(self) -> None:
        rationale = read(
            TEXT, [0, 2, 0, -1, 0], words=["a", "good", ",", "good", "film"], signed=True, label="positive"
        )
        assert rationale is not None and rationale.label == "positive"
        np.testing.assert_array_equal(rationale.over(WORDS), [0, 2, 0, -1, 0])

    @pytest.mark.parametrize(
        ("value", "form", "message"),
        [
            ([0, 1], "words", "2 weights for 4 words"),
            ([1, 2, 3, 4], "auto", "one per word or the offsets"),
            ([[0, 1, 0, 1], [2]], "auto", "nor offsets"),
            ([1, 1], "auto", "neither one for each of the 4 words nor offsets"),
            ([3, 99], "auto", "ends at 100, but the text has 17"),
            ([[2, 7], [5, 9]], "auto", "overlaps"),
            ([[2, 7.5]], "auto", "is not a span"),
            ([{"begin": 2}], "auto", "start, end"),
            ({"start": [1, 2], "end": [3]}, "auto", "as many starts as ends"),
            ({"start": 1, "end": 3}, "auto", "as many starts as ends"),
            ([{"start": 1, "end": "three"}], "auto", "is not a number"),
            ([{"start": 0, "end": 10**15}], "auto", "ends at 1000000000000000"),
            ([1, 2, 3], "spans", "numbers, not spans"),
            ("good", "auto", "neither JSON nor a list"),
            ("3", "auto", "is not a list"),
            ([True, False], "auto", "is not a number"),
            ([1, float("inf")], "auto", "is not a number"),
            ([[0, 1, 10**400]], "auto", "is not a number"),
            ([1], "letters", "no form 'letters'"),
            ("[" * 10_000, "auto", "neither JSON nor a list"),
        ],
    )
    def test_an_error_names_row_and_column(self, value: Any, form: str, message: str) -> None:
        with pytest.raises(BadTable, match=message) as caught:
            read(TEXT, value, form, row="Row 3 (line 5)", column="spans")
        assert str(caught.value).startswith("Row 3 (line 5), column 'spans': ")

    def test_a_list_that_can_be_read_in_two_ways_is_refused(self) -> None:
        with pytest.raises(BadTable, match="may be spans or one number per word"):
            read("good film", [[0, 1], [1, 3]])
        assert read("good film", [[0, 1], [1, 3]], "spans") is not None
        assert read("good film", [[0, 1], [1, 3]], "words") is not None

    def test_words_that_are_not_those_of_the_text_are_refused(self) -> None:
        with pytest.raises(BadOption, match="Word 2 is 'bad', but the text continues with 'good, good film'"):
            of_words(TEXT, ["a", "bad"], [0, 1])
        with pytest.raises(BadOption, match="No word covers 'film'"):
            of_words(TEXT, ["a", "good,", "good"], [0, 1, 1])
        partial = of_words(TEXT, ["a", "good,"], [0, 1], partial=True)
        np.testing.assert_array_equal(partial.over(WORDS), [0, 1, 1, np.nan, np.nan])

    def test_characters_that_are_marked_twice_are_refused(self) -> None:
        with pytest.raises(BadOption, match="The character 3 is marked twice"):
            of_characters(TEXT, [2, 3, 3])

    def test_reading_is_the_inverse_of_writing(self) -> None:
        marks = Rationale(((2, 6, 0.5), (8, 12, 2.0)))
        assert read(TEXT, json.dumps(marks.weights)) == marks
        assert of_spans(TEXT, marks.weights) == marks
