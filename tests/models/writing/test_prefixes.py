"""What an encoder-decoder's decoder reads before its text: the start token, a forced token, a language."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import M2M100Config, M2M100ForConditionalGeneration, NllbTokenizer, PreTrainedModel

from attribution import attribute, load
from attribution.errors import Unsupported
from tests import tiny
from tests.families import BART_SIZES, FAMILIES, mbart_pieces, special_ids

TEXT = "the film is bad"
SEQ2SEQ = ("bart", "mbart", "marian", "pegasus", "t5")


def m2m100(**settings: Any) -> tuple[PreTrainedModel, Any]:
    tokenizer = mbart_pieces()
    config = M2M100Config(
        vocab_size=len(tokenizer), **special_ids(tokenizer), **BART_SIZES, decoder_start_token_id=2
    )
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = tiny.scale_weights(M2M100ForConditionalGeneration(config), 16.0)
    for field, value in settings.items():
        setattr(model.generation_config, field, value)
    return model, tokenizer


def by_hand(model: PreTrainedModel, tokenizer: Any, prefix: list[int], given: list[int]) -> list[float]:
    """The model's own logits of the tokens ``given`` after ``prefix``."""
    ids = tokenizer(TEXT, return_tensors="pt")["input_ids"]
    row = torch.tensor([[*prefix, *given[:-1]]])
    with torch.no_grad():
        logits = model(input_ids=ids, decoder_input_ids=row).logits[0, len(prefix) - 1 :]
    return [float(logits[k, index]) for k, index in enumerate(given)]


def pieces(tokenizer: Any, text: str = TEXT) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("name", [*SEQ2SEQ, "m2m100"])
def test_a_continuation_follows_the_forced_token(name: str) -> None:
    model, tokenizer = m2m100() if name == "m2m100" else FAMILIES[name].build()
    start = model.generation_config.decoder_start_token_id
    model.generation_config.forced_bos_token_id = 12
    result = attribute(TEXT, load(model, tokenizer), "saliency", continuation=TEXT)
    given = pieces(tokenizer)
    expected = by_hand(model, tokenizer, [start, 12], given)
    assert [output.value for output in result.outputs] == pytest.approx(expected, abs=1e-4)
    assert [output.position for output in result.outputs] == list(range(len(given)))
    assert [token.id for token in result.tokens if token.segment == "generated"] == [start, 12, *given[:-1]]
    assert expected != pytest.approx(by_hand(model, tokenizer, [start], given), abs=1e-3)
    name_of_it = tokenizer.convert_ids_to_tokens(12)
    assert result.notes == (
        f"The decoder begins with '{name_of_it}': the model's settings force it (forced_bos_token_id).",
    )


def test_generated_text_contains_the_forced_token_which_is_no_part_of_the_sequence() -> None:
    model, tokenizer = m2m100(forced_bos_token_id=5, min_new_tokens=4)
    adapter = load(model, tokenizer)
    each = attribute(TEXT, adapter, "saliency", max_new_tokens=4)
    written = [output.id for output in each.outputs]
    expected = by_hand(model, tokenizer, [2], written)
    assert written[0] == 5 and [o.value for o in each.outputs] == pytest.approx(expected, abs=1e-4)
    whole = attribute(TEXT, adapter, "saliency", max_new_tokens=4, position="sequence")
    assert whole.outputs[0].value == pytest.approx(sum(expected[1:]), abs=1e-4)


def test_a_continuation_may_name_the_forced_token_itself() -> None:
    model, tokenizer = m2m100(forced_bos_token_id=5)
    result = attribute(TEXT, load(model, tokenizer), "saliency", continuation="de_DE the film")
    written = [output.id for output in result.outputs]
    assert written[0] == 5
    expected = by_hand(model, tokenizer, [2], written)
    assert [output.value for output in result.outputs] == pytest.approx(expected, abs=1e-4)


def test_methods_that_read_rows_see_the_forced_token() -> None:
    adapter = load(*m2m100(forced_bos_token_id=5))
    for method in ("attention_rollout", "occlusion", "integrated_gradients"):
        result = attribute(TEXT, adapter, method, continuation="the film")
        assert result.scores.shape == (2, len(result.tokens))
        whole = attribute(TEXT, adapter, method, continuation="the film", position="sequence")
        assert whole.scores.shape == (1, len(result.tokens))


