"""f = the start and the end of an answer in the second text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from attribution import text as texts
from attribution.errors import BadOption, UnknownTarget, quote
from attribution.models.reader import Reader
from attribution.models.readers.token_level import TokenLevel
from attribution.models.scoring.arguments import EMBEDDED
from attribution.models.targets.choice import UNREAD, Choice, quantify
from attribution.models.targets.labels import RUNNER_UP
from attribution.types import Output, Prediction

LONGEST = 30
"""Longest predicted answer, in tokens."""
ENDS = ("start", "end")


@dataclass(frozen=True, eq=False, kw_only=True)
class QuestionAnswering(TokenLevel):
    """Classes are the places of the text.

    Outputs: the start and the end of the answer, or the one that the target names.
    """

    def logits(self, answer: Any, arguments: dict[str, Any], places: Tensor | None) -> Tensor:
        both = torch.stack([answer.start_logits, answer.end_logits])[:, :, : arguments[EMBEDDED].shape[1]]
        if places is None:
            return both
        full = torch.full(
            (2, len(places), len(self.tokens)),
            torch.finfo(both.dtype).min,
            dtype=both.dtype,
            device=both.device,
        )
        return full.scatter(2, places[None].expand(2, -1, -1), both)

    def choose(self, logits: Tensor) -> Choice:
        rows, label = logits[:, 0].float(), self.target.label
        names = label if isinstance(label, tuple) else (label,)
        answers = [name for name in names if name not in ENDS and name is not None]
        span = self._span_of(rows, answers[0]) if answers else self._best_span(rows)
        ends = [ENDS.index(str(name)) for name in names if name in ENDS] or [0, 1]
        other = self._contrast(rows, span)
        probabilities = [float(quantify(rows[end], "probability")[span[end]]) for end in range(2)]
        ids = [span[end] for end in ends]
        outputs = tuple(
            Output(
                f"{ENDS[end]}: {self.tokens[span[end]].text}",
                span[end],
                UNREAD,
                probabilities[end],
                position=span[end],
                contrast="" if other is None else self.tokens[other[end]].text,
            )
            for end in ends
        )
        prediction = Prediction(
            tuple(f"{name}: {self.tokens[place].text}" for name, place in zip(ENDS, span, strict=True)),
            tuple(float(rows[end, span[end]]) for end in range(2)),
            tuple(probabilities),
            (self.second or "")[self.tokens[span[0]].start : self.tokens[span[1]].end],
        )
        return Choice(
            positions=tuple(ends),
            ids=torch.tensor(ids, device=rows.device),
            outputs=outputs,
            prediction=prediction,
            quantity=self.target.quantity,
            against=None if other is None else torch.tensor([other[end] for end in ends], device=rows.device),
            multi_label=self.adapter.multi_label,
        )

    def _answerable(self) -> list[int]:
        """The inputs that an answer may consist of."""
        return [i for i, token in enumerate(self.tokens) if token.segment == "second" and not token.special]

    def _contrast(self, rows: Tensor, span: tuple[int, int]) -> tuple[int, int] | None:
        """The start and the end that those of the answer are contrasted with."""
        if self.target.contrast is None:
            return None
        if self.target.contrast == RUNNER_UP:
            return self._runner_up(rows, span)
        return self._span_of(rows, self.target.contrast, span)

    def _best_span(self, rows: Tensor) -> tuple[int, int]:
        """The most probable span of the second text: the largest sum of a start and a later end."""
        inside = self._answerable()
        square = torch.ones(len(inside), len(inside), dtype=torch.bool, device=rows.device)
        allowed = square.triu() & ~square.triu(LONGEST)
        both = (rows[0, inside][:, None] + rows[1, inside][None]).masked_fill(~allowed, -float("inf"))
        index = int(both.argmax())
        return inside[index // len(inside)], inside[index % len(inside)]

    def _runner_up(self, rows: Tensor, span: tuple[int, int]) -> tuple[int, int]:
        """For start and end each the most probable other place."""
        inside = self._answerable()
        start, end = (
            max((i for i in inside if i != span[k]), key=lambda i: float(rows[k, i]), default=span[k])
            for k in range(2)
        )
        return start, end

    def _span_of(
        self, rows: Tensor, answer: str | int, other: tuple[int, int] | None = None
    ) -> tuple[int, int]:
        """The place of an answer that the caller gives: of several, the one that the model prefers.

        ``other`` is a place that it must not be. An occurrence inside a word counts only where it consists of
        tokens, as in "5km". Raises ``UnknownTarget``, and ``BadOption`` where only ``other`` is left.
        """
        second, answer = self.second or "", str(answer)
        places = [
            (self._rank(start, end, answer), inputs)
            for start, end in texts.occurrences(second, answer)
            if (inputs := self._inputs_of(start, end))
        ]
        if not places:
            occurs = (
                "occurs only inside other words of"
                if texts.occurrences(second, answer)
                else "does not occur in"
            )
            raise UnknownTarget(
                f"{quote(answer)} {occurs} the second text.",
                "Give an answer that occurs there, 'start' or 'end'.",
            )
        others = [place for place in places if place[1] != other]
        if not others:
            raise BadOption(
                f"The contrast is the explained answer itself, {quote(answer)}.", "Choose another one."
            )
        best = max(rank for rank, _ in others)
        return max(
            (inputs for rank, inputs in others if rank == best),
            key=lambda inputs: float(rows[0, inputs[0]] + rows[1, inputs[1]]),
        )

    def _rank(self, start: int, end: int, answer: str) -> tuple[bool, bool]:
        """Of occurrences, whole words come first, and then those that are spelled as the caller does."""
        second = self.second or ""
        return texts.stands_apart(second, start, end), second[start:end] == answer.strip()

    def _inputs_of(self, start: int, end: int) -> tuple[int, int] | None:
        """The first and last input of a span of the second text; None where it is a part of tokens only."""
        covered = [i for i in self._answerable() if self.tokens[i].start < end and start < self.tokens[i].end]
        if not covered:
            return None
        first, last = covered[0], covered[-1]
        fits = self.tokens[first].start == start and self.tokens[last].end == end
        return (first, last) if fits or texts.stands_apart(self.second or "", start, end) else None

    def deletable(self, choice: Choice) -> Tensor:
        """All but the explained places, which are the classes here."""
        deletable = Reader.deletable(self, choice)
        deletable[choice.ids.cpu()] = False
        if choice.against is not None:
            deletable[choice.against.cpu()] = False
        return deletable
