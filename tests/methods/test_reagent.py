"""ReAGent: its arithmetic by hand, a model that copies a token, and a masked model's words."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from transformers import PretrainedConfig

from attribution import errors, load
from attribution.methods import Scores, list_methods
from attribution.models.adapter import Adapter
from attribution.models.deadline import Deadline
from attribution.models.infilling import Filler, replace_spans
from attribution.models.readers import make_objective
from attribution.request import Target
from tests.families import FAMILIES
from tests.methods.test_oracles import Copying
from tests.tiny import bytes_bpe


def load_masked(family: str = "bert-masked") -> Adapter:
    adapter = load(*FAMILIES[family].build())
    assert isinstance(adapter, Adapter)
    return adapter


def explain(
    adapter: Any, text: str, filler: Any, target: dict[str, Any] | None = None, **options: Any
) -> tuple[Any, Scores]:
    f = make_objective(adapter, text, Target(**{"max_new_tokens": 3, **(target or {})}), Deadline())
    f = dataclasses.replace(f, companion=filler)
    return f, list_methods()["reagent"].run(f, **options)


class Same:
    """Fills every span with one word."""

    word = "x"

    def __init__(self, *_: Any) -> None:
        pass

    def fill(self, rows: Sequence[tuple[str, Sequence[tuple[int, int]]]]) -> list[list[str]]:
        return [[self.word] * len(spans) for _, spans in rows]


def test_a_word_gives_way_to_a_word() -> None:
    assert replace_spans("the film was bad", [(4, 8), (13, 16)], ["plot", "good"]) == "the plot was good"
    assert replace_spans("a", [], []) == "a"


@pytest.mark.parametrize("family", ["bert-masked", "roberta-masked"])
def test_words_are_the_likeliest_of_the_plain_masked_model(family: str) -> None:
    model, tokenizer = FAMILIES[family].build()
    filler = Filler(load_masked(family), Deadline())
    rows = [
        ("the film was bad", [(4, 8)]),
        ("the film was bad", [(0, 3), (13, 16)]),
        ("a movie", []),
        ("the film was bad", [(4, 8)]),
    ]
    got = filler.fill(rows)
    assert [len(words) for words in got] == [1, 2, 0, 1] and got[0] == got[3]
    for (text, spans), words in zip(rows, got, strict=True):
        ids = tokenizer(replace_spans(text, spans, [tokenizer.mask_token] * len(spans)), return_tensors="pt")[
            "input_ids"
        ]
        places = (ids[0] == tokenizer.mask_token_id).nonzero()[:, 0]
        assert len(places) == len(spans)
        with torch.no_grad():
            order = model(input_ids=ids).logits[0, places].argsort(-1, descending=True).tolist()
        for best, word in zip(order, words, strict=True):
            names = tokenizer.convert_ids_to_tokens(best)
            named = [
                (i, name) for i, name in zip(best, names, strict=True) if i not in tokenizer.all_special_ids
            ]
            fitting = (i for i, name in named if name.strip("Ġ") and name[:2] != "##")
            assert tokenizer.decode([next(fitting)]).strip() == word


def test_a_mask_of_the_texts_own_is_not_taken_for_a_hidden_word() -> None:
    model, tokenizer = FAMILIES["bert-masked"].build()
    ids = tokenizer("a [MASK] [MASK]", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        order = model(input_ids=ids).logits[0, 3].argsort(descending=True).tolist()
    first = next(
        i
        for i in order
        if i not in tokenizer.all_special_ids and tokenizer.convert_ids_to_tokens(i)[:2] != "##"
    )
    assert Filler(load_masked(), Deadline()).fill([("a [MASK] film", [(9, 13)])]) == [
        [tokenizer.decode([first])]
    ]


def test_one_step_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """One step of one run: S = softmax(s ± logit((1 + Δp) / 2)), Δp by the plain model."""
    monkeypatch.setitem(list_methods()["reagent"].function.__globals__, "Filler", Same)
    model, tokenizer = FAMILIES["gpt2"].build()
    f, result = explain(
        load(model, tokenizer),
        "abcdef",
        load_masked(),
        {"position": 0},
        runs=1,
        steps=1,
        features="tokens",
        seed=4,
    )
    random = np.random.default_rng(4)
    scores = random.random(6 + 2)[:6]  # two generated tokens that the first output does not see
    replaced_at = random.choice(np.arange(6), 2, replace=False)
    ids = tokenizer("abcdef")["input_ids"]
    changed = [tokenizer("x")["input_ids"][0] if i in replaced_at else k for i, k in enumerate(ids)]
    with torch.no_grad():
        p, q = (
            model(input_ids=torch.tensor([row])).logits[0, -1].softmax(-1)[f.outputs[0].id].item()
            for row in (ids, changed)
        )
    logit = np.log((1 + p - q) / (1 - p + q))
    assert abs(logit) > 1e-4
    scores[:] += np.where(np.isin(np.arange(6), replaced_at), logit, -logit)
    expected = np.exp(scores) / np.exp(scores).sum()
    np.testing.assert_allclose(result.values[0, :6].numpy(), expected, rtol=1e-5)
    assert not result.values[0, 6:].any() and result.errors is None


def test_the_copied_token_is_the_most_important(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(list_methods()["reagent"].function.__globals__, "Filler", Same)
    tokenizer = bytes_bpe()
    model = Copying(PretrainedConfig(vocab_size=len(tokenizer), is_encoder_decoder=False))
    f, result = explain(
        load(model, tokenizer, task="causal"),
        "abcdefgh",
        load_masked(),
        features="tokens",
        runs=5,
        steps=60,
        keep=0.1,
        top=1,
    )
    for row in range(3):
        place = 8 + row - 3
        assert f.tokens[place].id == f.outputs[row].id
        assert int(result.values[row].argmax()) == place
        assert result.values[row].sum() == pytest.approx(1)
        assert result.values[row, place] > 0.4
    assert "15 of 15 runs ended" in result.notes[0]


@pytest.mark.parametrize("family", ["gpt2", "llama", "t5", "bart"])
@pytest.mark.parametrize("filler", ["bert-masked", "roberta-masked"])
def test_every_pair_of_models(family: str, filler: str) -> None:
    adapter, words = load(*FAMILIES[family].build()), load_masked(filler)
    f, result = explain(adapter, "the film was good", words, runs=2, steps=3)
    values = result.values
    assert torch.isfinite(values).all() and (values >= 0).all()
    torch.testing.assert_close(values.sum(1), torch.ones(len(values), dtype=torch.float64))
    assert not values[~f.visible].any()
    assert result.errors is not None and result.errors.shape == values.shape
    again = explain(adapter, "the film was good", words, runs=2, steps=3)[1]
    assert torch.equal(values, again.values)
    other = explain(adapter, "the film was good", words, runs=2, steps=3, seed=1)[1]
    assert not torch.equal(values, other.values)


def test_missing_requirements_are_errors() -> None:
    adapter = load(*FAMILIES["gpt2"].build())
    with pytest.raises(errors.Unsupported, match="needs a masked language model"):
        explain(adapter, "the film", None)
    with pytest.raises(errors.Unsupported, match="needs a masked language model"):
        explain(adapter, "the film", adapter)
    with pytest.raises(errors.Unsupported, match="single tokens"):
        explain(adapter, "the film", load_masked(), {"position": "sequence"})
    with pytest.raises(errors.Unsupported, match="single tokens"):
        explain(adapter, "the film", load_masked(), {"contrast": "runner-up"})
