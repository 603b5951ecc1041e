"""Human rationales: what people marked in a text, and the weights of words that follow from the marks."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, Self

import numpy as np

from attribution.errors import BadOption, BadTable, nearest, quote
from attribution.registry import is_number
from attribution.request.arguments import list_for_texts
from attribution.request.values import to_python_deep

Form = Literal["auto", "words", "characters", "spans"]
FORMS: tuple[Form, ...] = ("auto", "words", "characters", "spans")
"""Forms of a rationale: one number per word, offsets of the marked characters, or (start, end[, weight])."""

Span = tuple[int, int]
DIGITS = 12
"""Decimal places of word weights."""


@dataclass(frozen=True)
class Rationale:
    """What people marked in a text.

    Parameters
    ----------
    weights : (start, end, weight) of disjoint spans in code points, end exclusive; 0 / 1 or graded.
    signed : whether a negative weight is evidence against ``label``; unsigned weights are magnitudes.
    annotators : the marks of each person, if ``weights`` are a mean over several.
    label : the label that the marks are evidence for; None: the explained one.
    partial : whether characters outside all spans are unknown; else their weight is 0.

    Raises ``BadOption`` for empty or overlapping spans, weights that are not finite, and negative weights of
    unsigned marks.
    """

    weights: tuple[tuple[int, int, float], ...]
    signed: bool = False
    annotators: tuple[Rationale, ...] = ()
    label: str | None = None
    partial: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "weights", tuple(sorted((int(a), int(b), float(w)) for a, b, w in self.weights))
        )
        end = 0
        for start, stop, weight in self.weights:
            if start < 0 or stop <= start:
                raise BadOption(
                    f"The span {start}-{stop} is empty or starts before the text.",
                    "A span is start, end; the end is exclusive.",
                )
            if start < end:
                raise BadOption(
                    f"The span {start}-{stop} overlaps the previous span.", "Give each character one weight."
                )
            if not math.isfinite(weight) or (weight < 0 and not self.signed):
                raise BadOption(
                    f"The weight of the span {start}-{stop} is {weight:g}.",
                    "It must be a number, and not below 0 unless the marks are signed.",
                )
            end = stop

    @property
    def end(self) -> int:
        """The end of the last span."""
        return self.weights[-1][1] if self.weights else 0

    def over(self, spans: Sequence[Span]) -> np.ndarray:
        """The weights of the ``spans`` (words) of the text, float64 [spans]: means over their characters.

        A half-marked word thus counts half, and no mark is lost where people and the tokenizer split words
        differently. NaN for a word whose characters are all unknown, and for an empty span.
        """
        characters = np.full(max((end for _, end in spans), default=0), math.nan if self.partial else 0.0)
        for start, end, weight in self.weights:
            characters[start:end] = weight
        defined = ~np.isnan(characters)
        filled = np.where(defined, characters, 0.0)
        sums, counts = (np.concatenate([[0.0], np.cumsum(values)]) for values in (filled, defined))
        starts, ends = (np.array([span[side] for span in spans], dtype=int) for side in (0, 1))
        sizes = counts[ends] - counts[starts]
        means = np.divide(
            sums[ends] - sums[starts], sizes, out=np.full(len(spans), math.nan), where=sizes > 0
        )
        # Rounding makes words of the same weight equal, whatever their lengths.
        weights: np.ndarray = np.round(means, DIGITS)
        return weights

    def validate(self, text: str) -> Self:
        """Return these marks if they lie inside ``text``. Raises ``BadOption``."""
        if self.end > len(text):
            raise BadOption(
                f"A span ends at {self.end}, but the text has {len(text)} characters.",
                "Offsets count code points from 0.",
            )
        return self


def merge(people: Sequence[Rationale]) -> Rationale:
    """Merge the rationales of several people: the weight of a character is the mean of its known weights.

    Raises ``BadOption`` for an empty list, and for rationales of different signedness or labels.
    """
    if not people:
        raise BadOption("There are no marks to merge.", "Give the marks of at least one person.")
    first = people[0]
    if any((person.signed, person.label) != (first.signed, first.label) for person in people):
        raise BadOption(
            "These people's marks differ in their signs or in their label.",
            "Merge only marks that mean the same.",
        )
    edges = sorted({edge for person in people for a, b, _ in person.weights for edge in (a, b)})
    spans = list(pairwise(edges))
    weights = np.array([person.over(spans) for person in people]).reshape(len(people), len(spans))
    defined = ~np.isnan(weights)
    counts = defined.sum(axis=0)
    means = np.divide(
        np.where(defined, weights, 0.0).sum(axis=0), counts, out=np.zeros(len(spans)), where=counts > 0
    )
    partial = any(person.partial for person in people)
    merged = [
        (a, b, w) for (a, b), w, n in zip(spans, means.tolist(), counts, strict=True) if n and (partial or w)
    ]
    return Rationale(tuple(merged), first.signed, tuple(people), first.label, partial)


def of_words(text: str, words: Sequence[str], weights: Sequence[float], **fields: Any) -> Rationale:
    """Make a rationale from a weight for each word of the text; only white space may separate the words.

    ``fields`` are those of ``Rationale``. Raises ``BadOption`` if the words do not match the text or the
    number of weights.
    """
    if len(words) != len(weights):
        raise BadOption(
            f"There are {len(weights)} weights for {len(words)} words.", "Give one for each word."
        )
    spans, position = [], 0
    for number, (word, weight) in enumerate(zip(words, weights, strict=True), start=1):
        start = text.find(word, position)
        if not word or start < 0 or text[position:start].strip():
            following = quote(text[position : position + 30].strip())
            raise BadOption(
                f"Word {number} is {quote(word)}, but the text continues with {following}.",
                "Give the words of the text.",
            )
        position = start + len(word)
        if weight or fields.get("partial"):
            spans.append((start, position, weight))
    if text[position:].strip() and not fields.get("partial"):
        raise BadOption(
            f"No word covers {quote(text[position:].strip())}.",
            "Give the weights of all words, or partial=True.",
        )
    return Rationale(tuple(spans), **fields)


def of_characters(text: str, offsets: Iterable[int], **fields: Any) -> Rationale:
    """Make a rationale from the offsets of the marked characters, in any order.

    ``fields`` are those of ``Rationale``. Raises ``BadOption`` for offsets that are repeated or outside the
    text.
    """
    ordered = sorted(offsets)
    for offset, following in pairwise(ordered):
        if offset == following:
            raise BadOption(f"The character {offset} is marked twice.", "Give each offset once.")
    spans: list[list[int]] = []
    for offset in ordered:
        if spans and spans[-1][1] == offset:
            spans[-1][1] += 1
        else:
            spans.append([offset, offset + 1])
    return Rationale(tuple((a, b, 1.0) for a, b in spans), **fields).validate(text)


def of_spans(text: str, spans: Iterable[Sequence[float]], **fields: Any) -> Rationale:
    """Make a rationale from pairs (start, end) or triples (start, end, weight); the default weight is 1.

    ``fields`` are those of ``Rationale``. Raises ``BadOption``.
    """
    weights = []
    for span in spans:
        if (
            len(span) not in (2, 3)
            or not all(map(is_number, span))
            or span[0] != int(span[0])
            or span[1] != int(span[1])
        ):
            raise BadOption(
                f"{quote(list(span))} is not a span.", "A span is start, end and an optional weight."
            )
        weights.append((int(span[0]), int(span[1]), float(span[2]) if len(span) == 3 else 1.0))
    return Rationale(tuple(weights), **fields).validate(text)


def read(
    text: str,
    value: Any,
    form: str = "auto",
    *,
    words: Sequence[str] | None = None,
    row: str = "The row",
    column: str = "rationale",
    **fields: Any,
) -> Rationale | None:
    """Read a rationale from a table cell: a list, or its JSON or Python notation; None for an empty cell.

    ``form`` is the meaning of the numbers; ``"auto"`` detects it, and rejects ambiguous lists. The marks of
    several people are a list of lists; a person's spans may be records with ``start``, ``end`` and an
    optional ``weight``. ``words`` are the words that the numbers belong to, by default those separated by
    white space. ``fields`` are those of ``Rationale``. Raises ``BadTable`` naming row and column.
    """
    try:
        if form not in FORMS:
            raise BadOption(f"There is no form {quote(form)}.", nearest(form, FORMS))
        entries = _parse_cell(value)
        if entries is None:
            return None
        if form == "auto" and isinstance(value, list | tuple) and any(isinstance(v, dict) for v in value):
            form = "spans"
        word_list = tuple(text.split()) if words is None else tuple(words)
        return _interpret(text, entries, form, word_list, fields)
    except BadOption as error:
        raise BadTable(f"{row}, column {quote(column)}: {error.message}", error.hint) from error


def read_all(texts: Sequence[str], marks: object) -> tuple[Rationale | None, ...]:
    """The rationale of each text, or None: of ``Rationale``, and of what ``read`` takes.

    Weights below 0 make signed marks. Raises ``BadOption`` for marks that do not fit the texts, and
    ``BadTable``, which names the text, for marks that cannot be read.
    """
    entries = (None,) * len(texts) if marks is None else list_for_texts("rationales", marks, len(texts))
    rows = enumerate(zip(texts, entries, strict=True), start=1)
    return tuple(_read_entry(text, entry, f"Text {number}") for number, (text, entry) in rows)


def _read_entry(text: str, entry: Any, row: str) -> Rationale | None:
    if isinstance(entry, Rationale):
        if entry.end > len(text):
            raise BadOption(
                f"The marks of {row.lower()} reach beyond its end.", "Offsets count code points from 0."
            )
        return entry
    return read(text, entry, row=row, column="rationales", signed=_has_negative_weight(entry))


def _has_negative_weight(marks: object) -> bool:
    """Whether a span in a list of marks has a weight below 0."""
    spans = marks if isinstance(marks, list | tuple) else []
    weights = [weight for span in spans if isinstance(span, list | tuple) for weight in span[2:]]
    weights += [span.get("weight") for span in spans if isinstance(span, dict)]
    return any(is_number(weight) and weight < 0 for weight in weights)


def _parse_cell(value: Any) -> list[Any] | None:
    """The entries of a cell; None if it is empty."""
    value = to_python_deep(value)
    if (
        value is None
        or (isinstance(value, float) and math.isnan(value))
        or (isinstance(value, str) and not value.strip())
    ):
        return None
    if isinstance(value, str):
        value = _parse_text(value)
    if isinstance(value, dict):
        value = _transpose(value)
    if not isinstance(value, list | tuple):
        raise BadOption(f"{quote(value)} is not a list.", "Marks are a list of numbers, or of spans.")
    return [_span_of_record(entry) for entry in value]


def _transpose(columns: dict[str, Any]) -> list[dict[str, Any]]:
    """Records from a dictionary of lists, the format of ``datasets`` for a sequence of records."""
    try:
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    except (TypeError, ValueError):
        raise BadOption(f"{quote(columns)} is not a list of spans.", "Give as many starts as ends.") from None


def _parse_text(text: str) -> Any:
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    raise BadOption(
        f"{quote(text)} is neither JSON nor a list.", "Write [8, 9, 10], [[0, 5]] or one number per word."
    )


def _span_of_record(entry: Any) -> Any:
    """The span of a record with ``start`` and ``end``; any other entry unchanged."""
    if not isinstance(entry, dict):
        return entry
    if not {"start", "end"} <= entry.keys():
        raise BadOption(f"{quote(entry)} is not a span.", "A record has start, end and an optional weight.")
    return [entry["start"], entry["end"], *([entry["weight"]] if "weight" in entry else [])]


def _interpret(
    text: str, entries: list[Any], form: str, words: tuple[str, ...], fields: dict[str, Any]
) -> Rationale:
    """The rationale of a list of numbers, or of a list of lists, which are spans or people."""
    nested = bool(entries) and all(isinstance(entry, list | tuple) for entry in entries)
    for number in [number for entry in entries for number in entry] if nested else entries:
        if not is_number(number):
            raise BadOption(f"{quote(number)} is not a number.", "Marks are a list of numbers, or of spans.")
    if nested and form in ("auto", "spans") and all(len(entry) in (2, 3) for entry in entries):
        if form == "auto" and all(len(entry) == len(words) for entry in entries):
            raise BadOption(
                "These lists may be spans or one number per word.", "Say which: form='spans' or form='words'."
            )
        return of_spans(text, entries, **fields)
    if form == "spans" and entries:
        raise BadOption("These are numbers, not spans.", "A span is [start, end] or [start, end, weight].")
    people = entries if nested else [entries]
    if form == "auto":
        form = _detect_form(people, words)
    rationales = [_of_numbers(text, numbers, form, words, fields) for numbers in people]
    return merge(rationales) if nested else rationales[0]


def _detect_form(people: list[list[float]], words: tuple[str, ...]) -> Form:
    """Whether each person's numbers are one per word, or else offsets. Raises ``BadOption`` if both."""
    per_word, offsets = all(len(numbers) == len(words) for numbers in people), all(map(_are_offsets, people))
    if per_word and offsets and words:
        raise BadOption(
            "These numbers may be one per word or the offsets of characters.",
            "Say which: form='words' or form='characters'.",
        )
    return "words" if per_word else "characters"


def _of_numbers(
    text: str, numbers: list[float], form: str, words: tuple[str, ...], fields: dict[str, Any]
) -> Rationale:
    """The rationale of a person's numbers."""
    if form == "words":
        return of_words(text, words, [float(number) for number in numbers], **fields)
    if not _are_offsets(numbers):
        raise BadOption(
            f"There are {len(numbers)} numbers, which are neither one for each of the {len(words)} words nor "
            "offsets of characters.",
            "Offsets are whole numbers without repetition.",
        )
    return of_characters(text, [int(number) for number in numbers], **fields)


def _are_offsets(numbers: list[float]) -> bool:
    """Whether the numbers are non-negative whole numbers without repetition."""
    integers = all(number == int(number) and number >= 0 for number in numbers)
    return integers and len(set(numbers)) == len(numbers)
