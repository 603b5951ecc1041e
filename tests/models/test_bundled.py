"""The models that ship: real, small, half precision on disk, and as good as their cards say."""

from __future__ import annotations

import importlib.util
import itertools
import math
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
import yaml
from safetensors import safe_open
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

ROOT = Path(__file__).resolve().parents[2]
BUNDLED = ROOT / "bundled"
MEGA = 10**6
# name: (auto class, architecture, pipeline, megabytes on disk at most)
MODELS = {
    "sst2-minilm": (
        AutoModelForSequenceClassification,
        "BertForSequenceClassification",
        "text-classification",
        40,
    ),
    "shakespeare-gpt2": (AutoModelForCausalLM, "GPT2LMHeadModel", "text-generation", 10),
    "dates-t5": (AutoModelForSeq2SeqLM, "T5ForConditionalGeneration", "text-generation", 8),
}
HOSTILE = ("\U0001f600\u200d é 日本 שלום \ufffd", "<script>${x}</script>", "a" * 500, "\u0301", "0" * 40)

CLEAR = {
    "An absolutely wonderful film, moving and beautifully acted.": "positive",
    "This movie is absolutely fantastic!": "positive",
    "I loved every minute of it.": "positive",
    "A charming, funny and touching story.": "positive",
    "One of the best pictures of the year.": "positive",
    "A dull, lifeless mess from beginning to end.": "negative",
    "This is the worst film I have ever seen.": "negative",
    "Boring, badly written and far too long.": "negative",
    "It is not funny at all.": "negative",
    "I hated the terrible acting and the stupid plot.": "negative",
}

# Sonnet 18 (1609): the training text has plays only.
SONNET = """Shall I compare thee to a summer's day?
Thou art more lovely and more temperate:
Rough winds do shake the darling buds of May,
And summer's lease hath all too short a date:
Sometime too hot the eye of heaven shines,
And often is his gold complexion dimm'd;
And every fair from fair sometime declines,
By chance or nature's changing course untrimm'd;
But thy eternal summer shall not fade
Nor lose possession of that fair thou owest;
Nor shall Death brag thou wander'st in his shade,
When in eternal lines to time thou growest:
So long as men can breathe or eyes can see,
So long lives this and this gives life to thee.
"""


