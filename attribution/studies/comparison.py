"""One text, several methods or several models: what each says of the same words, and where they disagree."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from attribution import sentences
from attribution.errors import AttributionError, BadFile, BadOption, Cancelled, ModelError, by_name, quote
from attribution.formats import Savable
from attribution.methods import find, list_methods
from attribution.models.base_adapter import BaseAdapter
from attribution.registry import share_options
from attribution.request import Request
from attribution.studies.agreement import Agreement, agreement, ranks, strongest, top
from attribution.studies.alignment import Alignment, Word, aligned
from attribution.text import clean
from attribution.types import Attribution

if TYPE_CHECKING:
    from attribution.engine import Engine, Model

SCHEMA = "comparison/1"
DEFAULTS = ("integrated_gradients", "saliency", "attention_x_gradient", "occlusion", "lime")
"""A quick method of each kind: gradients with signs and without, attention, hidden words, and a model fitted to them."""
_MARKS = {"\n": "⏎", "\t": "⇥"}
OPPOSITE = 0.05
"""The share of all absolute scores from which on a score with the other sign counts as a contradiction."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one row says of a word: its ``score``, the ``share`` of all absolute scores, and its ``rank`` among ``of`` words."""

    name: str
    signed: bool
    score: float
    share: float
    rank: int
    of: int


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A word on which rows disagree: ``opinions``, the highest rank first; ``opposite`` where one says for and another against."""

    word: Word
    opinions: tuple[Opinion, ...]
    opposite: bool

    @property
    def spread(self) -> int:
        """How many ranks lie between the highest and the lowest."""
        return self.opinions[-1].rank - self.opinions[0].rank

    @property
    def sentence(self) -> str:
        """``‘not’: rank 1 of 9 for Occlusion, rank 7 for Attention.``"""
        first, last = self.opinions[0], self.opinions[-1]
        text = f"‘{self.word.text}’: rank {first.rank} of {first.of} for {first.name}"
        if self.spread:
            text += f", rank {last.rank}{f' of {last.of}' if last.of != first.of else ''} for {last.name}"
        if self.opposite:
            signed = sorted(
                (opinion for opinion in self.opinions if opinion.signed), key=lambda opinion: opinion.share
            )
            text += (
                f"; for the answer according to {signed[-1].name}, against it according to {signed[0].name}"
            )
        return f"{text}."


@dataclass(frozen=True, slots=True)
class Difference:
    """How the shares of two rows differ: ``names[0]`` minus ``names[1]`` for each of ``words``, None where one of them scores no such word.

    A share is a score divided by the sum of all absolute scores of its row, so that models whose numbers
    differ in size can be compared. ``absolute``: shares without signs, since one of the rows has none.
    """

    names: tuple[str, str]
    words: tuple[Word, ...]
    values: tuple[float | None, ...]
    absolute: bool


@dataclass(frozen=True)
class Comparison(Savable):
    """Every model explained by every method.

    Parameters ---------- models, methods : names, as they were asked for. attributions : one for each pair,
    the methods of the first model first. An error stands in its place; None is not computed yet. output :
    which row of each attribution's scores is compared.
    """

    text: str
    models: tuple[str, ...]
    methods: tuple[str, ...]
    attributions: tuple[Attribution | AttributionError | None, ...]
    output: int = 0

    KIND = "comparison"

    @property
    def names(self) -> tuple[str, ...]:
        """What each attribution is called: by its method, by its model where there are several, or by both."""
        short = [model.rsplit("/", 1)[-1] for model in self.models]
        model_names = short if len(set(short)) == len(short) else list(self.models)
        known = list_methods()
        titles = [known[name].title if name in known else name for name in self.methods]
        if len(self.models) == 1:
            return tuple(titles)
        if len(self.methods) == 1:
            return tuple(model_names)
        return tuple(f"{model} · {title}" for model in model_names for title in titles)

    @property
    def finished(self) -> bool:
        """Whether nothing is to come."""
        return not any(
            one is None or (isinstance(one, Attribution) and one.provisional) for one in self.attributions
        )

    @property
    def results(self) -> tuple[Attribution | None, ...]:
        """The attributions, None in the place of an error."""
        return tuple(one if isinstance(one, Attribution) else None for one in self.attributions)

    def successful(self) -> list[Attribution]:
        """The attributions that did not fail. Raises the error of the first where all did."""
        successes = [result for result in self.results if result is not None]
        for failure in self.attributions:
            if not successes and isinstance(failure, AttributionError):
                raise failure
        return successes

    @cached_property
    def alignment(self) -> Alignment:
        """The scores by word: see ``attribution.studies.alignment``."""
        return aligned(self.results, self.output)

    def agreement(self, measure: str = "kendall", k: int | None = None) -> Agreement:
        """How alike any two attributions rank the words, by one of ``agreement.MEASURES``; ``k`` is how many words an overlap takes."""
        return agreement(
            self.alignment.scores, [one is not None and one.signed for one in self.results], measure, k
        )

    def disagreements(self, k: int = 3) -> tuple[Disagreement, ...]:
        """The ``k`` words on which the attributions disagree most: contradictions first, then by the spread of the ranks.

        Words are looked at that at least one attribution counts among its strongest (``agreement.strongest``
        of them). It is a contradiction where signed scores of different signs each are 5 % of all absolute
        scores and can be told apart from 0; a disagreement, where two ranks or more lie between. Equal scores
        share the best rank.
        """
        scores = self.alignment.scores
        count = strongest(scores.shape[1])
        candidates = {place for row in scores for place in top(row, count)}
        ranked = [ranks(row) for row in scores]
        found = [self._disagreement(place, ranked) for place in sorted(candidates)]
        told = [one for one in found if one.opposite or one.spread > 1]
        return tuple(sorted(told, key=lambda one: (not one.opposite, -one.spread))[:k])

    def _disagreement(self, place: int, ranked: Sequence[np.ndarray]) -> Disagreement:
        scores, shares = self.alignment.scores, self.alignment.shares
        names = self.names
        opinions, signs = [], set()
        for i, result in enumerate(self.results):
            if result is None or np.isnan(scores[i, place]) or not self.alignment.totals[i]:
                continue
            score, share = float(scores[i, place]), float(shares[i, place])
            rank, of = int(ranked[i][place]), int((~np.isnan(scores[i])).sum())
            opinions.append(Opinion(names[i], result.signed, score, share, rank, of))
            told = abs(share) >= OPPOSITE and not sentences.is_unsure(
                score, float(self.alignment.errors[i, place])
            )
            if result.signed and told:
                signs.add(score > 0)
        opinions.sort(key=lambda opinion: opinion.rank)
        return Disagreement(self.alignment.words[place], tuple(opinions), len(signs) > 1)

    def difference(self, first: int, second: int) -> Difference:
        """The shares of one attribution minus those of another, by their numbers in ``attributions``.

        Raises the error of one that failed.
        """
        pair = [self._finished(place) for place in (first, second)]
        absolute = not all(result.signed for result in pair)
        shares = np.abs(self.alignment.shares) if absolute else self.alignment.shares
        values = [None if np.isnan(value) else float(value) for value in shares[first] - shares[second]]
        return Difference(
            (self.names[first], self.names[second]), self.alignment.words, tuple(values), absolute
        )

    def _finished(self, place: int) -> Attribution:
        if not 0 <= place < len(self.attributions):
            raise BadOption(
                f"There is no attribution {place}.",
                f"They are numbered from 0 to {len(self.attributions) - 1}.",
            )
        found = self.attributions[place]
        if isinstance(found, AttributionError):
            raise found
        if found is None:
            raise BadOption(f"Attribution {place} is not computed yet.", "Wait for it.")
        return found

    @property
    def notes(self) -> tuple[str, ...]:
        """What must be known to read one attribution beside another."""
        said: dict[str, str] = {}
        notes: list[str] = []
        for name, result in zip(self.names, self.results, strict=True):
            if result is not None and self.output < len(result.outputs):
                answer, several = result.outputs[self.output].text, len(result.outputs)
                if several > 1 and not notes:
                    notes.append(
                        f"Drawn and compared is output {self.output + 1} of {several}, ‘{_seen(answer)}’."
                    )
                said.setdefault(answer.strip().casefold(), f"{name} ‘{_seen(answer)}’")
        if len(said) > 1:
            notes.append(
                f"Different answers are explained: {', '.join(said.values())}. A positive score supports a "
                "different answer in each."
            )
        return tuple(notes)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; ``Comparison.from_dict`` reads them back."""
        attributions = [None if one is None else one.to_dict() for one in self.attributions]
        plain = {
            "text": self.text,
            "models": list(self.models),
            "methods": list(self.methods),
            "output": self.output,
        }
        return {"schema": SCHEMA, **plain, "attributions": attributions}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of ``to_dict``; what stands beside it is left alone. Raises ``BadFile``."""
        try:
            if data["schema"] != SCHEMA:
                raise BadFile(f"The file has the schema {quote(data['schema'])}, not {SCHEMA}.")
            models, names = tuple(map(str, data["models"])), tuple(map(str, data["methods"]))
            found = tuple(_read(one) for one in data["attributions"])
            if len(found) != len(models) * len(names):
                raise BadFile(
                    f"There are {len(found)} attributions of {len(models)} models and {len(names)} methods."
                )
            return cls(str(data["text"]), models, names, found, int(data["output"]))
        except (KeyError, TypeError, ValueError) as error:
            raise BadFile(
                f"This is not a comparison ({type(error).__name__}: {str(error)[:100]})."
            ) from error


def _seen(answer: str) -> str:
    """An answer without the space that it begins with; a mark for one that is nothing else."""
    return answer.strip() or _MARKS.get(answer, "␣")


def _read(one: Mapping[str, Any] | None) -> Attribution | AttributionError | None:
    if one is None:
        return None
    return (
        by_name(one["error"])(one["message"], one["hint"]) if "error" in one else Attribution.from_dict(one)
    )


def compare(
    engine: Engine,
    text: str,
    models: Model | Sequence[Model],
    methods: str | Sequence[str] = DEFAULTS,
    **more: Any,
) -> Comparison:
    """``attribution.compare`` by this engine.

    Raises an ``AttributionError`` for the text, or where every pair fails by the same one.
    """
    *_, last = steps(engine, text, models, methods, **more)
    return last


def steps(
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
    """The comparison as it grows: once more after each attribution, with ``previews`` also in between; the last is finished.

    ``fields`` are those of a request, and options of the methods. Raises ``Cancelled``, and what ``compare`` raises.
    """
    every = list(
        dict.fromkeys([models] if isinstance(models, str) or not isinstance(models, Sequence) else models)
    )
    names = list(dict.fromkeys(map(_canonical, [methods] if isinstance(methods, str) else methods)))
    _check(every, names, output)
    request = Request.of(text, **fields)
    known_methods = [method for name in names if (method := list_methods().get(name)) is not None]
    owners = {name: method for method in known_methods for name in (method.name, *method.aliases)}
    shares = share_options(owners, request.options)
    found: list[Attribution | AttributionError | None] = [None] * (len(every) * len(names))
    known = Comparison(
        clean(text, engine.settings.max_characters),
        tuple(map(_name, every)),
        tuple(names),
        tuple(found),
        output,
    )
    for i, model in enumerate(every):
        for j, name in enumerate(names):
            place = i * len(names) + j
            # A model that cannot be had is not asked for again: the Hub may take its time to say so.
            lost = found[place - 1] if j else None
            if isinstance(lost, ModelError):
                found[place] = lost
                continue
            pair = Request.of(request, model=model, method=name, options=shares.get(name))
            for answer in _answers(engine, pair, cancelled, previews):
                found[place] = answer
                if not (grown := replace(known, attributions=tuple(found))).finished:
                    yield grown
    errors = [one for one in found if isinstance(one, AttributionError)]
    if len(errors) == len(found) and len({(type(error), str(error)) for error in errors}) == 1:
        raise errors[0]
    yield replace(known, attributions=tuple(found))


def _answers(
    engine: Engine,
    request: Request,
    cancelled: Callable[[], bool],
    previews: bool,
) -> Iterator[Attribution | AttributionError]:
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


def _check(models: Sequence[Model], names: Sequence[str], output: int) -> None:
    if not models or not names:
        raise BadOption("There is nothing to compare.", "Name at least one model and one method.")
    if isinstance(output, bool) or not isinstance(output, int) or output < 0:
        raise BadOption(f"output is {quote(output)}.", "It must be a whole number from 0.")


def _canonical(name: object) -> str:
    """The method's own name for an alias; what is no method keeps its name, and its error comes in its place."""
    try:
        return find(name).name
    except AttributionError:
        return str(name)


def _name(model: Model) -> str:
    return model.info.name if isinstance(model, BaseAdapter) else str(model)
