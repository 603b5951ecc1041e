"""Facts about architectures that the adapter relies upon, held over a tiny model of every family."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from attribution import attribute, list_methods, load
from attribution.errors import Unsupported
from attribution.models.adapter import Adapter
from attribution.models.inside.observation import observe_attention
from attribution.models.twin import make_twin
from tests.families import FAMILIES, Family
from tests.laws.test_methods import assert_same, state

TEXT = "the movie was not good, but the actor's 世界 👨‍👩‍👧 was great!"
LAYERS = 2
HEADS = 2
OWN_ATTENTION = {"deberta-v2", "mpnet", "mpnet-similarity", "gpt-neo", "bloom", "falcon"}
"""Families whose attention is written in code of their own, so that nobody can stand in its way."""
OFFSET_POSITIONS = {"roberta", "roberta-nli", "roberta-masked", "xlm-roberta", "mpnet", "mpnet-similarity"}
"""Families that count positions from the padding token's id + 1."""

every = pytest.mark.parametrize("name", FAMILIES)
embeddable = pytest.mark.parametrize("name", [name for name in FAMILIES if name != "bart-classifier"])
EXPLAINED = [
    n
    for n, f in FAMILIES.items()
    if f.task in ("classification", "causal", "seq2seq") and n != "bart-classifier"
]


@cache
def built(name: str) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    return FAMILIES[name].build()


def ids_of(name: str, text: str = TEXT) -> dict[str, Tensor]:
    """What the tokenizer makes of a text, and for encoder-decoders the first tokens of an answer."""
    model, tokenizer = built(name)
    inputs = dict(tokenizer(text, return_tensors="pt"))
    del inputs["attention_mask"]
    if FAMILIES[name].task == "seq2seq":
        inputs["decoder_input_ids"] = torch.tensor([[model.config.decoder_start_token_id, 7, 9, 11]])
    return inputs


def source_scale(model: PreTrainedModel) -> float:
    """Marian's and PEGASUS's encoders scale the embeddings they look up, but not those they are given."""
    encoder = model.get_encoder() if model.config.is_encoder_decoder else None
    return float(getattr(encoder, "embed_scale", 1.0))


def embedded(name: str) -> dict[str, Tensor]:
    """The same inputs with embeddings in the place of ids."""
    model, _ = built(name)
    inputs = ids_of(name)
    inputs["inputs_embeds"] = model.get_input_embeddings()(inputs.pop("input_ids")).detach() * source_scale(
        model
    )
    if "decoder_input_ids" in inputs:
        table = model.get_decoder().get_input_embeddings()
        inputs["decoder_inputs_embeds"] = table(inputs.pop("decoder_input_ids")).detach()
    return inputs


@torch.no_grad()
def answer(model: PreTrainedModel, **inputs: Any) -> Tensor:
    return numbers(model(**inputs))


def numbers(found: Any) -> Tensor:
    """Logits, or the last hidden states of a model without a head."""
    if "start_logits" in found:
        return torch.stack([found.start_logits, found.end_logits])
    return found.logits if "logits" in found else found.last_hidden_state


def close(got: Tensor, expected: Tensor) -> None:
    """Equal within float32: 1e-5 of the largest number."""
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-5 * max(1.0, float(expected.abs().max())))


# The models themselves.


@every
def test_a_family_is_small_and_the_same_each_time(name: str) -> None:
    family = FAMILIES[name]
    (one, words), (other, _) = family.build(), family.build()
    assert family.name == name and words.is_fast
    assert sum(p.numel() for p in one.parameters()) < 100_000
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert not one.training
    assert one.config.vocab_size == len(words) == one.get_input_embeddings().num_embeddings


@pytest.mark.parametrize("name", [n for n in FAMILIES if n != "bert"])
def test_a_family_answers_texts_differently(name: str) -> None:
    """With weights of the usual size a random model would not, and every law would hold for it."""
    model, _ = built(name)
    rows = [
        numbers_at_the_end(name, answer(model, **ids_of(name, text)))
        for text in ("the plot was bad", "a great film!", TEXT)
    ]
    assert torch.stack(rows).std(0).max() > 0.02


def numbers_at_the_end(name: str, found: Tensor) -> Tensor:
    task = FAMILIES[name].task
    return (
        found[0]
        if task == "classification"
        else found[:, 0, 1]
        if task == "question_answering"
        else found[0, -1]
    )


