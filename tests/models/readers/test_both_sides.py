"""Question answering by encoder-decoders, whose decoder reads the text too, and classification by them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import transformers
from torch import Tensor

from attribution import attribute, load
from attribution.errors import Unsupported
from tests import tiny
from tests.families import BART_SIZES, T5_SIZES, Pair, roberta_bytes, special_ids

BART = {**BART_SIZES, "decoder_start_token_id": 2, "max_position_embeddings": 64}
T5 = {**T5_SIZES, "num_decoder_layers": 2, "pad_token_id": 1}
LED = {
    **BART,
    "max_encoder_position_embeddings": 64,
    "max_decoder_position_embeddings": 64,
    "attention_window": 4,
}
PEGASUS = {**BART, "block_size": 4, "attention_type": "original_full"}
ANSWERING = {
    "Bart": BART,
    "MBart": BART,
    "Mvp": BART,
    "LED": LED,
    "BigBirdPegasus": PEGASUS,
    "T5": T5,
    "MT5": T5,
    "UMT5": T5,
}
CLASSIFYING = {**{kind: ANSWERING[kind] for kind in ANSWERING if kind != "LED"}, "PLBart": BART}
QUESTION, TEXT = "what was good", "the plot was bad but the actor was good"


def build(kind: str, head: str, sizes: dict[str, Any]) -> Pair:
    tokenizer = roberta_bytes()
    config = getattr(transformers, f"{kind}Config")(
        **{"vocab_size": len(tokenizer), **special_ids(tokenizer), **sizes}
    )
    with torch.random.fork_rng():
        torch.manual_seed(11)
        model = getattr(transformers, f"{kind}For{head}")(config)
    return tiny.scale_weights(model, 2.0 if "T5" in kind else 6.0), tokenizer


def gradient_by_hook(model: Any, ids: Tensor, end: int, place: int) -> Tensor:
    """The gradient of a logit by what the tables gave to the encoder and the decoder, in this order."""
    given: list[Tensor] = []

    def keep(_module: Any, _inputs: Any, output: Tensor) -> Tensor:
        leaf = output.detach().clone().requires_grad_()
        if output.shape[1] >= ids.shape[1]:  # not LED's padding
            given.append(leaf)
        return leaf

    tables = {
        module
        for module in model.modules()
        if isinstance(module, torch.nn.Embedding) and len(module.weight) == model.config.vocab_size
    }
    handles = [table.register_forward_hook(keep) for table in tables]
    try:
        answer = model(input_ids=ids)
    finally:
        for handle in handles:
            handle.remove()
    logits = (answer.start_logits, answer.end_logits)[end]
    encoder, decoder = (g[:, : ids.shape[1]] for g in torch.autograd.grad(logits[0, place], given))
    moved = torch.zeros_like(encoder)
    moved[:, :-1] = decoder[:, 1:]
    if model.config.model_type == "mbart":
        moved[:, -1] += decoder[:, 0]
    return (encoder + moved)[0]


@pytest.mark.parametrize("kind", ANSWERING)
def test_answers_have_the_models_own_numbers_and_gradients(kind: str) -> None:
    model, tokenizer = build(kind, "QuestionAnswering", ANSWERING[kind])
    adapter = load(model, tokenizer)
    result = attribute(QUESTION, adapter, "saliency", second=TEXT)
    ids = tokenizer(QUESTION, TEXT, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        answer = model(input_ids=ids)
    both = answer.start_logits[0], answer.end_logits[0]
    assert len(result.outputs) == 2
    for k, output in enumerate(result.outputs):
        assert output.value == pytest.approx(float(both[k][output.id]), rel=1e-3, abs=1e-4)
        slope = gradient_by_hook(model, ids, k, output.id)
        np.testing.assert_allclose(result.scores[k], slope.norm(dim=-1).numpy(), rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize("kind", ["Bart", "MBart", "T5"])
def test_changed_texts_are_read_by_both_parts(kind: str) -> None:
    model, tokenizer = build(kind, "QuestionAnswering", ANSWERING[kind])
    adapter = load(model, tokenizer)
    whole = attribute(QUESTION, adapter, "integrated_gradients", second=TEXT, steps=65)
    assert whole.completeness is not None
    for row, check in zip(whole.scores, whole.completeness, strict=True):
        assert abs(check.residual) <= 0.05 * np.abs(row).sum()
    for method in ("occlusion", "lime"):
        assert np.isfinite(attribute(QUESTION, adapter, method, second=TEXT).scores).all()
    with pytest.raises(Unsupported):
        attribute(QUESTION, adapter, "attention_rollout", second=TEXT)


@pytest.mark.parametrize("kind", CLASSIFYING)
def test_classifiers_answer_texts_as_they_do_by_hand(kind: str) -> None:
    model, tokenizer = build(kind, "SequenceClassification", CLASSIFYING[kind])
    adapter = load(model, tokenizer)
    result = attribute(TEXT, adapter, "occlusion", "*")
    ids = tokenizer(TEXT, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        expected = model(input_ids=ids).logits[0].softmax(-1).tolist()
    assert list(result.prediction.probabilities) == pytest.approx(expected, abs=1e-5)
    with pytest.raises(Unsupported):
        attribute(TEXT, adapter, "saliency")
