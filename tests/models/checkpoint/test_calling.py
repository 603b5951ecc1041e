"""Classes of the caller's own, and Longformer, give the numbers that they give when called by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import (
    BertModel,
    BertPreTrainedModel,
    LongformerConfig,
    LongformerForQuestionAnswering,
    LongformerForSequenceClassification,
    XLNetConfig,
    XLNetForSequenceClassification,
)

from attribution import attribute, errors, load
from tests import families as wide
from tests import tiny

TEXT = "the film is good"


class OwnBase(BertPreTrainedModel):
    """A classifier over the mean of the states, called in ways that differ."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.encoder = BertModel(config)
        self.head = torch.nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def logits(self, mask: torch.Tensor, **inputs: Any) -> torch.Tensor:
        states = self.encoder(attention_mask=mask, **inputs).last_hidden_state
        return self.head((states * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True))


class NeedsMask(OwnBase):
    def forward(self, input_ids=None, attention_mask=None, inputs_embeds=None):  # type: ignore[no-untyped-def]
        return {"logits": self.logits(attention_mask, input_ids=input_ids, inputs_embeds=inputs_embeds)}


class TakesIds(OwnBase):
    def forward(self, input_ids, attention_mask):  # type: ignore[no-untyped-def]
        return (self.logits(attention_mask, input_ids=input_ids),)


class Bare(OwnBase):
    def forward(self, input_ids, attention_mask):  # type: ignore[no-untyped-def]
        return self.logits(attention_mask, input_ids=input_ids)


class OtherName(OwnBase):
    def forward(self, input_ids, attention_mask):  # type: ignore[no-untyped-def]
        logits = self.logits(attention_mask, input_ids=input_ids)
        return {"a": logits, "b": logits}


def build(kind: Any) -> Any:
    _, tokenizer = wide.FAMILIES["bert"].build()
    config = wide._bert("BertModel", num_labels=2)()[0].config
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return tiny.scale_weights(kind(config), 4.0), tokenizer


@pytest.mark.parametrize("kind", [NeedsMask, TakesIds, Bare])
def test_a_class_of_the_callers_own(kind: Any) -> None:
    model, tokenizer = build(kind)
    inputs = tokenizer(TEXT, return_tensors="pt")
    with torch.no_grad():
        expected = model.logits(inputs["attention_mask"], input_ids=inputs["input_ids"])[0]
    # The gradient at a hook on the model's own embedding layer.
    leaf = model.encoder.embeddings.word_embeddings(inputs["input_ids"]).detach().requires_grad_()
    logits = model.logits(inputs["attention_mask"], inputs_embeds=leaf)[0]
    slope = torch.autograd.grad(logits[logits.argmax()], leaf)[0]
    result = attribute(TEXT, load(model, tokenizer, task="classification"), "input_x_gradient")
    assert result.prediction.logits == pytest.approx(expected.tolist(), abs=1e-5)
    assert result.scores[0] == pytest.approx((slope * leaf).sum(-1)[0].detach().numpy(), abs=1e-5)
    attribute(TEXT, load(model, tokenizer, task="classification"), "occlusion", hide="delete")
    assert type(model) is kind


def test_an_answer_that_cannot_be_read_is_refused() -> None:
    model, tokenizer = build(OtherName)
    with pytest.raises(errors.Unsupported, match="answers with a, b, without logits"):
        attribute(TEXT, load(model, tokenizer, task="classification"), "saliency")


def longformer(head: Any) -> Any:
    tokenizer = wide.roberta_bytes()
    sizes = {**wide.SIZES, "max_position_embeddings": 130, "attention_window": [4, 4]}
    config = LongformerConfig(
        vocab_size=len(tokenizer), **wide.special_ids(tokenizer), sep_token_id=2, **sizes
    )
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return tiny.scale_weights(head(config), 8.0), tokenizer


def test_a_longformer_attends_from_its_first_token() -> None:
    model, tokenizer = longformer(LongformerForSequenceClassification)
    with torch.no_grad():
        expected = model(**tokenizer(TEXT, return_tensors="pt")).logits[0]
    result = attribute(TEXT, load(model, tokenizer), "input_x_gradient")
    assert result.prediction.logits == pytest.approx(expected.tolist(), abs=1e-4)


def test_a_longformer_attends_from_the_question() -> None:
    model, tokenizer = longformer(LongformerForQuestionAnswering)
    with torch.no_grad():
        answer = model(**tokenizer("was it good?", TEXT, return_tensors="pt"))
    result = attribute("was it good?", load(model, tokenizer), "input_x_gradient", second=TEXT)
    start, end = result.outputs
    assert start.value == pytest.approx(float(answer.start_logits[0, start.position]), abs=1e-4)
    assert end.value == pytest.approx(float(answer.end_logits[0, end.position]), abs=1e-4)


@pytest.mark.parametrize("kind", ["xlnet", "deberta-v2", "bert"])
def test_positions_limit_texts_only_where_there_are_positions(kind: str) -> None:
    if kind == "xlnet":
        tokenizer = wide.albert_pieces()
        config = XLNetConfig(vocab_size=len(tokenizer), d_model=16, n_layer=2, n_head=2, d_inner=32)
        with torch.random.fork_rng():
            torch.manual_seed(5)
            model = tiny.scale_weights(XLNetForSequenceClassification(config), 4.0)
    else:
        model, tokenizer = wide.FAMILIES[kind].build()
    tokenizer.model_max_length = -1
    text = "the film " * 80
    if kind == "bert":
        with pytest.raises(errors.TooLong, match="162 tokens; 128 at most fit this model"):
            attribute(text, load(model, tokenizer), "saliency")
        tokenizer.model_max_length = 100
        with pytest.raises(errors.TooLong, match="100 at most are what its tokenizer allows"):
            attribute(text, load(model, tokenizer), "saliency")
        return
    with torch.no_grad():
        expected = model(**tokenizer(text.strip(), return_tensors="pt")).logits[0]
    result = attribute(text.strip(), load(model, tokenizer), "input_x_gradient")
    assert result.prediction.logits == pytest.approx(expected.tolist(), rel=1e-3, abs=1e-3)
