"""The resolved target: which numbers of a model's output are explained."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from attribution.errors import UnknownTarget
from attribution.types import Output, Prediction, Quantity

UNREAD = math.nan
"""Placeholder for the value of an output before f is computed."""


@dataclass(frozen=True, eq=False)
class Choice:
    """Which numbers of a model's logits [positions, batch, classes] are explained, and how they are shown.

    Chosen from the logits of the text itself, and the same for all changed texts.

    Parameters
    ----------
    positions : the position of the logits that each output is read from.
    ids : the explained class or token of each output, int64 [outputs].
    outputs : the outputs as they are shown; ``with_values`` sets their values.
    prediction : what the model predicts for the text itself.
    quantity : the quantity of f.
    against : what each output is contrasted with, int64 [outputs], or None.
    multi_label : whether each class has a probability of its own.
    joint : whether all positions together are one output: the sum of their logits or log-probabilities, or
        the product of their probabilities.
    notes : sentences for the reader of a result about how the model came to its answer.
    """

    positions: tuple[int, ...]
    ids: Tensor
    outputs: tuple[Output, ...]
    prediction: Prediction
    quantity: Quantity
    against: Tensor | None = None
    multi_label: bool = False
    joint: bool = False
    notes: tuple[str, ...] = ()

    def read(self, logits: Tensor) -> Tensor:
        """Logits [positions, batch, classes] → the explained numbers [outputs, batch]."""
        if self.joint:
            return self._read_jointly(logits)
        numbers = quantify(logits[list(self.positions)], self.quantity, multi_label=self.multi_label)
        values = _pick(numbers, self.ids)
        return values if self.against is None else values - _pick(numbers, self.against)

    def _read_jointly(self, logits: Tensor) -> Tensor:
        quantity: Quantity = "logit" if self.quantity == "logit" else "log_probability"
        total = _pick(quantify(logits[list(self.positions)], quantity), self.ids).sum(0, keepdim=True)
        return total.exp() if self.quantity == "probability" else total

    def with_values(self, values: Tensor) -> Self:
        """A copy whose outputs carry the values f(x) [outputs]."""
        outputs = (replace(output, value=v) for output, v in zip(self.outputs, values.tolist(), strict=True))
        return replace(self, outputs=tuple(outputs))

    def part(self, rows: Sequence[int]) -> Self:
        """A copy with some of the outputs only."""
        index = torch.tensor(rows, device=self.ids.device)
        return replace(
            self,
            positions=tuple(self.positions[k] for k in rows),
            ids=self.ids[index],
            outputs=tuple(self.outputs[k] for k in rows),
            against=None if self.against is None else self.against[index],
        )


def _pick(numbers: Tensor, ids: Tensor) -> Tensor:
    """Select one class per position: [positions, batch, classes] and ids [positions] → [positions, batch]."""
    return numbers.gather(2, ids[:, None, None].expand(-1, numbers.shape[1], 1))[:, :, 0]


def quantify(logits: Tensor, quantity: Quantity, *, multi_label: bool = False) -> Tensor:
    """Logits [..., classes] → logits, log-probabilities or probabilities of the same shape."""
    logits = logits.float()
    if quantity == "logit":
        return logits
    logs = torch.nn.functional.logsigmoid(logits) if multi_label else logits.log_softmax(-1)
    return logs if quantity == "log_probability" else logs.exp()


def check_positions(position: object, count: int, noun: str) -> list[int]:
    """The positions that a target names, checked against how many there are; all for None.

    Raises ``UnknownTarget``.
    """
    if position is None:
        return list(range(count))
    if position == "sequence":
        raise UnknownTarget(
            "Only generated text has the position 'sequence'.", "Leave it out, or give numbers."
        )
    positions = position if isinstance(position, tuple) else (position,)
    for number in positions:
        if not 0 <= number < count:
            raise UnknownTarget(
                f"There is no {noun} {number}.",
                f"They are numbered from 0 to {count - 1}; leave it empty for all.",
            )
    return list(positions)
