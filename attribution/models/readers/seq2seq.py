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
    """Inputs: the text, the tokens ``lead`` that the decoder is given, the generated tokens but the last.

    ``lead`` is the decoder's start token and, before a given text, the token that the model's settings force
    after it. A generated text contains that token itself.
    """

    lead: tuple[Token, ...]

    @classmethod
    def prepare(
        cls, adapter: Adapter, text: str, target: Target, deadline: Deadline, *, second: str | None = None
    ) -> Self:
        encoding = adapter.encode(text)
        start, forced = adapter.writer.start, adapter.writer.forced
        if start is None:
            raise Unsupported(
                "This model's settings have no decoder_start_token_id.",
                "Set it in its generation_config before loading.",
            )
        lead, room = [start], adapter.max_decoder_tokens
        notes: tuple[str, ...] = ()
        if target.continuation is not None:
            ids = adapter.pieces(target.continuation)
            named = ids[:1] == [forced] and forced in adapter.tokenizer.all_special_ids
            if forced is not None and not named:
                lead.append(forced)
            ids = check_continuation(adapter, ids, room + 1 - len(lead))
        else:
            count = min(target.max_new_tokens, adapter.settings.max_new_tokens, room)
            written = write(adapter, encoding, count, deadline)
            ids, notes = list(written.ids), written.notes
        generated = read_generated(adapter, ids, [], (*notes, *adapter.writer.notes_on_forced()))
        forced_tokens = tuple(_forced_token(adapter, index) for index in lead)
        return cls(
            adapter=adapter,
            text=text,
            second=second,
            target=target,
            tokens=(*encoding.tokens, *forced_tokens, *generated.tokens[:-1]),
            encoding=encoding,
            generated=generated,
            aim=aim_at(target, len(ids), forced=ids[0] == forced),
            lead=forced_tokens,
        )

    def embeddings(self) -> Tensor:
        ids = self.encoding.ids
        prefix = [token.id for token in self.tokens[ids.shape[1] :]]
        row = torch.tensor([prefix], dtype=ids.dtype, device=ids.device)
        return self.embed(torch.cat([ids, row], dim=1))

    def embed(self, ids: Tensor) -> Tensor:
        source = len(self.encoding.tokens)
        return torch.cat(
            [self.adapter.embed(ids[:, :source]), self.adapter.decoder_embedding(ids[:, source:])], dim=1
        )

    def arguments(self, embeddings: Tensor, places: Tensor | None = None) -> dict[str, Any]:
        source = embeddings.shape[1] - self._decoded
        return {
            EMBEDDED: embeddings[:, :source],
            "decoder_inputs_embeds": embeddings[:, source:],
            "use_cache": False,
        }

    def logits(self, answer: Any, arguments: dict[str, Any], places: Tensor | None) -> Tensor:
        logits: Tensor = answer.logits[:, len(self.lead) - 1 : self._decoded]
        return logits.transpose(0, 1)

    @property
    def _decoded(self) -> int:
        """How many tokens the decoder reads."""
        return len(self.lead) + len(self.generated.ids) - 1


def _forced_token(adapter: Adapter, index: int) -> Token:
    """A token that stands before what the decoder writes."""
    return Token(adapter.tokenizer.convert_ids_to_tokens(index), index, 0, 0, True, None, "generated")
