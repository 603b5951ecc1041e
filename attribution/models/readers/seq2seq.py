"""f = the text that an encoder-decoder generates for another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from attribution.errors import Unsupported
from attribution.models.adapter import Adapter
from attribution.models.deadline import Deadline
from attribution.models.readers.generation import (
    Generation,
    aim_at,
    check_continuation,
    read_generated,
    write,
)
from attribution.models.scoring.arguments import EMBEDDED
from attribution.request import Target
from attribution.types import Token


@dataclass(frozen=True, eq=False, kw_only=True)
class Seq2Seq(Generation):
    """Inputs: the text, the decoder's start token, the generated tokens but the last."""

    start: Token

    @classmethod
    def prepare(
        cls, adapter: Adapter, text: str, target: Target, deadline: Deadline, *, second: str | None = None
    ) -> Self:
        encoding = adapter.encode(text)
        room = adapter.settings.max_new_tokens
        if target.continuation is not None:
            ids = check_continuation(adapter, adapter.pieces(target.continuation), room)
        else:
            ids = write(adapter, encoding, min(target.max_new_tokens, room), deadline)
        generated, aim = read_generated(adapter, ids, []), aim_at(target, len(ids))
        index = getattr(adapter.config, "decoder_start_token_id", None)
        if index is None:
            raise Unsupported(
                "This model's configuration has no decoder_start_token_id.", "Set it before loading."
            )
        name = adapter.tokenizer.convert_ids_to_tokens(index)
        start = Token(name, index, 0, 0, True, None, "generated")
        return cls(
            adapter=adapter,
            text=text,
            second=second,
            target=target,
            tokens=(*encoding.tokens, start, *generated.tokens[:-1]),
            encoding=encoding,
            generated=generated,
            aim=aim,
            start=start,
        )

    def embeddings(self) -> Tensor:
        ids = self.encoding.ids
        prefix = torch.tensor([[self.start.id, *self.generated.ids[:-1]]], dtype=ids.dtype, device=ids.device)
        return self.embed(torch.cat([ids, prefix], dim=1))

    def embed(self, ids: Tensor) -> Tensor:
        source = len(self.encoding.tokens)
        return torch.cat(
            [self.adapter.embed(ids[:, :source]), self.adapter.decoder_embedding(ids[:, source:])], dim=1
        )

    def arguments(self, embeddings: Tensor, places: Tensor | None = None) -> dict[str, Any]:
        source = embeddings.shape[1] - len(self.generated.ids)
        return {
            EMBEDDED: embeddings[:, :source],
            "decoder_inputs_embeds": embeddings[:, source:],
            "use_cache": False,
        }

    def logits(self, answer: Any, arguments: dict[str, Any], places: Tensor | None) -> Tensor:
        logits: Tensor = answer.logits[:, : len(self.generated.ids)]
        return logits.transpose(0, 1)