@pytest.mark.parametrize("start", [6, [6], torch.tensor(6)])
def test_the_start_token_of_the_generation_settings_comes_first(start: Any) -> None:
    model, tokenizer = m2m100(decoder_start_token_id=start)
    given = pieces(tokenizer)
    result = attribute(TEXT, load(model, tokenizer), "saliency", continuation=TEXT)
    expected = by_hand(model, tokenizer, [6], given)
    assert [output.value for output in result.outputs] == pytest.approx(expected, abs=1e-4)


def test_the_start_token_is_found_as_generate_finds_it() -> None:
    model, tokenizer = m2m100(decoder_start_token_id=None)
    result = attribute(TEXT, load(model, tokenizer), "saliency", max_new_tokens=3)
    ids = tokenizer(TEXT, return_tensors="pt")["input_ids"]
    row = model.generate(ids, do_sample=False, max_new_tokens=3)[0].tolist()
    assert row[0] == model.generation_config.bos_token_id
    assert next(token.id for token in result.tokens if token.segment == "generated") == row[0]
    model.config.decoder_start_token_id = model.generation_config.bos_token_id = None
    with pytest.raises(Unsupported, match="no decoder_start_token_id"):
        attribute(TEXT, load(model, tokenizer), "saliency", continuation="the film")


def nllb(**languages: str) -> NllbTokenizer:
    words = {piece: i for i, piece in enumerate(["<s>", "<pad>", "</s>", "<unk>", "▁", *"thefilmsbad"])}
    return NllbTokenizer(vocab=words, merges=[], extra_special_tokens=["eng_Latn", "deu_Latn"], **languages)


def nllb_model(tokenizer: NllbTokenizer, **settings: Any) -> PreTrainedModel:
    config = M2M100Config(vocab_size=len(tokenizer) + 8, **BART_SIZES, decoder_start_token_id=2)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = tiny.scale_weights(M2M100ForConditionalGeneration(config), 16.0)
    for field, value in settings.items():
        setattr(model.generation_config, field, value)
    return model


def test_the_languages_of_the_tokenizer_are_kept() -> None:
    tokenizer = nllb(src_lang="eng_Latn", tgt_lang="deu_Latn")
    language, model = tokenizer.convert_tokens_to_ids("deu_Latn"), nllb_model(tokenizer)
    result = attribute(TEXT, load(model, tokenizer), "saliency", continuation="the film")
    assert [t.id for t in result.tokens if t.segment == "text"] == tokenizer(TEXT)["input_ids"]
    given = pieces(tokenizer, "the film")
    expected = by_hand(model, tokenizer, [2, language], given)
    assert [output.value for output in result.outputs] == pytest.approx(expected, abs=1e-4)
    assert result.notes == (
        "The decoder begins with 'deu_Latn', the target language of the tokenizer (tgt_lang).",
    )
    ids = tokenizer(TEXT, return_tensors="pt")["input_ids"]
    row = model.generate(ids, forced_bos_token_id=language, do_sample=False, max_new_tokens=4)[0].tolist()
    written = attribute(TEXT, load(model, tokenizer), "saliency", max_new_tokens=4)
    assert [output.id for output in written.outputs] == [t for t in row[1:] if t != 2]


def test_the_models_settings_go_before_the_tokenizers_language() -> None:
    tokenizer = nllb(src_lang="eng_Latn", tgt_lang="deu_Latn")
    model = nllb_model(tokenizer, forced_bos_token_id=tokenizer.convert_tokens_to_ids("eng_Latn"))
    result = attribute(TEXT, load(model, tokenizer), "saliency", continuation="the film")
    assert "'eng_Latn': the model's settings force it" in result.notes[0]


def test_a_missing_target_language_is_said() -> None:
    tokenizer = nllb(src_lang="eng_Latn")
    result = attribute(TEXT, load(nllb_model(tokenizer), tokenizer), "saliency", continuation="the film")
    assert result.notes[0].startswith("No target language is set, so the model chooses one")