def test_every_kind_of_head_and_tokenizer_is_there() -> None:
    tasks = {
        "classification",
        "token_classification",
        "masked",
        "question_answering",
        "similarity",
        "causal",
        "seq2seq",
    }
    assert {f.task for f in FAMILIES.values()} == tasks
    assert {f.kind for f in FAMILIES.values()} == {"encoder", "decoder", "encoder-decoder"}
    for name, family in FAMILIES.items():
        assert built(name)[0].config.is_encoder_decoder == (family.kind == "encoder-decoder")
    models = {type(built(n)[1].backend_tokenizer.model).__name__ for n in FAMILIES}
    assert models == {"WordPiece", "BPE", "Unigram"}


# Embeddings in, logits out.


@embeddable
def test_embeddings_give_the_logits_of_the_ids(name: str) -> None:
    model, _ = built(name)
    close(answer(model, **embedded(name)), answer(model, **ids_of(name)))


@pytest.mark.parametrize("name", ["marian", "pegasus"])
def test_an_encoder_that_scales_what_it_looks_up_does_not_scale_what_it_is_given(name: str) -> None:
    model, _ = built(name)
    scale = model.config.d_model**0.5
    assert source_scale(model) == scale
    given = embedded(name)
    given["inputs_embeds"] = given["inputs_embeds"] / scale
    assert (answer(model, **given) - answer(model, **ids_of(name))).abs().max() > 1e-3


@pytest.mark.parametrize("name", ["gemma", "gemma2", "gemma3", "mbart"])
def test_other_scales_are_inside_of_the_embedding_module(name: str) -> None:
    model, _ = built(name)
    table = model.get_input_embeddings()
    torch.testing.assert_close(table(torch.tensor([5]))[0], table.weight[5] * 4.0)
    assert source_scale(model) == 1.0


def test_a_bart_classifier_takes_no_embeddings() -> None:
    model, tokenizer = built("bart-classifier")
    inputs = ids_of("bart-classifier")
    rows = model.get_input_embeddings()(inputs["input_ids"])
    with pytest.raises(NotImplementedError, match="Passing input embeddings is currently not supported"):
        model(inputs_embeds=rows)
    assert answer(model, **inputs).shape == (1, 2)
    with pytest.raises(Unsupported):
        Adapter(model, tokenizer)


@embeddable
def test_a_mask_of_ones_changes_nothing(name: str) -> None:
    model, _ = built(name)
    inputs = embedded(name)
    mask = torch.ones(inputs["inputs_embeds"].shape[:2], dtype=torch.long)
    close(answer(model, **inputs, attention_mask=mask), answer(model, **inputs))


@pytest.mark.parametrize(
    "name", [n for n, f in FAMILIES.items() if f.kind != "encoder-decoder" and n != "bloom"]
)
def test_positions_count_from_zero_or_after_the_padding_token(name: str) -> None:
    model, _ = built(name)
    inputs = embedded(name)
    start = model.config.pad_token_id + 1 if name in OFFSET_POSITIONS else 0
    places = torch.arange(inputs["inputs_embeds"].shape[1])[None] + start
    mask = torch.ones_like(places)
    close(answer(model, **inputs, attention_mask=mask, position_ids=places), answer(model, **inputs))


@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma3"])
def test_a_gap_between_positions_needs_a_mask_of_ones(name: str) -> None:
    """Without one, transformers takes the gap for a border between packed sequences and masks across it."""
    model, _ = built(name)
    rows = embedded(name)["inputs_embeds"]
    places = torch.arange(rows.shape[1])[None] + (torch.arange(rows.shape[1]) > 3)
    cut = answer(model, inputs_embeds=rows, position_ids=places, use_cache=False)
    whole = answer(
        model,
        inputs_embeds=rows,
        position_ids=places,
        use_cache=False,
        attention_mask=torch.ones_like(places),
    )
    alone = answer(model, inputs_embeds=rows[:, 4:], use_cache=False)
    assert (cut - whole)[:, 4:].abs().max() > 1e-2
    if name != "gpt2":  # Rotary positions are relative: the rest is answered as if it stood alone.
        close(cut[:, 4:], alone)


# Attention.


