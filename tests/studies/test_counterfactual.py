from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribution.engine import default_engine
from attribution.errors import BadOption, EmptyInput, Unsupported
from attribution.studies.counterfactual import (
    Span,
    deletion_curve,
    predict_without,
    remove_spans,
    remove_words,
)


@pytest.mark.parametrize(
    ("text", "taken", "left"),
    [
        ("It is not good.", ["not"], "It is good."),
        ("It is not good.", ["good"], "It is not."),
        ("It is not good.", ["It"], "is not good."),
        ("It is not good.", ["not", "good"], "It is."),
        ("C'est bien !", ["bien"], "C'est !"),
        ("really, really good", ["really"], ", really good"),
        ("世界很大", ["很"], "世界大"),
        ("It is not good.", [], "It is not good."),
        ("a  b", [], "a  b"),
    ],
)
def test_words_are_taken_out_with_their_space(text: str, taken: list[str], left: str) -> None:
    assert remove_spans(text, [(text.index(word), text.index(word) + len(word)) for word in taken]) == left


@given(st.text(max_size=30), st.data())
def test_nothing_but_the_words_and_spaces_goes(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    assert remove_spans(text, [(start, end)]).replace(" ", "") == (text[:start] + text[end:]).replace(" ", "")


def test_a_span_outside_the_text_is_refused() -> None:
    with pytest.raises(BadOption, match="0–9"):
        remove_spans("short", [(0, 9)])
    with pytest.raises(BadOption, match="generated"):
        remove_words("short", None, [Span("generated", 0, 1)])


def test_both_texts_of_a_pair() -> None:
    assert remove_words("one two", "three four", [Span("second", 0, 5), Span("text", 4, 7)]) == (
        ("two", "three"),
        "one",
        "four",
    )


def test_what_the_model_says_without_the_words() -> None:
    counterfactual = predict_without(
        default_engine(), "It is not good.", "bundled/sst2-minilm", [Span("text", 6, 9)]
    )
    assert (counterfactual.removed, counterfactual.text) == (("not",), "It is good.")
    changes = {label: (before, after) for label, before, after in counterfactual.changes()}
    assert changes["positive"][0] < 0.5 < changes["positive"][1]
    assert counterfactual.before.probabilities != counterfactual.after.probabilities


def test_a_writer_writes_something_else() -> None:
    counterfactual = predict_without(
        default_engine(), "the 3rd of March, 1987", "bundled/dates-t5", [Span("text", 4, 7)]
    )
    assert counterfactual.before.text == "1987-03-03"
    assert counterfactual.after.text != counterfactual.before.text
    assert counterfactual.changes() == []


def test_nothing_left_is_an_error() -> None:
    with pytest.raises(EmptyInput):
        predict_without(default_engine(), "Good", "bundled/sst2-minilm", [Span("text", 0, 4)])


def test_the_prediction_falls_as_its_strongest_words_go() -> None:
    engine = default_engine()
    result = engine.attribute(
        "A slow start, but the wonderful ending makes up for everything.", method="occlusion"
    )
    probabilities = deletion_curve(engine, result)
    words = [token for token in result.words().tokens if not token.special]
    assert len(probabilities) == len(words)
    assert probabilities[0] == pytest.approx(result.outputs[0].probability, abs=1e-5)
    strongest = result.words().top(1)[0][0]
    without_it = remove_spans(result.text, [(strongest.start, strongest.end)])
    assert probabilities[1] == pytest.approx(
        engine.attribute(without_it, method="random").prediction.probabilities[1], abs=1e-5
    )
    assert min(probabilities) < 0.5 < probabilities[0]


def test_only_classes_fall() -> None:
    engine = default_engine()
    with pytest.raises(Unsupported, match="class"):
        deletion_curve(engine, engine.attribute("Dec. 25th 1999", "bundled/dates-t5", "saliency"))
