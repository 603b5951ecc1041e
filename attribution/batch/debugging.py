"""Analyse the errors of a classifier: wrong and least certain rows, and the words behind them.

The words are those that drive wrong predictions, and those whose attribution differs between right and wrong
predictions. Results are analysed for one model and method, one after another, in bounded memory.
"""

from __future__ import annotations

import csv
import heapq
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode, urlsplit

from attribution.batch.result import Result
from attribution.batch.statistics import adjust_for_discoveries, welch_test, wilson_interval
from attribution.batch.words import MOST_WORDS, Running, Tallies, WordScores, output_index, score_words
from attribution.errors import BadOption, quote
from attribution.export.csv import guard
from attribution.types import Request

LISTED = 200
"""The most rows in a list."""
DRIVING = 3
"""The number of words of a row that count as drivers of its prediction."""
NAMED = 5
"""Rows that are listed with a word."""
TESTED = 3
"""Rows on either side that a word needs to be tested."""
LONGEST_LINK = 8000
"""The most characters of a link: browsers and servers truncate longer ones."""


@dataclass(frozen=True, slots=True)
class Case:
    """A row to inspect.

    ``margin`` is the probability of the predicted class minus that of the next; ``link`` opens the row in the
    live page, or is empty.
    """

    place: int
    line: int
    text: str
    second: str | None
    label: str | None
    predicted: str
    probability: float
    margin: float
    drivers: tuple[tuple[str, float], ...]
    link: str = ""


@dataclass(frozen=True, slots=True)
class Driver:
    """A word that often drives a prediction, with its numbers of wrong and right rows.

    In these rows it is among the ``DRIVING`` strongest words for ``predicted``; ``places`` are the first
    wrong rows. ``low`` and ``high`` are Wilson's 95 % interval of the share of wrong rows.
    """

    word: str
    predicted: str
    wrong: int
    right: int
    low: float
    high: float
    places: tuple[int, ...]

    @property
    def share(self) -> float:
        """The share of wrong rows."""
        return self.wrong / (self.wrong + self.right)


@dataclass(frozen=True, slots=True)
class Difference:
    """A word's mean scores in the wrong and in the right rows of the same predicted class.

    ``low`` and ``high`` are the 95 % interval of the difference and ``p`` the two-sided p-value, both by
    Welch (1947) with the degrees of freedom of Satterthwaite; ``q`` is p adjusted for all words that were
    tested (Benjamini & Hochberg 1995): about 5 % of the words with q below 0.05 are false discoveries.
    """

    word: str
    predicted: str
    wrong: int
    right: int
    mean_wrong: float
    mean_right: float
    low: float
    high: float
    p: float
    q: float = 1.0

    @property
    def difference(self) -> float:
        return self.mean_wrong - self.mean_right


@dataclass(frozen=True)
class Findings:
    """The error analysis of one model and method.

    ``labelled`` counts the rows with a gold label that is one of the model's. ``wrong`` lists the most
    confident mistakes first, ``unsure`` the smallest margins first, both limited in length; ``mistakes``
    counts all wrong rows. ``drivers`` and ``differences`` have the clearest first.
    """

    model: str
    method: str
    answered: int
    labelled: int
    mistakes: int
    wrong: tuple[Case, ...]
    unsure: tuple[Case, ...]
    drivers: tuple[Driver, ...]
    differences: tuple[Difference, ...]
    tested: int
    missed: int = 0

    @property
    def accuracy(self) -> tuple[float, float, float] | None:
        """The share of right rows with Wilson's 95 % interval; None where no row is labelled."""
        right = self.labelled - self.mistakes
        return (right / self.labelled, *wilson_interval(right, self.labelled)) if self.labelled else None