@pytest.fixture(scope="module")
def dates() -> ModuleType:
    """``training/dates.py``, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("dates", ROOT / "training" / "dates.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["dates"] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", params=MODELS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def load(name: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """As anyone would, with nothing but the folder."""
    return MODELS[name][0].from_pretrained(BUNDLED / name), AutoTokenizer.from_pretrained(BUNDLED / name)


def test_a_folder_is_small_and_holds_half_precision(name: str) -> None:
    folder = BUNDLED / name
    assert sum(file.stat().st_size for file in folder.iterdir()) <= MODELS[name][3] * MEGA
    with safe_open(folder / "model.safetensors", "pt") as weights:
        assert weights.metadata() == {"format": "pt"}
        assert {weights.get_slice(key).get_dtype() for key in weights.keys()} <= {"F16", "I64"}  # noqa: SIM118 - no mapping
    assert {file.suffix for file in folder.iterdir()} <= {".json", ".safetensors", ".md", ".txt"}


def test_a_plain_load_is_whole_and_computes_in_float32(name: str) -> None:
    kind, architecture, _, _ = MODELS[name]
    model, info = kind.from_pretrained(BUNDLED / name, output_loading_info=True)
    assert not any(info.values()), info
    assert [type(model).__name__] == model.config.architectures == [architecture]
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())


def test_tokenizer_and_configuration_agree(name: str) -> None:
    model, tokenizer = load(name)
    assert tokenizer.is_fast
    assert len(tokenizer) == model.config.vocab_size == model.get_input_embeddings().num_embeddings
    places = getattr(model.config, "max_position_embeddings", None)
    assert tokenizer.model_max_length <= (places or 512)
    assert tokenizer.pad_token_id is not None
    if model.config.is_encoder_decoder:
        assert model.config.decoder_start_token_id == tokenizer.pad_token_id
        assert tokenizer("x")["input_ids"][-1] == model.config.eos_token_id == tokenizer.eos_token_id


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_gives_finite_logits_and_offsets_inside_it(name: str, text: str) -> None:
    model, tokenizer = load(name)
    encoded = tokenizer(text, return_offsets_mapping=True, truncation=True, return_tensors="pt")
    assert all(0 <= start <= end <= len(text) for start, end in encoded.pop("offset_mapping")[0].tolist())
    more = {"decoder_input_ids": torch.tensor([[0]])} if model.config.is_encoder_decoder else {}
    with torch.inference_mode():
        assert torch.isfinite(model(**encoded, **more).logits).all()


def test_a_card_tells_the_hub_what_the_model_is(name: str) -> None:
    _, start, body = (BUNDLED / name / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    front = yaml.safe_load(start)
    assert front["license"] and front["language"] == "en" and front["tags"] and front["metrics"]
    assert front["pipeline_tag"] == MODELS[name][2]
    for heading in ("## Data", "## Training", "## Figures", "## Limits", "## Use"):
        assert heading in body, heading


def test_sst2_minilm_judges_clear_sentences() -> None:
    model, tokenizer = load("sst2-minilm")
    with torch.inference_mode():
        classes = (
            model(**tokenizer(list(CLEAR), padding=True, return_tensors="pt")).logits.argmax(-1).tolist()
        )
    assert dict(zip(CLEAR, (model.config.id2label[c] for c in classes), strict=True)) == CLEAR


def test_shakespeare_gpt2_knows_the_language() -> None:
    model, tokenizer = load("shakespeare-gpt2")
    ids = tokenizer(tokenizer.eos_token + SONNET, return_tensors="pt")
    assert ids.input_ids.shape[1] <= model.config.n_positions
    with torch.inference_mode():
        loss = model(**ids, labels=ids.input_ids).loss.item()
    per_character = math.exp(loss * (ids.input_ids.shape[1] - 1) / len(SONNET))
    assert per_character < 6.0


def test_shakespeare_gpt2_text_goes_to_tokens_and_back() -> None:
    tokenizer = AutoTokenizer.from_pretrained(BUNDLED / "shakespeare-gpt2")
    for text in (SONNET, *HOSTILE):
        assert tokenizer.decode(tokenizer(text)["input_ids"], clean_up_tokenization_spaces=False) == text


def test_dates_t5_is_exact_on_held_out_styles_and_dates(dates: ModuleType) -> None:
    model, tokenizer = load("dates-t5")
    rows = list(itertools.islice(dates.examples(7, dates.NEW_STYLES, held_out=True), 200))
    inputs = tokenizer([row.text for row in rows], padding=True, return_tensors="pt")
    with torch.inference_mode():
        written = tokenizer.batch_decode(
            model.generate(**inputs, max_new_tokens=12), skip_special_tokens=True
        )
    wrong = [(row.text, text) for row, text in zip(rows, written, strict=True) if row.iso != text]
    assert len(wrong) <= 2, wrong


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("the 3rd of March, 1987", "1987-03-03"),
        ("March 3, 1987", "1987-03-03"),
        ("3 Mar 1987", "1987-03-03"),
        ("Mar. 3rd 1987", "1987-03-03"),
        ("Tuesday, 3 March 1987", "1987-03-03"),
        ("ON THE THIRD OF MARCH 1987", "1987-03-03"),
        ("12/25/1999", "1999-12-25"),
        ("01.12.1999", "1999-12-01"),
        ("The treaty was signed on 29 February 2024.", "2024-02-29"),
    ],
)
def test_dates_t5_on_dates_as_people_write_them(text: str, iso: str) -> None:
    model, tokenizer = load("dates-t5")
    written = model.generate(**tokenizer(text, return_tensors="pt"), max_new_tokens=12)[0]
    assert tokenizer.decode(written, skip_special_tokens=True) == iso


def test_the_source_of_each_character_of_a_generated_date_is_known(dates: ModuleType) -> None:
    for row in itertools.islice(dates.examples(3, (*dates.STYLES, *dates.NEW_STYLES)), 2000):
        sources = row.sources()
        assert len(sources) == len(row.iso) == 10
        assert [row.iso[i] for i, source in enumerate(sources) if source is None] == ["-", "-"]
        assert "".join(row.text[slice(*source)] for source in sources[:4]) == row.iso[:4]
        month, day = (row.text[slice(*sources[place])].lower() for place in (5, 8))
        assert sources[5:7] == (row.spans["month"],) * 2 and sources[8:] == (row.spans["day"],) * 2
        names = {dates.MONTHS[int(row.iso[5:7]) - 1].lower()[:3], dates.ORDINALS[int(row.iso[8:]) - 1]}
        assert month[:3] in names or int(month) == int(row.iso[5:7])
        assert day.replace(" ", "-") in names or int(day.rstrip("stndrh")) == int(row.iso[8:])


def test_held_out_dates_and_styles_are_never_trained_on(dates: ModuleType) -> None:
    assert not set(dates.STYLES) & set(dates.NEW_STYLES)
    assert not set(dates.FRAMES) & set(dates.NEW_FRAMES)
    trained = {row.iso for row in itertools.islice(dates.examples(0), 5000)}
    held_out = {row.iso for row in itertools.islice(dates.examples(0, held_out=True), 5000)}
    assert not trained & held_out
    again = [itertools.islice(dates.examples(5), 100) for _ in range(2)]
    assert list(again[0]) == list(again[1])
