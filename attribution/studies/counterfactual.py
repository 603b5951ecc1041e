"""Predictions of a model for a text with some of its words removed."""

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
    """Code points ``start`` to ``end`` (exclusive) of the text or the second text."""

    segment: Segment
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """The predictions before and after words were removed.

    ``removed`` are the words, ``text`` and ``second`` the remaining texts.
    """

    removed: tuple[str, ...]
    text: str
    second: str | None
    before: Prediction
    after: Prediction

    def changes(self) -> list[tuple[str, float, float]]:
        """Each label with its probability before and after, in label order.

        Empty for generated text, and unless both predictions have probabilities of the same labels.
        """
        if (
            self.before.text is not None
            or self.before.labels != self.after.labels
            or not self.after.probabilities
        ):
            return []
        return list(zip(self.before.labels, self.before.probabilities, self.after.probabilities, strict=True))


def remove_spans(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """The text without the given spans (start, end) and without the spaces that they leave behind.

    Raises ``BadOption`` for a span outside the text.
    """
    rest, position = "", 0
    for start, end in sorted(spans):
        if not 0 <= start <= end <= len(text):
            raise BadOption(
                f"The span {start}–{end} is not in the text.", f"The text has {len(text)} characters."
            )
        rest = _join(rest, text[position:start]) if position else text[:start]
        position = max(position, end)
    return _join(rest, text[position:]) if position else text


def _join(left: str, right: str) -> str:
    """Join the text on both sides of a removed word.

    Of two spaces one remains, before closing punctuation none.
    """
    if not right or _CLOSING.match(right):
        return left.rstrip(" ") + right
    return left + (right.lstrip(" ") if not left or left[-1].isspace() else right)


def remove_words(
    text: str, second: str | None, spans: Sequence[Span]
) -> tuple[tuple[str, ...], str, str | None]:
    """The words of the spans, and both texts without them. Raises ``BadOption``."""
    sources = {"text": text, "second": second or ""}
    for span in spans:
        if span.segment not in sources:
            raise BadOption(
                f"A span is of the {span.segment} text.", "Only words of the model's input can be removed."
            )
    rest = {
        name: remove_spans(source, [(span.start, span.end) for span in spans if span.segment == name])
        for name, source in sources.items()
    }
    words = tuple(
        sources[span.segment][span.start : span.end]
        for span in sorted(spans, key=lambda span: (span.segment != "text", span.start))
    )
    return words, rest["text"], rest["second"] if second is not None else None


def predict_without(
    engine: Engine, text: str, model: Model, spans: Sequence[Span], **fields: Any
) -> Counterfactual:
    """Predict the original text, and the text without the words of the spans.

    ``fields`` are those of ``Engine.attribute``. Raises ``BadOption`` for a span outside the texts,
    ``EmptyInput`` if no text remains, and the errors of the engine.
    """
    # The random control computes only the prediction.
    before = engine.attribute(text, model, "random", **fields)
    words, rest, second = remove_words(before.text, before.request.second, spans)
    after = engine.attribute(rest, model, "random", **{**fields, "second": second})
    return Counterfactual(words, rest, second, before.prediction, after.prediction)


def deletion_curve(engine: Engine, result: Attribution, row: int = 0) -> list[float]:
    """The probability of the explained label after deleting its strongest 0, 1, 2, ... words; one word stays.

    The strongest words are those with the largest scores; unsigned scores are absolute. Follows
    "comprehensiveness" of DeYoung et al. 2020, but deletes the words. Only for classification of a single
    text. Raises ``Unsupported`` for other tasks, and the errors of the engine.
    """
    if not tasks.of(result.model.task).classifies or not result.prediction.probabilities or result.second:
        raise Unsupported(
            "Words can be deleted one by one only where a single text is classified.",
            "Choose a text classifier.",
        )
    words = result.words()
    order = [i for i, token in enumerate(words.tokens) if not token.special]
    order.sort(key=lambda i: -words.scores[row, i])
    spans = [(words.tokens[i].start, words.tokens[i].end) for i in order]
    texts = [remove_spans(result.text, spans[:count]) for count in range(len(spans))]
    label = result.outputs[row].id
    model = result.request.model
    predicted = engine.attribute_many(
        texts, model, "random", task=result.request.task, revision=result.request.revision
    )
    return [
        attribution.prediction.probabilities[label]
        for attribution in predicted
        if not isinstance(attribution, AttributionError)
    ]
