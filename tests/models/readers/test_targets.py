"""Targets of every task: several at once, positions, contrasts, continuations. Oracle: autograd by hand."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from attribution import Attribution, attribute, errors, load
from attribution.models.adapter import Adapter
from tests.families import FAMILIES

TEXT = "the movie was not good"
OTHER = "a film, so very fine and great!"


@cache
def pair(name: str) -> tuple[Any, Any]:
    return FAMILIES[name].build()


@cache
def adapter(name: str) -> Adapter:
    model, tokenizer = pair(name)
    return load(model, tokenizer, name=name)  # type: ignore[return-value]


def by_hand(name: str, result: Attribution, read: Callable[[Any], torch.Tensor]) -> np.ndarray:
    """Input × gradient [inputs] of ``read(model output)``, with the tokenizer's own token types."""
    model, tokenizer = pair(name)
    ids = torch.tensor([[token.id for token in result.tokens]])
    more: dict[str, torch.Tensor] = {}
    if "token_type_ids" in tokenizer.model_input_names and "ModernBert" not in type(model).__name__:
        texts = (result.text,) if result.request.second is None else (result.text, result.second)
        more["token_type_ids"] = tokenizer(*texts, return_tensors="pt")["token_type_ids"]
    embeddings = model.get_input_embeddings()(ids).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(read(model(inputs_embeds=embeddings, **more)), embeddings)
    return (gradient * embeddings).sum(-1)[0].detach().numpy()


def close(got: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-5)


def test_several_classes_at_once() -> None:
    result = attribute(TEXT, adapter("bert-multi-label"), "input_x_gradient", ["anger", 2])
    assert [output.id for output in result.outputs] == [result.prediction.labels.index("anger"), 2]
    for row, output in enumerate(result.outputs):
        close(
            result.scores[row],
            by_hand("bert-multi-label", result, lambda said, k=output.id: said.logits[0, k]),
        )
    every = attribute(TEXT, adapter("bert-multi-label"), "saliency", "*")
    assert [output.text for output in every.outputs] == list(every.prediction.labels)


def test_probabilities_of_a_multi_label_model_are_each_labels_own() -> None:
    result = attribute(TEXT, adapter("bert-multi-label"), "input_x_gradient", 1, quantity="probability")
    close(result.scores[0], by_hand("bert-multi-label", result, lambda said: said.logits[0, 1].sigmoid()))
    assert result.outputs[0].value == pytest.approx(1 / (1 + np.exp(-result.prediction.logits[1])), rel=1e-5)


def test_a_contrast_is_the_difference_of_two_classes() -> None:
    model = adapter("bert-nli")
    result = attribute(TEXT, model, "input_x_gradient", 0, second=OTHER, contrast=2)
    close(result.scores[0], by_hand("bert-nli", result, lambda said: said.logits[0, 0] - said.logits[0, 2]))
    assert result.outputs[0].contrast == result.prediction.labels[2]
    assert result.outputs[0].value == pytest.approx(
        result.prediction.logits[0] - result.prediction.logits[2], abs=1e-5
    )
    one, other = (attribute(TEXT, model, "input_x_gradient", k, second=OTHER) for k in (0, 2))
    close(result.scores, one.scores - other.scores)
    auto = attribute(TEXT, model, "input_x_gradient", second=OTHER, contrast="runner-up")
    order = np.argsort(result.prediction.logits)
    assert (auto.outputs[0].id, auto.outputs[0].contrast) == (order[-1], result.prediction.labels[order[-2]])


def test_a_pair_has_its_segments_and_token_types() -> None:
    result = attribute(TEXT, adapter("bert-nli"), "input_x_gradient", second=OTHER)
    close(result.scores[0], by_hand("bert-nli", result, lambda said: said.logits[0, result.outputs[0].id]))
    for segment, source in (("text", TEXT), ("second", OTHER)):
        tokens = [token for token in result.tokens if token.segment == segment and not token.special]
        assert [source[token.start : token.end] for token in tokens] == [token.text for token in tokens]
        assert len(tokens) >= 5
    assert result.second == OTHER
    assert Attribution.from_dict(result.to_dict()) == result


def test_a_regression_head_is_its_number() -> None:
    result = attribute(TEXT, adapter("bert-regression"), "input_x_gradient")
    close(result.scores[0], by_hand("bert-regression", result, lambda said: said.logits[0, 0]))
    assert result.outputs[0].probability is None
    assert result.outputs[0].value == pytest.approx(result.prediction.logits[0])
    for wrong in ({"quantity": "probability"}, {"contrast": 0}):
        with pytest.raises(errors.BadOption):
            attribute(TEXT, adapter("bert-regression"), "saliency", **wrong)  # type: ignore[arg-type]


