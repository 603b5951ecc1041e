"""Make attributions of different tokenizers comparable: sum their scores over the words of the text."""

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
    """A word at code points ``start`` to ``end`` of its segment, where it is word number ``index`` from 0."""

    segment: Segment
    index: int
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Alignment:
    """Scores by word, in reading order, with a row for each attribution.

    Parameters
    ----------
    words : the words that at least one row scores.
    scores : float64 [rows, words]; NaN where a row lacks the word, because its tokenizer drops it or its
        model generated another one.
    errors : float64 [rows, words], the standard error of each score, 0 if the method has none.
    totals : float64 [rows], the sum of all absolute scores, including those of special tokens.
    """

    words: tuple[Word, ...]
    scores: np.ndarray
    errors: np.ndarray
    totals: np.ndarray

    @property
    def shares(self) -> np.ndarray:
        """Scores as shares of the row's total, float64 [rows, words]; 0 if the total is 0."""
        shares: np.ndarray = self.scores / np.where(self.totals > 0, self.totals, 1.0)[:, None]
        return shares


def align(results: Sequence[Attribution | None], output: int = 0) -> Alignment:
    """Sum the scores of one output by word; a row of NaN for None or an attribution without this output."""
    rows = [
        ({}, 0.0) if result is None or output >= len(result.outputs) else _sum_by_word(result, output)
        for result in results
    ]
    order = sorted(
        {word for sums, _ in rows for word in sums},
        key=lambda word: (SEGMENTS.index(word.segment), word.start, word.end, word.text),
    )
    scores, errors = np.full((2, len(rows), len(order)), np.nan)
    for i, (sums, _) in enumerate(rows):
        for j, word in enumerate(order):
            if word in sums:
                scores[i, j], errors[i, j] = sums[word]
    return Alignment(tuple(order), scores, np.nan_to_num(errors), np.array([total for _, total in rows]))


def _sum_by_word(result: Attribution, output: int) -> tuple[dict[Word, tuple[float, float]], float]:
    """The sums of scores and standard errors over each word's tokens, and the sum of all absolute scores."""
    scores = result.scores[output]
    errors = np.zeros_like(scores) if result.errors is None else result.errors[output]
    spans = {segment: texts.words(result.source(segment)) for segment in SEGMENTS}
    sums: dict[Word, tuple[float, float]] = {}
    outside = 0.0
    for i, word_key in enumerate(_word_keys(result, output)):
        if word_key is None:
            outside += abs(scores[i])
            continue
        segment, index = word_key
        start, end = spans[segment][index]
        word = Word(segment, index, start, end, result.source(segment)[start:end])
        score, error = sums.get(word, (0.0, 0.0))
        sums[word] = (score + float(scores[i]), error + float(errors[i]))
    return sums, float(outside + sum(abs(score) for score, _ in sums.values()))


def _word_keys(result: Attribution, output: int) -> list[tuple[Segment, int] | None]:
    """The segment and word index of each token.

    None for special tokens, tokens outside of words, and tokens generated after the output. A token with an
    empty span, such as SentencePiece's "▁", belongs to the word that follows it.
    """
    keys: list[tuple[Segment, int] | None] = []
    position = result.outputs[output].position if tasks.of(result.model.task).writes else None
    generated = 0
    for token in result.tokens:
        later = token.segment == "generated" and position is not None and generated >= position
        generated += token.segment == "generated"
        counted = not token.special and token.word is not None and not later
        keys.append((token.segment, token.word) if counted and token.word is not None else None)
    following: tuple[Segment, int] | None = None
    for i in range(len(keys) - 1, -1, -1):
        token = result.tokens[i]
        if token.special:
            continue
        if keys[i] is not None and token.start < token.end:
            following = keys[i]
        elif token.start == token.end and following is not None and following[0] == token.segment:
            keys[i] = following
    return keys


def arrange(attributions: Sequence[Attribution]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The models and the methods of a comparison of attributions that exist already.

    Those of one method by several models are compared by model, all others by method; equal names are
    numbered. An attribution that does not name its model counts for the model of the others.
    """
    models = list(dict.fromkeys(entry.model.name for entry in attributions if entry.model.name))
    methods = [entry.method for entry in attributions]
    if len(models) == len(attributions) > 1 and len(set(methods)) == 1:
        return tuple(models), (methods[0],)
    names = [
        f"{entry.method} of {entry.model.name}" if len(models) > 1 and entry.model.name else entry.method
        for entry in attributions
    ]
    numbers = [names[: k + 1].count(name) for k, name in enumerate(names)]
    unique = (f"{name} ({n})" if n > 1 else name for name, n in zip(names, numbers, strict=True))
    return (models[0] if len(models) == 1 else "",), tuple(unique)
