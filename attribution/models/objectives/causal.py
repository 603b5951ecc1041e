"""f = what a decoder writes after a text."""

from __future__ import annotations

import copy
from typing import Any, Self

import torch
from torch import Tensor
from transformers import Cache

from attribution.models.adapter import EMBEDDED, Encoding, close
from attribution.models.objectives.generation import Generation
from attribution.models.scorer import WORKER

SHORTEST = 8
"""Inputs of a beginning from which on it is worth keeping."""


class Causal(Generation):
    """Inputs: the text, then the generated tokens but the last."""

    _cache: Cache | None = None
    _past: tuple[Cache, int] | None = None
    """The text's keys and values, and how many of them stand before the embeddings that are given."""

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
        return (
            together[len(prompt) :]
            if together[: len(prompt)] == prompt
            else super()._continuation(text, encoding)
        )

    def _embed(self) -> Tensor:
        ids = self._encoding.ids
        prefix = torch.tensor([self._generated[:-1]], dtype=ids.dtype, device=ids.device)
        return self.adapter.embed(torch.cat([ids, prefix], dim=1))

    def _changed(self, points: Tensor, same: int) -> Tensor:
        """What stands before a change is computed once: no token of a decoder sees its successors."""
        count = min(same, len(self.tokens) - len(self._generated))
        if count < SHORTEST or self.adapter.shares_prefix is False or self.model is not self.adapter.model:
            return self.evaluate(points)
        ending = copy.copy(self)
        ending._past = self._beginning(), count
        try:
            found = ending.evaluate(points[:, count:])
        except (RuntimeError, ValueError, TypeError, AttributeError):
            if self.adapter.shares_prefix:
                raise
            found = None
        if self.adapter.shares_prefix is None:
            whole = self.evaluate(points)
            self.adapter.shares_prefix = found is not None and close(found, whole, 1e-4)
            # Later requests get what is found: so does this one, to the last bit.
            return whole if found is None or not self.adapter.shares_prefix else found
        return found

    def _anew(self) -> Self:
        self._cache = None
        return super()._anew()

    def _beginning(self) -> Cache:
        """The keys and values of the text itself."""
        if self._cache is None:
            self._cache = WORKER.call(self._read, self.deadline)
        return self._cache

    @torch.no_grad()
    def _read(self) -> Cache:
        return self.model(inputs_embeds=self._root, use_cache=True).past_key_values

    def _forward(self, embeddings: Tensor, places: Tensor | None = None) -> Tensor:
        if self._past is None:
            return super()._forward(embeddings, places)
        whole, count = self._past
        past = copy.deepcopy(whole)
        past.crop(count - len(self.tokens))
        past.batch_repeat_interleave(len(embeddings))
        said = self.model(inputs_embeds=embeddings, past_key_values=past, use_cache=True)
        return said.logits[:, -len(self._generated) :].transpose(0, 1)

    def _inputs(self, embeddings: Tensor, places: Tensor | None = None) -> dict[str, Any] | None:
        if self._past is not None:
            return None
        keep = (
            {"logits_to_keep": len(self._generated)} if "logits_to_keep" in self.adapter.forward_names else {}
        )
        return {EMBEDDED: embeddings, "use_cache": False, **keep}

    def _logits(self, said: Any, inputs: dict[str, Any], places: Tensor | None) -> Tensor:
        logits: Tensor = (
            said.logits if "logits_to_keep" in inputs else said.logits[:, : inputs[EMBEDDED].shape[1]]
        )
        return logits[:, -len(self._generated) :].transpose(0, 1)