def test_the_label_of_a_token() -> None:
    result = attribute(TEXT, adapter("bert-tokens"), "input_x_gradient", position=[2, 0])
    places = [output.position for output in result.outputs]
    assert [result.tokens[p].text for p in places] == ["was", "the"]
    for row, output in enumerate(result.outputs):
        close(
            result.scores[row],
            by_hand("bert-tokens", result, lambda said, p=output.position, k=output.id: said.logits[0, p, k]),
        )
    both = attribute(TEXT, adapter("bert-tokens"), "saliency", ["O", "B-PER"], position=1)
    assert [output.text for output in both.outputs] == ["movie: O", "movie: B-PER"]
    best = attribute(TEXT, adapter("bert-tokens"), "saliency", "O").outputs[0]
    values = [
        attribute(TEXT, adapter("bert-tokens"), "saliency", "O", position=k).outputs[0].value
        for k in range(5)
    ]
    assert best.value == pytest.approx(max(values))


def test_a_masked_token() -> None:
    model, tokenizer = pair("bert-masked")
    text = "the movie was [MASK] good"
    result = attribute(text, adapter("bert-masked"), "input_x_gradient")
    place = [token.text for token in result.tokens].index("[MASK]")
    with torch.no_grad():
        said = model(**tokenizer(text, return_tensors="pt")).logits[0, place]
    assert result.outputs[0].id == int(said.argmax())
    assert result.outputs[0].position == place
    close(
        result.scores[0],
        by_hand("bert-masked", result, lambda out: out.logits[0, place, result.outputs[0].id]),
    )
    named = attribute(text, adapter("bert-masked"), "saliency", "bad", contrast="fine").outputs[0]
    ids = tokenizer.convert_tokens_to_ids(["bad", "fine"])
    assert (named.text, named.contrast) == ("bad", "fine")
    assert named.value == pytest.approx(float(said[ids[0]] - said[ids[1]]), abs=1e-4)
    hidden = attribute(
        "the movie was not good", adapter("bert-masked"), "input_x_gradient", "not", position=3
    )
    np.testing.assert_allclose(
        hidden.scores,
        attribute(text, adapter("bert-masked"), "input_x_gradient", "not").scores,
        rtol=1e-5,
        atol=1e-7,
    )
    with pytest.raises(errors.InputError, match=r"Write \[MASK\]"):
        attribute("the movie", adapter("bert-masked"), "saliency")
    with pytest.raises(errors.UnknownTarget, match="not one token"):
        attribute(text, adapter("bert-masked"), "saliency", "movies")


@pytest.mark.parametrize("family", ["bert-question", "distilbert-question"])
def test_start_and_end_of_an_answer(family: str) -> None:
    result = attribute(
        "was it good?", adapter(family), "input_x_gradient", second="the film is very good and fine."
    )
    start, end = (output.position for output in result.outputs)
    assert all(result.tokens[p].segment == "second" for p in (start, end))
    assert start <= end
    close(result.scores[0], by_hand(family, result, lambda said: said.start_logits[0, start]))
    close(result.scores[1], by_hand(family, result, lambda said: said.end_logits[0, end]))
    assert result.prediction.text == result.second[result.tokens[start].start : result.tokens[end].end]
    given = attribute(
        "was it good?", adapter(family), "saliency", "very good", second="the film is very good and fine."
    )
    assert [output.text for output in given.outputs] == ["start: very", "end: good"]
    with pytest.raises(errors.UnknownTarget, match="does not occur"):
        attribute("was it good?", adapter(family), "saliency", "bad", second="the film is good")
    with pytest.raises(errors.InputError, match="second"):
        attribute("was it good?", adapter(family), "saliency")


