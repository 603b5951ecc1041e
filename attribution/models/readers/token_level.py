"""What token-level readers share: one forward pass, read at the explained positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from attribution.models.readers.single_pass import SinglePass
from attribution.models.scoring.arguments import EMBEDDED
from attribution.models.targets.choice import Choice


@dataclass(frozen=True, eq=False, kw_only=True)
class TokenLevel(SinglePass):
    """Logits [inputs, batch, classes]: the position of a logit is that of its token."""

    def logits(self, answer: Any, arguments: dict[str, Any], places: Tensor | None) -> Tensor:
        logits: Tensor = answer.logits[:, : arguments[EMBEDDED].shape[1]]
        if places is not None:
            full = logits.new_zeros(len(logits), len(self.tokens), logits.shape[-1])
            logits = full.scatter(1, places[:, :, None].expand(-1, -1, logits.shape[-1]), logits)
        return logits.transpose(0, 1)

    def deletable(self, choice: Choice) -> Tensor:
        deletable = super().deletable(choice)
        deletable[list(choice.positions)] = False
        return deletable
