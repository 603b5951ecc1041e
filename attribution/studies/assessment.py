"""Rank explanations of a text by faithfulness: hide or keep their strongest words, against random orders."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from attribution.errors import BadFile, BadOption, InputError, describe, quote
from attribution.formats import Savable, shorten
from attribution.request import Target
from attribution.request.arguments import SEEDS, check_seconds, check_whole_number
from attribution.studies.evaluation import LEVEL, Figure
from attribution.types import Attribution

if TYPE_CHECKING:
    from attribution.engine import Engine, Model
    from attribution.metrics.common.case import Case
    from attribution.models.perturbable import Perturbable

SCHEMA = "assessment/1"
ORDERS = 24
"""Number of random orders: an order beats all of them by chance in 1 of 25 cases."""
DRAWS = 1000
"""Draws of the bootstrap over ways of hiding and shares of words."""
METRICS = ("aopc_comprehensiveness", "aopc_sufficiency")


@dataclass(frozen=True, slots=True)
class Standing:
    """An explanation in the ranking; ``place`` is its index among the assessed attributions.

    ``score`` is the mean share of random orders that it beats over all trials: 0.5 is chance, 1 is always
    better. 95 % of the bootstrap draws lie between ``low`` and ``high``; ``chance_best`` is the share of
    draws in which it is first. ``convincing`` says whether it scores above every random order.
    """

    place: int
    method: str
    title: str
    score: float
    low: float
    high: float
    chance_best: float
    convincing: bool


@dataclass(frozen=True, repr=False)
class Assessment(Savable):
    """The assessed explanations of a text.

    Parameters
    ----------
    ranking : the explanations, best first.
    control : the scores of the random orders, each against the others, sorted.
    ways : how words were hidden; fewer if time ran out.
    figures : the ``METRICS``, as means over ways and outputs; the intervals span the smallest and the largest
        value of a way.
    sentences : which explanation is most faithful, what chance achieves, and what this does not show.
    left_out : (index, reason) of explanations that cannot be assessed.
    """

    text: str
    model: str
    ranking: tuple[Standing, ...]
    control: tuple[float, ...]
    ways: tuple[str, ...]
    figures: tuple[Figure, ...]
    sentences: tuple[str, str, str]
    left_out: tuple[tuple[int, str], ...] = ()

    KIND = "assessment"

    def __repr__(self) -> str:
        ranking = ", ".join(f"{entry.title} {entry.score:.2f}" for entry in self.ranking)
        return f"<Assessment of {shorten(self.text)} by {self.model}: {ranking}>"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; ``Assessment.from_dict`` reads them back equal."""
        data: dict[str, Any] = {"schema": SCHEMA, "text": self.text, "model": self.model}
        data |= {name: list(getattr(self, name)) for name in ("control", "ways", "sentences")}
        data["ranking"] = [asdict(standing) for standing in self.ranking]
        data["figures"] = [{**asdict(figure), "values": list(figure.values)} for figure in self.figures]
        data["left_out"] = [list(entry) for entry in self.left_out]
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of ``to_dict``. Raises ``BadFile``."""
        try:
            if data["schema"] != SCHEMA:
                raise BadFile(f"The file has the schema {quote(data['schema'])}, not {SCHEMA}.")
            first, second, third = map(str, data["sentences"])
            return cls(
                text=str(data["text"]),
                model=str(data["model"]),
                ranking=tuple(Standing(**entry) for entry in data["ranking"]),
                control=tuple(map(float, data["control"])),
                ways=tuple(map(str, data["ways"])),
                figures=tuple(
                    Figure(**{**entry, "values": tuple(entry["values"])}) for entry in data["figures"]
                ),
                sentences=(first, second, third),
                left_out=tuple((int(index), str(reason)) for index, reason in data["left_out"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BadFile(
                f"This is not an assessment ({type(error).__name__}: {str(error)[:100]})."
            ) from error


def assess(
    engine: Engine,
    attributions: Sequence[Attribution],
    model: Model | None = None,
    *,
    seconds: float = 3.0,
    seed: int = 0,
    cancelled: Callable[[], bool] = lambda: False,
) -> Assessment:
    """Rank attributions of a text; ``model`` is required where its name does not identify it.

    In a trial, the first words of each order are hidden, or only they are kept. There are trials for each of
    ERASER's shares of words, for each output, and for each way of hiding words that the model supports. An
    order beats another if the probability falls further (if words are kept: less far); ties count half. No
    further way is started after ``seconds``. Raises ``BadOption`` if the attributions do not explain the same
    target, ``InputError`` if none of them orders the words, and the errors of ``Engine.lease_function``.
    """
    check_seconds("seconds", seconds)
    check_whole_number("seed", seed, 0, SEEDS)
    attributions = list_attributions(attributions)
    _check(attributions)
    with engine.lease_function(attributions[0].request, model, cancelled=cancelled) as f:
        cases, left_out = _cases(attributions, f, seed)
        trials = _run_trials(list(cases.values()), seconds, seed)
        figures = tuple(_figure(rows, name, tuple(trials)) for rows in cases.values() for name in METRICS)
    win_rates = [_win_rates(values) for values in trials.values()]
    scores = np.mean([rates.mean(axis=0) for rates in win_rates], axis=0)
    ranking, control = _rank({k: attributions[k] for k in cases}, scores, _bootstrap(win_rates, seed))
    ways = tuple(trials)
    sentences = _describe(ranking, control, ways)
    return Assessment(
        attributions[0].text, attributions[0].model.name, ranking, control, ways, figures, sentences, left_out
    )


def list_attributions(values: object) -> list[Attribution]:
    """The attributions to assess. Raises ``BadOption`` for anything else."""
    if isinstance(values, Mapping | str | bytes | type) or not isinstance(values, Iterable):
        raise BadOption(f"text is {describe(values)}.", "It must be a text, or a list of attributions.")
    attributions = list(values)
    for number, entry in enumerate(attributions, start=1):
        if not isinstance(entry, Attribution):
            raise BadOption(
                f"Entry {number} is {describe(entry)}.", "Give a text, or a list of attributions of one text."
            )
    return attributions


def _check(attributions: Sequence[Attribution]) -> None:
    """Raise ``BadOption`` unless all attributions explain the same text, model and target."""
    if not attributions:
        raise BadOption("There is no attribution to assess.", "Give at least one.")

    def subject(result: Attribution) -> tuple[object, ...]:
        return result.text, result.second, result.model.name, result.model.revision, Target.of(result.request)

    first = attributions[0]
    for result in attributions:
        name = result.title or result.method
        if not np.isfinite(result.scores).all():
            raise InputError(f"{name} has scores that are not finite.", "Leave it out.")
        if subject(result) != subject(first):
            raise BadOption(
                f"{name} explains something else than {first.title or first.method}.",
                "Give attributions of one text, one model and one target.",
            )


def _cases(
    attributions: Sequence[Attribution], f: Perturbable, seed: int
) -> tuple[dict[int, list[Case]], tuple[tuple[int, str], ...]]:
    """The cases of each attribution that can be assessed, by its index; and (index, reason) of the others.

    There is a case for each output with at least two words. Raises ``InputError`` if there are no cases.
    """
    from attribution.metrics.common.case import Case, Passes

    passes = [Passes(f, row) for row in range(len(f.outputs))]
    cases, left_out = {}, []
    for k, result in enumerate(attributions):
        all_cases = [Case(result, row, output, seed=seed) for row, output in enumerate(passes)]
        orderings = [case for case in all_cases if len(case.words) > 1]
        if all(case.constant for case in orderings):
            left_out.append((k, "All words have the same score."))
        else:
            cases[k] = orderings
    if not cases:
        raise InputError(
            "There is no order to assess: each explanation scores a single word, or all words equally.",
            "Give a longer text.",
        )
    return cases, tuple(left_out)


def _run_trials(methods: Sequence[Sequence[Case]], seconds: float, seed: int) -> dict[str, np.ndarray]:
    """The trials of all outputs by way of hiding, float64 [trials, methods + ORDERS].

    No further way is started after ``seconds``.
    """
    from attribution.metrics.common.hiding import ways

    trials: dict[str, np.ndarray] = {}
    started = time.monotonic()
    for way in ways(methods[0][0]):
        if trials and time.monotonic() - started > seconds:
            break
        trials[way] = np.concatenate([_try_orders(cases, way, seed) for cases in zip(*methods, strict=True)])
    return trials


def _try_orders(cases: Sequence[Case], way: str, seed: int) -> np.ndarray:
    """Each order's value in each trial of an output, float64 [trials, methods + ORDERS]; higher is better."""
    from attribution.metrics.common.shares import BINS, counts

    count = len(cases[0].words)
    prefixes = np.unique(counts(count, BINS))
    draw = np.random.default_rng(seed)
    ranks = [np.argsort(case.order) for case in cases] + [draw.permutation(count) for _ in range(ORDERS)]
    first = np.array(ranks)[None, :, :] < prefixes[:, None, None]  # [shares, orders, words]
    shape = len(prefixes), len(ranks)
    without_first = cases[0].values(~first.reshape(-1, count), way).reshape(shape)
    first_only = cases[0].values(first.reshape(-1, count), way).reshape(shape)
    values: np.ndarray = np.concatenate([-without_first, first_only])
    return values


