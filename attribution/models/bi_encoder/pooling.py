"""Pooling: the states of a text's tokens → one vector (Reimers & Gurevych 2019, "Sentence-BERT", section 3).

The modes are those of sentence-transformers, in the order in which it concatenates several of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast, get_args

import torch
from torch import Tensor

from attribution.errors import BadOption, nearest, quote

Mode = Literal["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]
MODES: tuple[Mode, ...] = get_args(Mode)
SPELLINGS: dict[str, Mode] = {
    "first": "cls",
    "last": "lasttoken",
    "mean_sqrt_len": "mean_sqrt_len_tokens",
    **{mode: mode for mode in MODES},
}


def read_modes(value: object) -> tuple[Mode, ...]:
    """The modes that a caller or a checkpoint names: one or several. Raises ``BadOption``."""
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not names:
        raise BadOption(f"pooling is {quote(value)}.", f"It is one or several of {', '.join(MODES)}.")
    modes = [SPELLINGS.get(str(name).lower()) for name in names]
    for name, mode in zip(names, modes, strict=True):
        if mode is None:
            raise BadOption(f"pooling is {quote(name)}.", nearest(name, MODES))
    return cast(tuple[Mode, ...], tuple(modes))


def pool(states: Tensor, modes: Sequence[Mode], skipped: int = 0) -> Tensor:
    """Pool states [batch, inputs, hidden] by each mode: vectors [batch, modes · hidden].

    The first ``skipped`` inputs are left out; their positions count for the weights of "weightedmean".
    """
    skipped = min(skipped, states.shape[1] - 1)
    pooled = states[:, skipped:]
    return torch.cat([_pool(pooled, mode, skipped) for mode in modes], dim=-1)


def _pool(states: Tensor, mode: Mode, skipped: int) -> Tensor:
    if mode == "cls":
        return states[:, 0]
    if mode == "lasttoken":
        return states[:, -1]
    if mode == "max":
        return states.amax(1)
    if mode == "weightedmean":
        weights = _positions(states.shape[1], skipped).to(states)
        return (states * (weights / weights.sum())[None, :, None]).sum(1)
    mean = states.mean(1)
    return mean if mode == "mean" else mean * states.shape[1] ** 0.5


def _positions(count: int, skipped: int) -> Tensor:
    return torch.arange(skipped + 1, skipped + count + 1, dtype=torch.float64)


def pooling_weights(modes: Sequence[Mode], inputs: int, skipped: int = 0) -> Tensor:
    """How much of each input's state the pooled vector holds, float64 [inputs], summing to 1.

    The mean over several modes; "max" takes from all inputs, without a weight that could be known beforehand.
    """
    skipped = min(skipped, inputs - 1)
    rows = torch.zeros(len(modes), inputs, dtype=torch.float64)
    for row, mode in zip(rows, modes, strict=True):
        if mode == "cls":
            row[skipped] = 1
        elif mode == "lasttoken":
            row[-1] = 1
        elif mode == "weightedmean":
            row[skipped:] = _positions(inputs - skipped, skipped)
        else:
            row[skipped:] = 1
    return (rows / rows.sum(1, keepdim=True)).mean(0)
