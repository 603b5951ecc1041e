"""Texts that fill a model's positions are read; longer ones are too long, on either side of it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers

from attribution import attribute, load
from attribution.errors import TooLong
from tests import tiny
from tests.families import BART_SIZES, SIZES, mbart_pieces, special_ids

LIMIT = 12
BOTH = {**BART_SIZES, "max_position_embeddings": LIMIT, "decoder_start_token_id": 2}
ALONE = {**SIZES, "max_position_embeddings": LIMIT}

ENCODER_DECODERS: dict[str, tuple[str, dict[str, Any]]] = {
    "Bart": ("BartForConditionalGeneration", BOTH),
    "MBart": ("MBartForConditionalGeneration", BOTH),
    "Marian": ("MarianMTModel", BOTH),
    "Pegasus": ("PegasusForConditionalGeneration", BOTH),
    "Blenderbot": ("BlenderbotForConditionalGeneration", BOTH),
    "BlenderbotSmall": ("BlenderbotSmallForConditionalGeneration", BOTH),
    "Mvp": ("MvpForConditionalGeneration", BOTH),
    "PLBart": ("PLBartForConditionalGeneration", BOTH),
    "LED": (
        "LEDForConditionalGeneration",
        {
            **BOTH,
            "max_encoder_position_embeddings": LIMIT + 2,
            "max_decoder_position_embeddings": LIMIT,
            "attention_window": 4,
        },
    ),
}
DECODERS: dict[str, tuple[str, dict[str, Any]]] = {
    "GPT2": ("GPT2LMHeadModel", {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": LIMIT}),
    "GPTBigCode": ("GPTBigCodeForCausalLM", {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": LIMIT}),
    "OPT": ("OPTForCausalLM", {**ALONE, "ffn_dim": 32, "word_embed_proj_dim": 16}),
    "BioGpt": ("BioGptForCausalLM", ALONE),
    "OpenAIGPT": ("OpenAIGPTLMHeadModel", {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": LIMIT}),
    "Bart": ("BartForCausalLM", {**BOTH, "is_decoder": True, "is_encoder_decoder": False}),
    "Roberta": ("RobertaForCausalLM", {**ALONE, "max_position_embeddings": LIMIT + 2, "is_decoder": True}),
}


def build(kind: str, head: str, sizes: dict[str, Any]) -> Any:
    tokenizer = mbart_pieces()
    config = getattr(transformers, f"{kind}Config")(
        **{"vocab_size": len(tokenizer), **special_ids(tokenizer), **sizes}
    )
    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = getattr(transformers, head)(config)
    return tiny.scale_weights(model, 4.0), tokenizer


def words(tokens: int) -> str:
    """A text of that many tokens, ``</s>`` and the language included."""
    return " ".join(["good"] * (tokens - 2))


@pytest.mark.parametrize("kind", ENCODER_DECODERS)
def test_an_encoder_decoder_is_limited_on_both_sides(kind: str) -> None:
    model, tokenizer = build(kind, *ENCODER_DECODERS[kind])
    adapter = load(model, tokenizer)
    whole = " ".join(["bad"] * LIMIT)
    result = attribute(words(LIMIT), adapter, "saliency", continuation=whole)
    ids = tokenizer(words(LIMIT), return_tensors="pt")["input_ids"]
    given = tokenizer(whole, add_special_tokens=False)["input_ids"]
    assert ids.shape[1] == len(given) == LIMIT
    with torch.no_grad():
        logits = model(input_ids=ids, decoder_input_ids=torch.tensor([[2, *given[:-1]]])).logits[0]
    expected = [float(logits[k, index]) for k, index in enumerate(given)]
    assert [output.value for output in result.outputs] == pytest.approx(expected, rel=1e-3, abs=1e-4)
    with pytest.raises(TooLong, match=f"has {LIMIT + 1} tokens; {LIMIT} at most"):
        attribute(words(LIMIT + 1), adapter, "saliency", continuation="bad")
    with pytest.raises(TooLong, match=f"continuation has {LIMIT + 1} tokens; {LIMIT} at most"):
        attribute(words(5), adapter, "saliency", continuation=whole + " bad")
    model.generation_config.forced_bos_token_id = 5
    forced = load(model, tokenizer)
    with pytest.raises(TooLong, match=f"{LIMIT - 1} at most"):
        attribute(words(5), forced, "saliency", continuation=whole)


@pytest.mark.parametrize("kind", ENCODER_DECODERS)
def test_no_more_is_written_than_the_decoder_has_positions_for(kind: str) -> None:
    model, tokenizer = build(kind, *ENCODER_DECODERS[kind])
    model.generation_config.eos_token_id = None
    result = attribute(words(5), load(model, tokenizer), "random", max_new_tokens=LIMIT + 5)
    assert len(result.outputs) == LIMIT


@pytest.mark.parametrize("kind", DECODERS)
def test_a_decoder_is_limited_to_its_positions(kind: str) -> None:
    model, tokenizer = build(kind, *DECODERS[kind])
    model.generation_config.eos_token_id = None
    adapter = load(model, tokenizer)
    result = attribute(words(LIMIT - 1), adapter, "saliency", max_new_tokens=5)
    ids = tokenizer(words(LIMIT - 1), return_tensors="pt")["input_ids"]
    with torch.no_grad():
        row = model(input_ids=ids).logits[0, -1]
    [output] = result.outputs
    assert output.value == pytest.approx(float(row[output.id]), rel=1e-3, abs=1e-4)
    with pytest.raises(TooLong, match=f"{LIMIT - 1} at most"):
        attribute(words(LIMIT), adapter, "saliency")


def test_relative_positions_have_no_limit_of_their_own() -> None:
    model, tokenizer = tiny.t5()
    model.config.n_positions = 8
    assert load(model, tokenizer).max_tokens == 512
