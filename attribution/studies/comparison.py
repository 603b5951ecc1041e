"""Compare attributions of one text by several methods or models, and find where they disagree."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from attribution import sentences
from attribution.errors import (
    AttributionError,
    BadFile,
    BadOption,
    Cancelled,
    EmptyInput,
    ModelError,
    describe,
    error_class,
    quote,
)
from attribution.formats import Savable, shorten
from attribution.methods import find, list_methods
from attribution.models.base_adapter import display_name
from attribution.registry import share_options
from attribution.request import Request
from attribution.request.arguments import check_whole_number, list_models, list_names
from attribution.studies.agreement import Agreement, agreement, ranks, strongest_count, top
from attribution.studies.alignment import Alignment, align, arrange
from attribution.studies.disagreement import Difference, Disagreement, Opinion
from attribution.text import clean
from attribution.types import Attribution

if TYPE_CHECKING:
    from attribution.engine import Engine, Model

SCHEMA = "comparison/1"
DEFAULTS = ("integrated_gradients", "saliency", "attention_x_gradient", "occlusion", "lime")
"""A fast method of each kind: signed and unsigned gradients, attention, hidden words, surrogate model."""
_VISIBLE_WHITESPACE = {"\n": "⏎", "\t": "⇥"}
MANY_OUTPUTS = 100_000
"""The largest index of a compared output."""
OPPOSITE = 0.05
"""Minimum share of the absolute scores for opposite signs to count as a contradiction."""


@dataclass(frozen=True, repr=False)
class Comparison(Savable):
    """Attributions of every model by every method.

    Parameters
    ----------
    models, methods : names, as in the request.
    attributions : one for each pair, grouped by model; an error where it failed, None until it is computed.
    output : the compared output, a row of each attribution's scores.
    """

    text: str
    models: tuple[str, ...]
    methods: tuple[str, ...]
    attributions: tuple[Attribution | AttributionError | None, ...]
    output: int = 0

    KIND = "comparison"

    def __repr__(self) -> str:
        return f"<Comparison of {', '.join(self.names)} on {shorten(self.text)}>"

    @classmethod
    def of(cls, *attributions: Attribution, output: int = 0) -> Self:
        """A comparison of attributions that exist already, those of other tools included.

        They explain one text. Those of one method are compared by their models, all others by their methods.
        Raises ``EmptyInput`` without any, ``BadOption`` for different texts.
        """
        if not attributions:
            raise EmptyInput("There is no attribution to compare.", "Give at least one.")
        first = attributions[0]
        for entry in attributions:
            if not isinstance(entry, Attribution):
                raise BadOption(f"Among the attributions is {describe(entry)}.", "Attribution.of makes them.")
            if (entry.text, entry.second) != (first.text, first.second):
                raise BadOption(
                    f"The attributions are of different texts: {quote(first.text)} and {quote(entry.text)}.",
                    "Compare attributions of one text; Attribution.of(..., text=...) takes it.",
                )
        models, methods = arrange(attributions)
        return cls(first.text, models, methods, attributions, output)

    @property
    def names(self) -> tuple[str, ...]:
        """Display names of the attributions: the method, the model if only models vary, or both."""
        short = [model.rsplit("/", 1)[-1] for model in self.models]
        model_names = short if len(set(short)) == len(short) else list(self.models)
        registered = list_methods()
        titles = [registered[name].title if name in registered else name for name in self.methods]
        if len(self.models) == 1:
            return tuple(titles)
        if len(self.methods) == 1:
            return tuple(model_names)
        return tuple(f"{model} · {title}" for model in model_names for title in titles)

    @property
    def finished(self) -> bool:
        """Whether all attributions are final."""
        return not any(
            entry is None or (isinstance(entry, Attribution) and entry.provisional)
            for entry in self.attributions
        )

    @property
    def results(self) -> tuple[Attribution | None, ...]:
        """The attributions, None instead of an error."""
        return tuple(entry if isinstance(entry, Attribution) else None for entry in self.attributions)

    def successful(self) -> list[Attribution]:
        """The attributions that did not fail. Raises the first error if all failed."""
        successes = [result for result in self.results if result is not None]
        for failure in self.attributions:
            if not successes and isinstance(failure, AttributionError):
                raise failure
        return successes

    @cached_property
    def alignment(self) -> Alignment:
        """The scores by word: see ``attribution.studies.alignment``."""
        return align(self.results, self.output)

    def agreement(self, measure: str = "kendall", k: int | None = None) -> Agreement:
        """How similarly each pair of attributions ranks the words.

        ``measure`` is one of ``agreement.MEASURES``, ``k`` the number of strongest words for ``"overlap"``.
        Raises ``BadOption``.
        """
        signed = [result is not None and result.signed for result in self.results]
        return agreement(self.alignment.scores, signed, measure, k)

    def disagreements(self, k: int = 3) -> tuple[Disagreement, ...]:
        """The ``k`` words on which the attributions disagree most: contradictions first, then by spread.

        Candidates are the strongest words of each attribution (``agreement.strongest_count`` of them). A word
        is a contradiction if it has signed scores of different signs that each are at least 5 % of all
        absolute scores and distinguishable from 0, and a disagreement if its ranks differ by at least two.
        Equal scores share the best rank.
        """
        scores = self.alignment.scores
        count = strongest_count(scores.shape[1])
        candidates = {word for row in scores for word in top(row, count)}
        word_ranks = [ranks(row) for row in scores]
        compared = [self._disagreement(word, word_ranks) for word in sorted(candidates)]
        disagreements = [word for word in compared if word.opposite or word.spread > 1]
        return tuple(sorted(disagreements, key=lambda word: (not word.opposite, -word.spread))[:k])

    def _disagreement(self, word: int, word_ranks: Sequence[np.ndarray]) -> Disagreement:
        """The opinions on the word with this index in ``alignment.words``."""
        scores, shares = self.alignment.scores, self.alignment.shares
        names = self.names
        opinions, signs = [], set()
        for i, result in enumerate(self.results):
            if result is None or np.isnan(scores[i, word]) or not self.alignment.totals[i]:
                continue
            score, share = float(scores[i, word]), float(shares[i, word])
            rank, of = int(word_ranks[i][word]), int((~np.isnan(scores[i])).sum())
            opinions.append(Opinion(names[i], result.signed, score, share, rank, of))
            error = float(self.alignment.errors[i, word])
            if result.signed and abs(share) >= OPPOSITE and not sentences.is_unsure(score, error):
                signs.add(score > 0)
        opinions.sort(key=lambda opinion: opinion.rank)
        return Disagreement(self.alignment.words[word], tuple(opinions), len(signs) > 1)

    def difference(self, first: int, second: int) -> Difference:
        """The shares of one attribution minus those of another, given by their indices in ``attributions``.

        Raises ``BadOption`` for an index out of range, and the error of an attribution that failed.
        """
        pair = [self._finished(index) for index in (first, second)]
        absolute = not all(result.signed for result in pair)
        shares = np.abs(self.alignment.shares) if absolute else self.alignment.shares
        values = [None if np.isnan(value) else float(value) for value in shares[first] - shares[second]]
        return Difference(
            (self.names[first], self.names[second]), self.alignment.words, tuple(values), absolute
        )

    def _finished(self, index: int) -> Attribution:
        if not 0 <= index < len(self.attributions):
            raise BadOption(
                f"There is no attribution {index}.",
                f"They are numbered from 0 to {len(self.attributions) - 1}.",
            )
        entry = self.attributions[index]
        if isinstance(entry, AttributionError):
            raise entry
        if entry is None:
            raise BadOption(f"Attribution {index} is not computed yet.", "Wait for it.")
        return entry

    @property
    def notes(self) -> tuple[str, ...]:
        """Caveats for comparing the attributions, as sentences."""
        answers: dict[str, str] = {}
        notes: list[str] = []
        for name, result in zip(self.names, self.results, strict=True):
            if result is not None and self.output < len(result.outputs):
                answer, several = result.outputs[self.output].text, len(result.outputs)
                if several > 1 and not notes:
                    notes.append(
                        f"Shown and compared is output {self.output + 1} of {several}, "
                        f"‘{_make_visible(answer)}’."
                    )
                answers.setdefault(answer.strip().casefold(), f"{name} ‘{_make_visible(answer)}’")
        if len(answers) > 1:
            notes.append(
                f"Different answers are explained: {', '.join(answers.values())}. "
                "A positive score supports a different answer in each."
            )
        return tuple(notes)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; ``Comparison.from_dict`` reads them back."""
        attributions = [None if entry is None else entry.to_dict() for entry in self.attributions]
        plain = {
            "text": self.text,
            "models": list(self.models),
            "methods": list(self.methods),
            "output": self.output,
        }
        return {"schema": SCHEMA, **plain, "attributions": attributions}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of ``to_dict``; ignores other keys. Raises ``BadFile``."""
        try:
            if data["schema"] != SCHEMA:
                raise BadFile(f"The file has the schema {quote(data['schema'])}, not {SCHEMA}.")
            models, methods = tuple(map(str, data["models"])), tuple(map(str, data["methods"]))
            attributions = tuple(_read_attribution(entry) for entry in data["attributions"])
            if len(attributions) != len(models) * len(methods):
                raise BadFile(
                    f"There are {len(attributions)} attributions for {len(models)} models and "
                    f"{len(methods)} methods."
                )
            return cls(str(data["text"]), models, methods, attributions, int(data["output"]))
        except (KeyError, TypeError, ValueError) as error:
            raise BadFile(
                f"This is not a comparison ({type(error).__name__}: {str(error)[:100]})."
            ) from error


def _make_visible(answer: str) -> str:
    """An answer without surrounding white space; a symbol if it is only white space."""
    return answer.strip() or _VISIBLE_WHITESPACE.get(answer, "␣")


def _read_attribution(data: Mapping[str, Any] | None) -> Attribution | AttributionError | None:
    if data is None:
        return None
    if "error" in data:
        return error_class(data["error"])(data["message"], data["hint"])
    return Attribution.from_dict(data)


def compare(
    engine: Engine,
    text: str,
    models: Model | Sequence[Model],
    methods: str | Sequence[str] = DEFAULTS,
    **arguments: Any,
) -> Comparison:
    """``attribution.compare`` on the given engine; takes the arguments of ``compare_steps``.

    Raises an ``AttributionError`` if the text is invalid, an argument is wrong, or all pairs fail with the
    same error.
    """
    *_, last = compare_steps(engine, text, models, methods, **arguments)
    return last


def compare_steps(
    engine: Engine,
    text: str,
    models: Model | Sequence[Model],
    methods: str | Sequence[str] = DEFAULTS,
    *,
    output: int = 0,
    cancelled: Callable[[], bool] = lambda: False,
    previews: bool = False,
    **fields: Any,
) -> Generator[Comparison, None, None]:
    """Yield the comparison after each attribution, and with ``previews`` also for each preview.

    The last comparison is finished. ``fields`` are request fields and options of the methods. Raises
    ``Cancelled``, ``UnknownMethod``, ``BadOption``, and the errors of ``compare``.
    """
    opened = map(engine.open_model, list_models("models", models))
    model_list: list[Model] = list(dict.fromkeys(opened))
    chosen = {method.name: method for method in map(find, list_names("methods", methods))}
    names = list(chosen)
    output = check_whole_number("output", output, 0, MANY_OUTPUTS)
    request = Request.of(text, **fields)
    owners = {name: method for method in chosen.values() for name in (method.name, *method.aliases)}
    shares = share_options(owners, request.options)
    for method in chosen.values():
        method.check_options(shares[method.name])
    entries: list[Attribution | AttributionError | None] = [None] * (len(model_list) * len(names))
    start = Comparison(
        clean(text, engine.settings.max_characters),
        tuple(map(display_name, model_list)),
        tuple(names),
        tuple(entries),
        output,
    )
    for i, model in enumerate(model_list):
        for j, name in enumerate(names):
            index = i * len(names) + j
            # Do not request a model again that failed to load: the answer of the Hub may take long.
            previous = entries[index - 1] if j else None
            if isinstance(previous, ModelError):
                entries[index] = previous
                continue
            pair = Request.of(request, model=model, method=name, options=shares.get(name))
            for entry in _attribute(engine, pair, cancelled, previews):
                entries[index] = entry
                if not (step := replace(start, attributions=tuple(entries))).finished:
                    yield step
    errors = [entry for entry in entries if isinstance(entry, AttributionError)]
    if len(errors) == len(entries) and len({(type(error), str(error)) for error in errors}) == 1:
        raise errors[0]
    yield replace(start, attributions=tuple(entries))


def _attribute(
    engine: Engine,
    request: Request,
    cancelled: Callable[[], bool],
    previews: bool,
) -> Iterator[Attribution | AttributionError]:
    """Yield the attribution or its error, with ``previews`` after its previews. Raises ``Cancelled``."""
    try:
        if previews:
            with closing(engine.progress(request, cancelled=cancelled)) as results:
                yield from results
        else:
            yield engine.attribute(request, cancelled=cancelled)
    except Cancelled:
        raise
    except AttributionError as error:
        yield error
