"""f with characters as inputs: a text without some of them is read, and split into tokens, anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from attribution import text as texts
from attribution.errors import BadOption, EmptyInput, Unsupported
from attribution.models.adapter import Adapter
from attribution.models.base_adapter import BaseAdapter
from attribution.models.deadline import Deadline
from attribution.models.features import Features, features_of
from attribution.models.function import FunctionObjective, WordText
from attribution.models.objective import Objective
from attribution.models.perturbable import Perturbable
from attribution.request import Target
from attribution.types import Output, Prediction, Quantity, Segment, Token


class CharacterText(WordText):
    """A text (or pair) whose inputs are its visible characters (grapheme clusters)."""

    @cached_property
    def tokens(self) -> tuple[Token, ...]:
        return (*_characters(self.text, "text"), *_characters(self.second or "", "second"))


@dataclass(frozen=True, eq=False, kw_only=True)
class CharacterObjective(Perturbable):
    """f of a loaded model, with the characters of the text as inputs.

    For models whose output belongs to the whole text. Of a similarity, one text is varied at a time.
    """

    base: Objective
    source: CharacterText
    companion: Adapter | None = None
    previews: bool = False

    @property
    def deadline(self) -> Deadline:  # type: ignore[override]
        return self.base.deadline

    @property
    def adapter(self) -> BaseAdapter:
        return self.base.adapter

    @property
    def text(self) -> str:
        return self.base.text

    @property
    def second(self) -> str | None:
        return self.base.second

    @property
    def target(self) -> Target:
        return self.base.target

    @property
    def tokens(self) -> tuple[Token, ...]:
        return self.source.tokens

    @property
    def outputs(self) -> tuple[Output, ...]:
        return self.base.outputs

    @property
    def prediction(self) -> Prediction:
        return self.base.prediction

    @property
    def quantity(self) -> str:
        return self.base.quantity

    @property
    def values(self) -> Tensor:
        return self.base.values

    @property
    def notes(self) -> tuple[str, ...]:
        return self.base.notes

    def replace(
        self,
        *,
        deadline: Deadline | None = None,
        companion: Adapter | None = None,
        previews: bool | None = None,
    ) -> Self:
        return replace(
            self,
            base=self.base.replace(deadline=deadline),
            companion=self.companion if companion is None else companion,
            previews=self.previews if previews is None else previews,
        )

    def part(self, rows: Sequence[int]) -> Self:
        return replace(self, base=self.base.part(rows))

    def with_quantity(self, quantity: Quantity) -> Self:
        return replace(self, base=self.base.with_quantity(quantity))

    def evaluate_features(self, features: Features, present: np.ndarray, hide: str = "auto") -> Tensor:
        if hide not in ("auto", "delete", "mask"):
            raise BadOption(f"Nothing in a text stands for {hide!r}.", "Use 'delete' or 'mask'.")
        filler = self.base.adapter.tokenizer.mask_token if hide == "mask" else ""
        if filler is None:
            raise BadOption("This model has no mask token.", "Use 'delete'.")
        unique, back = np.unique(np.asarray(present, dtype=bool), axis=0, return_inverse=True)
        values = []
        for row in features.present_inputs(unique, len(self.tokens)):
            changed = self.source.without(row, filler)
            text, second = changed if isinstance(changed, tuple) else (changed, None)
            if self.base.adapter.task.pools:
                both = self._value(text, self.second) + self._value(self.text, second)
                values.append(both - self.values)
            else:
                values.append(self._value(text, second))
        return torch.stack(values, dim=1)[:, torch.from_numpy(back.reshape(-1))]

    def _value(self, text: str, second: str | None) -> Tensor:
        """The values of other texts, [outputs]; of one without tokens, those where all tokens are deleted."""
        base = self.base
        if (text, second) == (self.text, self.second):
            return self.values
        self.deadline.check()
        try:
            reader = type(base.reader).prepare(
                base.adapter, text, base.reader.target, self.deadline, second=second
            )
        except EmptyInput:
            segments = [s for s, t in (("text", text), ("second", second)) if t is not None and not t.strip()]
            groups = features_of(base, "tokens")
            stays = [base.tokens[group[0]].segment not in segments for group in groups.groups]
            return base.evaluate_features(groups, np.array([stays]), "delete")[:, 0]
        root = reader.embeddings().detach()[0]
        moved = replace(base, reader=reader, root=root, slope=None, first_pass=None)
        return moved.evaluate(root[None])[:, 0]


def by_character(f: Perturbable, options: Mapping[str, Any]) -> Perturbable:
    """Take characters as the inputs of f where a method's options ask for them. Raises ``Unsupported``."""
    if options.get("features") != "characters":
        return f
    if isinstance(f, FunctionObjective):
        return replace(f, source=CharacterText(f.text, f.second))
    task = f.adapter.task
    if not isinstance(f, Objective) or not (task.classifies or task.pools):
        raise Unsupported(
            f"Characters are hidden where a whole text is read as one, not in {task.title}.",
            "Use features='tokens'.",
        )
    return CharacterObjective(base=f, source=CharacterText(f.text, f.second))


def _characters(source: str, segment: Segment) -> list[Token]:
    return [
        Token(source[start:end], i, start, end, word=texts.word_of(source, start, end), segment=segment)
        for i, (start, end) in enumerate(texts.characters(source))
    ]