class Debugging:
    """Analyses results of one model and method, one after another."""

    def __init__(
        self, model: str, method: str, *, base: str = "", listed: int = LISTED, most: int = MOST_WORDS
    ) -> None:
        self.model, self.method, self.base, self.listed = model, method, check_address(base), listed
        self._answered = self._labelled = self._mistakes = 0
        self._wrong: list[tuple[float, int, Case]] = []
        self._unsure: list[tuple[float, int, Case]] = []
        self._scores = Tallies(most)
        self._drives = Tallies(most)
        self._places: dict[tuple[str, str], list[int]] = {}

    def add(self, result: Result, words: WordScores | None = None) -> None:
        """Add a result; one without an attribution, or of a model that is not a classifier, is ignored.

        ``words`` is the same as for ``WordCollector.add``.
        """
        if result.attribution is None or result.probability is None:
            return
        self._answered += 1
        words = score_words(result.attribution, result.predicted) if words is None else words
        case = self._case(result, words)
        self._push(self._unsure, -case.margin, case)
        if result.correct is None:
            return
        self._labelled += 1
        if not result.correct:
            self._mistakes += 1
            self._push(self._wrong, case.probability, case)
        for word, score in words:
            self._scores.add((case.predicted, result.correct), word, score)
        for word, score in case.drivers:
            self._drives.add((case.predicted, result.correct), word, score)
            if not result.correct:
                self._record_place(word, case)

    def findings(self) -> Findings:
        """The analysis of the results so far."""
        differences = _test_words(self._scores)
        return Findings(
            self.model,
            self.method,
            self._answered,
            self._labelled,
            self._mistakes,
            tuple(case for _, _, case in sorted(self._wrong, reverse=True)),
            tuple(case for _, _, case in sorted(self._unsure, reverse=True)),
            self._rank_drivers(),
            tuple(differences[: self.listed]),
            len(differences),
            max(self._scores.missed, self._drives.missed),
        )

    def _case(self, result: Result, words: WordScores) -> Case:
        attribution = result.attribution
        assert attribution is not None and result.probability is not None and result.predicted is not None
        first, *others = sorted(attribution.prediction.probabilities, reverse=True)
        return Case(
            place=result.place,
            line=result.line,
            text=result.text,
            second=result.second,
            label=result.label,
            predicted=result.predicted,
            probability=first,
            margin=first - (others[0] if others else 0.0),
            drivers=find_drivers(result, words),
            link=link_to(self.base, attribution.request) if self.base else "",
        )

    def _push(self, heap: list[tuple[float, int, Case]], key: float, case: Case) -> None:
        """Push a case on a heap of the ``listed`` largest keys; of equal ones the first rows stay."""
        push = heapq.heappush if len(heap) < self.listed else heapq.heappushpop
        push(heap, (key, -case.place, case))

    def _record_place(self, word: str, case: Case) -> None:
        key = (case.predicted, word.casefold())
        if key in self._places or len(self._places) < self._drives.most:
            places = self._places.setdefault(key, [])
            if len(places) < NAMED:
                places.append(case.place)

    def _rank_drivers(self) -> tuple[Driver, ...]:
        """The drivers, sorted by the lower end of the interval of their share of wrong rows."""
        counts: dict[tuple[str, str], dict[bool, tuple[str, int]]] = {}
        for (predicted, correct), word, running in self._drives.items():
            counts.setdefault((predicted, word.casefold()), {})[correct] = (word, running.count)
        entries = []
        for (predicted, word), sides in counts.items():
            if False not in sides:
                continue
            text, wrong = sides[False]
            right = sides.get(True, ("", 0))[1]
            places = tuple(sorted(self._places.get((predicted, word), ())))
            entries.append(
                Driver(text, predicted, wrong, right, *wilson_interval(wrong, wrong + right), places)
            )
        entries.sort(key=lambda driver: (-driver.low, -driver.wrong, driver.word))
        return tuple(entries[: self.listed])


def debug(results: Iterable[Result], *, base: str = "", listed: int = LISTED) -> tuple[Findings, ...]:
    """Analyse the results of each model and method, in order of first appearance; results are read once.

    ``base`` is the address of a running app that links lead to. Raises ``BadOption`` for a ``base`` that is
    not a web address.
    """
    debuggings: dict[tuple[str, str], Debugging] = {}
    for result in results:
        pair = result.model, result.method
        if pair not in debuggings:
            debuggings[pair] = Debugging(*pair, base=base, listed=listed)
        debuggings[pair].add(result)
    return tuple(debugging.findings() for debugging in debuggings.values())


def find_drivers(result: Result, words: WordScores) -> tuple[tuple[str, float], ...]:
    """The words that drive a prediction, strongest first: those that support the predicted class.

    Where another class is explained, or scores are unsigned, they have the largest absolute scores.
    """
    attribution = result.attribution
    assert attribution is not None
    output = attribution.outputs[output_index(attribution, result.predicted)]
    if attribution.signed and output.text == result.predicted:
        words = [(word, score) for word, score in words if score > 0]
    return tuple(sorted(words, key=lambda scored_word: -abs(scored_word[1]))[:DRIVING])


