"""Any function texts → probabilities behind the same door as a loaded model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch

from attribution import Attribution, attribute, list_methods, load
from attribution.engine import Engine
from attribution.errors import (
    BadOption,
    Cancelled,
    DeadlineExceeded,
    EmptyInput,
    NotFinite,
    UnknownTarget,
    Unsupported,
)
from attribution.models.deadline import Deadline
from attribution.models.features import features_of
from attribution.models.function import HIDDEN, Function, FunctionObjective
from attribution.request import Target
from tests.faults.fake_endpoint import WEIGHTS, log_odds, positive

TEXT = "A good plot, a bad actor: fine!"
LABELS = ("negative", "positive")
OPTIONS: dict[str, dict[str, Any]] = {"lime": {"samples": 60}, "kernel_shap": {"samples": 60}}
WORKING = [
    name
    for name, method in list_methods().items()
    if method.unsupported_reason("classification", Function.gives) is None
]


def rule(rows: list[Any]) -> list[list[float]]:
    """The rule of the false endpoint, for texts and for pairs."""
    found = [positive(row if isinstance(row, str) else row[0] + row[1]) for row in rows]
    return [[1 - p, p] for p in found]


class Recorder:
    """``rule`` that remembers what it was asked."""

    def __init__(self) -> None:
        self.calls: list[list[Any]] = []

    def __call__(self, rows: list[Any]) -> list[list[float]]:
        self.calls.append(list(rows))
        return rule(rows)

    @property
    def asked(self) -> list[Any]:
        return [row for call in self.calls for row in call]


def three(rows: list[str]) -> list[list[float]]:
    """Three classes: softmax of the numbers of a, b and c."""
    logits = np.array([[row.count("aa"), row.count("bb"), row.count("cc")] for row in rows], dtype=float)
    exp = np.exp(logits)
    return (exp / exp.sum(axis=1, keepdims=True)).tolist()


def objective(
    function: Any, text: str, target: Target | None = None, second: str | None = None, **more: Any
) -> FunctionObjective:
    model = load(function, labels=more.pop("labels", LABELS))
    assert isinstance(model, Function)
    return FunctionObjective.explain(model, text, target or Target(), Deadline(), second=second)


def left(text: str, hidden: Sequence[int], hide: str = "auto", second: str | None = None) -> Any:
    """What a function is asked when the words ``hidden`` are."""
    asked = Recorder()
    f = objective(asked, text, second=second)
    present = np.ones((1, len(f.tokens)), bool)
    present[0, list(hidden)] = False
    f.evaluate_features(features_of(f), present, hide)
    return asked.asked[-1]


def test_hiding_a_word_takes_its_weight_away() -> None:
    found = attribute(TEXT, load(rule, labels=LABELS), "occlusion", "positive")
    np.testing.assert_allclose(
        found.scores[0], [WEIGHTS.get(token.text, 0.0) for token in found.tokens], atol=1e-9
    )
    assert found.unit == "log-odds"
    assert found.outputs[0].value == pytest.approx(log_odds(TEXT))
    assert found.prediction.labels == LABELS
    assert found.prediction.probabilities == pytest.approx([1 - positive(TEXT), positive(TEXT)])
    assert found.prediction.logits == pytest.approx([-log_odds(TEXT), log_odds(TEXT)])


@pytest.mark.parametrize("method", WORKING)
def test_every_method_that_needs_only_texts(method: str) -> None:
    model = load(rule, labels=LABELS)
    once = attribute(TEXT, model, method, **OPTIONS.get(method, {}))
    again = attribute(TEXT, load(rule, labels=LABELS), method, **OPTIONS.get(method, {}))
    np.testing.assert_array_equal(once.scores, again.scores)
    assert once.scores.shape == (1, len(once.tokens)) and np.isfinite(once.scores).all() and once.scores.any()
    assert once.model.name == "rule" and once.model.labels == LABELS


@pytest.mark.parametrize("method", [name for name in list_methods() if name not in WORKING])
def test_the_other_methods_are_refused_with_what_works(method: str) -> None:
    with pytest.raises(Unsupported) as raised:
        attribute(TEXT, load(rule, labels=LABELS), method)
    found = list_methods()[method]
    assert raised.value.message == found.unsupported_reason("classification", frozenset({"texts"}))
    if found.needs != "texts":
        assert (
            raised.value.message
            == f"{found.title} needs the model's {found.needs}, but this model only answers texts."
        )
    assert all(name in raised.value.hint for name in WORKING)


# Words.


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("这部电影很好", ["这", "部", "电影", "很", "好"]),
        ("هذا الفيلم رائع", ["هذا", "الفيلم", "رائع"]),
        ("so 😀👍🏽 good", ["so", "😀", "👍🏽", "good"]),
        ("a 👨‍👩‍👧 film", ["a", "👨‍👩‍👧", "film"]),
        ("don't stop", ["don't", "stop"]),
    ],
)
def test_the_inputs_are_words(text: str, words: list[str]) -> None:
    found = attribute(text, load(rule, labels=LABELS), "occlusion", "positive")
    assert [token.text for token in found.tokens] == words
    assert [text[token.start : token.end] for token in found.tokens] == words
    np.testing.assert_allclose(found.scores[0], [WEIGHTS.get(word, 0.0) for word in words], atol=1e-9)


@pytest.mark.parametrize(
    ("text", "hidden", "rest"),
    [
        ("one two three four", [], "one two three four"),
        ("one two three four", [1], "one three four"),
        ("one two three four", [1, 2], "one four"),
        ("one two three four", [0], "two three four"),
        ("one two three four", [0, 1], "three four"),
        ("one two three four", [3], "one two three"),
        ("one two three four", [0, 2], "two four"),
        ("one two three four", [0, 1, 2, 3], ""),
        ("one, two", [1], "one two"),
        ("one\n\ntwo three", [1], "one\n\nthree"),
        ("  one two\n", [1], "  one\n"),
        ("很好看", [1], "很看"),
    ],
)
def test_a_text_without_words_reads_as_if_typed(text: str, hidden: list[int], rest: str) -> None:
    assert left(text, hidden) == left(text, hidden, "delete") == rest


def test_masked_words_keep_their_places() -> None:
    assert left("one  two three", [1, 2], "mask") == f"one  {HIDDEN} {HIDDEN}"
    assert left("很好", [0], "mask") == f"{HIDDEN}好"


@pytest.mark.parametrize("hide", ["mean", "pad", "zero", "unk", "eos"])
def test_nothing_else_can_stand_for_a_word(hide: str) -> None:
    with pytest.raises(BadOption, match=r"only answers texts.*Use 'delete' or 'mask'"):
        attribute("a good plot", load(rule, labels=LABELS), "occlusion", hide=hide)


def test_sentences_and_spans_are_hidden_as_one() -> None:
    model, text = load(rule, labels=LABELS), "A good plot. A bad end."
    by_sentence = attribute(text, model, "occlusion", "positive", features="sentences").scores[0]
    np.testing.assert_allclose(by_sentence, [2.0 / 4] * 4 + [-1.5 / 4] * 4, atol=1e-9)
    by_span = attribute(text, model, "occlusion", "positive", features="spans", spans="good plot").scores[0]
    np.testing.assert_allclose(by_span, [0, 1, 1, 0, 0, -1.5, 0, 0], atol=1e-9)


def test_equal_texts_are_asked_once_and_in_a_fixed_order() -> None:
    asked = Recorder()
    f = objective(asked, "good good bad")
    values = f.evaluate_features(features_of(f), np.array([[1, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 1]], bool))
    assert asked.calls == [["good good bad"], ["good bad", "good good"]]
    assert values[0, 0] == values[0, 1] == values[0, 3] != values[0, 2]


# Pairs.


def test_pairs_are_rows_of_two_texts() -> None:
    asked = Recorder()
    found = attribute("good story", load(asked, labels=LABELS), "occlusion", "positive", second="bad end")
    assert all(isinstance(row, tuple) and len(row) == 2 for row in asked.asked)
    assert set(asked.asked) == {
        ("good story", "bad end"), ("story", "bad end"), ("good", "bad end"), ("good story", "end"),
        ("good story", "bad"),
    }  # fmt: skip
    assert {
        (t.segment, t.text): s for t, s in zip(found.tokens, found.scores[0], strict=True)
    } == pytest.approx(
        {("text", "good"): 2.0, ("text", "story"): 0.0, ("second", "bad"): -1.5, ("second", "end"): 0.0},
        abs=1e-9,
    )
    assert found.second == "bad end"


def test_a_pair_of_the_same_texts_has_features_of_its_own() -> None:
    assert left("one two", [2], second="one two") == ("one two", "two")
    assert left("one two", [0, 1, 2, 3], second="one two") == ("", "")


# Targets.


def test_the_most_probable_class_is_the_target() -> None:
    model = load(three, labels=("a", "b", "c"))
    assert attribute("aa bb bb cc", model, "occlusion").outputs[0].text == "b"
    assert [o.text for o in attribute("aa bb bb cc", model, "occlusion", "*").outputs] == ["a", "b", "c"]
    assert [o.id for o in attribute("aa bb bb cc", model, "occlusion", ["C", 0]).outputs] == [2, 0]
    with pytest.raises(UnknownTarget, match=r"There are: a, b, c|Did you mean"):
        attribute("aa", model, "occlusion", "d")
    with pytest.raises(UnknownTarget, match="from 0 to 2"):
        attribute("aa", model, "occlusion", 3)


def test_the_quantities() -> None:
    model, text = load(three, labels=("a", "b", "c")), "aa bb bb cc"
    p = three([text])[0]
    for quantity, number in (
        ("probability", p[1]),
        ("log_probability", math.log(p[1])),
        ("logit", math.log(p[1] / (1 - p[1]))),
    ):
        found = attribute(text, model, "occlusion", "b", quantity=quantity)
        without = three(["bb bb cc"])[0][1]
        change = {
            "probability": without,
            "log_probability": math.log(without),
            "logit": math.log(without / (1 - without)),
        }
        assert found.outputs[0].value == pytest.approx(number)
        assert found.outputs[0].probability == pytest.approx(p[1])
        assert found.scores[0, 0] == pytest.approx(number - change[quantity])


def test_a_contrast_is_the_difference() -> None:
    model, text = load(three, labels=("a", "b", "c")), "aa bb bb cc"
    found = attribute(text, model, "occlusion", "b", contrast="a", quantity="log_probability")
    assert found.outputs[0].value == pytest.approx(1.0)  # the softmax falls out of a difference of logarithms
    np.testing.assert_allclose(found.scores[0], [-1, 1, 1, 0], atol=1e-9)
    assert found.unit == "difference of log probability" and found.outputs[0].contrast == "a"
    runner_up = attribute("aa bb bb", model, "occlusion", ["a", "b"], contrast="runner-up")
    assert [o.contrast for o in runner_up.outputs] == ["b", "a"]
    with pytest.raises(BadOption, match="itself"):
        attribute(text, model, "occlusion", "b", contrast="b")


@pytest.mark.parametrize("more", [{"position": 0}, {"continuation": "and so on"}])
def test_a_function_has_no_positions(more: dict[str, Any]) -> None:
    with pytest.raises(BadOption, match="classes, no positions"):
        attribute("good", load(rule, labels=LABELS), "occlusion", **more)


def test_certain_answers_stay_finite() -> None:
    found = attribute(
        "good bad", load(lambda rows: [[0.0, 1.0] for _ in rows], labels=LABELS), "occlusion", "*"
    )
    assert np.isfinite([o.value for o in found.outputs]).all() and not found.scores.any()


# What a function may give back.


@pytest.mark.parametrize(
    "convert",
    [
        np.array,
        lambda rows: np.array(rows, dtype=np.float32),
        tuple,
        torch.tensor,
        lambda rows: torch.tensor(rows, requires_grad=True),
        lambda rows: torch.tensor(rows, dtype=torch.bfloat16),
    ],
)
def test_arrays_of_several_kinds(convert: Any) -> None:
    found = attribute(
        "good film", load(lambda rows: convert(rule(rows)), labels=LABELS), "occlusion", "positive"
    )
    assert found.scores[0] == pytest.approx([2.0, 0.0], abs=0.2)


def test_a_function_may_fill_one_array_again_and_again() -> None:
    buffer = np.empty((1, 2))

    def reused(rows: list[str]) -> np.ndarray:
        buffer[:] = rule(rows)
        return buffer

    model = Function(reused, LABELS, batch=1)
    assert model(["good", "bad", "fine"], Deadline())[:, 1].tolist() == pytest.approx(
        [positive(w) for w in ("good", "bad", "fine")]
    )


def test_a_function_may_change_the_list_that_it_is_given_and_give_a_read_only_array() -> None:
    def eats(rows: list[str]) -> np.ndarray:
        answer = np.array(rule(rows))
        answer.flags.writeable = False
        rows.clear()
        return answer

    assert attribute("good film", load(eats, labels=LABELS), "occlusion", "positive").scores[
        0
    ] == pytest.approx([2.0, 0.0])


def test_batches_have_the_stated_size_and_change_nothing() -> None:
    asked = Recorder()
    texts = ["good", "bad", "fine", "great", "awful"]
    found = Function(asked, LABELS, batch=2)(texts, Deadline())
    assert [len(call) for call in asked.calls] == [2, 2, 1]
    assert torch.equal(found, Function(rule, LABELS)(texts, Deadline()))


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        ([0.2, 0.8], r"gave \(2,\) for 1 texts and 2 labels"),
        ([[0.2, 0.3, 0.5]], r"gave \(1, 3\)"),
        ([[0.2, 0.8], [0.2, 0.8]], r"gave \(2, 2\)"),
        ([], r"gave \(0,\)"),
        (0.5, r"gave \(\)"),
        ([[0.2], [0.8, 0.1]], "a list that is no array of numbers"),
        ([["much", "little"]], "no array of numbers"),
        ([{"label": "positive", "score": 0.9}], "no array of numbers"),
        (None, "gave"),
        ({"positive": 0.9}, "a dict that is no array of numbers"),
    ],
)
def test_answers_of_another_shape(answer: Any, match: str) -> None:
    with pytest.raises(Unsupported, match=match) as raised:
        attribute("good", load(lambda _: answer, labels=LABELS), "occlusion")
    assert "[texts, labels]" in raised.value.hint


@pytest.mark.parametrize("answer", [[math.nan, 0.5], [math.inf, 0.0], [-0.1, 1.1], [0.0, 1.001], [-3.0, 4.0]])
def test_answers_that_are_no_probabilities(answer: list[float]) -> None:
    with pytest.raises(NotFinite, match=r"not probabilities.*from 0 to 1"):
        attribute("good", load(lambda rows: [answer for _ in rows], labels=LABELS), "occlusion")


def test_answers_that_turn_bad_later() -> None:
    def later(rows: list[str]) -> Any:
        return rule(rows) if rows == ["good film"] else [[math.nan, 0.0] for _ in rows]

    with pytest.raises(NotFinite):
        attribute("good film", load(later, labels=LABELS), "occlusion")


def test_rounding_is_forgiven() -> None:
    found = attribute(
        "good", load(lambda rows: [[-1e-8, 1 + 1e-8] for _ in rows], labels=LABELS), "occlusion"
    )
    assert found.prediction.probabilities == (0.0, 1.0)


@pytest.mark.parametrize("labels", [(), "positive", ("positive", None)])
def test_labels_that_are_no_names(labels: Any) -> None:
    with pytest.raises((Unsupported, BadOption), match=r"needs names|labels is|A label is nothing"):
        load(rule, labels=labels)


def test_one_label_is_enough() -> None:
    model = load(lambda rows: [[positive(row)] for row in rows], labels=["positive"])
    assert attribute("good film", model, "occlusion").scores[0] == pytest.approx([2.0, 0.0])


@pytest.mark.parametrize(
    "error", [RuntimeError("out of memory"), KeyError("good"), ValueError("strange"), KeyboardInterrupt()]
)
def test_what_the_function_raises_passes_through_unchanged(error: BaseException) -> None:
    calls = 0

    def failing(rows: list[str]) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise error
        return rule(rows)

    model = load(failing, labels=LABELS)
    with pytest.raises(type(error)) as raised:
        attribute("good film", model, "occlusion")
    assert raised.value is error
    assert attribute("good film", model, "occlusion", "positive").scores[0] == pytest.approx(
        [2.0, 0.0]
    )  # and nothing is held


# The door.


def test_texts_are_cleaned_before_a_function_sees_them() -> None:
    asked = Recorder()
    attribute("good\x00film\ud800", load(asked, labels=LABELS), "occlusion")
    assert asked.asked[0] == "good\ufffdfilm\ufffd"
    with pytest.raises(EmptyInput):
        attribute("  ", load(asked, labels=LABELS), "occlusion")


def test_the_deadline_and_the_cancel_are_looked_at_between_batches() -> None:
    asked = Recorder()
    model = Function(asked, LABELS, batch=2)
    with pytest.raises(Cancelled):
        Engine().attribute(TEXT, model, "occlusion", cancelled=lambda: len(asked.calls) >= 2)
    assert len(asked.calls) == 2
    with pytest.raises(DeadlineExceeded):
        model(["good"], Deadline(0.0, started=0.0))


@pytest.mark.parametrize("suffix", ["json", "html", "csv"])
def test_results_are_saved_and_loaded(tmp_path, suffix: str) -> None:
    found = attribute(
        "很好 good",
        load(rule, labels=LABELS),
        "lime",
        "*",
        samples=30,
        second="bad end",
        contrast="runner-up",
    )
    found.save(tmp_path / f"found.{suffix}")
    if suffix == "json":
        assert Attribution.load(tmp_path / "found.json") == found
    else:
        assert "good" in (tmp_path / f"found.{suffix}").read_text(encoding="utf-8")


def test_names() -> None:
    assert load(rule, labels=LABELS).info.name == "rule"
    assert load(Recorder(), labels=LABELS).info.name == "Recorder"
    assert load(rule, labels=LABELS, name="my rule").info.name == "my rule"


def test_eight_threads_give_the_numbers_of_one() -> None:
    model = load(rule, labels=LABELS)
    texts = [TEXT, "so good", "bad, bad film", "a fine and great plot"] * 4
    alone = [attribute(text, model, "lime", samples=50).scores for text in texts]

    def run(text: str) -> np.ndarray:
        return attribute(text, model, "lime", samples=50).scores

    with ThreadPoolExecutor(8) as pool:
        for one, other in zip(alone, pool.map(run, texts), strict=True):
            np.testing.assert_array_equal(one, other)
