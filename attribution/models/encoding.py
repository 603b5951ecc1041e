"""Encodings: texts as tokens and model inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from attribution import text as texts
from attribution.types import Segment, Token


@dataclass(frozen=True)
class Encoding:
    """A cleaned text (or pair) as the model reads it; ``inputs`` are tensors [1, inputs], not padded."""

    tokens: tuple[Token, ...]
    inputs: dict[str, Tensor]

    @property
    def ids(self) -> Tensor:
        return self.inputs["input_ids"]

    def extra(self, batch: int, places: Tensor | None = None) -> dict[str, Tensor]:
        """The model's other arguments for ``batch`` rows, of the tokens ``places`` [batch, inputs] only."""
        others = {name: row.expand(batch, -1) for name, row in self.inputs.items() if name != "input_ids"}
        return others if places is None else {name: rows.gather(1, places) for name, rows in others.items()}

    def with_token(self, places: list[int], token: int) -> Encoding:
        """A copy with ``token`` at ``places``."""
        ids = self.ids.clone()
        ids[0, places] = token
        return Encoding(self.tokens, {**self.inputs, "input_ids": ids})


def read_tokens(
    row: Any, text: str, second: str | None = None, segment: Segment = "text"
) -> tuple[Token, ...]:
    """The tokens of a ``tokenizers.Encoding`` of a text (of the given segment) or a pair."""
    return tuple(
        _special_token(row, i, segment)
        if row.special_tokens_mask[i] and row.offsets[i][0] == row.offsets[i][1]
        else _text_token(row, i, text, second, segment)
        for i in range(len(row.ids))
    )


def _special_token(row: Any, i: int, segment: Segment) -> Token:
    """A special token, placed at the end of the text that precedes it."""
    before = [j for j in range(i) if row.sequence_ids[j] is not None]
    if not before:
        return Token(row.tokens[i], row.ids[i], 0, 0, special=True, segment=segment)
    sequence = row.sequence_ids[before[-1]]
    end = max(row.offsets[j][1] for j in before if row.sequence_ids[j] == sequence)
    behind: Segment = "second" if sequence == 1 else segment
    return Token(row.tokens[i], row.ids[i], end, end, special=True, segment=behind)


def _text_token(row: Any, i: int, text: str, second: str | None, segment: Segment) -> Token:
    start, end = row.offsets[i]
    source = text
    if second is not None and row.sequence_ids[i] == 1:
        source, segment = second, "second"
    start, end = texts.snap_to_characters(source, start, end)
    return Token(
        source[start:end], row.ids[i], start, end, word=texts.word_at(source, start), segment=segment
    )