@every
def test_an_observer_sees_each_attention_once_and_changes_nothing(name: str) -> None:
    model, _ = built(name)
    calls: list[tuple[Any, ...]] = []

    def watch(
        eager: Any, module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **more: Any
    ) -> Any:
        found, weights = eager(module, query, key, value, mask, **more)
        calls.append((query.shape[2], key.shape[2], tuple(weights.shape), mask is None))
        assert query.shape[1] == HEADS and HEADS % key.shape[1] == 0 and key.shape[:3] == value.shape[:3]
        assert found.shape[:3] == (1, query.shape[2], HEADS)
        return found, weights

    if name in OWN_ATTENTION:
        with pytest.raises(Unsupported, match="implements its own attention"):
            observe_attention(model, watch)
        return
    inputs = ids_of(name)
    close(answer(observe_attention(model, watch), **inputs), answer(model, **inputs))
    n = inputs["input_ids"].shape[1]
    m = inputs["decoder_input_ids"].shape[1] if "decoder_input_ids" in inputs else n
    # Encoder-decoders: all layers of the encoder; then in each layer of the decoder itself, and the text.
    order = [(n, n)] * LAYERS + (
        [(m, m), (m, n)] * LAYERS if FAMILIES[name].kind == "encoder-decoder" else []
    )
    assert [call[:2] for call in calls] == order
    assert all(weights == (1, HEADS, q, k) for q, k, weights, _ in calls)
    if FAMILIES[name].kind == "decoder":
        assert not any(unmasked for *_, unmasked in calls)


def eager(name: str) -> PreTrainedModel:
    """A twin with eager attention. Falcon refuses the setter, but reads its configuration."""
    model = make_twin(built(name)[0])
    model.set_attn_implementation("eager")
    model.config._attn_implementation = "eager"
    return model


@every
def test_eager_attention_hands_out_its_weights(name: str) -> None:
    model, _ = built(name)
    inputs = ids_of(name)
    private = eager(name)
    with torch.no_grad():
        found = private(**inputs, output_attentions=True)
    close(numbers(found), answer(model, **inputs))
    n = inputs["input_ids"].shape[1]
    m = inputs["decoder_input_ids"].shape[1] if "decoder_input_ids" in inputs else n
    shapes = {"encoder_attentions": (n, n), "decoder_attentions": (m, m), "cross_attentions": (m, n)}
    if FAMILIES[name].kind != "encoder-decoder":
        shapes = {"attentions": (n, n)}
    for key, shape in shapes.items():
        assert [tuple(a.shape) for a in found[key]] == [(1, HEADS, *shape)] * LAYERS
        for weights in found[key]:
            torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))
            if key == "decoder_attentions" or FAMILIES[name].kind == "decoder":
                assert not weights.triu(1).any()


def test_falcon_loses_its_mask_where_only_the_weights_are_asked_for() -> None:
    model, _ = built("falcon")
    with torch.no_grad():
        found = make_twin(model)(**ids_of("falcon"), output_attentions=True)
    assert found.attentions[0].triu(1).max() > 0.01


# Generation and twins.


@pytest.mark.parametrize("name", [n for n, f in FAMILIES.items() if f.task in ("causal", "seq2seq")])
def test_greedy_generation_takes_the_largest_logit(name: str) -> None:
    model, tokenizer = built(name)
    ids = tokenizer(TEXT, return_tensors="pt")["input_ids"]
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    row = model.generate(
        ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=3, pad_token_id=pad
    )
    if FAMILIES[name].task == "causal":
        assert row[0, : ids.shape[1]].tolist() == ids[0].tolist()
        first, logits = row[0, ids.shape[1]], answer(model, input_ids=ids)
    else:
        assert row[0, 0] == model.config.decoder_start_token_id
        first, logits = row[0, 1], answer(model, input_ids=ids, decoder_input_ids=row[:, :1])
    assert first == logits[0, -1].argmax()


@every
def test_a_twin_shares_every_tensor_and_no_module(name: str) -> None:
    model, _ = built(name)
    other = make_twin(model)
    for mine, theirs in (
        (model.named_parameters(remove_duplicate=False), other.named_parameters(remove_duplicate=False)),
        (model.named_buffers(remove_duplicate=False), other.named_buffers(remove_duplicate=False)),
    ):
        assert all(a == b and x is y for (a, x), (b, y) in zip(mine, theirs, strict=True))
    assert not {id(m) for m in model.modules()} & {id(m) for m in other.modules()}
    assert other.config is not model.config
    assert all(
        m.config is other.config for m in other.modules() if hasattr(m, "config") and m.config == other.config
    )
    head, table = other.get_output_embeddings(), other.get_input_embeddings()
    if head is not None:
        assert (head.weight is table.weight) == (
            model.get_output_embeddings().weight is model.get_input_embeddings().weight
        )
    close(answer(other, **ids_of(name)), answer(model, **ids_of(name)))


# Tokens.


def kinds() -> list[str]:
    """One family for each tokenizer there is."""
    found: dict[str, str] = {}
    for name in FAMILIES:
        found.setdefault(built(name)[1].backend_tokenizer.to_str(), name)
    return list(found.values())


