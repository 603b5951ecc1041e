"""What the tasks share whose models say something about each token of the text: one forward pass, read at the explained places."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from attribution.models.adapter import EMBEDDED
from attribution.models.objective import Objective


class TokenLevel(Objective):
    """Logits [inputs, batch, classes]: the position of a logit is that of its token."""

    def _prepare(self) -> None:
        self._encoding = self.adapter.encode(self.text, self.second)
        self.tokens = self._encoding.tokens

    def _embed(self) -> Tensor:
        return self.adapter.embed(self._encoding.ids)

    def _inputs(self, embeddings: Tensor, places: Tensor | None = None) -> dict[str, Any]:
        return {EMBEDDED: embeddings, **self._encoding.extra(len(embeddings), places)}

    def _logits(self, said: Any, inputs: dict[str, Any], places: Tensor | None) -> Tensor:
        logits: Tensor = said.logits[:, : inputs[EMBEDDED].shape[1]]
        if places is not None:
            full = logits.new_zeros(len(logits), len(self.tokens), logits.shape[-1])
            logits = full.scatter(1, places[:, :, None].expand(-1, -1, logits.shape[-1]), logits)
        return logits.transpose(0, 1)

    def _deletable(self) -> Tensor:
        kept = super()._deletable()
        kept[self._places] = False
        return kept
