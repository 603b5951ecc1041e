"""f = how similar two texts are to a bi-encoder: what it compares by, one text varied at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from torch import Tensor
from transformers import PreTrainedModel

from attribution.errors import BadOption
from attribution.models.adapter import Adapter
from attribution.models.bi_encoder.encoder import last_states
from attribution.models.calls import call
from attribution.models.deadline import Deadline
from attribution.models.encoding import Encoding
from attribution.models.reader import Reader
from attribution.models.targets.choice import UNREAD, Choice
from attribution.request import Target
from attribution.types import Output, Prediction, Quantity

PROMPT = "similarity"
ONE_AT_A_TIME = (
    "One text is varied while the other stays as it is: each text's scores compare it with a baseline beside "
    "the unchanged other text. The difference is the sum of both, from f(baseline, second) + f(first, "
    "baseline) − f(x) to f(x)."
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Similarity(Reader):
    """Each text is encoded separately. Inputs: the tokens of the first text, then those of the second.

    The adapter's ``bi_encoder`` turns a text into a vector E and compares two of them: sim is the cosine
    where the checkpoint names nothing else (Reimers & Gurevych 2019, "Sentence-BERT", section 3).

    Of the texts a and b, f varies one while the other stays what it is:
    f(x, y) = sim(E(x), E(b)) + sim(E(a), E(y)) − sim(E(a), E(b)). At the texts themselves this is their
    similarity, with its gradient. The similarity of two changed texts would explain something else: two
    texts of nothing are equal, so that words would speak against a similarity that they cause.
    """

    encodings: tuple[Encoding, Encoding]
    _remembered: list[tuple[Tensor, Tensor]] = field(init=False, repr=False, default_factory=list)

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

    @property
    def notes(self) -> tuple[str, ...]:
        return (*super().notes, ONE_AT_A_TIME)

    def quantity_words(self, quantity: Quantity) -> str:
        return self.adapter.bi_encoder.measure

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
        states = [
            self._pool(model, call(model, inputs_embeds=part, **encoding.extra(len(part), where)))
            for encoding, (part, where) in zip(self.encodings, parts, strict=True)
        ]
        first, second = self._anchors(embeddings, states if model is self.adapter.model else None)
        compare = self.adapter.bi_encoder.compare
        varied = compare(states[0], second) + compare(first, states[1])
        return (varied - compare(first, second))[None, :, None]

    def _pool(self, model: PreTrainedModel, answer: Any) -> Tensor:
        """A model's answer → the embeddings of the texts, [batch, hidden]."""
        return self.adapter.bi_encoder.embed(last_states(answer, model), self.adapter.unpooled)

    def _anchors(self, points: Tensor, states: Sequence[Tensor] | None) -> tuple[Tensor, Tensor]:
        """The embeddings of both texts as they are, [1, hidden] each; computed once.

        ``states`` are those of ``points``: where the first row is the text itself, nothing else is computed.
        """
        if self._remembered:
            return self._remembered[0]
        with torch.no_grad():
            text = self.embeddings()
            if states is None or points.shape[1:] != text.shape[1:] or not torch.equal(points[0], text[0]):
                own = self.adapter.model
                states = [
                    self._pool(own, call(own, inputs_embeds=text[:, part], **encoding.extra(1)))
                    for encoding, part in zip(self.encodings, self.segments, strict=True)
                ]
            first, second = (state[:1].detach().clone() for state in states)
        self._remembered.append((first, second))
        return first, second

    def choose(self, logits: Tensor) -> Choice:
        encoder = self.adapter.bi_encoder
        name = PROMPT if encoder.is_usual else encoder.measure
        return Choice(
            positions=(0,),
            ids=torch.zeros(1, dtype=torch.long, device=logits.device),
            outputs=(Output(name, 0, UNREAD, None),),
            prediction=Prediction((name,), (float(logits[0, 0, 0]),), ()),
            quantity=self.target.quantity,
        )
