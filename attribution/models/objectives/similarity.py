"""f = how similar two texts are to a bi-encoder: the cosine of their embeddings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from attribution.errors import BadOption
from attribution.models.objective import Objective
from attribution.types import Output, Prediction

PROMPT = "similarity"


class Similarity(Objective):
    """Each text goes through the encoder alone. Inputs: the tokens of the first, then those of the second.

    A text's embedding is the mean of its last hidden states, or the first of them where the adapter's ``pooling`` says so (Reimers &
    Gurevych 2019, "Sentence-BERT", section 3).
    """

    def _prepare(self) -> None:
        if (
            self.target.quantity != "logit"
            or self.target.contrast is not None
            or self.target.label is not None
        ):
            raise BadOption(
                "A similarity is one number, without labels.", "Leave target, contrast and quantity out."
            )
        first = self.adapter.encode(self.text)
        second = self.adapter.encode(self.second or "", segment="second")
        self._encodings = (first, second)
        self.tokens = first.tokens + second.tokens
        self.segments = (slice(0, len(first.tokens)), slice(len(first.tokens), len(self.tokens)))

    @property
    def quantity(self) -> str:
        return "cosine similarity"

    def _embed(self) -> Tensor:
        return torch.cat([self.adapter.embed(encoding.ids) for encoding in self._encodings], dim=1)

    def _forward(self, embeddings: Tensor, places: Tensor | None = None) -> Tensor:
        split = self.segments[1].start
        found = []
        if places is None:
            parts = [(embeddings[:, part], None) for part in self.segments]
        else:
            # Rows of one length may differ in how much of it is the first text: one by one, for deletion only.
            counts = (places < split).sum(1)
            if len(set(counts.tolist())) > 1:
                return torch.cat(
                    [self._forward(embeddings[i, None], places[i, None]) for i in range(len(embeddings))],
                    dim=1,
                )
            count = int(counts[0])
            parts = [
                (embeddings[:, :count], places[:, :count]),
                (embeddings[:, count:], places[:, count:] - split),
            ]
        for encoding, (part, where) in zip(self._encodings, parts, strict=True):
            states = self.model(inputs_embeds=part, **encoding.extra(len(part), where)).last_hidden_state
            found.append(states[:, 0] if self.adapter.pooling == "first" else states.mean(1))
        return torch.nn.functional.cosine_similarity(*found, dim=-1)[None, :, None]

    def _choose(self, logits: Tensor) -> None:
        self._places, self._ids = [0], torch.zeros(1, dtype=torch.long, device=logits.device)
        self.prediction = Prediction((PROMPT,), (float(logits[0, 0, 0]),), ())

    def _outputs(self, values: Sequence[float]) -> Iterator[Output]:
        yield Output(PROMPT, 0, values[0], None)
