"""Which method says most truly what a model does?

Metrics over many texts, with intervals and a random control.
"""

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
"""The method that explains nothing, measured beside all others."""
METHODS = ("integrated_gradients", "saliency", "attention_x_gradient", "occlusion", "lime")
METRICS = ("aopc_comprehensiveness", "aopc_sufficiency", "deletion", "insertion", "infidelity", "sparsity")
OVERALL = "overall"
"""Instead of a metric's name: the mean rank over all metrics of faithfulness."""
ENOUGH = 5
"""Texts from which on a bootstrap over them says something."""
LEVEL = (0.025, 0.975)
GRID = np.linspace(0.0, 1.0, 21)
"""Where curves over 0 … 1 of texts of different lengths are averaged."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One method by one metric over the texts.

    ``mean`` is over the ``count`` texts where the metric is defined, None where that is nowhere. 95 % of the
    bootstrap draws over texts lie from ``low`` to ``high``, None for fewer than two texts. ``values`` has one
    value a text, None where it is undefined or the method failed; ``ceiling`` is the mean of what could be
    attained, None where that is the metric's own bound.
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
    """The first method by a metric, the control left out; all None where nothing is defined.

    ``chance`` is the share of bootstrap draws in which it is first. ``rivals`` are the methods, and the
    control, that are not told apart from it: of the draws of the difference, on the same texts, more than 2.5
    % are not above 0. With fewer texts than ``ENOUGH`` there is no chance, and all others are rivals.
    """

    metric: str
    method: str | None
    chance: float | None
    rivals: tuple[str, ...]
    sentence: str


@dataclass(frozen=True, slots=True)
class Column:
    """What is known of a metric, so that an evaluation can be read where the metric is not at hand."""

    name: str
    title: str
    better: Better
    kind: Kind
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Evaluation(Savable):
    """Every method by every metric.

    Parameters
    ----------
    methods : names, the random control last. ``titles`` are their names for people.
    columns : the metrics.
    texts : all of them; the first ``done`` are measured.
    table : [methods][metrics][done], the value of each text, None where it is undefined or the method failed.
    ceilings : the mean of what could be attained, by method and metric, where a metric states it.
    failures : (place of the text, method, sentence).
    reasons : (place of the text, method, metric, sentence), for each value that is undefined.
    curves : the mean curve by method and metric, where a metric draws one.
    asked : what else was asked for, as plain JSON.
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
    asked: Mapping[str, Any] = field(default_factory=dict)

    KIND = "evaluation"

    @property
    def metrics(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(column.name for column in self.columns)

    @property
    def total(self) -> int:
        return len(self.texts)

    @property
    def finished(self) -> bool:
        return self.done == self.total

    def title(self, name: str) -> str:
        """What a method or a metric is called."""
        known = {column.name: column.title for column in self.columns} | {
            OVERALL: "Mean rank over the metrics of faithfulness"
        }
        return known.get(name) or self.titles.get(name, name)

    def column(self, metric: str) -> Column:
        """Raises ``BadOption`` for a metric that was not measured."""
        for column in self.columns:
            if column.name == metric:
                return column
        raise BadOption(f"{quote(metric)} was not measured.", nearest(metric, self.metrics))

    @cached_property
    def _values(self) -> np.ndarray:
        """[methods, metrics, done]; NaN is undefined."""
        shape = len(self.methods), len(self.columns), self.done
        return np.array(self.table, dtype=np.float64).reshape(shape)

    @cached_property
    def _means(self) -> np.ndarray:
        """The mean of each bootstrap draw, [methods, metrics, draws]: the same texts for all, drawn with replacement."""
        shape = *self._values.shape[:2], self.bootstrap
        if not self.done:
            return np.full(shape, np.nan)
        draw = np.random.default_rng([self.seed, self.done])
        counts = draw.multinomial(self.done, np.full(self.done, 1 / self.done), self.bootstrap).T.astype(
            float
        )
        there = ~np.isnan(self._values)
        sums, sizes = np.where(there, self._values, 0.0) @ counts, there.astype(float) @ counts
        return np.divide(sums, sizes, out=np.full(shape, np.nan), where=sizes > 0)

    @cached_property
    def figures(self) -> tuple[Figure, ...]:
        """One for each method and metric, the metrics of the first method first."""
        return tuple(self._figure(i, k) for i in range(len(self.methods)) for k in range(len(self.columns)))

    def _figure(self, i: int, k: int) -> Figure:
        values, means = self._values[i, k], self._means[i, k]
        count = int((~np.isnan(values)).sum())
        known = means[~np.isnan(means)]
        low, high = (float(end) for end in np.quantile(known, LEVEL)) if count > 1 else (None, None)
        mean = float(np.nanmean(values)) if count else None
        method, metric = self.methods[i], self.columns[k].name
        ceiling = self.ceilings.get((method, metric))
        return Figure(method, metric, mean, low, high, count, self.done - count, self.table[i][k], ceiling)

    def figure(self, method: str, metric: str) -> Figure:
        """Raises ``BadOption`` for a pair that was not measured."""
        self.column(metric)
        if method not in self.methods:
            raise BadOption(f"{quote(method)} was not measured.", nearest(method, self.methods))
        return self.figures[self.methods.index(method) * len(self.columns) + self.metrics.index(metric)]

    def ranking(self, metric: str) -> tuple[Figure, ...]:
        """The figures of one metric, best first; those without a value last."""
        sign = -1.0 if self.column(metric).better == "higher" else 1.0
        found = [self.figure(method, metric) for method in self.methods]
        return tuple(sorted(found, key=lambda f: (f.mean is None, 0.0 if f.mean is None else sign * f.mean)))

    def best(self, metric: str | None = None) -> Best:
        """The first method by a metric; by None, that with the best mean rank over the metrics of faithfulness that all methods have."""
        name = metric or OVERALL
        if name == OVERALL:
            means, draws = self._ranked(self._point), self._ranked(self._means)
        else:
            k, sign = (
                self.metrics.index(self.column(name).name),
                1.0 if self.column(name).better == "higher" else -1.0,
            )
            means, draws = sign * self._point[:, k], sign * self._means[:, k]
        defined = [i for i in range(len(self.methods)) if not np.isnan(means[i])]
        candidates = [i for i in defined if self.methods[i] != CONTROL]
        if not candidates:
            return Best(name, None, None, (), f"{self.title(name)} is not defined for any of these texts.")
        first = max(candidates, key=lambda i: means[i])
        rivals, chance = [i for i in defined if i != first], None
        if self._measured >= ENOUGH:
            draws = draws[:, ~np.isnan(draws[defined]).any(axis=0)]
            chance = float((draws[first] >= draws[candidates].max(axis=0)).mean())
            rivals = [i for i in rivals if np.quantile(draws[first] - draws[i], LEVEL[0]) <= 0]
        names = tuple(self.methods[i] for i in rivals)
        return Best(
            name, self.methods[first], chance, names, self._said(name, self.methods[first], chance, names)
        )

    @cached_property
    def _measured(self) -> int:
        """Texts with any value."""
        return int((~np.isnan(self._values)).any(axis=(0, 1)).sum())

    @cached_property
    def _point(self) -> np.ndarray:
        """[methods, metrics]: the means over all texts."""
        there = ~np.isnan(self._values)
        sums, sizes = np.where(there, self._values, 0.0).sum(axis=2), there.sum(axis=2)
        return np.divide(sums, sizes, out=np.full(sums.shape, np.nan), where=sizes > 0)

    def _ranked(self, means: np.ndarray) -> np.ndarray:
        """[methods, metrics, ...] → minus the mean rank of each method, [methods, ...]; equal values share their mean rank."""
        own = np.array([method != CONTROL for method in self.methods])
        shared = [k for k in range(len(self.columns)) if not np.isnan(self._point[own, k]).any()]
        chosen = [k for k in shared if self.columns[k].kind == "faithfulness"]
        if not chosen:
            return np.full((len(self.methods), *means.shape[2:]), np.nan)
        ranks = []
        for k in chosen:
            values = means[:, k] * (1.0 if self.columns[k].better == "higher" else -1.0)
            ahead, level = values[None] > values[:, None], values[None] == values[:, None]
            ranks.append(np.where(np.isnan(values), np.nan, ahead.sum(axis=1) + (level.sum(axis=1) + 1) / 2))
        return -np.mean(ranks, axis=0)

    def _said(self, metric: str, method: str, chance: float | None, rivals: tuple[str, ...]) -> str:
        """``best`` in words."""
        said = f"{self.title(metric)}: {self.title(method)} is first"
        if metric != OVERALL and (mean := self.figure(method, metric).mean) is not None:
            said += f" with {mean:.3g} ({self.column(metric).better} is better)"
        texts = f"{self._measured} {'text' if self._measured == 1 else 'texts'}"
        if chance is None:
            return f"{said}, but {texts} cannot distinguish it from the others."
        said += f", in {chance * 100:.0f} % of {self.bootstrap:,} bootstrap draws over {texts}."
        others = [self.title(name) for name in rivals if name != CONTROL]
        if others:
            said += f" Not distinguishable from it: {', '.join(others)}."
        return said + (" Nor is it distinguishable from random scores." if CONTROL in rivals else "")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types with the figures; ``Evaluation.from_dict`` reads them back equal."""
        plain = ("model", "seed", "bootstrap", "done", "total")
        data: dict[str, Any] = {"schema": SCHEMA, **{name: getattr(self, name) for name in plain}}
        data |= {name: list(getattr(self, name)) for name in ("methods", "metrics", "texts")}
        data |= {"titles": dict(self.titles), "asked": dict(self.asked), "versions": dict(self.versions)}
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
            figures = {(one["method"], one["metric"]): one for one in data["figures"]}
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
                curves={(one["method"], one["metric"]): _curve(one) for one in data["curves"]},
                ceilings={
                    key: float(one["ceiling"])
                    for key, one in figures.items()
                    if one.get("ceiling") is not None
                },
                titles={str(name): str(title) for name, title in data["titles"].items()},
                seed=int(data["seed"]),
                bootstrap=int(data["bootstrap"]),
                versions=tuple(sorted(data["versions"].items())),
                asked=dict(data["asked"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadFile(
                f"This is not an evaluation ({type(error).__name__}: {str(error)[:100]})."
            ) from error

    def plot(self, *, width: int = 900, theme: str = "light") -> str:
        """An SVG: for each metric every method as a dot with its interval, and the random control as a dotted line.

        Raises ``BadOption`` for a width or a theme that there is not.
        """
        return render(self, "svg", width=width, theme=theme).decode()


def _numbers(values: Sequence[Any], count: int) -> tuple[float | None, ...]:
    found = tuple(None if value is None else float(value) for value in values)
    if len(found) != count or any(value is not None and not np.isfinite(value) for value in found):
        raise ValueError("a figure's values are not one finite number a text")
    return found


def _curve(data: Mapping[str, Any]) -> Curve:
    return Curve(
        tuple(map(float, data["x"])), tuple(map(float, data["y"])), str(data["x_title"]), str(data["y_title"])
    )
