"""Every field of a model's ``generation_config``: it is honoured, changes nothing, or a note names it."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import pytest
import torch
from transformers import CompileConfig, GenerationConfig, PreTrainedModel, PreTrainedTokenizerFast
from transformers.generation import WatermarkingConfig

from attribution import attribute, load
from attribution.errors import Unsupported
from attribution.models.writing import fields
from attribution.types import Attribution
from tests.families import FAMILIES

TEXT = "the movie was good"
COUNT = 6
METADATA = {"_from_model_config", "transformers_version"}

Pair = tuple[PreTrainedModel, PreTrainedTokenizerFast]


@cache
def built(name: str) -> Pair:
    return FAMILIES[name].build()


@cache
def special_tokens(name: str) -> dict[str, Any]:
    names = ("bos_token_id", "pad_token_id", "eos_token_id", "decoder_start_token_id")
    return {key: getattr(built(name)[0].generation_config, key) for key in names}


def with_settings(name: str, **settings: Any) -> Pair:
    """A model whose ``generation_config`` has these settings beside its special tokens."""
    model, tokenizer = built(name)
    model.generation_config = GenerationConfig(**special_tokens(name))
    for field, value in settings.items():  # not by the constructor, which refuses or warns
        setattr(model.generation_config, field, value)
    return model, tokenizer


def greedy(model: PreTrainedModel, words: PreTrainedTokenizerFast, **settings: Any) -> list[int]:
    """The new tokens of the user's own call of ``generate``."""
    ids = words(TEXT, return_tensors="pt")["input_ids"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=COUNT,
            **{"pad_token_id": words.pad_token_id or 0, **settings},
        )
    row: list[int] = getattr(found, "sequences", found)[0].tolist()
    return row[1:] if model.config.is_encoder_decoder else row[ids.shape[1] :]


