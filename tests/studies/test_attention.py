"""Attention against transformers' own maps; the figures against loops and against hand-made heads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import attribution
from attribution import load
from attribution.errors import BadOption, EmptyInput, TooLong, Unsupported
from attribution.models.adapter import Adapter
from attribution.studies.attention import FIGURES, Attentions, Block
from tests import families
from tests import tiny as models

TEXT = "the movie was not good, but the actor was great!"


def eager(family: str) -> tuple[Any, Any]:
    model, tokenizer = models.FAMILIES[family]()
    model.set_attn_implementation("eager")
    return model, tokenizer


def eager_output(family: str, attentions: Attentions) -> Any:
    """The output of transformers' own eager model for the tokens of ``attentions``."""
    model, _ = eager(family)
    ids = torch.tensor([[token.id for token in attentions.tokens if token.segment == "text"]])
    written = torch.tensor(
        [[token.id for token in attentions.tokens if token.segment == "generated"]], dtype=torch.long
    )
    with torch.no_grad():
        if family == "t5":
            return model(input_ids=ids, decoder_input_ids=written, output_attentions=True)
        return model(input_ids=torch.cat([ids, written], dim=1), output_attentions=True)


def close(block: Block, expected: Any) -> None:
    np.testing.assert_allclose(block.weights, torch.stack(list(expected))[:, 0].numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("family", ["bert", "gpt2-classifier", "gpt2"])
def test_the_weights_are_the_models_own(tiny: dict[str, Adapter], family: str) -> None:
    attentions = attribution.attentions(TEXT, tiny[family], max_new_tokens=3)
    assert attentions.kinds == ("self",)
    close(attentions.block(), eager_output(family, attentions).attentions)
    assert attentions.block().causal == (family != "bert")
    assert (attentions.layers(), attentions.heads()) == (2, 2)
    np.testing.assert_array_equal(attentions.weights("self", 1, 0), attentions.block().weights[1, 0])


def test_an_encoder_decoder_has_three_kinds(tiny: dict[str, Adapter]) -> None:
    attentions = attribution.attentions(TEXT, tiny["t5"], max_new_tokens=4)
    expected = eager_output("t5", attentions)
    assert set(attentions.kinds) == {"encoder", "decoder", "cross"}
    close(attentions.block("encoder"), expected.encoder_attentions)
    close(attentions.block("decoder"), expected.decoder_attentions)
    close(attentions.block("cross"), expected.cross_attentions)
    assert [attentions.block(kind).causal for kind in ("encoder", "decoder", "cross")] == [False, True, False]
    assert {token.segment for token in attentions.tokens[attentions.block("cross").queries.start :]} == {
        "generated"
    }
    assert np.isnan(attentions.figure("distance", "cross")).all()


def test_two_texts_that_never_meet_have_a_block_each() -> None:
    attentions = attribution.attentions(
        "the film was good", load(*families.FAMILIES["bert-similarity"].build()), second="it was bad"
    )
    assert attentions.kinds == ("first", "second")
    assert attentions.block("second").queries.start == attentions.block("first").queries.stop
    for block in attentions.blocks:
        np.testing.assert_allclose(block.weights.sum(-1), 1, rtol=1e-5)


def test_a_continuation_is_read_as_it_was_given(tiny: dict[str, Adapter]) -> None:
    attentions = attribution.attentions("the film", tiny["gpt2"], continuation=" was bad")
    assert "".join(token.text for token in attentions.tokens).startswith("the film was ba")


def test_where_the_prediction_is_read(tiny: dict[str, Adapter]) -> None:
    assert attribution.attentions(TEXT, tiny["bert"]).read == (0,)
    last = attribution.attentions(TEXT, tiny["gpt2-classifier"])
    assert last.read == (len(last.tokens) - 1,)
    written = attribution.attentions("the film", tiny["gpt2"], max_new_tokens=3)
    text = sum(token.segment == "text" for token in written.tokens)
    assert written.read == tuple(range(text - 1, len(written.tokens)))
    assert "[CLS]" in attribution.attentions(TEXT, tiny["bert"]).where


def test_the_users_model_stays_as_it_was() -> None:
    model, tokenizer = models.bert()
    adapter = load(model, tokenizer)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    settings_before = (
        model.config._attn_implementation,
        model.training,
        [dict(module._forward_hooks) for module in model.modules()],
    )
    attribution.attentions(TEXT, adapter)
    with pytest.raises(EmptyInput):
        attribution.attentions("  ", adapter)
    assert settings_before == (
        model.config._attn_implementation,
        model.training,
        [dict(module._forward_hooks) for module in model.modules()],
    )
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_weights_cannot_be_written_to(tiny: dict[str, Adapter]) -> None:
    weights = attribution.attentions(TEXT, tiny["bert"]).weights("self", 0, 0)
    with pytest.raises(ValueError, match="read-only"):
        weights[0, 0] = 1


@pytest.mark.parametrize(
    "indices", [("self", 2, 0), ("self", 0, 9), ("cross", 0, 0), ("self", "1", 0), (None, -3, 0)]
)
def test_what_is_not_there_is_refused(tiny: dict[str, Adapter], indices: tuple[Any, ...]) -> None:
    attentions = attribution.attentions(TEXT, tiny["bert"])
    with pytest.raises(BadOption):
        attentions.weights(*indices)
    with pytest.raises(BadOption, match="entropie"):
        attentions.figure("entropie")


def test_what_has_no_attention_says_so(tiny: dict[str, Adapter]) -> None:
    function = load(lambda texts: [[0.5, 0.5] for _ in texts], labels=["a", "b"])
    with pytest.raises(Unsupported, match="attentions"):
        attribution.attentions(TEXT, function)
    with pytest.raises(TooLong):
        attribution.attentions("good " * 500, tiny["bert"])


# The figures.


def literal(name: str, maps: np.ndarray, special: list[bool], causal: bool) -> float:
    """One head's figure, weight by weight."""
    values = []
    count = len(maps)
    for i in range(count):
        row = [float(weight) for weight in maps[i]]
        if name == "entropy":
            free = i + 1 if causal else count
            if free > 1:
                values.append(-sum(w * np.log(w) for w in row if w > 0) / np.log(free))
        elif name == "distance":
            values.append(sum(w * abs(i - j) for j, w in enumerate(row)))
        elif name == "special":
            values.append(sum(w for j, w in enumerate(row) if special[j]))
        elif name == "itself":
            values.append(row[i])
        elif name == "previous" and i > 0:
            values.append(row[i - 1])
        elif name == "next" and i + 1 < count:
            values.append(row[i + 1])
    return float(np.mean(values))


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_figures_agree_with_loops_over_transformers_own_maps(
    tiny: dict[str, Adapter], family: str, name: str
) -> None:
    attentions = attribution.attentions(TEXT, tiny[family], max_new_tokens=3)
    special = [token.special for token in attentions.tokens]
    maps = torch.stack(eager_output(family, attentions).attentions)[:, 0].double().numpy()
    expected = [[literal(name, head, special, family == "gpt2") for head in layer] for layer in maps]
    np.testing.assert_allclose(attentions.figure(name), expected, rtol=1e-4, atol=1e-6)


def block(weights: np.ndarray, causal: bool = False) -> Block:
    places = range(weights.shape[-1])
    special = np.arange(len(places)) == 0
    return Block("self", places, places, weights[None, None].astype(np.float32), special, causal)


def test_figures_of_heads_made_by_hand() -> None:
    size = 5
    even, itself = np.full((size, size), 1 / size), np.eye(size)
    before = np.eye(size, k=-1)
    before[0, 0] = 1
    staircase = np.tril(np.ones((size, size))) / np.arange(1, size + 1)[:, None]
    of = {name: figure.of for name, figure in FIGURES.items()}
    assert of["entropy"](block(even)) == pytest.approx(1)
    assert of["entropy"](block(staircase, causal=True)) == pytest.approx(1)
    assert of["entropy"](block(staircase)) < 1
    assert of["entropy"](block(itself)) == 0
    assert of["distance"](block(itself)) == 0
    assert of["distance"](block(before)) == pytest.approx((size - 1) / size)
    assert of["itself"](block(itself)) == 1
    assert of["previous"](block(before)) == 1
    assert of["next"](block(before.T)) == 1
    assert of["special"](block(even)) == pytest.approx(1 / size)


def test_a_single_token_has_no_choice() -> None:
    alone = block(np.ones((1, 1)), causal=True)
    assert np.isnan(FIGURES["entropy"].of(alone)).all()
    assert np.isnan(FIGURES["previous"].of(alone)).all()
    assert FIGURES["itself"].of(alone) == 1
