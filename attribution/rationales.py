"""What people marked in a text, and how marks are laid over words."""

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

Form = Literal["auto", "words", "characters", "spans"]
FORMS: tuple[Form, ...] = ("auto", "words", "characters", "spans")
"""One number a word; the offsets of the marked characters; or pairs start, end and perhaps a weight."""

Span = tuple[int, int]
DIGITS = 12
"""Decimal places of a word's weight."""


@dataclass(frozen=True)
class Rationale:
    """What people marked in one text.

    Parameters ---------- weights : (start, end, weight), spans in code points of the text, the end not
    included; 0 / 1 or graded. They do not overlap. signed : whether a weight below 0 speaks against
    ``label``. Without signs a weight says only how much a word counts. annotators : the marks of each person,
    where ``weights`` are the mean of several. label : what the marks speak for; None: for whatever is
    explained. partial : whether characters outside of all spans are unknown; else they have the weight 0.

    Raises ``BadOption`` for spans that are empty, overlap or have no finite weight, and for negative weights
    without signs.
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
                    f"The span {start}-{stop} holds no character.",
                    "A span is start, end; the end is not included.",
                )
            if start < end:
                raise BadOption(
                    f"The span {start}-{stop} overlaps the one before it.", "Give each character one weight."
                )
            if not math.isfinite(weight) or (weight < 0 and not self.signed):
                raise BadOption(
                    f"The weight of the span {start}-{stop} is {weight:g}.",
                    "It must be a number, and not below 0 unless the marks are signed.",
                )
            end = stop

    @property
    def end(self) -> int:
        """Where the last span ends."""
        return self.weights[-1][1] if self.weights else 0

    def over(self, spans: Sequence[Span]) -> np.ndarray:
        """The weight of each of the ``spans`` (words) of the text, float64 [spans]: the mean over its characters.

        So a half-marked word counts half, and no mark is lost where people and the tokenizer cut words apart
        in different places. NaN for a word of which nothing is known, and for an empty span.
        """
        line = np.full(max((end for _, end in spans), default=0), math.nan if self.partial else 0.0)
        for start, end, weight in self.weights:
            line[start:end] = weight
        known = ~np.isnan(line)
        sums, counts = (np.concatenate([[0.0], np.cumsum(v)]) for v in (np.where(known, line, 0.0), known))
        starts, ends = (np.array([span[side] for span in spans], dtype=int) for side in (0, 1))
        size_of = counts[ends] - counts[starts]
        means = np.divide(
            sums[ends] - sums[starts], size_of, out=np.full(len(spans), math.nan), where=size_of > 0
        )
        return np.round(means, DIGITS)  # words of one weight are equal, whatever their lengths

    def fits(self, text: str) -> Self:
        """These marks, if they lie inside of ``text``. Raises ``BadOption``."""
        if self.end > len(text):
            raise BadOption(
                f"A span ends at {self.end}, and the text has {len(text)} characters.",
                "Offsets count code points from 0.",
            )
        return self


def together(people: Sequence[Rationale]) -> Rationale:
    """One rationale of several people's: each character has the mean of the weights that are known.

    Raises ``BadOption`` where there are none, or where some are signed and some not, or speak for different
    labels.
    """
    if not people:
        raise BadOption("There are no marks to put together.", "Give at least one person's.")
    first = people[0]
    if any((one.signed, one.label) != (first.signed, first.label) for one in people):
        raise BadOption(
            "These people's marks differ in their signs or in their label.",
            "Put together only what means the same.",
        )
    edges = sorted({edge for one in people for a, b, _ in one.weights for edge in (a, b)})
    spans = list(pairwise(edges))
    each = np.array([one.over(spans) for one in people]).reshape(len(people), len(spans))
    known = ~np.isnan(each)
    counts = known.sum(axis=0)
    means = np.divide(
        np.where(known, each, 0.0).sum(axis=0), counts, out=np.zeros(len(spans)), where=counts > 0
    )
    partial = any(one.partial for one in people)
    kept = [
        (a, b, w) for (a, b), w, n in zip(spans, means.tolist(), counts, strict=True) if n and (partial or w)
    ]
    return Rationale(tuple(kept), first.signed, tuple(people), first.label, partial)


def of_words(text: str, words: Sequence[str], weights: Sequence[float], **more: Any) -> Rationale:
    """From one weight for each word of a list, found in the text one after another with nothing but white space between them.

    ``more`` goes to ``Rationale``. Raises ``BadOption`` where the words are not those of the text, or are not
    as many as the weights.
    """
    if len(words) != len(weights):
        raise BadOption(
            f"There are {len(weights)} weights for {len(words)} words.", "Give one for each word."
        )
    found, place = [], 0
    for number, (word, weight) in enumerate(zip(words, weights, strict=True), start=1):
        start = text.find(word, place)
        if not word or start < 0 or text[place:start].strip():
            before = quote(text[place : place + 30].strip())
            raise BadOption(
                f"Word {number} is {quote(word)}, and the text goes on with {before}.",
                "Words must be those of the text.",
            )
        place = start + len(word)
        if weight or more.get("partial"):
            found.append((start, place, weight))
    if text[place:].strip() and not more.get("partial"):
        raise BadOption(
            f"No word stands for {quote(text[place:].strip())}.",
            "Give the weights of all words, or partial=True.",
        )
    return Rationale(tuple(found), **more)


def of_characters(text: str, offsets: Iterable[int], **more: Any) -> Rationale:
    """From the offsets of the marked characters, in any order.

    Raises ``BadOption`` for one that is given twice or outside.
    """
    ordered = sorted(offsets)
    for before, here in pairwise(ordered):
        if before == here:
            raise BadOption(f"The character {here} is marked twice.", "Give each offset once.")
    spans: list[list[int]] = []
    for offset in ordered:
        if spans and spans[-1][1] == offset:
            spans[-1][1] += 1
        else:
            spans.append([offset, offset + 1])
    return Rationale(tuple((a, b, 1.0) for a, b in spans), **more).fits(text)


def of_spans(text: str, spans: Iterable[Sequence[float]], **more: Any) -> Rationale:
    """From pairs (start, end) or triples (start, end, weight); the weight is 1 by default.

    Raises ``BadOption``.
    """
    found = []
    for span in spans:
        if (
            len(span) not in (2, 3)
            or not all(map(is_number, span))
            or span[0] != int(span[0])
            or span[1] != int(span[1])
        ):
            raise BadOption(f"{quote(list(span))} is no span.", "A span is start, end and perhaps a weight.")
        found.append((int(span[0]), int(span[1]), float(span[2]) if len(span) == 3 else 1.0))
    return Rationale(tuple(found), **more).fits(text)


def read(
    text: str,
    value: Any,
    form: str = "auto",
    *,
    words: Sequence[str] | None = None,
    row: str = "The row",
    column: str = "rationale",
    **more: Any,
) -> Rationale | None:
    """What a cell of a table says: a list or its text, in JSON or as Python writes it; None for an empty cell.

    ``form`` says what the numbers are; ``"auto"`` tells by their shape, and refuses where two readings are
    possible. Several people's marks are a list of lists, or of records with ``start``, ``end`` and perhaps
    ``weight`` for one person. ``words`` are those that the numbers belong to, else what white space
    separates. ``more`` goes to ``Rationale``. Raises ``BadTable`` with row and column.
    """
    try:
        if form not in FORMS:
            raise BadOption(f"There is no form {quote(form)}.", nearest(form, FORMS))
        given = _listed(value)
        if given is None:
            return None
        return _read(text, given, form, tuple(text.split()) if words is None else tuple(words), more)
    except BadOption as error:
        raise BadTable(f"{row}, column {quote(column)}: {error.message}", error.hint) from error


def _listed(value: Any) -> list[Any] | None:
    """The cell's list; None where it is empty."""
    if (
        value is None
        or (isinstance(value, float) and math.isnan(value))
        or (isinstance(value, str) and not value.strip())
    ):
        return None
    if isinstance(value, str):
        value = _parsed(value)
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, dict):
        value = _records(value)
    if not isinstance(value, list | tuple):
        raise BadOption(f"{quote(value)} is no list.", "Marks are a list of numbers, or of spans.")
    return [_record(one) for one in value]


