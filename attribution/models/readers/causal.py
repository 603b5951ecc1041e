"""f = the continuation of a text by a decoder."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor
from transformers import Cache, PreTrainedModel

from attribution.models.adapter import Adapter
from attribution.models.calls import call
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

SHORTEST = 8
"""Shortest prefix, in inputs, that is worth caching."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Causal(Generation):
    """Inputs: the text, then the generated tokens but the last."""

    @classmethod
    def prepare(
        cls, adapter: Adapter, text: str, target: Target, deadline: Deadline, *, second: str | None = None
    ) -> Self:
        encoding = adapter.encode(text, reserve=1)
        prompt = encoding.ids[0].tolist()
        room = adapter.max_tokens - len(prompt)
        if target.continuation is not None:
            ids = check_continuation(adapter, _continue(adapter, text, prompt, target.continuation), room)
            generated = read_generated(adapter, ids, prompt)
        else:
            written = write(adapter, encoding, min(target.max_new_tokens, room), deadline)
            generated = read_generated(adapter, written.ids, prompt, written.notes)
        return cls(
            adapter=adapter,
            text=text,
            second=second,
            target=target,
            tokens=encoding.tokens + generated.tokens[:-1],
            encoding=encoding,
            generated=generated,
            aim=aim_at(target, len(generated.ids)),
        )

    def embeddings(self) -> Tensor:
        ids = self.encoding.ids
        prefix = torch.tensor([self.generated.ids[:-1]], dtype=ids.dtype, device=ids.device)
        return self.adapter.embed(torch.cat([ids, prefix], dim=1))

    def arguments(self, embeddings: Tensor, places: Tensor | None = None) -> dict[str, Any]:
        arguments = {EMBEDDED: embeddings, "use_cache": False}
        if "logits_to_keep" in self.adapter.forward_names:
            arguments["logits_to_keep"] = len(self.generated.ids)
        return arguments

    def logits(self, answer: Any, arguments: dict[str, Any], places: Tensor | None) -> Tensor:
        logits: Tensor = answer.logits
        if "logits_to_keep" not in arguments:
            logits = logits[:, : arguments[EMBEDDED].shape[1]]
        return logits[:, -len(self.generated.ids) :].transpose(0, 1)

    def shared_prefix(self, unchanged: int) -> int:
        count = min(unchanged, len(self.tokens) - len(self.generated.ids))
        return count if count >= SHORTEST else 0

    def remember(self, model: PreTrainedModel, embeddings: Tensor) -> Cache:
        """The keys and values of the text itself."""
        with torch.no_grad():
            return call(model, inputs_embeds=embeddings, use_cache=True).past_key_values

    def suffix(self, memory: Cache, count: int) -> CachedSuffix:
        return CachedSuffix(self, memory, count)


@dataclass(frozen=True, eq=False)
class CachedSuffix:
    """Logits from the inputs after the first ``count``, whose keys and values are in ``memory``."""

    reader: Causal
    memory: Cache
    count: int

    @property
    def adapter(self) -> Adapter:
        return self.reader.adapter

    def arguments(self, embeddings: Tensor, places: Tensor | None = None) -> None:
        """None: keys and values of another text cannot share the call."""

    def logits(self, answer: Any, arguments: dict[str, Any], places: Tensor | None) -> Tensor:
        logits: Tensor = answer.logits
        return logits[:, -len(self.reader.generated.ids) :].transpose(0, 1)

    def forward(self, model: PreTrainedModel, embeddings: Tensor, places: Tensor | None = None) -> Tensor:
        memory = copy.deepcopy(self.memory)
        memory.crop(self.count - len(self.reader.tokens))
        memory.batch_repeat_interleave(len(embeddings))
        answer = call(model, inputs_embeds=embeddings, past_key_values=memory, use_cache=True)
        return self.logits(answer, {}, places)


def _continue(adapter: Adapter, text: str, prompt: list[int], continuation: str) -> list[int]:
    """Tokenize a continuation as the model would have generated it.

    Text and continuation are tokenized together, unless a token would cross the boundary.
    """
    together: list[int] = adapter.encode(text + continuation).ids[0].tolist()
    if together[: len(prompt)] == prompt:
        return together[len(prompt) :]
    return adapter.pieces(continuation)
