"""Attention × gradient: relevance maps of attention, weighted by gradients."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from attribution.methods import Scores, method
from attribution.models.inside.attentions import (
    Map,
    compute_maps_with_gradients,
    describe_output_rows,
    output_rows,
)
from attribution.models.objective import Objective


@method(
    title="Attention × gradient",
    summary="Attention followed through all layers, counting only what speaks for the explained prediction.",
    caveat="Weights whose gradient is negative are dropped, so it never shows what speaks against the "
    "prediction. It sees what attention carries, not what the layers between do with it.",
    cost="2 forward passes, and 1 backward pass for each output",
    signed=False,
    unit="relevance",
    needs="gradients",
    aliases=("attention_gradient", "chefer", "generic_attention"),
)
def attention_x_gradient(
    f: Objective,
    *,
    identity: Annotated[bool, "Keep the 1 that each token's relevance to itself begins with."] = False,
) -> Scores:
    """Attention × gradient: relevancy maps R that start as the identity; each attention module updates them.

    Chefer, Gur & Wolf 2021, "Generic Attention-model Explainability for Interpreting Bi-Modal and
    Encoder-Decoder Transformers", equations 5 to 11. Ā is the mean over heads of the positive part of ∂f/∂A
    ⊙ A (5). Self-attention: R += Ā R (6, 7). Cross-attention from decoder d to source s: R^ds += (R̄^dd)ᵀ Ā
    R̄^ss (10), where R̄ is R without its identity, each row divided by its sum, and with the identity again
    (8, 9); R^dd += Ā R^sd (11), which is 0 as no encoder sees its decoder. The result is the row that the
    prediction is read from, without the identity unless ``identity`` is set: it only says that the position
    is itself.
    """
    rows = output_rows(f)
    attention_maps, gradients = compute_maps_with_gradients(f)
    scores = []
    for row, slopes in zip(rows, gradients, strict=True):
        relevance = torch.eye(len(row), dtype=torch.float64, device=row.device)
        for attention_map, slope in zip(attention_maps, slopes, strict=True):
            f.deadline.check()
            relevance = update_relevance(
                relevance,
                attention_map,
                (slope.double() * attention_map.weights.double()).clamp_min(0).mean(0),
            )
        if not identity:
            relevance = relevance - torch.eye(len(row), dtype=torch.float64, device=row.device)
        scores.append(row @ relevance)
    return Scores(torch.stack(scores), notes=(describe_output_rows(f),))


def update_relevance(relevance: Tensor, attention_map: Map, positive: Tensor) -> Tensor:
    """The relevance [inputs, inputs] after one module whose Ā is ``positive`` [queries, keys]."""
    new = relevance.clone()
    if attention_map.kind == "self":
        new[attention_map.queries] += positive @ relevance[attention_map.keys]
        return new
    decoder, source = (
        relevance[attention_map.queries, attention_map.queries],
        relevance[attention_map.keys, attention_map.keys],
    )
    new[attention_map.queries, attention_map.keys] += (
        normalize_rows(decoder).T @ positive @ normalize_rows(source)
    )
    new[attention_map.queries, attention_map.queries] += (
        positive @ relevance[attention_map.keys, attention_map.queries]
    )
    return new


def normalize_rows(relevance: Tensor) -> Tensor:
    """Equations 8 and 9: rows without the identity are divided by their sum.

    A row that is only the identity stays.
    """
    identity = torch.eye(len(relevance), dtype=relevance.dtype, device=relevance.device)
    rest = relevance - identity
    total = rest.sum(-1, keepdim=True)
    return rest / torch.where(total > 0, total, 1.0) + identity
