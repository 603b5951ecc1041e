"""f = what an encoder-decoder writes for a text."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from attribution.errors import Unsupported
from attribution.models.adapter import EMBEDDED
from attribution.models.objectives.generation import Generation
from attribution.types import Token


class Seq2Seq(Generation):
    """Inputs: the text, the decoder's start token, the generated tokens but the last."""

    def _prepare(self) -> None:
        encoding = self.adapter.encode(self.text)
        self._encoding, self._source = encoding, len(encoding.tokens)
        self._generated = self._follow(encoding, self.adapter.settings.max_new_tokens)
        self._spans([])
        self._aim()
        start = getattr(self.adapter.config, "decoder_start_token_id", None)
        if start is None:
            raise Unsupported(
                "This model's configuration has no decoder_start_token_id.", "Set it before loading."
            )
        self._begin = Token(
            self.adapter.tokenizer.convert_ids_to_tokens(start), start, 0, 0, True, None, "generated"
        )
        self.tokens = (*encoding.tokens, self._begin, *self._pieces[:-1])

    def _embed(self) -> Tensor:
        ids = self._encoding.ids
        prefix = torch.tensor([[self._begin.id, *self._generated[:-1]]], dtype=ids.dtype, device=ids.device)
        return self.embed(torch.cat([ids, prefix], dim=1))

    def embed(self, ids: Tensor) -> Tensor:
        source, prefix = ids[:, : self._source], ids[:, self._source :]
        return torch.cat([self.adapter.embed(source), self.adapter.decoder_embedding(prefix)], dim=1)

    def _inputs(self, embeddings: Tensor, places: Tensor | None = None) -> dict[str, Any]:
        source = embeddings.shape[1] - len(self._generated)
        return {
            EMBEDDED: embeddings[:, :source],
            "decoder_inputs_embeds": embeddings[:, source:],
            "use_cache": False,
        }

    def _logits(self, said: Any, inputs: dict[str, Any], places: Tensor | None) -> Tensor:
        logits: Tensor = said.logits[:, : len(self._generated)]
        return logits.transpose(0, 1)
