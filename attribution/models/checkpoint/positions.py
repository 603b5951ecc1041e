"""Tables of absolute positions: how many tokens a part of a model can read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

TABLES = ("position_embeddings", "embed_positions", "positions_embed", "wpe")
"""What transformers' models call them."""


def count_positions(part: nn.Module | None, config: Any) -> int | None:
    """The most tokens that the tables in a part of a model have rows for; None where it has no table."""
    if part is None:
        return None
    most = min(_usable_rows(part), default=None)
    return None if most is None else _whole_windows(most, config)


def _usable_rows(part: nn.Module) -> Iterator[int]:
    """The rows of each table that stand for positions: the first ones may be skipped (BART, OPT, RoBERTa)."""
    for name, module in part.named_modules():
        if isinstance(module, nn.Embedding) and name.endswith(TABLES):
            padding = module.padding_idx
            skipped = getattr(module, "offset", 0 if padding is None else padding + 1)
            yield module.num_embeddings - int(skipped)


def _whole_windows(count: int, config: Any) -> int:
    """Models with windows of attention (LED, Longformer) fill up a text to whole windows."""
    window = getattr(config, "attention_window", None)
    width = max(window) if isinstance(window, list | tuple) else window
    return count // width * width if isinstance(width, int) and 0 < width <= count else count
