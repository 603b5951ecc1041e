"""The result of an evaluation: methods measured by metrics, with intervals and a random control."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np

from attribution.errors import BadFile, BadOption, nearest, quote
from attribution.formats import Savable, render
from attribution.metrics import Better, Curve, Kind

SCHEMA = "evaluation/1"
CONTROL = "random"
"""The baseline method: random scores, measured alongside all others."""
METHODS = ("integrated_gradients", "saliency", "attention_x_gradient", "occlusion", "lime")
METRICS = ("aopc_comprehensiveness", "aopc_sufficiency", "deletion", "insertion", "infidelity", "sparsity")
OVERALL = "overall"
"""Instead of a metric's name: the mean rank over all metrics of faithfulness."""
ENOUGH = 5
"""Minimum number of texts for a meaningful bootstrap."""
LEVEL = (0.025, 0.975)
"""Quantiles at the ends of a 95 % interval."""
GRID = np.linspace(0.0, 1.0, 21)
"""Common x values for averaging curves over 0 … 1 of texts of different lengths."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A method measured by a metric over the texts.

    ``mean`` is over the ``count`` texts where the metric is defined, None if there are none. 95 % of the
    bootstrap draws over texts lie between ``low`` and ``high``, which are None for fewer than two texts.
    ``values`` has an entry per text, None where the metric is undefined or the method failed. ``ceiling`` is
    the mean of the best attainable values, None where that is the metric's own bound.
    """

    method: str
    metric: str
    mean: float | None
    low: float | None
    high: float | None
    count: int
    undefined: int
    values: tuple[float | None, ...]
    ceiling: float | None = None


@dataclass(frozen=True, slots=True)
class Best:
    """The best method by a metric, excluding the control; all None if nothing is defined.

    ``chance`` is the share of bootstrap draws in which it is first. ``rivals`` are the methods, possibly with
    the control, that are not distinguishable from it: more than 2.5 % of the draws of the paired difference
    are not above 0. With fewer texts than ``ENOUGH``, ``chance`` is None and all other methods are rivals.
    """

    metric: str
    method: str | None
    chance: float | None
    rivals: tuple[str, ...]
    sentence: str