def _win_rates(values: np.ndarray) -> np.ndarray:
    """The share of the other random orders that each order beats, from and to [trials, methods + ORDERS]."""
    others = values[:, -ORDERS:]
    wins = (values[:, :, None] > others[:, None, :]) + 0.5 * (values[:, :, None] == others[:, None, :])
    rates: np.ndarray = wins.mean(axis=2)
    # Remove the tie of each random order with itself, which counted as half a win.
    rates[:, -ORDERS:] = (rates[:, -ORDERS:] * ORDERS - 0.5) / (ORDERS - 1)
    return rates


def _bootstrap(win_rates: Sequence[np.ndarray], seed: int) -> np.ndarray:
    """Bootstrap means, float64 [DRAWS, methods + ORDERS], of resampled ways with resampled trials."""
    draw = np.random.default_rng(seed)
    means = []
    for rates in win_rates:
        weights = draw.multinomial(len(rates), np.full(len(rates), 1 / len(rates)), DRAWS)
        means.append(weights @ rates / len(rates))
    count = len(win_rates)
    weights = draw.multinomial(count, np.full(count, 1 / count), DRAWS) / count
    draws: np.ndarray = np.einsum("dw,wdo->do", weights, np.array(means))
    return draws


def _rank(
    attributions: Mapping[int, Attribution], scores: np.ndarray, draws: np.ndarray
) -> tuple[tuple[Standing, ...], tuple[float, ...]]:
    """The explanations, best first, and the sorted scores of the random orders."""
    count = len(attributions)
    control = tuple(np.sort(scores[count:]).tolist())
    own = draws[:, :count]
    first = own == own.max(axis=1, keepdims=True)
    chances = (first / first.sum(axis=1, keepdims=True)).mean(axis=0)
    standings = []
    for k, (index, result) in enumerate(attributions.items()):
        low, high = (float(end) for end in np.quantile(own[:, k], LEVEL))
        score = float(scores[k])
        title = result.title or result.method
        convincing = score > control[-1]
        standings.append(
            Standing(index, result.method, title, score, low, high, float(chances[k]), convincing)
        )
    return tuple(sorted(standings, key=lambda standing: -standing.score)), control


