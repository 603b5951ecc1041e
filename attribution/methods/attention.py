"""Attention weights of one layer."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from attribution.errors import BadOption
from attribution.methods import Scores, method
from attribution.models.contexts import CONTEXTS_HELP, SEED_HELP, SHARE_HELP, make_copies
from attribution.models.inside.attentions import (
    Map,
    compute_maps,
    describe_output_rows,
    output_rows,
    pick_layer,
)
from attribution.models.objective import Objective
from attribution.registry import Between


@method(
    title="Attention",
    summary="How much one layer attends to each token where the prediction is read off.",
    caveat="Attention is not explanation: it says where one layer looks, not what the model does with it "
    "(Jain & Wallace 2019). It is the same for every class.",
    cost="2 forward passes",
    signed=False,
    unit="attention weight",
    needs="attentions",
    aliases=("attention_weights", "raw_attention"),
)
def attention(
    f: Objective,
    *,
    layer: Annotated[int, Between(-1, 255), "Layer, counted from 0; -1 is the last."] = -1,
    head: Annotated[int, Between(-1, 255), "Head, counted from 0; -1 is the mean over heads."] = -1,
    contexts: Annotated[int, Between(0, 500), CONTEXTS_HELP] = 0,
    share: Annotated[float, Between(0.01, 1.0), SHARE_HELP] = 0.5,
    seed: Annotated[int, Between(0, 2**31 - 1), SEED_HELP] = 0,
) -> Scores:
    """Attention weights: the row of softmax(QKᵀ/√d) at the position that the prediction is read from.

    Bahdanau, Cho & Bengio 2015; Vaswani et al. 2017, equation 1. Classification: the row of the token that
    the classification head reads. Decoder: the row that each generated token was predicted from.
    Encoder-decoder: cross-attention over the text beside self-attention over the generated tokens, each of
    which adds up to 1. Where several rows are read, their mean. On its limits: Jain & Wallace 2019,
    "Attention is not Explanation".

    With ``contexts``, the mean over copies of the text that lack some of the words: the weights of a layer
    add up to 1, so in a single text a word's weight says as much about its neighbours as about itself. This
    averaging is our own, not a published method.
    """
    scores, counts = torch.zeros(()), torch.zeros(())
    for points, presence in make_copies(f, contexts, share, seed):
        for point, present in zip(points, presence.double(), strict=True):
            f.deadline.check()
            scores, counts = (
                scores + present * read_weights(f, compute_maps(f, point), layer, head),
                counts + present,
            )
    scores = scores / counts
    notes: tuple[str, ...] = (describe_output_rows(f),)
    if f.adapter.task.encoder_decoder:
        notes += (
            "Cross-attention over the text and self-attention over the generated tokens each add up to 1.",
        )
    return Scores(scores, notes=notes)


def read_weights(f: Objective, attention_maps: list[Map], layer: int, head: int) -> Tensor:
    """The weights of one layer in the rows that each output is read from, [outputs, inputs].

    Raises ``BadOption`` for a layer or head that the model does not have.
    """
    rows = output_rows(f)
    scores = torch.zeros_like(rows)
    for attention_map in pick_layer(attention_maps, rows, layer):
        weights = attention_map.weights.double()
        if head >= len(weights):
            raise BadOption(
                f"head is {head}.", f"This model's heads are 0 to {len(weights) - 1}; -1 is their mean."
            )
        scores[:, attention_map.keys] += rows[:, attention_map.queries] @ (
            weights.mean(0) if head < 0 else weights[head]
        )
    return scores
