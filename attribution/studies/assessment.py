"""Which of several explanations of one text should be believed?

Their words are hidden and kept, against orders at random.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from attribution.errors import BadFile, BadOption, InputError, quote
from attribution.formats import Savable
from attribution.request import Target
from attribution.studies.evaluation import LEVEL, Figure
from attribution.types import Attribution

if TYPE_CHECKING:
    from attribution.engine import Engine, Model
    from attribution.metrics.common.case import Case
    from attribution.models.perturbable import Perturbable

SCHEMA = "assessment/1"
ORDERS = 24
"""Orders at random: who beats all of them does so by chance in 1 of 25 cases."""
DRAWS = 1000
"""Of the bootstrap over ways of hiding and shares of words."""
MEASURED = ("aopc_comprehensiveness", "aopc_sufficiency")


@dataclass(frozen=True, slots=True)
class Judged:
    """How one explanation did; ``place`` is its number among those that were given.

    ``score`` is the share of orders at random that it beats, the mean over all trials: 0.5 is chance, 1 is
    always better. 95 % of the bootstrap draws lie from ``low`` to ``high``; ``chance_best`` is the share of
    draws in which it is first. ``convincing`` says whether its score is above that of every order at random.
    """

    place: int
    method: str
    title: str
    score: float
    low: float
    high: float
    chance_best: float
    convincing: bool


@dataclass(frozen=True)
class Assessment(Savable):
    """The judgement of one text's explanations.

    Parameters ---------- ranking : best first. control : the scores of the orders at random themselves, each
    against the others, sorted. ways : how words were hidden; fewer where time was short. figures : of
    ``MEASURED``, the mean over ways and outputs with the smallest and the largest way as interval. sentences
    : what is most faithful here, what chance would get, and what this does not say. left_out : (place,
    sentence) of those that could not be judged.
    """

    text: str
    model: str
    ranking: tuple[Judged, ...]
    control: tuple[float, ...]
    ways: tuple[str, ...]
    figures: tuple[Figure, ...]
    sentences: tuple[str, str, str]
    left_out: tuple[tuple[int, str], ...] = ()

    KIND = "assessment"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; ``Assessment.from_dict`` reads them back equal."""
        data: dict[str, Any] = {"schema": SCHEMA, "text": self.text, "model": self.model}
        data |= {name: list(getattr(self, name)) for name in ("control", "ways", "sentences")}
        data["ranking"] = [asdict(one) for one in self.ranking]
        data["figures"] = [{**asdict(one), "values": list(one.values)} for one in self.figures]
        data["left_out"] = [list(one) for one in self.left_out]
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
                ranking=tuple(Judged(**one) for one in data["ranking"]),
                control=tuple(map(float, data["control"])),
                ways=tuple(map(str, data["ways"])),
                figures=tuple(Figure(**{**one, "values": tuple(one["values"])}) for one in data["figures"]),
                sentences=(first, second, third),
                left_out=tuple((int(place), str(why)) for place, why in data["left_out"]),
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
    """Rank explanations of one text by one model; ``model`` is needed where its name alone does not say it.

    Trials: the first words of each order are hidden, or kept alone, for each of ERASER's shares of words, for
    each output, and for each way to hide a word that the model knows. In a trial an order beats another if
    the probability falls further (or less far, for words kept); equal ones count half. No further way is
    begun after ``seconds``. Raises ``BadOption`` where the attributions are not of one question,
    ``InputError`` where there is no order to judge, and what ``Engine.explained`` raises.
    """
    _check(attributions)
    with engine.lease_function(attributions[0].request, model, cancelled=cancelled) as f:
        cases, left_out = _cases(attributions, f, seed)
        trials = _tried(list(cases.values()), seconds, seed)
        figures = tuple(_figure(rows, name, tuple(trials)) for rows in cases.values() for name in MEASURED)
    beaten = [_beaten(values) for values in trials.values()]
    scores = np.mean([values.mean(axis=0) for values in beaten], axis=0)
    ranking, control = _ranking({k: attributions[k] for k in cases}, scores, _draws(beaten, seed))
    ways = tuple(trials)
    said = _sentences(ranking, control, ways)
    return Assessment(
        attributions[0].text, attributions[0].model.name, ranking, control, ways, figures, said, left_out
    )


