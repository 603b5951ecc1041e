"""The same words under different tokenizers: each attribution's scores summed over the words of the text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attribution import text as texts
from attribution.models import tasks
from attribution.types import Attribution, Segment

SEGMENTS: tuple[Segment, ...] = ("text", "second", "generated")


@dataclass(frozen=True, slots=True)
class Word:
    """One word: ``text`` at code points ``start`` to ``end`` of its segment, whose words are counted by ``index`` from 0."""

    segment: Segment
    index: int
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Alignment:
    """Scores by word, in reading order; one row for each attribution.

    Parameters ---------- words : every word that at least one row scores. scores : float64 [rows, words]; NaN
    where a row has no such word: its tokenizer sees none there, or the model wrote another one. errors :
    float64 [rows, words], the standard error of each score, 0 where the method gives none. totals : float64
    [rows], the sum of all absolute scores, those of special tokens included.
    """

    words: tuple[Word, ...]
    scores: np.ndarray
    errors: np.ndarray
    totals: np.ndarray

    @property
    def shares(self) -> np.ndarray:
        """Scores as shares of the row's sum of absolute scores, [rows, words]; 0 where that sum is 0."""
        return self.scores / np.where(self.totals > 0, self.totals, 1.0)[:, None]


def aligned(results: Sequence[Attribution | None], output: int = 0) -> Alignment:
    """The scores of one output of each attribution by word; a row of NaN for None or where there is no such output."""
    rows = [
        ({}, 0.0) if one is None or output >= len(one.outputs) else _by_word(one, output) for one in results
    ]
    order = sorted(
        {word for found, _ in rows for word in found},
        key=lambda w: (SEGMENTS.index(w.segment), w.start, w.end, w.text),
    )
    scores, errors = np.full((2, len(rows), len(order)), np.nan)
    for i, (found, _) in enumerate(rows):
        for j, word in enumerate(order):
            if word in found:
                scores[i, j], errors[i, j] = found[word]
    return Alignment(tuple(order), scores, np.nan_to_num(errors), np.array([total for _, total in rows]))


def _by_word(result: Attribution, output: int) -> tuple[dict[Word, tuple[float, float]], float]:
    """The sums of scores and of standard errors over each word's tokens, and the sum of all absolute scores."""
    scores = result.scores[output]
    errors = np.zeros_like(scores) if result.errors is None else result.errors[output]
    spans = {segment: texts.words(result.source(segment)) for segment in SEGMENTS}
    found: dict[Word, tuple[float, float]] = {}
    outside = 0.0
    for i, place in enumerate(_places(result, output)):
        if place is None:
            outside += abs(scores[i])
            continue
        segment, index = place
        start, end = spans[segment][index]
        word = Word(segment, index, start, end, result.source(segment)[start:end])
        before = found.get(word, (0.0, 0.0))
        found[word] = (before[0] + float(scores[i]), before[1] + float(errors[i]))
    return found, float(outside + sum(abs(score) for score, _ in found.values()))


def _places(result: Attribution, output: int) -> list[tuple[Segment, int] | None]:
    """The word of each token; None for special tokens, for what is no word, and for what was generated after the output.

    A token without a span of its own, such as the mark that a sentence begins, goes to the word that follows
    it.
    """
    places: list[tuple[Segment, int] | None] = []
    position = result.outputs[output].position if tasks.of(result.model.task).writes else None
    written = 0
    for token in result.tokens:
        later = token.segment == "generated" and position is not None and written >= position
        written += token.segment == "generated"
        there = not token.special and token.word is not None and not later
        places.append((token.segment, token.word) if there and token.word is not None else None)
    following: tuple[Segment, int] | None = None
    for i in range(len(places) - 1, -1, -1):
        token = result.tokens[i]
        if token.special:
            continue
        if places[i] is not None and token.start < token.end:
            following = places[i]
        elif token.start == token.end and following is not None and following[0] == token.segment:
            places[i] = following
    return places
