"""f = what a decoder writes after a text."""

from __future__ import annotations

import torch
from torch import Tensor

from attribution.models.adapter import Encoding
from attribution.models.tasks.generation import Generation


class Causal(Generation):
    """Inputs: the text, then the generated tokens but the last."""

    def _prepare(self) -> None:
        encoding = self.adapter.encode(self.text, reserve=1)
        prompt = encoding.ids[0].tolist()
        self._generated = self._follow(encoding, self.adapter.max_tokens - len(prompt))
        self._spans(prompt)
        self._aim()
        self.tokens = encoding.tokens + self._pieces[:-1]
        self._encoding = encoding

    def _continuation(self, text: str, encoding: Encoding) -> list[int]:
        """As the model would have written it: split together with the text, unless a token would cross the border."""
        prompt = encoding.ids[0].tolist()
        together = self.adapter.encode(self.text + text).ids[0].tolist()
        return together[len(prompt) :] if together[: len(prompt)] == prompt else super()._continuation(text, encoding)

    def _embed(self) -> Tensor:
        ids = self._encoding.ids
        prefix = torch.tensor([self._generated[:-1]], dtype=ids.dtype, device=ids.device)
        return self.adapter.embed(torch.cat([ids, prefix], dim=1))

    def _forward(self, embeddings: Tensor, places: Tensor | None = None) -> Tensor:
        count = len(self._generated)
        keep = {"logits_to_keep": count} if "logits_to_keep" in self.adapter.forward_names else {}
        return self.model(inputs_embeds=embeddings, use_cache=False, **keep).logits[:, -count:].transpose(0, 1)