def _records(columns: dict[str, Any]) -> list[dict[str, Any]]:
    """A sequence of records as ``datasets`` keeps it, a list for each field."""
    try:
        return [dict(zip(columns, one, strict=True)) for one in zip(*columns.values(), strict=True)]
    except (TypeError, ValueError):
        raise BadOption(f"{quote(columns)} is no list of spans.", "Give as many starts as ends.") from None


def _parsed(text: str) -> Any:
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    raise BadOption(
        f"{quote(text)} is neither JSON nor a list.", "Write [8, 9, 10], [[0, 5]] or one number a word."
    )


def _record(one: Any) -> Any:
    """A record with ``start`` and ``end`` as a span; anything else as it is."""
    if not isinstance(one, dict):
        return one
    if not {"start", "end"} <= one.keys():
        raise BadOption(f"{quote(one)} is no span.", "A record has start, end and perhaps weight.")
    return [one["start"], one["end"], *([one["weight"]] if "weight" in one else [])]


def _read(text: str, given: list[Any], form: str, words: tuple[str, ...], more: dict[str, Any]) -> Rationale:
    people = bool(given) and all(isinstance(one, list | tuple) for one in given)
    for one in [number for person in given for number in person] if people else given:
        if not is_number(one):
            raise BadOption(f"{quote(one)} is no number.", "Marks are a list of numbers, or of spans.")
    if people and form in ("auto", "spans") and all(len(one) in (2, 3) for one in given):
        if form == "auto" and all(len(one) == len(words) for one in given):
            raise BadOption(
                "These lists may be spans or one number a word.", "Say which: form='spans' or form='words'."
            )
        return of_spans(text, given, **more)
    if form == "spans" and given:
        raise BadOption("These are numbers, not spans.", "A span is [start, end] or [start, end, weight].")
    each = given if people else [given]
    if form == "auto":
        form = _form(each, words)
    read_each = [_numbers(text, one, form, words, more) for one in each]
    return together(read_each) if people else read_each[0]


def _form(each: list[list[float]], words: tuple[str, ...]) -> Form:
    """Whether the lists of numbers are one a word or offsets.

    Raises ``BadOption`` where they may be both, or are neither.
    """
    fitting, offsets = all(len(one) == len(words) for one in each), all(map(_offsets, each))
    if fitting and offsets and words:
        raise BadOption(
            "These numbers may be one a word or the offsets of characters.",
            "Say which: form='words' or form='characters'.",
        )
    return "words" if fitting else "characters"


def _numbers(
    text: str, given: list[float], form: str, words: tuple[str, ...], more: dict[str, Any]
) -> Rationale:
    """One person's numbers."""
    if form == "words":
        return of_words(text, words, [float(one) for one in given], **more)
    if not _offsets(given):
        raise BadOption(
            f"There are {len(given)} numbers, which are neither one for each of the {len(words)} words nor "
            "offsets of characters.",
            "Offsets are whole numbers, each given once.",
        )
    return of_characters(text, [int(one) for one in given], **more)


def _offsets(given: list[float]) -> bool:
    return all(one == int(one) and one >= 0 for one in given) and len(set(given)) == len(given)