def _figure(cases: Sequence[Case], name: str, ways: Sequence[str]) -> Figure:
    """A figure whose values are the metric's means over outputs, one per way; the interval is their range."""
    from attribution.metrics import find

    metric = find(name)
    values = []
    for way in ways:
        measurements = [metric.measure(case, hide=way).value for case in cases]
        defined = [value for value in measurements if value is not None]
        values.append(float(np.mean(defined)) if defined else None)
    defined = [value for value in values if value is not None]
    method = cases[0].attribution.method
    if not defined:
        return Figure(method, name, None, None, None, 0, len(values), tuple(values))
    return Figure(
        method,
        name,
        float(np.mean(defined)),
        min(defined),
        max(defined),
        len(defined),
        len(values) - len(defined),
        tuple(values),
    )


def _describe(
    ranking: Sequence[Standing], control: Sequence[float], ways: Sequence[str]
) -> tuple[str, str, str]:
    """The sentences of an assessment."""
    best = ranking[0]
    if len(ranking) == 1:
        first = (
            f"The words that {best.title} puts first move the prediction further than "
            f"{_percent(best.score)} of random orders."
        )
    else:
        first = (
            f"{best.title} is the most faithful here: the words that it puts first move the prediction "
            f"further than {_percent(best.score)} of random orders, and it is first in "
            f"{_percent(best.chance_best)} of the draws."
        )
        if close := [standing.title for standing in ranking[1:] if standing.chance_best >= LEVEL[0]]:
            first += f" It may be no better than {_join_names(close)}."
    doubtful = [standing.title for standing in ranking if not standing.convincing]
    second = (
        f"A random order beats 50 % of the others on average, the best of {len(control)} beats "
        f"{_percent(control[-1])}: "
    )
    if doubtful:
        second += f"{_join_names(doubtful)} cannot be distinguished from that."
    else:
        second += f"{'this one is' if len(ranking) == 1 else 'all are'} above it."
    hidden = f"{len(ways)} way{'s' if len(ways) > 1 else ''} of hiding words ({', '.join(ways)})"
    third = (
        f"This is one text and {hidden}: it does not say which method is better on other texts, nor "
        "whether the model is right for the right reasons."
    )
    return first, second, third


def _percent(value: float) -> str:
    return f"{value * 100:.0f} %"


def _join_names(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
