"""f = the label of a token, such as the kind of a name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from attribution.models.labels import class_index, contrasts
from attribution.models.objective import quantify
from attribution.models.objectives.token_level import TokenLevel
from attribution.types import MANY, Output, Prediction

OUTSIDE = "O"
"""The usual label of a token that is nothing in particular."""


class TokenClassification(TokenLevel):
    """Outputs: the first token of each word, with its predicted label.

    Without a position, the words whose label is not ``O`` (or the likeliest such word, if there is none); a label without a
    position is explained where it is most probable.
    """

    def _choose(self, logits: Tensor) -> None:
        rows, labels, label = logits[:, 0].float(), self.adapter.info.labels, self.target.label
        self._said = rows
        places = self._interesting(rows) if self.target.position is None else self._text_places()
        if label is None:
            ids = [int(rows[i].argmax()) for i in places]
        else:
            wanted = [class_index(labels, one) for one in (label if isinstance(label, tuple) else (label,))]
            if self.target.position is None:
                first = self._firsts()
                places = [first[int(rows[first, index].argmax())] for index in wanted]
                ids = wanted
            else:
                ids = [index for _ in places for index in wanted]
                places = [place for place in places for _ in wanted]
        self._places, self._ids = places, torch.tensor(ids, device=rows.device)
        self._contrast = contrasts(labels, self.target.contrast, [rows[i] for i in places], ids)
        self._against = None if self._contrast is None else torch.tensor(self._contrast, device=rows.device)
        shown = rows[places[0]]
        self.prediction = Prediction(
            labels, tuple(shown.tolist()), tuple(quantify(shown, "probability").tolist())
        )

    def _firsts(self) -> list[int]:
        """The first token of each word."""
        seen: set[int | None] = set()
        found = []
        for i, token in enumerate(self.tokens):
            if not token.special and (token.word is None or token.word not in seen):
                seen.add(token.word)
                found.append(i)
        return found

    def _interesting(self, rows: Tensor) -> list[int]:
        first, labels = self._firsts(), self.adapter.info.labels
        if OUTSIDE not in labels:
            return first[:MANY]
        outside = labels.index(OUTSIDE)
        found = [i for i in first if int(rows[i].argmax()) != outside]
        return found[:MANY] or [min(first, key=lambda i: float(rows[i].softmax(-1)[outside]))]

    def _outputs(self, values: Sequence[float]) -> Iterator[Output]:
        labels = self.adapter.info.labels
        for k, (place, index, value) in enumerate(zip(self._places, self._ids.tolist(), values, strict=True)):
            token = self.tokens[place]
            chance = float(quantify(self._said[place], "probability")[index])
            against = "" if self._contrast is None else labels[self._contrast[k]]
            yield Output(
                f"{token.text}: {labels[index]}", index, value, chance, position=place, contrast=against
            )
