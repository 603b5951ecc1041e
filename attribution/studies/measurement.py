"""Methods measured by metrics, text by text: an ``Evaluation`` that grows."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from attribution.errors import AttributionError, BadOption, Cancelled, EmptyInput, ModelError, quote
from attribution.methods import Method
from attribution.methods import find as find_method
from attribution.metrics import Curve, Measured, Metric
from attribution.metrics import find as find_metric
from attribution.models.base_adapter import BaseAdapter
from attribution.registry import share_options
from attribution.request import Request
from attribution.settings import DEFAULT_MODEL
from attribution.studies.evaluation import CONTROL, GRID, METHODS, METRICS, Column, Evaluation
from attribution.types import Attribution, Option

if TYPE_CHECKING:
    from attribution.engine import Engine, Model
    from attribution.metrics.common.case import Passes
    from attribution.models.adapter import Adapter
    from attribution.models.perturbable import Perturbable
    from attribution.rationales import Rationale


def evaluate(
    engine: Engine, texts: Sequence[str], model: Model = DEFAULT_MODEL, *rest: Any, **more: Any
) -> Evaluation:
    """``attribution.evaluate`` by this engine; takes what ``steps`` takes."""
    *_, last = steps(engine, texts, model, *rest, **more)
    return last


def steps(
    engine: Engine,
    texts: Sequence[str],
    model: Model = DEFAULT_MODEL,
    methods: str | Sequence[str] = METHODS,
    metrics: str | Sequence[str] = METRICS,
    *,
    rationales: Sequence[Rationale | None] | None = None,
    seed: int = 0,
    bootstrap: int = 1000,
    cancelled: Callable[[], bool] = lambda: False,
    **fields: Any,
) -> Generator[Evaluation, None, None]:
    """The evaluation as it grows, once more after each text; the last is finished, and closing it keeps what is done.

    ``fields`` are those of a request, the same for each text (``second`` may be a list, one for each text), and options of the methods
    and metrics. The value of a text with several outputs is the mean over those where the metric is defined. What goes
    wrong with one text or method is listed among the ``failures``. Raises ``UnknownMethod``, ``UnknownMetric``, ``BadOption``,
    ``EmptyInput``, ``ModelError`` for a model that cannot be had, and ``Cancelled``.
    """
    plan = _plan(texts, methods, metrics, rationales, seed, bootstrap, fields)
    # What is wrong for all texts is said at once.
    replace(plan.request, text="text").checked(engine.settings)
    tally = _Tally(plan, model.info.name if isinstance(model, BaseAdapter) else str(model))
    forgotten = _Forgotten()
    for place in range(len(plan.texts)):
        if cancelled():
            raise Cancelled("The evaluation was cancelled.")
        for method, found in _one_text(engine, plan, place, model, forgotten, cancelled):
            tally.add(place, method, found)
        yield tally.evaluation(place + 1)


@dataclass(frozen=True)
class _Plan:
    """What ``steps`` was asked for, checked."""

    texts: tuple[str, ...]
    methods: tuple[Method, ...]
    metrics: tuple[Metric, ...]
    rationales: tuple[Rationale | None, ...]
    seconds: tuple[str | None, ...]
    options: Mapping[str, dict[str, Option]]
    seed: int
    bootstrap: int
    request: Request

    def request_for(self, place: int, model: Model, method: Method) -> Request:
        """What is asked for one text and method; the control is drawn anew for each text."""
        options = self.options.get(method.name, {})
        if method.name == CONTROL:
            options = {"seed": self.seed + place, **options}
        subject = {"text": self.texts[place], "second": self.seconds[place], "model": model}
        return replace(self.request, **subject, method=method.name, options=options)  # type: ignore[arg-type]

    @property
    def arguments(self) -> dict[str, Any]:
        """What was asked beside texts, model, methods and metrics, in plain JSON types."""
        values = self.request.to_dict(defaults=False)
        values.pop("text", None)
        return {**values, "options": self.options}


def _plan(
    texts: Sequence[str],
    methods: str | Sequence[str],
    metrics: str | Sequence[str],
    rationales: Sequence[Rationale | None] | None,
    seed: int,
    bootstrap: int,
    fields: Mapping[str, Any],
) -> _Plan:
    every = (texts,) if isinstance(texts, str) else tuple(texts)
    if not every:
        raise EmptyInput("There are no texts.", "Give at least one.")
    chosen = [find_method(name) for name in ([methods] if isinstance(methods, str) else methods)]
    named = {method.name: method for method in (*chosen, find_method(CONTROL))}
    named[CONTROL] = named.pop(CONTROL)  # last
    measured = {one.name: one for one in map(find_metric, [metrics] if isinstance(metrics, str) else metrics)}
    if len(named) < 2 or not measured:
        raise BadOption("There is nothing to evaluate.", "Name at least one method and one metric.")
    _whole_number("seed", seed, 0, 2**31 - 1)
    _whole_number("bootstrap", bootstrap, 100, 100_000)
    rest = dict(fields)
    second = rest.pop("second", None)
    request = Request.of("", **rest)
    by_name = {name: method for method in named.values() for name in (method.name, *method.aliases)}
    shares = share_options({**by_name, **measured}, request.options)
    for owner in (*named.values(), *measured.values()):
        owner.check_options(shares[owner.name])
    own = {name: options for name, options in shares.items() if options}
    pairs = _one_each(
        "second", (second,) * len(every) if second is None or isinstance(second, str) else second, every
    )
    marks = _one_each("rationales", (None,) * len(every) if rationales is None else rationales, every)
    for place, mark in enumerate(marks):
        if mark is not None and mark.end > len(every[place]):
            raise BadOption(
                f"The marks of text {place + 1} reach beyond its end.", "Offsets count code points from 0."
            )
    if rationales is None and (
        asking := [one.title for one in measured.values() if "rationale" in one.needs]
    ):
        raise BadOption(
            f"{asking[0]} compares with what people marked.", "Give rationales, one for each text."
        )
    return _Plan(
        every, tuple(named.values()), tuple(measured.values()), marks, pairs, own, seed, bootstrap, request
    )


def _whole_number(name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise BadOption(f"{name} is {quote(value)}.", f"It must be a whole number from {low:,} to {high:,}.")


def _one_each(name: str, given: Sequence[Any], texts: Sequence[str]) -> tuple[Any, ...]:
    if len(given) != len(texts):
        raise BadOption(
            f"There are {len(given)} {name} for {len(texts)} texts.",
            "Give one for each text, None where there is none.",
        )
    return tuple(given)


Answer = AttributionError | list[Measured]
"""Why a method failed for a text, or one value for each metric."""


def _one_text(
    engine: Engine,
    plan: _Plan,
    place: int,
    model: Model,
    forgotten: _Forgotten,
    cancelled: Callable[[], bool],
) -> Iterator[tuple[Method, Answer]]:
    """Each method's values; the attributions first, and then, in one turn, what the metrics ask of the model."""
    results: dict[str, Attribution] = {}
    for method in plan.methods:
        try:
            results[method.name] = engine.attribute(
                plan.request_for(place, model, method), cancelled=cancelled
            )
        except (Cancelled, ModelError):
            raise
        except AttributionError as error:
            yield method, error
    left = [method for method in plan.methods if method.name in results]
    if not left:
        return
    try:
        with engine.lease_function(
            results[left[0].name].request,
            model,
            seconds=engine.settings.deadline_seconds * len(left),
            cancelled=cancelled,
        ) as f:
            passes = _passes(f)
            while left:
                method = left.pop(0)
                yield method, _by_all(plan, place, results[method.name], passes, forgotten)
    except (Cancelled, ModelError):
        raise
    except AttributionError as error:
        for method in left:
            yield method, error


