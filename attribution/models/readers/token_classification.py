"""f = the label of a token, such as the kind of a name."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from attribution.models.reader import target_places
from attribution.models.readers.token_level import TokenLevel
from attribution.models.targets.choice import UNREAD, Choice, quantify
from attribution.models.targets.labels import class_index, contrasts
from attribution.scripts import is_unspaced
from attribution.types import MANY, Output, Prediction

OUTSIDE = "O"
"""The usual label of tokens outside every entity."""


@dataclass(frozen=True, eq=False, kw_only=True)
class TokenClassification(TokenLevel):
    """Outputs: the first token of each word, with its predicted label.

    Without a position, the words whose label is not ``O`` (or the likeliest such word, if there is none); a
    label without a position is explained where it is most probable.
    """

    def choose(self, logits: Tensor) -> Choice:
        rows, labels = logits[:, 0].float(), self.adapter.info.labels
        places, ids = self._places_and_labels(rows)
        against = contrasts(labels, self.target.contrast, [rows[i] for i in places], ids)
        outputs = tuple(
            Output(
                f"{self.tokens[place].text}: {labels[index]}",
                index,
                UNREAD,
                float(quantify(rows[place], "probability")[index]),
                position=place,
                contrast="" if against is None else labels[against[k]],
            )
            for k, (place, index) in enumerate(zip(places, ids, strict=True))
        )
        first = rows[places[0]]
        return Choice(
            positions=tuple(places),
            ids=torch.tensor(ids, device=rows.device),
            outputs=outputs,
            prediction=Prediction(
                labels, tuple(first.tolist()), tuple(quantify(first, "probability").tolist())
            ),
            quantity=self.target.quantity,
            against=None if against is None else torch.tensor(against, device=rows.device),
            multi_label=self.adapter.multi_label,
        )

    def _places_and_labels(self, rows: Tensor) -> tuple[list[int], list[int]]:
        """The explained tokens and the class of each, by ``rows`` [inputs, classes]."""
        labels, label = self.adapter.info.labels, self.target.label
        if label is None:
            everywhere = self.target.position is None
            places = self._labelled_words(rows) if everywhere else target_places(self.tokens, self.target)
            return places, [int(rows[i].argmax()) for i in places]
        ids = [class_index(labels, name) for name in (label if isinstance(label, tuple) else (label,))]
        if self.target.position is None:
            first = self._first_tokens()
            return [first[int(rows[first, index].argmax())] for index in ids], ids
        places = target_places(self.tokens, self.target)
        return [place for place in places for _ in ids], [index for _ in places for index in ids]

    def _first_tokens(self) -> list[int]:
        """The first token of each word, and each token of a script without spaces between words."""
        words: set[int | None] = set()
        places = []
        for i, token in enumerate(self.tokens):
            if not token.special and (token.word not in words or is_unspaced(token.text)):
                words.add(token.word)
                places.append(i)
        return places

    def _labelled_words(self, rows: Tensor) -> list[int]:
        """The words whose label is not ``O``, or the likeliest such word."""
        first, labels = self._first_tokens(), self.adapter.info.labels
        if OUTSIDE not in labels:
            return first[:MANY]
        outside = labels.index(OUTSIDE)
        places = [i for i in first if int(rows[i].argmax()) != outside]
        return places[:MANY] or [min(first, key=lambda i: float(rows[i].softmax(-1)[outside]))]
