"""f = how similar two texts are to a bi-encoder: the cosine of their embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from transformers import PreTrainedModel

from attribution.errors import BadOption
from attribution.models.adapter import Adapter
from attribution.models.deadline import Deadline
from attribution.models.encoding import Encoding
from attribution.models.reader import Reader
from attribution.models.targets.choice import UNREAD, Choice
from attribution.request import Target
from attribution.types import Output, Prediction, Quantity

PROMPT = "similarity"


@dataclass(frozen=True, eq=False, kw_only=True)
class Similarity(Reader):
    """Each text is encoded separately. Inputs: the tokens of the first text, then those of the second.

    A text's embedding is the mean of its last hidden states, or the first of them where the adapter's
    ``pooling`` says so (Reimers & Gurevych 2019, "Sentence-BERT", section 3).
    """

    encodings: tuple[Encoding, Encoding]

    @classmethod
    def prepare(
        cls, adapter: Adapter, text: str, target: Target, deadline: Deadline, *, second: str | None = None
    ) -> Self:
        if target.quantity != "logit" or target.contrast is not None or target.label is not None:
            raise BadOption(
                "A similarity is one number, without labels.", "Leave target, contrast and quantity out."
            )
        encodings = adapter.encode(text), adapter.encode(second or "", segment="second")
        return cls(
            adapter=adapter,
            text=text,
            second=second,
            target=target,
            tokens=encodings[0].tokens + encodings[1].tokens,
            encodings=encodings,
        )

    @property
    def segments(self) -> tuple[slice, ...]:
        split = len(self.encodings[0].tokens)
        return slice(0, split), slice(split, len(self.tokens))

    def quantity_words(self, quantity: Quantity) -> str:
        return "cosine similarity"

    def embeddings(self) -> Tensor:
        return torch.cat([self.adapter.embed(encoding.ids) for encoding in self.encodings], dim=1)

    def forward(self, model: PreTrainedModel, embeddings: Tensor, places: Tensor | None = None) -> Tensor:
        split = len(self.encodings[0].tokens)
        if places is None:
            parts = [(embeddings[:, part], None) for part in self.segments]
        else:
            # Rows of equal length may split differently between the two texts (deletion only): one by one.
            counts = (places < split).sum(1)
            if len(set(counts.tolist())) > 1:
                rows = range(len(embeddings))
                return torch.cat(
                    [self.forward(model, embeddings[i, None], places[i, None]) for i in rows], dim=1
                )
            count = int(counts[0])
            parts = [
                (embeddings[:, :count], places[:, :count]),
                (embeddings[:, count:], places[:, count:] - split),
            ]
        pooled = []
        for encoding, (part, where) in zip(self.encodings, parts, strict=True):
            states = model(inputs_embeds=part, **encoding.extra(len(part), where)).last_hidden_state
            pooled.append(states[:, 0] if self.adapter.pooling == "first" else states.mean(1))
        return torch.nn.functional.cosine_similarity(*pooled, dim=-1)[None, :, None]

    def choose(self, logits: Tensor) -> Choice:
        return Choice(
            positions=(0,),
            ids=torch.zeros(1, dtype=torch.long, device=logits.device),
            outputs=(Output(PROMPT, 0, UNREAD, None),),
            prediction=Prediction((PROMPT,), (float(logits[0, 0, 0]),), ()),
            quantity=self.target.quantity,
        )