def _passes(f: Perturbable) -> list[Passes]:
    """For each output what the methods share."""
    from attribution.metrics.common.case import Passes

    return [Passes(f, row) for row in range(len(f.outputs))]


def _by_all(
    plan: _Plan, place: int, result: Attribution, passes: Sequence[Passes], forgotten: _Forgotten
) -> Answer:
    """One attribution by every metric: over several outputs the mean of what is defined.

    Raises ``Cancelled``.
    """
    from attribution.metrics.common.case import Case
    from attribution.metrics.common.rerun import Again

    rerun = Again(result, passes[0].f, forgotten)
    marks, seed = plan.rationales[place], plan.seed + place
    cases = [Case(result, row, one, marks, rerun, seed) for row, one in enumerate(passes)]
    try:
        return [
            _mean([m.measure(case, **plan.options.get(m.name, {})) for case in cases]) for m in plan.metrics
        ]
    except Cancelled:
        raise
    except AttributionError as error:
        return error


def _mean(rows: Sequence[Measured]) -> Measured:
    """Of the rows where it is defined; else the reason of the first."""
    known = [row for row in rows if row.value is not None]
    if len(rows) == 1 or not known:
        return rows[0]
    curves = [row.curve for row in known if row.curve is not None]
    ceilings = [row.ceiling for row in known if row.ceiling is not None]
    return Measured(
        float(np.mean([row.value for row in known])),
        curve=_mean_curve(curves) if curves else None,
        ceiling=float(np.mean(ceilings)) if ceilings else None,
    )


