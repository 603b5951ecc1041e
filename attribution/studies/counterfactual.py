"""What a model says of a text without some of its words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import regex

from attribution.engine import Engine, Model
from attribution.errors import AttributionError, BadOption, Unsupported
from attribution.models import tasks
from attribution.types import Attribution, Prediction, Segment

_CLOSING = regex.compile(r"[,.;:!?…)\]}’”»]")


@dataclass(frozen=True, slots=True)
class Span:
    """Code points ``start`` to ``end`` of the text, or of the second one."""

    segment: Segment
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """``removed`` are the words that were taken out, ``text`` and ``second`` what is left, before and after what the model said."""

    removed: tuple[str, ...]
    text: str
    second: str | None
    before: Prediction
    after: Prediction

    def changes(self) -> list[tuple[str, float, float]]:
        """Each label with its probability before and after, in the order of the labels; empty where there are none for both."""
        if (
            self.before.text is not None
            or self.before.labels != self.after.labels
            or not self.after.probabilities
        ):
            return []
        return list(zip(self.before.labels, self.before.probabilities, self.after.probabilities, strict=True))


def remaining(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """The text without the code points of the spans, and without the spaces that they leave behind.

    Raises ``BadOption``.
    """
    left, position = "", 0
    for start, end in sorted(spans):
        if not 0 <= start <= end <= len(text):
            raise BadOption(
                f"The span {start}–{end} is not in the text.", f"The text has {len(text)} characters."
            )
        left = _seam(left, text[position:start]) if position else text[:start]
        position = max(position, end)
    return _seam(left, text[position:]) if position else text


def _seam(left: str, right: str) -> str:
    """Two parts of a text from between which a word was taken: one space of two stays, and none before a closing mark."""
    if not right or _CLOSING.match(right):
        return left.rstrip(" ") + right
    return left + (right.lstrip(" ") if not left or left[-1].isspace() else right)


def removed(text: str, second: str | None, spans: Sequence[Span]) -> tuple[tuple[str, ...], str, str | None]:
    """The words of the spans, and both texts without them."""
    sources = {"text": text, "second": second or ""}
    for span in spans:
        if span.segment not in sources:
            raise BadOption(
                f"A span is of the {span.segment} text.", "Only what was given to the model can be taken out."
            )
    left = {
        name: remaining(one, [(s.start, s.end) for s in spans if s.segment == name])
        for name, one in sources.items()
    }
    words = tuple(
        sources[span.segment][span.start : span.end]
        for span in sorted(spans, key=lambda s: (s.segment != "text", s.start))
    )
    return words, left["text"], left["second"] if second is not None else None


def without(engine: Engine, text: str, model: Model, spans: Sequence[Span], **asked: Any) -> Counterfactual:
    """What the model says of the text as it is, and without the words of the spans.

    ``asked`` as for ``Engine.attribute``.

    Raises ``BadOption`` for a span that is not in the texts, ``EmptyInput`` where nothing is left, and what
    the engine raises.
    """
    # The control needs nothing but the prediction.
    before = engine.attribute(text, model, "random", **asked)
    words, left, second = removed(before.text, before.request.second, spans)
    after = engine.attribute(left, model, "random", **{**asked, "second": second})
    return Counterfactual(words, left, second, before.prediction, after.prediction)


def falls(engine: Engine, result: Attribution, row: int = 0) -> list[float]:
    """The probability of the explained label as its strongest words are taken out one by one: first none, then one, two, ...

    The strongest are those with the largest scores for the label, or with the largest absolute scores where
    these have no sign. The last word stays. After "comprehensiveness" of DeYoung et al. 2020, with deleted
    words. Only for classes of one text. Raises ``Unsupported`` for other tasks, and what the engine raises.
    """
    if not tasks.of(result.model.task).classifies or not result.prediction.probabilities or result.second:
        raise Unsupported(
            "Only a class of a single text can be watched while words are taken out.",
            "Choose a text classifier.",
        )
    words = result.words()
    places = [i for i, token in enumerate(words.tokens) if not token.special]
    places.sort(key=lambda i: -words.scores[row, i])
    spans = [(words.tokens[i].start, words.tokens[i].end) for i in places]
    texts = [remaining(result.text, spans[:count]) for count in range(len(spans))]
    label = result.outputs[row].id
    answers = engine.attribute_many(
        texts, result.request.model, "random", task=result.request.task, revision=result.request.revision
    )
    return [
        answer.prediction.probabilities[label]
        for answer in answers
        if not isinstance(answer, AttributionError)
    ]
