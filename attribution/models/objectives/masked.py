"""f = a token in the place of a mask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from attribution.errors import InputError, UnknownTarget
from attribution.models.objective import quantify
from attribution.models.objectives.token_level import TokenLevel
from attribution.models.vocabulary import against, token_id
from attribution.types import Output, Prediction

SHOWN = 8
"""Tokens of the prediction that are listed."""


class Masked(TokenLevel):
    """Outputs: one for each mask in the text; or for the tokens that ``target.position`` names, which are masked then."""

    def _prepare(self) -> None:
        super()._prepare()
        mask = self.adapter.tokenizer.mask_token_id
        ids = self._encoding.ids[0].tolist()
        self._masks = [i for i, index in enumerate(ids) if index == mask]
        if self.target.position is not None:
            self._masks = self._text_places()
            self._encoding = self._encoding.masked(self._masks, mask)
            self.tokens = tuple(
                replace(t, id=mask, text=self.adapter.tokenizer.mask_token) if i in self._masks else t
                for i, t in enumerate(self.tokens)
            )
        if not self._masks:
            raise InputError(
                "There is no mask in the text.",
                f"Write {self.adapter.tokenizer.mask_token} in the place of a word, or give the position of a token.",
            )

    def _choose(self, logits: Tensor) -> None:
        rows, label = logits[:, 0].float(), self.target.label
        if isinstance(label, tuple) and len(label) != len(self._masks) and len(self._masks) > 1:
            raise UnknownTarget(
                f"{len(label)} tokens are named for {len(self._masks)} masks.",
                "Name one for each, or one for all.",
            )
        places = list(self._masks)
        if label is None:
            ids = [int(rows[i].argmax()) for i in places]
        elif isinstance(label, tuple):
            ids = [token_id(self.adapter, one) for one in label]
            places = places if len(places) == len(ids) else places * len(ids)
        else:
            ids = [token_id(self.adapter, label)] * len(places)
        self._places, self._ids = places, torch.tensor(ids, device=rows.device)
        self._chances = [float(quantify(rows[i], "probability")[k]) for i, k in zip(places, ids, strict=True)]
        self._contrast = against(self.adapter, self.target.contrast, [rows[i] for i in places], ids)
        self._against = None if self._contrast is None else torch.tensor(self._contrast, device=rows.device)
        best = rows[places[0]].topk(min(SHOWN, rows.shape[-1]))
        chances = rows[places[0]].softmax(-1)[best.indices]
        names = tuple(self.adapter.text_of([int(index)]) for index in best.indices)
        self.prediction = Prediction(names, tuple(best.values.tolist()), tuple(chances.tolist()))

    def _outputs(self, values: Sequence[float]) -> Iterator[Output]:
        for k, (place, index, value) in enumerate(zip(self._places, self._ids.tolist(), values, strict=True)):
            other = "" if self._contrast is None else self.adapter.text_of([self._contrast[k]])
            yield Output(
                self.adapter.text_of([index]), index, value, self._chances[k], position=place, contrast=other
            )

    def _fixed(self) -> Tensor:
        fixed = super()._fixed()
        fixed[self._masks] = True
        return fixed