ANSWERS = {
    "folds to more": ("İİ STRASSE straße the good film", "good", ["good"]),
    "no part of a word": ("the film, he was fine", "he", ["he"]),
    "whole word first": ("goods and a good film", "Good", ["good"]),
    "spelled alike first": ("good and Good and GOOD", "Good", ["Good"]),
    "ligature": ("a ﬁlm", "film", ["ﬁlm"]),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_where_the_caller_says(name: str) -> None:
    second, answer, expected = ANSWERS[name]
    result = attribute("was it good?", adapter("bert-question"), "saliency", answer, second=second)
    start, end = (result.tokens[output.position] for output in result.outputs)
    assert [second[start.start : end.end]] == expected


def test_of_equal_answers_the_one_that_the_model_prefers() -> None:
    model, tokenizer = pair("bert-question")
    second = "good film, a good plot, very good"
    with torch.no_grad():
        answer = model(**tokenizer("was it good?", second, return_tensors="pt"))
    sums = (answer.start_logits + answer.end_logits)[0]
    result = attribute("was it good?", adapter("bert-question"), "saliency", "GOOD", second=second)
    places = [i for i, t in enumerate(result.tokens) if t.segment == "second" and t.text == "good"]
    assert len(places) == 3
    ranked = sorted(places, key=lambda i: -float(sums[i]))
    assert [output.position for output in result.outputs] == [ranked[0]] * 2
    other = attribute(
        "was it good?", adapter("bert-question"), "saliency", "good", contrast="good", second=second
    )
    value = answer.start_logits[0, ranked[0]] - answer.start_logits[0, ranked[1]]
    assert other.outputs[0].value == pytest.approx(float(value), abs=1e-5)


def test_answers_that_stand_nowhere_are_refused() -> None:
    with pytest.raises(errors.UnknownTarget, match="only inside other words"):
        attribute("was it good?", adapter("bert-question"), "saliency", "he", second="the film")
    with pytest.raises(errors.BadOption, match="the explained answer itself"):
        attribute(
            "was it good?", adapter("bert-question"), "saliency", "film", contrast="film", second="a film"
        )


def test_the_similarity_of_two_texts_is_that_of_sentence_transformers() -> None:
    model, tokenizer = pair("bert-similarity")
    with torch.no_grad():
        a, b = (model(**tokenizer(t, return_tensors="pt")).last_hidden_state.mean(1) for t in (TEXT, OTHER))
    result = attribute(TEXT, adapter("bert-similarity"), "integrated_gradients", second=OTHER)
    assert result.outputs[0].value == pytest.approx(
        float(torch.nn.functional.cosine_similarity(a, b)[0]), abs=1e-5
    )
    assert result.unit == "cosine similarity"
    assert {token.segment for token in result.tokens} == {"text", "second"}
    turned = attribute(OTHER, adapter("bert-similarity"), "integrated_gradients", second=TEXT)
    n = sum(token.segment == "text" for token in result.tokens)
    close(np.concatenate([turned.scores[0, -n:], turned.scores[0, :-n]]), result.scores[0])


@pytest.mark.parametrize("family", ["gpt2", "llama", "t5", "bart", "marian"])
def test_a_given_continuation_is_scored_like_a_generated_one(family: str) -> None:
    free = attribute("the film", adapter(family), "input_x_gradient", max_new_tokens=3)
    same = attribute("the film", adapter(family), "input_x_gradient", position=[1, 0], max_new_tokens=3)
    close(same.scores, free.scores[[1, 0]])
    forced = attribute("the film", adapter(family), "input_x_gradient", continuation=" is bad")
    generated = "".join(forced.prediction.text or "").strip()
    assert generated == "is bad"
    assert len(forced.outputs) >= 2


@pytest.mark.parametrize("family", ["gpt2", "t5"])
def test_why_this_token_rather_than_that(family: str) -> None:
    at = {"position": 1, "max_new_tokens": 3}
    chosen = attribute("the film", adapter(family), "input_x_gradient", **at)
    named = attribute("the film", adapter(family), "input_x_gradient", "x", **at)
    contrast = attribute("the film", adapter(family), "input_x_gradient", contrast="z", **at)
    other = attribute("the film", adapter(family), "input_x_gradient", "z", **at)
    assert named.outputs[0].text == "x"
    assert contrast.outputs[0].contrast == "z"
    close(contrast.scores, chosen.scores - other.scores)
    with pytest.raises(errors.UnknownTarget, match="Give a position"):
        attribute("the film", adapter(family), "saliency", "x", max_new_tokens=3)


@pytest.mark.parametrize("family", ["gpt2", "t5"])
def test_a_whole_sequence_is_one_number(family: str) -> None:
    logs = attribute(
        "the film", adapter(family), "input_x_gradient", quantity="log_probability", max_new_tokens=3
    )
    whole = attribute(
        "the film",
        adapter(family),
        "input_x_gradient",
        position="sequence",
        quantity="log_probability",
        max_new_tokens=3,
    )
    close(whole.scores[0], logs.scores.sum(0))
    assert whole.outputs[0].value == pytest.approx(sum(output.value for output in logs.outputs), rel=1e-4)
    assert whole.outputs[0].text == whole.prediction.text
    chance = attribute(
        "the film", adapter(family), "saliency", position="sequence", quantity="probability", max_new_tokens=3
    )
    assert chance.outputs[0].value == pytest.approx(np.exp(whole.outputs[0].value), rel=1e-4)


def test_marian_and_pegasus_scale_what_they_are_given() -> None:
    for family in ("marian", "pegasus"):
        model, tokenizer = pair(family)
        result = attribute(TEXT, adapter(family), "saliency", max_new_tokens=3)
        ids = tokenizer(TEXT, return_tensors="pt")["input_ids"]
        prefix = torch.tensor([[token.id for token in result.tokens if token.segment == "generated"]])
        with torch.no_grad():
            logits = model(input_ids=ids, decoder_input_ids=prefix).logits[0]
        for row, output in enumerate(result.outputs):
            assert output.value == pytest.approx(float(logits[row, output.id]), abs=1e-4)
