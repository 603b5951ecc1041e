"""Run an evaluation: measure methods by metrics, text by text, into a growing ``Evaluation``."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from attribution.errors import AttributionError, BadOption, Cancelled, ModelError
from attribution.methods import Method
from attribution.methods import find as find_method
from attribution.metrics import Curve, Measurement, Metric
from attribution.metrics import find as find_metric
from attribution.models.base_adapter import display_name
from attribution.rationales import read_all
from attribution.registry import share_options
from attribution.request import Request
from attribution.request.arguments import (
    SEEDS,
    check_whole_number,
    list_for_texts,
    list_names,
    list_seconds,
    list_texts,
)
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
    engine: Engine, texts: Sequence[str], model: Model = DEFAULT_MODEL, *arguments: Any, **keywords: Any
) -> Evaluation:
    """``attribution.evaluate`` on the given engine; takes the arguments of ``evaluate_steps``."""
    *_, last = evaluate_steps(engine, texts, model, *arguments, **keywords)
    return last


def evaluate_steps(  # noqa: PLR0913 - the keywords of ``attribution.evaluate``
    engine: Engine,
    texts: Sequence[str],
    model: Model = DEFAULT_MODEL,
    methods: str | Sequence[str] = METHODS,
    metrics: str | Sequence[str] = METRICS,
    *,
    rationales: Sequence[Any] | None = None,
    seed: int = 0,
    bootstrap: int = 1000,
    row_fields: Sequence[Mapping[str, Any]] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    **fields: Any,
) -> Generator[Evaluation, None, None]:
    """Yield the evaluation after each text; the last one is complete.

    Closing the generator ends the evaluation; what was yielded remains valid. ``fields`` are request fields
    that apply to every text (``second`` may also be a list with an entry per text) and options of the methods
    and metrics; ``row_fields`` are those of each text alone. For a text with several outputs, a value is the
    mean over the outputs where the metric is defined. Errors that concern a single text or method are listed
    in ``failures``. Raises ``UnknownMethod``, ``UnknownMetric``, ``BadOption``, ``EmptyInput``,
    ``ModelError`` if the model is unavailable, and ``Cancelled``.
    """
    plan = _plan(texts, methods, metrics, rationales, seed, bootstrap, fields)
    if row_fields is not None:
        plan = replace(plan, row_fields=list_for_texts("row_fields", row_fields, len(plan.texts)))
    model = engine.open_model(model)
    # Report errors that would affect every text right away.
    replace(plan.request, text="text").checked(engine.settings)
    tally = _Tally(plan, display_name(model))
    randomised = _RandomisedModels()
    for index in range(len(plan.texts)):
        if cancelled():
            raise Cancelled("The evaluation was cancelled.")
        for method, outcome in _measure_text(engine, plan, index, model, randomised, cancelled):
            tally.add(index, method, outcome)
        yield tally.evaluation(index + 1)


@dataclass(frozen=True)
class _Plan:
    """The validated arguments of ``evaluate_steps``."""

    texts: tuple[str, ...]
    methods: tuple[Method, ...]
    metrics: tuple[Metric, ...]
    rationales: tuple[Rationale | None, ...]
    seconds: tuple[str | None, ...]
    options: Mapping[str, dict[str, Option]]
    seed: int
    bootstrap: int
    request: Request
    row_fields: tuple[Mapping[str, Any], ...] = ()

    def request_for(self, index: int, model: Model, method: Method) -> Request:
        """The request for a text and a method; the control gets a different seed for each text."""
        options = self.options.get(method.name, {})
        if method.name == CONTROL:
            options = {"seed": self.seed + index, **options}
        subject = {"text": self.texts[index], "second": self.seconds[index], "model": model}
        own = self.row_fields[index] if self.row_fields else {}
        return replace(self.request, **subject, method=method.name, options=options, **own)  # type: ignore[arg-type]

    @property
    def arguments(self) -> dict[str, Any]:
        """Request fields and options, apart from texts, model, methods and metrics, in plain JSON types."""
        values = self.request.to_dict(defaults=False)
        values.pop("text", None)
        return {**values, "options": self.options}


def _plan(
    texts: Sequence[str],
    methods: str | Sequence[str],
    metrics: str | Sequence[str],
    rationales: Sequence[Any] | None,
    seed: int,
    bootstrap: int,
    fields: Mapping[str, Any],
) -> _Plan:
    text_list = list_texts("texts", texts)
    chosen = [find_method(name) for name in list_names("methods", methods)]
    method_map = {method.name: method for method in (*chosen, find_method(CONTROL))}
    method_map[CONTROL] = method_map.pop(CONTROL)  # last
    metric_map = {metric.name: metric for metric in map(find_metric, list_names("metrics", metrics))}
    if len(method_map) < 2:
        raise BadOption("There is nothing to evaluate.", "Name a method beside the control.")
    seed = check_whole_number("seed", seed, 0, SEEDS)
    bootstrap = check_whole_number("bootstrap", bootstrap, 100, 100_000)
    request_fields = dict(fields)
    second = request_fields.pop("second", None)
    request = Request.of("", **request_fields)
    options = _distribute_options(method_map, metric_map, request.options)
    seconds = list_seconds(second, len(text_list))
    chosen_metrics = tuple(metric_map.values())
    marks = _check_rationales(rationales, text_list, chosen_metrics)
    return _Plan(
        text_list,
        tuple(method_map.values()),
        chosen_metrics,
        marks,
        seconds,
        options,
        seed,
        bootstrap,
        request,
    )


def _distribute_options(
    methods: Mapping[str, Method], metrics: Mapping[str, Metric], options: Iterable[tuple[str, Any]]
) -> dict[str, dict[str, Option]]:
    """The options of each method and metric that has any, by its name. Raises ``BadOption``."""
    by_name = {name: method for method in methods.values() for name in (method.name, *method.aliases)}
    shares = share_options({**by_name, **metrics}, options)
    owners: list[Method | Metric] = [*methods.values(), *metrics.values()]
    for owner in owners:
        owner.check_options(shares[owner.name])
    return {name: share for name, share in shares.items() if share}


def _check_rationales(
    rationales: Sequence[Any] | None, texts: Sequence[str], metrics: Sequence[Metric]
) -> tuple[Rationale | None, ...]:
    """One rationale or None per text.

    Raises ``BadOption`` where they do not fit or a metric lacks them, ``BadTable`` for unreadable marks.
    """
    marks = read_all(texts, rationales)
    titles = [metric.title for metric in metrics if "rationale" in metric.needs]
    if rationales is None and titles:
        raise BadOption(
            f"{titles[0]} compares with what people marked.", "Give rationales, one for each text."
        )
    return marks


Outcome = AttributionError | list[Measurement]
"""Why a method failed for a text, or one measurement for each metric."""


def _measure_text(
    engine: Engine,
    plan: _Plan,
    index: int,
    model: Model,
    randomised: _RandomisedModels,
    cancelled: Callable[[], bool],
) -> Iterator[tuple[Method, Outcome]]:
    """Each method's measurements for a text.

    All attributions are computed first; the metrics then share a single lease of the explained function.
    """
    results: dict[str, Attribution] = {}
    for method in plan.methods:
        try:
            results[method.name] = engine.attribute(
                plan.request_for(index, model, method), cancelled=cancelled
            )
        except (Cancelled, ModelError):
            raise
        except AttributionError as error:
            yield method, error
    remaining = [method for method in plan.methods if method.name in results]
    if not remaining:
        return
    try:
        with engine.lease_function(
            results[remaining[0].name].request,
            model,
            seconds=engine.settings.deadline_seconds * len(remaining),
            cancelled=cancelled,
        ) as f:
            passes = _passes(f)
            while remaining:
                method = remaining.pop(0)
                yield method, _apply_metrics(plan, index, results[method.name], passes, randomised)
    except (Cancelled, ModelError):
        raise
    except AttributionError as error:
        for method in remaining:
            yield method, error


def _passes(f: Perturbable) -> list[Passes]:
    """Forward passes that the methods share, one cache per output."""
    from attribution.metrics.common.case import Passes

    return [Passes(f, row) for row in range(len(f.outputs))]


def _apply_metrics(
    plan: _Plan, index: int, result: Attribution, passes: Sequence[Passes], randomised: _RandomisedModels
) -> Outcome:
    """Measure an attribution by every metric; for several outputs the mean of the defined values.

    Raises ``Cancelled``.
    """
    from attribution.metrics.common.case import Case
    from attribution.metrics.common.rerun import MethodRerun

    rerun = MethodRerun(result, passes[0].f, randomised)
    marks, seed = plan.rationales[index], plan.seed + index
    cases = [Case(result, row, output_passes, marks, rerun, seed) for row, output_passes in enumerate(passes)]
    try:
        return [
            _mean([metric.measure(case, **plan.options.get(metric.name, {})) for case in cases])
            for metric in plan.metrics
        ]
    except Cancelled:
        raise
    except AttributionError as error:
        return error


def _mean(measurements: Sequence[Measurement]) -> Measurement:
    """The mean of the defined measurements; if none is defined, the first, with its reason."""
    defined = [measurement for measurement in measurements if measurement.value is not None]
    if len(measurements) == 1 or not defined:
        return measurements[0]
    curves = [measurement.curve for measurement in defined if measurement.curve is not None]
    ceilings = [measurement.ceiling for measurement in defined if measurement.ceiling is not None]
    return Measurement(
        float(np.mean([measurement.value for measurement in defined])),
        curve=_mean_curve(curves) if curves else None,
        ceiling=float(np.mean(ceilings)) if ceilings else None,
    )


def _mean_curve(curves: Sequence[Curve]) -> Curve:
    """The mean curve: curves over 0 … 1 are resampled to ``GRID``; all others share their x."""
    resampled = [_resample(curve) for curve in curves]
    heights = np.mean([curve.y for curve in resampled], axis=0)
    return Curve(resampled[0].x, tuple(heights.tolist()), resampled[0].x_title, resampled[0].y_title)


def _resample(curve: Curve) -> Curve:
    """The curve at the points of ``GRID`` if it spans 0 … 1; else unchanged."""
    if (curve.x[0], curve.x[-1]) != (0.0, 1.0):
        return curve
    return Curve(
        tuple(GRID.tolist()), tuple(np.interp(GRID, curve.x, curve.y).tolist()), curve.x_title, curve.y_title
    )


class _RandomisedModels:
    """Models with random weights, created once and shared by all texts."""

    def __init__(self) -> None:
        # The original is stored too: as long as it lives, no other adapter can get its id.
        self._models: dict[tuple[int, int], tuple[Adapter, Adapter]] = {}

    def __call__(self, adapter: Adapter, seed: int) -> Adapter:
        from attribution.studies.randomisation import randomise_all

        key = id(adapter), seed
        if key not in self._models:
            self._models[key] = adapter, randomise_all(adapter, seed)
        return self._models[key][1]


class _Tally:
    """The measurements so far."""

    def __init__(self, plan: _Plan, model: str) -> None:
        self.plan, self.model = plan, model
        self.values: list[list[list[float | None]]] = [[[] for _ in plan.metrics] for _ in plan.methods]
        self.failures: list[tuple[int, str, str]] = []
        self.reasons: list[tuple[int, str, str, str]] = []
        self.curves: dict[tuple[str, str], tuple[Curve, np.ndarray, int]] = {}
        self.ceilings: dict[tuple[str, str], list[float]] = {}

    def add(self, index: int, method: Method, outcome: Outcome) -> None:
        """Record a method's outcome for a text."""
        rows = self.values[self.plan.methods.index(method)]
        if isinstance(outcome, AttributionError):
            self.failures.append((index, method.name, str(outcome)))
            outcome = [Measurement(None)] * len(rows)
        for row, measurement, metric in zip(rows, outcome, self.plan.metrics, strict=True):
            row.append(measurement.value)
            key = method.name, metric.name
            if measurement.value is None and measurement.reason:
                self.reasons.append((index, *key, measurement.reason))
            if measurement.ceiling is not None and measurement.value is not None:
                self.ceilings.setdefault(key, []).append(measurement.ceiling)
            if measurement.curve is not None:
                curve = _resample(measurement.curve)
                _, total, count = self.curves.get(key, (curve, np.zeros(len(curve.x)), 0))
                self.curves[key] = curve, total + curve.y, count + 1

    def evaluation(self, done: int) -> Evaluation:
        """The evaluation of the first ``done`` texts."""
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
            arguments=plan.arguments,
        )