@pytest.mark.parametrize("name", kinds())
def test_tokens_are_spans_of_the_text_without_marks(name: str) -> None:
    model, tokenizer = built(name)
    tokens = load(model, tokenizer).encode(TEXT).tokens
    assert [token.id for token in tokens] == tokenizer(TEXT)["input_ids"]
    inner = [token for token in tokens if not token.special]
    for token in inner:
        is_unknown = token.id == tokenizer.unk_token_id
        assert token.text == (tokenizer.unk_token if is_unknown else TEXT[token.start : token.end])
        assert token.text == token.text.strip() or not token.text.strip()
        assert not any(mark in token.text for mark in ("Ġ", "▁", "##", "\ufffd"))
    places = [(token.start, token.end) for token in inner]
    assert places == sorted(places)
    covered = {k for start, end in places for k in range(start, end)}
    assert {k for k, c in enumerate(TEXT) if not c.isspace()} <= covered
    # A repeated word is there each time.
    for word in ("the", "was"):
        starts = [k for k in range(len(TEXT)) if TEXT.startswith(word, k)]
        assert all(any(token.start <= k < token.end for token in inner) for k in starts)
    # All pieces of a character that a person sees as one share its span.
    family = TEXT.index("👨")
    assert {(t.start, t.end) for t in inner if family <= t.start < family + 5} == {(family, family + 5)}


# Methods.


SHORT = "a great film, not so bad!"
SECOND = {
    "question_answering": "what was great?",
    "similarity": "the plot was bad",
    "bert-nli": "it was fine",
    "roberta-nli": "fine",
}
OPTIONS: dict[str, dict[str, Any]] = {
    "saliency": {},
    "input_x_gradient": {},
    "integrated_gradients": {"steps": 257},
    "lime": {"samples": 50},
}


@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "bart-classifier"])
def test_methods_work_on_every_family_and_leave_it_alone(name: str) -> None:
    family: Family = FAMILIES[name]
    model, tokenizer = family.build()
    before = state(model, tokenizer)
    adapter = load(model, tokenizer)
    text = SHORT.replace("great", tokenizer.mask_token) if family.task == "masked" else SHORT
    second = SECOND.get(name, SECOND.get(family.task))
    for method, options in OPTIONS.items():
        if list_methods()[method].unsupported_reason(family.task) is not None:
            continue
        result = attribute(text, adapter, method, second=second, max_new_tokens=2, **options)
        assert np.isfinite(result.scores).all() and np.abs(result.scores).max() > 0, method
        if method == "integrated_gradients":
            assert result.completeness is not None
            for row, check in zip(result.scores, result.completeness, strict=True):
                assert abs(check.residual) <= 0.02 * np.abs(row).sum()
    assert_same(before, state(model, tokenizer))


def test_a_bart_classifier_answers_texts() -> None:
    model, tokenizer = FAMILIES["bart-classifier"].build()
    before = state(model, tokenizer)
    result = attribute(SHORT, load(model, tokenizer), "lime", 1, samples=50)
    assert_same(before, state(model, tokenizer))
    row = answer(model, **ids_of("bart-classifier", SHORT))[0].softmax(-1)
    assert result.prediction.probabilities == pytest.approx(row.tolist(), abs=1e-5)
    assert np.isfinite(result.scores).all() and np.abs(result.scores).max() > 0


@pytest.mark.parametrize("name", EXPLAINED)
def test_the_explained_value_is_the_models_own_logit(name: str) -> None:
    """The value that is explained from embeddings is the number that the plain model gives for the ids."""
    model, tokenizer = built(name)
    result = attribute(TEXT, load(model, tokenizer), "saliency", max_new_tokens=4)
    source = [token.id for token in result.tokens if token.segment == "text"]
    prefix = [token.id for token in result.tokens if token.segment == "generated"]
    assert source == tokenizer(TEXT)["input_ids"]
    task = FAMILIES[name].task
    if task == "classification":
        row = answer(model, **ids_of(name))[0]
        assert result.outputs[0].value == pytest.approx(float(row[result.outputs[0].id]), abs=1e-5)
        return
    if task == "causal":
        logits = answer(model, input_ids=torch.tensor([source + prefix]))[0, len(source) - 1 :]
    else:
        logits = answer(model, input_ids=torch.tensor([source]), decoder_input_ids=torch.tensor([prefix]))[0]
    for row, output in zip(logits, result.outputs, strict=True):
        assert output.value == pytest.approx(float(row[output.id]), rel=1e-4, abs=1e-5)
        assert output.id == int(row.argmax())