def _mean_curve(curves: Sequence[Curve]) -> Curve:
    """Curves over 0 … 1 meet on ``GRID``; others have the same x."""
    even = [_evened(curve) for curve in curves]
    heights = np.mean([curve.y for curve in even], axis=0)
    return Curve(even[0].x, tuple(heights.tolist()), even[0].x_title, even[0].y_title)


def _evened(curve: Curve) -> Curve:
    if (curve.x[0], curve.x[-1]) != (0.0, 1.0):
        return curve
    return Curve(
        tuple(GRID.tolist()), tuple(np.interp(GRID, curve.x, curve.y).tolist()), curve.x_title, curve.y_title
    )


class _Forgotten:
    """The models that have forgotten all, made once for all texts."""

    def __init__(self) -> None:
        self._made: dict[tuple[int, int], tuple[Adapter, Adapter]] = {}

    def __call__(self, adapter: Adapter, seed: int) -> Adapter:
        from attribution.studies.randomisation import forgotten

        key = id(adapter), seed
        if key not in self._made:
            self._made[key] = (
                adapter,
                forgotten(adapter, seed),
            )  # the original too, so that no other can have its id
        return self._made[key][1]


class _Tally:
    """What is measured so far."""

    def __init__(self, plan: _Plan, model: str) -> None:
        self.plan, self.model = plan, model
        self.values: list[list[list[float | None]]] = [[[] for _ in plan.metrics] for _ in plan.methods]
        self.failures: list[tuple[int, str, str]] = []
        self.reasons: list[tuple[int, str, str, str]] = []
        self.curves: dict[tuple[str, str], tuple[Curve, np.ndarray, int]] = {}
        self.ceilings: dict[tuple[str, str], list[float]] = {}

    def add(self, place: int, method: Method, found: Answer) -> None:
        """One method's values for one text."""
        rows = self.values[self.plan.methods.index(method)]
        if isinstance(found, AttributionError):
            self.failures.append((place, method.name, str(found)))
            found = [Measured(None)] * len(rows)
        for row, one, metric in zip(rows, found, self.plan.metrics, strict=True):
            row.append(one.value)
            key = method.name, metric.name
            if one.value is None and one.why:
                self.reasons.append((place, *key, one.why))
            if one.ceiling is not None and one.value is not None:
                self.ceilings.setdefault(key, []).append(one.ceiling)
            if one.curve is not None:
                curve = _evened(one.curve)
                _, total, count = self.curves.get(key, (curve, np.zeros(len(curve.x)), 0))
                self.curves[key] = curve, total + curve.y, count + 1

    def evaluation(self, done: int) -> Evaluation:
        from attribution.engine import versions

        plan = self.plan
        curves = {
            key: Curve(curve.x, tuple((total / count).tolist()), curve.x_title, curve.y_title)
            for key, (curve, total, count) in self.curves.items()
        }
        return Evaluation(
            model=self.model,
            methods=tuple(method.name for method in plan.methods),
            columns=tuple(Column(m.name, m.title, m.better, m.kind, m.low, m.high) for m in plan.metrics),
            texts=plan.texts,
            done=done,
            table=tuple(tuple(tuple(values) for values in rows) for rows in self.values),
            failures=tuple(self.failures),
            reasons=tuple(self.reasons),
            curves=curves,
            ceilings={key: float(np.mean(values)) for key, values in self.ceilings.items()},
            titles={method.name: method.title for method in plan.methods},
            seed=plan.seed,
            bootstrap=plan.bootstrap,
            versions=versions(),
            asked=plan.arguments,
        )
