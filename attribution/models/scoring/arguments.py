"""The arguments of several calls of a model as one batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

EMBEDDED = "inputs_embeds"
"""The argument of transformers' models for embeddings."""


def join_arguments(calls: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The arguments of several calls as one batch: shorter rows are padded at the end and masked."""
    joined: dict[str, Any] = {}
    for name, value in calls[0].items():
        if not isinstance(value, Tensor):
            joined[name] = value
            continue
        parts: list[Tensor] = [arguments[name] for arguments in calls]
        width = max(part.shape[1] for part in parts)
        joined[name] = torch.cat([_pad(part, width) for part in parts])
        if name == EMBEDDED and any(part.shape[1] < width for part in parts):
            masks = [part.new_ones(part.shape[:2], dtype=torch.long) for part in parts]
            joined["attention_mask"] = torch.cat([_pad(mask, width) for mask in masks])
    return joined


def _pad(part: Tensor, width: int) -> Tensor:
    missing = width - part.shape[1]
    return torch.cat([part, part.new_zeros(len(part), missing, *part.shape[2:])], dim=1) if missing else part