def _check(attributions: Sequence[Attribution]) -> None:
    """Raises ``BadOption`` where the attributions are not of one question."""
    if not attributions:
        raise BadOption("There is no attribution to judge.", "Give at least one.")

    def question(one: Attribution) -> tuple[object, ...]:
        return one.text, one.second, one.model.name, one.model.revision, Target.of(one.request)

    first = attributions[0]
    for one in attributions:
        if not np.isfinite(one.scores).all():
            raise InputError(f"{one.title or one.method} has scores that are no numbers.", "Leave it out.")
        if question(one) != question(first):
            raise BadOption(
                f"{one.title or one.method} explains something else than {first.title or first.method}.",
                "Give attributions of one text, one model and one target.",
            )


def _cases(
    attributions: Sequence[Attribution], f: Perturbable, seed: int
) -> tuple[dict[int, list[Case]], tuple[tuple[int, str], ...]]:
    """The cases of each attribution that can be judged, one for each output with two words or more, by its place; and the others.

    Raises ``InputError`` where there is none.
    """
    from attribution.metrics.common.case import Case, Passes

    passes = [Passes(f, row) for row in range(len(f.outputs))]
    found, left_out = {}, []
    for k, one in enumerate(attributions):
        every = [Case(one, row, each, seed=seed) for row, each in enumerate(passes)]
        kept = [case for case in every if len(case.words) > 1]
        if all(case.constant for case in kept):
            left_out.append((k, "All words have the same score."))
        else:
            found[k] = kept
    if not found:
        raise InputError(
            "There is no order to judge: each explanation scores one word, or all alike.",
            "Give a longer text.",
        )
    return found, tuple(left_out)


def _tried(methods: Sequence[Sequence[Case]], seconds: float, seed: int) -> dict[str, np.ndarray]:
    """By way of hiding the trials of all outputs, [trials, methods + ORDERS]; no new way after so many seconds."""
    from attribution.metrics.common.hiding import ways

    found: dict[str, np.ndarray] = {}
    started = time.monotonic()
    for way in ways(methods[0][0]):
        if found and time.monotonic() - started > seconds:
            break
        found[way] = np.concatenate([_trials(cases, way, seed) for cases in zip(*methods, strict=True)])
    return found


def _trials(cases: Sequence[Case], way: str, seed: int) -> np.ndarray:
    """How good each order is in each trial, [trials, methods + ORDERS]: the larger the better."""
    from attribution.metrics.common.shares import BINS, counts

    count = len(cases[0].words)
    taken = np.unique(counts(count, BINS))
    draw = np.random.default_rng(seed)
    ranks = [np.argsort(case.order) for case in cases] + [draw.permutation(count) for _ in range(ORDERS)]
    first = np.array(ranks)[None, :, :] < taken[:, None, None]  # [shares, orders, words]
    shape = len(taken), len(ranks)
    gone = cases[0].values(~first.reshape(-1, count), way).reshape(shape)
    kept = cases[0].values(first.reshape(-1, count), way).reshape(shape)
    return np.concatenate([-gone, kept])


def _beaten(values: np.ndarray) -> np.ndarray:
    """[trials, methods + ORDERS] → the share of the (other) orders at random that each beats, of the same shape."""
    others = values[:, -ORDERS:]
    wins = (values[:, :, None] > others[:, None, :]) + 0.5 * (values[:, :, None] == others[:, None, :])
    found: np.ndarray = wins.mean(axis=2)
    # None meets itself: that was half a win of ORDERS.
    found[:, -ORDERS:] = (found[:, -ORDERS:] * ORDERS - 0.5) / (ORDERS - 1)
    return found


