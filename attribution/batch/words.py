"""Mean scores of words over a data set, with intervals: which words support or oppose a prediction.

A row counts once for each of its words, with the mean over the word's occurrences, so that the values of a
word come from different rows.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from attribution.batch.result import Result
from attribution.batch.statistics import student_interval
from attribution.models import tasks
from attribution.types import Attribution

MOST_WORDS = 50_000
"""The most words counted at the same time; the rarest are dropped first."""
SHOWN = 15
"""The most words in a list."""
LONGEST = 60
"""Characters of a word; longer ones are shortened."""

WordScores = list[tuple[str, float]]
"""Words with their scores."""


@dataclass(slots=True)
class Running:
    """Count, mean and sum of squared deviations, updated number by number (Welford 1962)."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, value: float) -> None:
        self.count += 1
        step = value - self.mean
        self.mean += step / self.count
        self.squares += step * (value - self.mean)

    @property
    def error(self) -> float | None:
        """The standard error of the mean; None for fewer than two numbers."""
        return math.sqrt(self.squares / (self.count - 1) / self.count) if self.count > 1 else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Student's 95 % interval of the mean; None for fewer than two numbers."""
        return None if self.error is None else student_interval(self.count, self.mean, self.error)


class Tallies:
    """A running mean for each group and word.

    Words are compared regardless of case; the first spelling is used. Above ``most`` words, those of the
    fewest rows are dropped (lossy counting, Manku & Motwani 2002); ``missed`` is the most rows that the count
    of a word may lack, 0 where none was dropped.
    """

    def __init__(self, most: int = MOST_WORDS) -> None:
        self.most, self.missed = most, 0
        self._running: dict[tuple[Hashable, str], tuple[str, Running]] = {}

    def add(self, group: Hashable, word: str, value: float) -> None:
        key = (group, word.casefold())
        if key not in self._running:
            if len(self._running) >= self.most:
                self._drop_rarest()
            self._running[key] = (word, Running())
        self._running[key][1].add(value)

    def items(self) -> Iterator[tuple[Any, str, Running]]:
        """Yield group, word and running mean."""
        for (group, _), (word, running) in self._running.items():
            yield group, word, running

    def _drop_rarest(self) -> None:
        counts = sorted(running.count for _, running in self._running.values())
        limit = counts[len(counts) // 2]
        self.missed += limit
        self._running = {key: entry for key, entry in self._running.items() if entry[1].count > limit}


@dataclass(frozen=True, slots=True)
class Group:
    """Rows with comparable scores: the same model, method, explained output and predicted class.

    ``explained`` and ``predicted`` are empty where the model is not a classifier.
    """

    model: str
    method: str
    predicted: str
    explained: str


@dataclass(frozen=True, slots=True)
class Word:
    """A word's mean score over the ``rows`` that have it, with a 95 % interval; None for a single row."""

    text: str
    rows: int
    mean: float
    low: float | None = None
    high: float | None = None

    @property
    def sure(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


@dataclass(frozen=True)
class Words:
    """The strongest words of each group.

    ``rows`` counts a group's rows; for ``missed`` see ``Tallies``. Words whose interval excludes 0 come
    first, ordered by the end of the interval nearest to 0, then the others by their mean. Intervals are not
    adjusted for multiple comparisons: among many words, some exclude 0 by chance.
    """

    positive: dict[Group, tuple[Word, ...]]
    negative: dict[Group, tuple[Word, ...]]
    rows: dict[Group, int]
    missed: int = 0

    @property
    def groups(self) -> tuple[Group, ...]:
        """Sorted by model, method and predicted class."""
        return tuple(
            sorted(self.rows, key=lambda group: (group.model, group.method, group.predicted, group.explained))
        )


class WordCollector:
    """Collects the words of results, one result after another."""

    def __init__(self, most: int = MOST_WORDS) -> None:
        self._tallies = Tallies(most)
        self._rows: dict[Group, int] = {}

    def add(self, result: Result, words: WordScores | None = None) -> None:
        """Add a result; one without an attribution is ignored.

        ``words`` is the result of ``score_words``, where the caller has it already.
        """
        if result.attribution is None:
            return
        group = group_of(result)
        self._rows[group] = self._rows.get(group, 0) + 1
        for word, value in score_words(result.attribution, result.predicted) if words is None else words:
            self._tallies.add(group, word, value)

    def words(self, shown: int = SHOWN) -> Words:
        """The ``shown`` strongest words of each group so far."""
        by_group: dict[Group, list[Word]] = {group: [] for group in self._rows}
        for group, text, running in self._tallies.items():
            if running.mean:
                by_group[group].append(Word(text, running.count, running.mean, *(running.interval or ())))
        return Words(
            {group: _strongest(words, 1, shown) for group, words in by_group.items()},
            {group: _strongest(words, -1, shown) for group, words in by_group.items()},
            dict(self._rows),
            self._tallies.missed,
        )


def aggregate_words(results: Iterable[Result], shown: int = SHOWN) -> Words:
    """Find the most positive and negative words of all results, by model, method and predicted class.

    The results are read once, in bounded memory.
    """
    collector = WordCollector()
    for result in results:
        collector.add(result)
    return collector.words(shown)


def group_of(result: Result) -> Group:
    """The group that a result with an attribution belongs to."""
    attribution = result.attribution
    assert attribution is not None
    if not tasks.of(attribution.model.task).classifies or result.probability is None:
        return Group(result.model, result.method, "", "")
    predicted = result.predicted or ""
    output = attribution.outputs[output_index(attribution, predicted)]
    explained = f"{output.text} rather than {output.contrast}" if output.contrast else output.text
    return Group(result.model, result.method, predicted, explained)


def output_index(attribution: Attribution, predicted: str | None) -> int:
    """The index of a classifier's output to use: the predicted class if it is explained, else the first."""
    return next((i for i, output in enumerate(attribution.outputs) if output.text == predicted), 0)


def score_words(attribution: Attribution, predicted: str | None = None) -> WordScores:
    """The distinct words of the input, each with its mean score over all occurrences.

    For a classifier the scores are those of one output (see ``output_index``), else the mean over the
    outputs.
    """
    if tasks.of(attribution.model.task).classifies:
        output = output_index(attribution, predicted)
        attribution = replace(
            attribution,
            outputs=attribution.outputs[output : output + 1],
            scores=attribution.scores[output : output + 1],
            errors=None,
        )
    words = attribution.words()
    scores = words.scores.mean(axis=0)
    places: dict[str, tuple[str, list[float]]] = {}
    for token, score in zip(words.tokens, scores.tolist(), strict=True):
        text = _shorten(token.text.strip())
        if not token.special and token.segment != "generated" and text:
            places.setdefault(text.casefold(), (text, []))[1].append(score)
    return [(text, float(np.mean(values))) for text, values in places.values()]


def _shorten(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _strongest(words: Iterable[Word], sign: int, shown: int) -> tuple[Word, ...]:
    def order(word: Word) -> tuple[bool, float, str]:
        end = word.low if sign > 0 else word.high
        return not word.sure, -sign * (end if word.sure and end is not None else word.mean), word.text

    return tuple(sorted((word for word in words if word.mean * sign > 0), key=order)[:shown])
