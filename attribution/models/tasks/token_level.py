"""What the tasks share whose models say something about each token of the text: one forward pass, read at the explained places."""

from __future__ import annotations

from torch import Tensor

from attribution.models.objective import Objective


class TokenLevel(Objective):
    """Logits [inputs, batch, classes]: the position of a logit is that of its token."""

    def _prepare(self) -> None:
        self._encoding = self.adapter.encode(self.text, self.second)
        self.tokens = self._encoding.tokens

    def _embed(self) -> Tensor:
        return self.adapter.embed(self._encoding.ids)

    def _read(self, embeddings: Tensor, places: Tensor | None) -> Tensor:
        """The model's logits [batch, inputs, classes]."""
        return self.model(inputs_embeds=embeddings, **self._encoding.extra(len(embeddings), places)).logits

    def _forward(self, embeddings: Tensor, places: Tensor | None = None) -> Tensor:
        logits = self._read(embeddings, places)
        if places is not None:
            full = logits.new_zeros(len(logits), len(self.tokens), logits.shape[-1])
            logits = full.scatter(1, places[:, :, None].expand(-1, -1, logits.shape[-1]), logits)
        return logits.transpose(0, 1)

    def _deletable(self) -> Tensor:
        kept = super()._deletable()
        kept[self._places] = False
        return kept