def _draws(beaten: Sequence[np.ndarray], seed: int) -> np.ndarray:
    """Bootstrap means, [DRAWS, methods + ORDERS]: ways are drawn first, and then trials of each way."""
    draw = np.random.default_rng(seed)
    means = []
    for values in beaten:
        weights = draw.multinomial(len(values), np.full(len(values), 1 / len(values)), DRAWS)
        means.append(weights @ values / len(values))
    weights = draw.multinomial(len(beaten), np.full(len(beaten), 1 / len(beaten)), DRAWS) / len(beaten)
    found: np.ndarray = np.einsum("dw,wdo->do", weights, np.array(means))
    return found


def _ranking(
    attributions: Mapping[int, Attribution], scores: np.ndarray, draws: np.ndarray
) -> tuple[tuple[Judged, ...], tuple[float, ...]]:
    """The methods, best first, and the sorted scores of the orders at random."""
    count = len(attributions)
    control = tuple(np.sort(scores[count:]).tolist())
    own = draws[:, :count]
    first = own == own.max(axis=1, keepdims=True)
    chances = (first / first.sum(axis=1, keepdims=True)).mean(axis=0)
    found = []
    for k, (place, one) in enumerate(attributions.items()):
        low, high = (float(end) for end in np.quantile(own[:, k], LEVEL))
        score = float(scores[k])
        title = one.title or one.method
        found.append(
            Judged(place, one.method, title, score, low, high, float(chances[k]), score > control[-1])
        )
    return tuple(sorted(found, key=lambda one: -one.score)), control


def _figure(cases: Sequence[Case], name: str, ways: Sequence[str]) -> Figure:
    """The metric's mean over outputs for each way, as the values; the smallest and the largest are the interval."""
    from attribution.metrics import find

    chosen = find(name)
    values = []
    for way in ways:
        known = [found.value for case in cases if (found := chosen.measure(case, hide=way)).value is not None]
        values.append(float(np.mean(known)) if known else None)
    known = [value for value in values if value is not None]
    method = cases[0].attribution.method
    if not known:
        return Figure(method, name, None, None, None, 0, len(values), tuple(values))
    return Figure(
        method,
        name,
        float(np.mean(known)),
        min(known),
        max(known),
        len(known),
        len(values) - len(known),
        tuple(values),
    )


def _sentences(
    ranking: Sequence[Judged], control: Sequence[float], ways: Sequence[str]
) -> tuple[str, str, str]:
    best = ranking[0]
    if len(ranking) == 1:
        first = (
            f"The words that {best.title} puts first move the prediction further than "
            f"{_share(best.score)} of random orders."
        )
    else:
        first = (
            f"{best.title} is the most faithful here: the words that it puts first move the prediction "
            "further than "
            f"{_share(best.score)} of random orders, and it is ahead in {_share(best.chance_best)} of the "
            "draws."
        )
        if close := [one.title for one in ranking[1:] if one.chance_best >= LEVEL[0]]:
            first += f" It may be no better than {_listed(close)}."
    doubtful = [one.title for one in ranking if not one.convincing]
    second = (
        f"A random order beats 50 % of the others on average, the luckiest of {len(control)} "
        f"{_share(control[-1])}: "
    )
    if doubtful:
        second += f"{_listed(doubtful)} cannot be distinguished from that."
    else:
        second += f"{'this one is' if len(ranking) == 1 else 'all are'} above it."
    hidden = f"{len(ways)} way{'s' if len(ways) > 1 else ''} of hiding words ({', '.join(ways)})"
    third = (
        f"This is one text and {hidden}: it does not say which method is better on other texts, nor "
        "whether the model is right for the "
        "right reasons."
    )
    return first, second, third


def _share(value: float) -> str:
    return f"{value * 100:.0f} %"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
