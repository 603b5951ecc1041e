"""f = where an answer starts and where it ends in the second text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from attribution.errors import UnknownTarget, quote
from attribution.models.adapter import EMBEDDED
from attribution.models.objective import Objective, quantify
from attribution.models.objectives.token_level import TokenLevel
from attribution.types import Output, Prediction

LONGEST = 30
"""Tokens of an answer that the model finds itself."""
ENDS = ("start", "end")


class QuestionAnswering(TokenLevel):
    """Classes are the places of the text. Outputs: the start and the end of the answer, or the one that the target names."""

    def _logits(self, said: Any, inputs: dict[str, Any], places: Tensor | None) -> Tensor:
        both = torch.stack([said.start_logits, said.end_logits])[:, :, : inputs[EMBEDDED].shape[1]]
        if places is None:
            return both
        full = torch.full(
            (2, len(places), len(self.tokens)),
            torch.finfo(both.dtype).min,
            dtype=both.dtype,
            device=both.device,
        )
        return full.scatter(2, places[None].expand(2, -1, -1), both)

    def _choose(self, logits: Tensor) -> None:
        rows, label = logits[:, 0].float(), self.target.label
        inside = [i for i, token in enumerate(self.tokens) if token.segment == "second" and not token.special]
        names = label if isinstance(label, tuple) else (label,)
        ends = [one for one in names if one in ENDS]
        answers = [one for one in names if one not in ENDS and one is not None]
        first, last = self._span_of(answers[0], inside) if answers else self._best(rows, inside)
        self._wanted = [ENDS.index(str(e)) for e in ends] or [0, 1]
        self._places = self._wanted
        spots = (first, last)
        self._ids = torch.tensor([spots[w] for w in self._wanted], device=rows.device)
        self._contrast: tuple[int, int] | None = None
        if self.target.contrast is not None:
            self._contrast = (
                self._other(rows, inside, spots)
                if self.target.contrast == "runner-up"
                else self._span_of(self.target.contrast, inside)
            )
            self._against = torch.tensor([self._contrast[w] for w in self._wanted], device=rows.device)
        chances = [float(quantify(rows[w], "probability")[spots[w]]) for w in range(2)]
        self._chances = [chances[w] for w in self._wanted]
        numbers = tuple(float(rows[w, spots[w]]) for w in range(2))
        text = (self.second or "")[self.tokens[first].start : self.tokens[last].end]
        self.prediction = Prediction(
            tuple(f"{e}: {self.tokens[s].text}" for e, s in zip(ENDS, spots, strict=True)),
            numbers,
            tuple(chances),
            text,
        )

    def _best(self, rows: Tensor, inside: list[int]) -> tuple[int, int]:
        """The most probable span of the second text: the largest sum of a start and a later end."""
        square = torch.ones(len(inside), len(inside), dtype=torch.bool, device=rows.device)
        allowed = square.triu() & ~square.triu(LONGEST)
        both = (rows[0, inside][:, None] + rows[1, inside][None]).masked_fill(~allowed, -float("inf"))
        index = int(both.argmax())
        return inside[index // len(inside)], inside[index % len(inside)]

    def _other(self, rows: Tensor, inside: list[int], spots: tuple[int, int]) -> tuple[int, int]:
        """For start and end each the most probable other place."""
        found = [
            max((i for i in inside if i != spots[w]), key=lambda i: float(rows[w, i]), default=spots[w])
            for w in range(2)
        ]
        return found[0], found[1]

    def _span_of(self, answer: str | int, inside: list[int]) -> tuple[int, int]:
        at = (self.second or "").casefold().find(str(answer).casefold())
        covered = [i for i in inside if at <= self.tokens[i].start < at + len(str(answer))] if at >= 0 else []
        if not covered:
            raise UnknownTarget(
                f"{quote(answer)} does not stand in the second text.",
                "Give an answer as it stands there, 'start' or 'end'.",
            )
        return covered[0], covered[-1]

    def _outputs(self, values: Sequence[float]) -> Iterator[Output]:
        for k, (which, value) in enumerate(zip(self._wanted, values, strict=True)):
            place = int(self._ids[k])
            other = "" if self._contrast is None else self.tokens[self._contrast[which]].text
            yield Output(
                f"{ENDS[which]}: {self.tokens[place].text}",
                place,
                value,
                self._chances[k],
                position=place,
                contrast=other,
            )

    def _deletable(self) -> Tensor:
        kept = Objective._deletable(self)
        kept[self._ids.cpu()] = False
        if self._against is not None:
            kept[self._against.cpu()] = False
        return kept
