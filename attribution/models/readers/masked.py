"""f = a token in the place of a mask."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from attribution.errors import InputError, UnknownTarget
from attribution.models.adapter import Adapter
from attribution.models.deadline import Deadline
from attribution.models.reader import target_places
from attribution.models.readers.token_level import TokenLevel
from attribution.models.targets.choice import UNREAD, Choice, quantify
from attribution.models.targets.vocabulary import against_ids, token_id
from attribution.request import Target
from attribution.types import Output, Prediction

SHOWN = 8
"""Tokens listed in the prediction."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Masked(TokenLevel):
    """Outputs: the masks in the text, or the tokens that ``target.position`` names, which are masked then."""

    masks: tuple[int, ...]

    @classmethod
    def prepare(
        cls, adapter: Adapter, text: str, target: Target, deadline: Deadline, *, second: str | None = None
    ) -> Self:
        encoding = adapter.encode(text, second)
        tokens = encoding.tokens
        mask = adapter.tokenizer.mask_token_id
        masks = [i for i, index in enumerate(encoding.ids[0].tolist()) if index == mask]
        if target.position is not None:
            masks = target_places(tokens, target)
            encoding = encoding.with_token(masks, mask)
            tokens = tuple(
                replace(token, id=mask, text=adapter.tokenizer.mask_token) if i in masks else token
                for i, token in enumerate(tokens)
            )
        if not masks:
            raise InputError(
                "There is no mask in the text.",
                f"Write {adapter.tokenizer.mask_token} in the place of a word, "
                "or give the position of a token.",
            )
        return cls(
            adapter=adapter,
            text=text,
            second=second,
            target=target,
            tokens=tokens,
            encoding=encoding,
            masks=tuple(masks),
        )

    def choose(self, logits: Tensor) -> Choice:
        rows = logits[:, 0].float()
        places, ids = self._places_and_tokens(rows)
        against = against_ids(self.adapter, self.target.contrast, [rows[i] for i in places], ids)
        text_of = self.adapter.text_of
        outputs = tuple(
            Output(
                text_of([index]),
                index,
                UNREAD,
                float(quantify(rows[place], "probability")[index]),
                position=place,
                contrast="" if against is None else text_of([against[k]]),
            )
            for k, (place, index) in enumerate(zip(places, ids, strict=True))
        )
        return Choice(
            positions=tuple(places),
            ids=torch.tensor(ids, device=rows.device),
            outputs=outputs,
            prediction=self._predict(rows[places[0]]),
            quantity=self.target.quantity,
            against=None if against is None else torch.tensor(against, device=rows.device),
            multi_label=self.adapter.multi_label,
        )

    def _predict(self, row: Tensor) -> Prediction:
        """The most probable tokens at one position, by its logits [vocabulary]."""
        best = row.topk(min(SHOWN, row.shape[-1]))
        names = tuple(self.adapter.text_of([int(index)]) for index in best.indices)
        return Prediction(names, tuple(best.values.tolist()), tuple(row.softmax(-1)[best.indices].tolist()))

    def _places_and_tokens(self, rows: Tensor) -> tuple[list[int], list[int]]:
        """The explained masks and the token in place of each, by ``rows`` [inputs, vocabulary]."""
        label, places = self.target.label, list(self.masks)
        if label is None:
            return places, [int(rows[i].argmax()) for i in places]
        if not isinstance(label, tuple):
            return places, [token_id(self.adapter, label)] * len(places)
        if len(label) != len(places) and len(places) > 1:
            raise UnknownTarget(
                f"{len(label)} tokens are named for {len(places)} masks.",
                "Name one for each, or one for all.",
            )
        ids = [token_id(self.adapter, name) for name in label]
        return (places if len(places) == len(ids) else places * len(ids)), ids

    def fixed_inputs(self) -> Tensor:
        fixed = super().fixed_inputs()
        fixed[list(self.masks)] = True
        return fixed