@dataclass(frozen=True, slots=True)
class Column:
    """What a reader of an evaluation must know about a metric, which may not be installed there."""

    name: str
    title: str
    better: Better
    kind: Kind
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, repr=False)
class Evaluation(Savable):
    """Measurements of every method by every metric.

    Parameters
    ----------
    methods : names, the random control last; ``titles`` maps them to display names.
    columns : the metrics.
    texts : all texts; the first ``done`` are measured.
    table : [methods][metrics][done], the value for each text, None if undefined or if the method failed.
    ceilings : the mean of the best attainable values, by method and metric, where the metric states it.
    failures : (index of the text, method, message).
    reasons : (index of the text, method, metric, message) for each undefined value.
    curves : the mean curve by method and metric, for metrics that have curves.
    arguments : request fields and options, in plain JSON types.
    """

    model: str
    methods: tuple[str, ...]
    columns: tuple[Column, ...]
    texts: tuple[str, ...]
    done: int
    table: tuple[tuple[tuple[float | None, ...], ...], ...]
    failures: tuple[tuple[int, str, str], ...] = ()
    reasons: tuple[tuple[int, str, str, str], ...] = ()
    curves: Mapping[tuple[str, str], Curve] = field(default_factory=dict)
    ceilings: Mapping[tuple[str, str], float] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    bootstrap: int = 1000
    versions: tuple[tuple[str, str], ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)

    KIND = "evaluation"

    def __repr__(self) -> str:
        texts = f"{self.done} of {self.total} texts"
        size = f"{len(self.methods)} methods × {len(self.columns)} metrics"
        return f"<Evaluation of {self.model}: {size} on {texts}>"

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics."""
        return tuple(column.name for column in self.columns)

    @property
    def total(self) -> int:
        """Number of texts."""
        return len(self.texts)

    @property
    def finished(self) -> bool:
        """Whether all texts are measured."""
        return self.done == self.total

    def title(self, name: str) -> str:
        """The display name of a method or metric."""
        titles = {column.name: column.title for column in self.columns} | {
            OVERALL: "Mean rank over the metrics of faithfulness"
        }
        return titles.get(name) or self.titles.get(name, name)

    def column(self, metric: str) -> Column:
        """The column of a metric. Raises ``BadOption`` for a metric that was not measured."""
        for column in self.columns:
            if column.name == metric:
                return column
        raise BadOption(f"{quote(metric)} was not measured.", nearest(metric, self.metrics))

    @cached_property
    def _values(self) -> np.ndarray:
        """Float64 [methods, metrics, done]; NaN where undefined."""
        shape = len(self.methods), len(self.columns), self.done
        values: np.ndarray = np.array(self.table, dtype=np.float64).reshape(shape)
        return values

    @cached_property
    def _means(self) -> np.ndarray:
        """The mean of each bootstrap draw, float64 [methods, metrics, draws].

        A draw resamples the texts with replacement, the same ones for all methods and metrics.
        """
        shape = *self._values.shape[:2], self.bootstrap
        if not self.done:
            return np.full(shape, np.nan)
        draw = np.random.default_rng([self.seed, self.done])
        counts = draw.multinomial(self.done, np.full(self.done, 1 / self.done), self.bootstrap).T.astype(
            float
        )
        defined = ~np.isnan(self._values)
        sums, sizes = np.where(defined, self._values, 0.0) @ counts, defined.astype(float) @ counts
        means: np.ndarray = np.divide(sums, sizes, out=np.full(shape, np.nan), where=sizes > 0)
        return means

    @cached_property
    def figures(self) -> tuple[Figure, ...]:
        """The figures of all methods and metrics, grouped by method."""
        return tuple(self._figure(i, k) for i in range(len(self.methods)) for k in range(len(self.columns)))

    def _figure(self, i: int, k: int) -> Figure:
        values, means = self._values[i, k], self._means[i, k]
        count = int((~np.isnan(values)).sum())
        defined = means[~np.isnan(means)]
        low, high = (float(end) for end in np.quantile(defined, LEVEL)) if count > 1 else (None, None)
        mean = float(np.nanmean(values)) if count else None
        method, metric = self.methods[i], self.columns[k].name
        ceiling = self.ceilings.get((method, metric))
        return Figure(method, metric, mean, low, high, count, self.done - count, self.table[i][k], ceiling)

    def figure(self, method: str, metric: str) -> Figure:
        """The figure of a method and a metric. Raises ``BadOption`` for a pair that was not measured."""
        self.column(metric)
        if method not in self.methods:
            raise BadOption(f"{quote(method)} was not measured.", nearest(method, self.methods))
        return self.figures[self.methods.index(method) * len(self.columns) + self.metrics.index(metric)]

    def ranking(self, metric: str) -> tuple[Figure, ...]:
        """The figures of a metric, best first; undefined ones last."""
        sign = -1.0 if self.column(metric).better == "higher" else 1.0
        figures = [self.figure(method, metric) for method in self.methods]
        return tuple(
            sorted(figures, key=lambda f: (f.mean is None, 0.0 if f.mean is None else sign * f.mean))
        )

    def best(self, metric: str | None = None) -> Best:
        """The best method by a metric.

        For None, the method with the best mean rank over the faithfulness metrics that are defined for all
        methods. Raises ``BadOption`` for a metric that was not measured.
        """
        name = metric or OVERALL
        if name == OVERALL:
            means, draws = self._negative_mean_ranks(self._points), self._negative_mean_ranks(self._means)
        else:
            k, sign = (
                self.metrics.index(self.column(name).name),
                1.0 if self.column(name).better == "higher" else -1.0,
            )
            means, draws = sign * self._points[:, k], sign * self._means[:, k]
        defined = [i for i in range(len(self.methods)) if not np.isnan(means[i])]
        candidates = [i for i in defined if self.methods[i] != CONTROL]
        if not candidates:
            return Best(name, None, None, (), f"{self.title(name)} is not defined for any of these texts.")
        first = max(candidates, key=lambda i: means[i])
        rivals, chance = [i for i in defined if i != first], None
        if self._text_count >= ENOUGH:
            draws = draws[:, ~np.isnan(draws[defined]).any(axis=0)]
            chance = float((draws[first] >= draws[candidates].max(axis=0)).mean())
            rivals = [i for i in rivals if np.quantile(draws[first] - draws[i], LEVEL[0]) <= 0]
        names = tuple(self.methods[i] for i in rivals)
        sentence = self._describe_best(name, self.methods[first], chance, names)
        return Best(name, self.methods[first], chance, names, sentence)

    @cached_property
    def _text_count(self) -> int:
        """Number of texts with any defined value."""
        return int((~np.isnan(self._values)).any(axis=(0, 1)).sum())

    @cached_property
    def _points(self) -> np.ndarray:
        """The means over all texts, float64 [methods, metrics]."""
        defined = ~np.isnan(self._values)
        sums, sizes = np.where(defined, self._values, 0.0).sum(axis=2), defined.sum(axis=2)
        means: np.ndarray = np.divide(sums, sizes, out=np.full(sums.shape, np.nan), where=sizes > 0)
        return means

    def _negative_mean_ranks(self, means: np.ndarray) -> np.ndarray:
        """Minus the mean rank of each method: [methods, metrics, ...] → [methods, ...]; ties share a rank.

        Only faithfulness metrics count that are defined for all methods but the control.
        """
        own = np.array([method != CONTROL for method in self.methods])
        shared = [k for k in range(len(self.columns)) if not np.isnan(self._points[own, k]).any()]
        chosen = [k for k in shared if self.columns[k].kind == "faithfulness"]
        if not chosen:
            return np.full((len(self.methods), *means.shape[2:]), np.nan)
        ranks = []
        for k in chosen:
            values = means[:, k] * (1.0 if self.columns[k].better == "higher" else -1.0)
            better, equal = values[None] > values[:, None], values[None] == values[:, None]
            places = better.sum(axis=1) + (equal.sum(axis=1) + 1) / 2
            ranks.append(np.where(np.isnan(values), np.nan, places))
        negative: np.ndarray = -np.mean(ranks, axis=0)
        return negative

    def _describe_best(self, metric: str, method: str, chance: float | None, rivals: tuple[str, ...]) -> str:
        """The sentence of ``best``."""
        sentence = f"{self.title(metric)}: {self.title(method)} is first"
        if metric != OVERALL and (mean := self.figure(method, metric).mean) is not None:
            sentence += f" with {mean:.3g} ({self.column(metric).better} is better)"
        texts = f"{self._text_count} {'text' if self._text_count == 1 else 'texts'}"
        if chance is None:
            return f"{sentence}, but {texts} cannot distinguish it from the others."
        sentence += f", in {chance * 100:.0f} % of {self.bootstrap:,} bootstrap draws over {texts}."
        others = [self.title(name) for name in rivals if name != CONTROL]
        if others:
            sentence += f" Not distinguishable from it: {', '.join(others)}."
        return sentence + (" Nor is it distinguishable from random scores." if CONTROL in rivals else "")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types with the figures; ``Evaluation.from_dict`` reads them back equal."""
        plain = ("model", "seed", "bootstrap", "done", "total")
        data: dict[str, Any] = {"schema": SCHEMA, **{name: getattr(self, name) for name in plain}}
        data |= {name: list(getattr(self, name)) for name in ("methods", "metrics", "texts")}
        data |= {"titles": dict(self.titles), "asked": dict(self.arguments), "versions": dict(self.versions)}
        data["columns"] = [asdict(column) for column in self.columns]
        data["figures"] = [{**asdict(figure), "values": list(figure.values)} for figure in self.figures]
        data["best"] = [
            asdict(self.best(name)) | {"rivals": list(self.best(name).rivals)} for name in self.metrics
        ]
        data["failures"] = [list(failure) for failure in self.failures]
        data["reasons"] = [list(reason) for reason in self.reasons]
        data["curves"] = [
            {"method": method, "metric": metric, **asdict(curve), "x": list(curve.x), "y": list(curve.y)}
            for (method, metric), curve in self.curves.items()
        ]
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of ``to_dict``. Raises ``BadFile``."""
        try:
            if data["schema"] != SCHEMA:
                raise BadFile(f"The file has the schema {quote(data['schema'])}, not {SCHEMA}.")
            columns = tuple(Column(**column) for column in data["columns"])
            methods, done = tuple(map(str, data["methods"])), int(data["done"])
            figures = {(entry["method"], entry["metric"]): entry for entry in data["figures"]}
            table = tuple(
                tuple(_numbers(figures[m, c.name]["values"], done) for c in columns) for m in methods
            )
            return cls(
                model=str(data["model"]),
                methods=methods,
                columns=columns,
                texts=tuple(map(str, data["texts"])),
                done=done,
                table=table,
                failures=tuple(
                    (int(place), str(method), str(why)) for place, method, why in data["failures"]
                ),
                reasons=tuple((int(place), str(a), str(b), str(why)) for place, a, b, why in data["reasons"]),
                curves={(entry["method"], entry["metric"]): _curve(entry) for entry in data["curves"]},
                ceilings={
                    key: float(entry["ceiling"])
                    for key, entry in figures.items()
                    if entry.get("ceiling") is not None
                },
                titles={str(name): str(title) for name, title in data["titles"].items()},
                seed=int(data["seed"]),
                bootstrap=int(data["bootstrap"]),
                versions=tuple(sorted(data["versions"].items())),
                arguments=dict(data["asked"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadFile(
                f"This is not an evaluation ({type(error).__name__}: {str(error)[:100]})."
            ) from error

    def plot(self, *, width: int = 900, theme: str = "light") -> str:
        """An SVG image: per metric, each method as a dot with its interval and the control as a dotted line.

        Raises ``BadOption`` for an invalid width or theme.
        """
        return render(self, "svg", width=width, theme=theme).decode()


def _numbers(values: Sequence[Any], count: int) -> tuple[float | None, ...]:
    numbers = tuple(None if value is None else float(value) for value in values)
    if len(numbers) != count or any(value is not None and not np.isfinite(value) for value in numbers):
        raise ValueError("the values of a figure must be one finite number per text")
    return numbers


def _curve(data: Mapping[str, Any]) -> Curve:
    return Curve(
        tuple(map(float, data["x"])), tuple(map(float, data["y"])), str(data["x_title"]), str(data["y_title"])
    )
