"""Encodings: texts as tokens and model inputs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tokenizers import Tokenizer, normalizers
from torch import Tensor

from attribution import scripts
from attribution import text as texts
from attribution.sentences import CANNOT_READ
from attribution.types import Segment, Token

MOST = 0.5
"""Share of a text's tokens, or of its characters, from which it counts as unread."""


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


def read_lower_case(pieces: Tokenizer) -> None:
    """Make a tokenizer read texts in lower case, whatever else it normalises."""
    steps = [normalizers.Lowercase(), *([pieces.normalizer] if pieces.normalizer is not None else [])]
    pieces.normalizer = normalizers.Sequence(steps)


def read_tokens(
    row: Any,
    text: str,
    second: str | None = None,
    segment: Segment = "text",
    *,
    prompt: int = 0,
    unknown: tuple[int | None, str] = (None, ""),
) -> tuple[Token, ...]:
    """The tokens of a ``tokenizers.Encoding`` of a text (of the given segment) or a pair.

    ``prompt`` is the length of what was put in front of the text; its tokens are special ones. A token with
    the id and name ``unknown``, such as [UNK], has no other text: that is all that the model reads.
    """
    tokens = []
    for i in range(len(row.ids)):
        start, end = row.offsets[i]
        if row.special_tokens_mask[i] and start == end:
            token = _special_token(row, i, segment)
            place = max(0, token.end - prompt)
            tokens.append(replace(token, start=place, end=place))
        elif end <= prompt:
            tokens.append(Token(row.tokens[i], row.ids[i], 0, 0, special=True, segment=segment))
        else:
            token = _text_token(row, i, text, second, segment, prompt)
            lost = token.id == unknown[0] and token.start < token.end
            tokens.append(replace(token, text=unknown[1]) if lost else token)
    return tuple(tokens)


def _special_token(row: Any, i: int, segment: Segment) -> Token:
    """A special token, placed at the end of the text that precedes it."""
    before = [j for j in range(i) if row.sequence_ids[j] is not None]
    if not before:
        return Token(row.tokens[i], row.ids[i], 0, 0, special=True, segment=segment)
    sequence = row.sequence_ids[before[-1]]
    end = max(row.offsets[j][1] for j in before if row.sequence_ids[j] == sequence)
    behind: Segment = "second" if sequence == 1 else segment
    return Token(row.tokens[i], row.ids[i], end, end, special=True, segment=behind)


def _text_token(row: Any, i: int, text: str, second: str | None, segment: Segment, prompt: int) -> Token:
    start, end = (max(0, place - prompt) for place in row.offsets[i])
    source = text
    if second is not None and row.sequence_ids[i] == 1:
        source, segment = second, "second"
    start, end = texts.snap_to_characters(source, start, end)
    word = texts.word_of(source, start, end)
    return Token(source[start:end], row.ids[i], start, end, word=word, segment=segment)


def unread(tokens: Sequence[Token], unknown: int | None) -> tuple[str, ...]:
    """A note where most of a text is the token of the id ``unknown`` for a model."""
    visible = [t for t in tokens if not t.special and t.segment != "generated" and t.start < t.end]
    lost = [token for token in visible if token.id == unknown]
    share = _length(lost) / max(1, _length(visible))
    if not lost or max(len(lost) / len(visible), share) <= MOST:
        return ()
    return (
        f"{CANNOT_READ}: {len(lost)} of its {len(visible)} tokens, with {share:.0%} of its characters, are "
        f"{lost[0].text}, the same whatever is written there. Its prediction says little about this text.",
    )


def unsegmented(texts: Iterable[str | None]) -> tuple[str, ...]:
    """A note where words cannot be found without a package that is not installed."""
    notes = (scripts.missing(text) for text in texts if text)
    return tuple(dict.fromkeys(note for note in notes if note))


def _length(tokens: Sequence[Token]) -> int:
    return sum(token.end - token.start for token in tokens)