def explained(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> Attribution:
    return attribute(TEXT, load(model, tokenizer), "random", max_new_tokens=COUNT)


def without_end(row: list[int], model: PreTrainedModel) -> list[int]:
    end = model.generation_config.eos_token_id
    ends = end if isinstance(end, list) else [end]
    return row[:-1] if len(row) > 1 and row[-1] in ends else row


def first_token(name: str) -> int:
    """What the plain model writes first."""
    return greedy(*with_settings(name), do_sample=False)[0]


HONOURED: dict[str, Any] = {
    "min_length": 30,
    "min_new_tokens": 5,
    "stop_strings": ["X", "?"],
    "repetition_penalty": 3.0,
    "encoder_repetition_penalty": 0.1,
    "no_repeat_ngram_size": 1,
    "encoder_no_repeat_ngram_size": 1,
    "bad_words_ids": lambda name: [[first_token(name)]],
    "renormalize_logits": True,
    "forced_bos_token_id": 7,
    "forced_eos_token_id": 9,
    "remove_invalid_values": True,
    "exponential_decay_length_penalty": (1, 3.0),
    "suppress_tokens": lambda name: [first_token(name)],
    "begin_suppress_tokens": lambda name: [first_token(name)],
    "sequence_bias": [[[11], 50.0]],
    "guidance_scale": 1.5,
    "watermarking_config": WatermarkingConfig(bias=20.0),
    "pad_token_id": 3,
    "bos_token_id": 5,
    "eos_token_id": lambda name: [first_token(name), 3],
    "decoder_start_token_id": 6,
}
WITHOUT_EFFECT: dict[str, Any] = {
    "output_attentions": True,
    "output_hidden_states": True,
    "output_scores": True,
    "output_logits": True,
    "return_dict_in_generate": True,
    "use_cache": False,
    "cache_config": {"a": 1},
    "max_cache_len": 64,
    "compile_config": CompileConfig(),
    "disable_compile": True,
    "continuous_batching_config": None,
    "prefill_chunk_size": 2,
    "low_memory": True,
    "use_mtp": True,
    "is_assistant": True,
    "num_assistant_tokens": 3,
    "num_assistant_tokens_schedule": "heuristic",
    "assistant_confidence_threshold": 0.9,
    "prompt_lookup_num_tokens": 2,
    "max_matching_ngram_size": 2,
    "assistant_early_exit": 1,
    "assistant_lookbehind": 2,
    "target_lookbehind": 2,
    "assistant_ensemble_weight": 0.5,
    "speculation_type": "dflash",
    "early_stopping": True,
    "length_penalty": 3.0,
    "diversity_penalty": 1.0,
    "temperature": 0.3,
    "top_k": 3,
    "top_p": 0.3,
    "min_p": 0.3,
    "top_h": 0.3,
    "typical_p": 0.3,
    "epsilon_cutoff": 0.3,
    "eta_cutoff": 0.3,
}
LEFT_OUT: dict[str, tuple[Any, str]] = {
    "do_sample": (True, "sampling"),
    "num_beams": (5, "5 beams"),
    "num_beam_groups": (2, "2 groups of beams"),
    "constraints": (["a"], "constraints"),
    "force_words_ids": ([[5]], "words that must occur"),
    "penalty_alpha": (0.6, "contrastive search"),
    "dola_layers": ("high", "DoLa"),
    "token_healing": (True, "token healing"),
    "num_return_sequences": (3, "3 texts"),
    "max_time": (9.5, "at most 9.5 seconds"),
    "cache_implementation": ("quantized", "a quantized cache"),
}
NO_EFFECT_HERE = {
    *("renormalize_logits", "remove_invalid_values", "pad_token_id"),
    *("encoder_repetition_penalty", "encoder_no_repeat_ngram_size", "bos_token_id", "decoder_start_token_id"),
}
"""Honoured fields that change no token of these models and texts; for the last two see ``test_prefixes``."""
NEED_AN_END = {"min_length", "min_new_tokens"}
"""Fields that keep a model from ending."""

families = pytest.mark.parametrize("name", ["gpt2", "bart"])


def test_every_field_of_the_installed_transformers_has_its_treatment() -> None:
    known = set(vars(GenerationConfig())) - METADATA
    table = [*fields.HONOURED, *fields.WITHOUT_EFFECT, *fields.LENGTHS, *fields.LEFT_OUT]
    assert set(table) == known and len(table) == len(known)
    assert set(HONOURED) == fields.HONOURED
    assert set(WITHOUT_EFFECT) == fields.WITHOUT_EFFECT
    assert set(LEFT_OUT) == set(fields.LEFT_OUT)
    assert set(fields.CHOOSING) < fields.HONOURED


@families
@pytest.mark.parametrize("field", sorted(HONOURED))
def test_honoured_fields_give_what_the_users_own_call_gives(field: str, name: str) -> None:
    value = HONOURED[field](name) if callable(HONOURED[field]) else HONOURED[field]
    model, tokenizer = with_settings(name, **{field: value})
    words = {"tokenizer": tokenizer} if field == "stop_strings" else {}
    expected = without_end(greedy(model, tokenizer, do_sample=False, **words), model)
    result = explained(model, tokenizer)
    assert [output.id for output in result.outputs] == expected
    assert not any("greedy" in note for note in result.notes)


@pytest.mark.parametrize("field", sorted(set(HONOURED) - NO_EFFECT_HERE))
def test_the_honoured_fields_are_tried_where_they_matter(field: str) -> None:
    changed = False
    for name in ("gpt2", "bart"):
        value = HONOURED[field](name) if callable(HONOURED[field]) else HONOURED[field]
        extra = {"eos_token_id": [first_token(name), 3]} if field in NEED_AN_END else {}
        plain, other = (
            [output.id for output in explained(*with_settings(name, **extra, **settings)).outputs]
            for settings in ({}, {field: value})
        )
        changed |= other != plain
    assert changed


@families
@pytest.mark.parametrize("field", sorted(WITHOUT_EFFECT))
def test_other_fields_change_nothing(field: str, name: str) -> None:
    expected = greedy(*with_settings(name), do_sample=False)
    model, tokenizer = with_settings(name, **{field: WITHOUT_EFFECT[field]})
    result = explained(model, tokenizer)
    assert [output.id for output in result.outputs] == without_end(expected, model)
    assert result.notes == ()


@families
@pytest.mark.parametrize("field", sorted(LEFT_OUT))
def test_what_is_left_out_is_named(field: str, name: str) -> None:
    value, words = LEFT_OUT[field]
    expected = greedy(*with_settings(name), do_sample=False)
    model, tokenizer = with_settings(name, **{field: value})
    result = explained(model, tokenizer)
    assert [output.id for output in result.outputs] == without_end(expected, model)
    assert result.notes == (f"Generated by greedy search; the model's settings ask for {words}.",)


@families
def test_what_the_settings_leave_out_together(name: str) -> None:
    model, tokenizer = with_settings(name, do_sample=True, temperature=0.6, num_beams=4, token_healing=True)
    assert explained(model, tokenizer).notes == (
        "Generated by greedy search; the model's settings ask for sampling, 4 beams and token healing.",
    )
    given = attribute(TEXT, load(model, tokenizer), "random", continuation=" good")
    assert given.notes == ()


@families
@pytest.mark.parametrize("settings", [{"max_new_tokens": 2}, {"max_length": 3}])
def test_the_request_says_how_much_is_written(settings: dict[str, int], name: str) -> None:
    expected = greedy(*with_settings(name), do_sample=False)
    model, tokenizer = with_settings(name, **settings)
    result = explained(model, tokenizer)
    assert [output.id for output in result.outputs] == expected
    [note] = result.notes
    assert note.startswith("The model's settings allow ") and note.endswith("this request asks for 6.")
    assert explained(*with_settings(name, max_length=200)).notes == ()


@families
def test_overruled_tokens_are_counted_and_keep_the_models_own_numbers(name: str) -> None:
    model, tokenizer = with_settings(name, no_repeat_ngram_size=1)
    result = explained(model, tokenizer)
    assert result.notes[0].startswith("The model's settings (no_repeat_ngram_size) chose 5 of the 6 tokens")
    written = [output.id for output in result.outputs]
    ids = tokenizer(TEXT, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        if model.config.is_encoder_decoder:
            row = torch.tensor([[model.config.decoder_start_token_id, *written[:-1]]])
            logits = model(input_ids=ids, decoder_input_ids=row).logits[0]
        else:
            logits = model(input_ids=torch.cat([ids, torch.tensor([written])], 1)).logits[0, -7:-1]
    expected = [float(logits[k, index]) for k, index in enumerate(written)]
    assert [output.value for output in result.outputs] == pytest.approx(expected, abs=1e-4)


@families
def test_settings_on_the_configuration_are_honoured_too(name: str) -> None:
    """The documented way before transformers 5, whose ``generate`` refuses it."""
    expected = greedy(*with_settings(name, no_repeat_ngram_size=1), do_sample=False)
    model, tokenizer = FAMILIES[name].build()
    model.generation_config = GenerationConfig(**special_tokens(name))
    model.config.no_repeat_ngram_size = 1
    assert [output.id for output in explained(model, tokenizer).outputs] == without_end(expected, model)
    assert model.config.no_repeat_ngram_size == 1


def test_settings_that_the_models_own_call_refuses_are_named() -> None:
    model, tokenizer = with_settings("bart", decoder_start_token_id=[2, 2])
    with pytest.raises(Unsupported, match="could not generate text: `decoder_start_token_id`"):
        explained(model, tokenizer)


@families
def test_the_users_settings_stay_as_they_are(name: str) -> None:
    model, tokenizer = with_settings(name, num_beams=3, no_repeat_ngram_size=2, return_dict_in_generate=True)
    before = model.generation_config.to_dict()
    explained(model, tokenizer)
    assert model.generation_config.to_dict() == before
