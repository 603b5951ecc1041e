"""Attention maps with the residual connection mixed in, for rollout and flow."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from attribution.models.inside.attentions import Map, Step


def mix_residual(maps: list[Map], inputs: int, residual: float = 0.5, heads: str = "mean") -> Iterator[Step]:
    """Ā = (1 − residual) W + residual I of each map, [queries, inputs]."""
    for attention in maps:
        weights = attention.weights.double()
        merged = weights.mean(0) if heads == "mean" else weights.amax(0)
        if heads == "max":
            merged = merged / merged.sum(-1, keepdim=True)
        matrix = torch.zeros(len(merged), inputs, dtype=torch.float64, device=merged.device)
        matrix[:, attention.keys] = (1 - residual) * merged
        matrix[:, attention.queries] += residual * torch.eye(
            len(merged), dtype=torch.float64, device=merged.device
        )
        yield Step(attention.layer, attention.queries, matrix)