def check_address(base: str) -> str:
    """The address of an app, with one slash at its end, or "". Raises ``BadOption``."""
    if not base:
        return ""
    try:
        parts = urlsplit(base)
        host = parts.hostname
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or parts.query or parts.fragment:
        raise BadOption(
            f"The address of the live page is {quote(base)}.",
            "It must look like https://example.org/attribution/.",
        )
    return base.rstrip("/") + "/"


def link_to(base: str, request: Request) -> str:
    """The link that opens a request in the live page at ``base``; "" where it would be too long.

    ``components/static/address.js`` reads it.
    """
    fields: dict[str, Any] = {
        "text": request.text,
        "model": request.model,
        "method": request.method,
        "target": request.target,
        "quantity": request.quantity,
        "max_new_tokens": request.max_new_tokens,
        "second": request.second,
        "contrast": request.contrast,
        "position": request.position,
        **dict(request.options),
    }
    query = {name: _format_value(value) for name, value in fields.items() if value not in (None, "")}
    address = f"{base}?{urlencode(query, errors='replace')}"
    return address if len(address) <= LONGEST_LINK else ""


def _format_value(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value)


def write_cases(findings: Iterable[Findings]) -> bytes:
    """The wrong and the least certain rows as CSV with guarded cells, in UTF-8 with a byte order mark."""
    head = (
        "kind",
        "model",
        "method",
        "row",
        "line",
        "text",
        "second",
        "label",
        "predicted",
        "probability",
        "margin",
        "words",
        "link",
    )
    rows = (
        (kind, entry.model, entry.method, case.place + 1, case.line or None, case.text, case.second,
         case.label, case.predicted, case.probability, case.margin,
         "; ".join(f"{word} {score:+.3g}" for word, score in case.drivers), case.link)
        for entry in findings
        for kind, cases in (("wrong", entry.wrong), ("least certain", entry.unsure))
        for case in cases
    )  # fmt: skip
    return _write_csv(head, rows)


def write_words(findings: Iterable[Findings]) -> bytes:
    """The tested words as CSV with guarded cells: mean scores in wrong and right rows, p and q."""
    head = (
        "model", "method", "predicted", "word", "wrong rows", "right rows", "mean if wrong", "mean if right",
        "difference", "low", "high", "p", "q",
    )  # fmt: skip
    rows = (
        (entry.model, entry.method, word.predicted, word.word, word.wrong, word.right, word.mean_wrong,
         word.mean_right, word.difference, word.low, word.high, word.p, word.q)
        for entry in findings
        for word in entry.differences
    )  # fmt: skip
    return _write_csv(head, rows)


def _write_csv(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> bytes:
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(head)
    writer.writerows([guard(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    return file.getvalue().encode("utf-8-sig")


def _test_words(tallies: Tallies) -> list[Difference]:
    """Test every word with enough right and wrong rows; the smallest p first."""
    sides: dict[tuple[str, str], dict[bool, tuple[str, Running]]] = {}
    for (predicted, correct), word, running in tallies.items():
        if running.count >= TESTED:
            sides.setdefault((predicted, word.casefold()), {})[correct] = (word, running)
    both = [(predicted, side) for (predicted, _), side in sides.items() if len(side) == 2]
    differences = [
        difference
        for predicted, side in both
        if (difference := _welch(predicted, *side[False], side[True][1]))
    ]
    differences.sort(key=lambda difference: (difference.p, -abs(difference.difference), difference.word))
    adjusted = adjust_for_discoveries([difference.p for difference in differences])
    return [replace(difference, q=q) for difference, q in zip(differences, adjusted, strict=True)]


def _welch(predicted: str, word: str, wrong: Running, right: Running) -> Difference | None:
    """Welch's test of a word; None where its scores are constant on both sides."""
    assert wrong.error is not None and right.error is not None
    test = welch_test(
        (wrong.count, wrong.mean, wrong.error),
        (right.count, right.mean, right.error),
    )
    if test is None:
        return None
    return Difference(
        word,
        predicted,
        wrong.count,
        right.count,
        wrong.mean,
        right.mean,
        test.low,
        test.high,
        test.p,
    )
