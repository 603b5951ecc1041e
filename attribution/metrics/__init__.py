"""The quality metrics, one file each, registered automatically.

A metric is a function ``(case: Case, *, options...) -> Measurement`` under ``@metric(...)``. Its docstring
cites the paper and the equation. Other packages add metrics through the entry point group
``attribution.metrics``.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from attribution import types
from attribution.deprecation import make_callable
from attribution.errors import AttributionError, BusyError, UnknownMetric, nearest, quote
from attribution.registry import Option, check_options, discover, options_of

if TYPE_CHECKING:
    from attribution.metrics.common.case import Case

Kind = Literal["faithfulness", "robustness", "complexity", "plausibility"]
KINDS: dict[Kind, str] = {
    "faithfulness": "Does the prediction change as the scores say?",
    "robustness": "Do the scores stay where they should, and change where they should?",
    "complexity": "How few words carry the scores?",
    "plausibility": "Do the scores agree with human rationales?",
}
"""The questions that the metrics of a kind answer."""
Better = Literal["higher", "lower"]
Need = Literal["model", "rationale", "again"]


@dataclass(frozen=True)
class Curve:
    """A curve behind a metric's value: ``y`` over ``x``, both in reading order."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    x_title: str
    y_title: str


@dataclass(frozen=True)
class Measurement:
    """A metric's value for one row of one attribution.

    ``value`` is None where the metric is undefined; ``reason`` then says why, in a sentence. ``ceiling`` is
    the best value that could be attained here, None where that is the metric's own bound.
    """

    value: float | None
    reason: str = ""
    curve: Curve | None = None
    ceiling: float | None = None


def no_value(reason: str) -> Measurement:
    """A measurement without a value; ``reason`` is a sentence."""
    return Measurement(None, reason)


@dataclass(frozen=True)
class Metric:
    """One registered metric.

    ``better`` is the better direction; ``low`` and ``high`` bound the value where the model gives
    probabilities, None: unbounded. ``needs`` lists what it needs beside the scores: ``"model"`` (answers for
    texts with hidden words), ``"rationale"`` (what people marked) or ``"again"`` (another run of the method).
    """

    name: str
    function: Callable[..., Measurement]
    title: str
    summary: str
    caveat: str
    kind: Kind
    better: Better
    low: float | None
    high: float | None
    cost: str
    needs: frozenset[Need]
    options: tuple[Option, ...]

    def check_options(self, options: Mapping[str, object]) -> tuple[tuple[str, types.Option], ...]:
        """All options with their values, sorted by name. Raises ``BadOption``."""
        return check_options(self.name, self.options, options)

    def measure(self, case: Case, **options: types.Option) -> Measurement:
        """The value for one case, or the reason why there is none.

        Raises only a ``BusyError``, such as a passed deadline.
        """
        if reason := self._missing_input(case):
            return no_value(reason)
        try:
            measurement = self.function(case, **options)
        except BusyError:
            raise
        except AttributionError as error:
            return no_value(str(error))
        if measurement.value is None or math.isfinite(measurement.value):
            return measurement
        return no_value("The numbers are not finite.")

    def _missing_input(self, case: Case) -> str:
        if not len(case.words):
            return "There are no words to score."
        if "rationale" in self.needs and case.rationale is None:
            return "Nobody has marked this text."
        if "model" in self.needs and case.passes is None:
            return "It needs the model, but only the scores are available."
        if "again" in self.needs and case.rerun is None:
            return "It needs to run the method again, but only its scores are available."
        return ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, for the API and the documentation."""
        plain = ("name", "title", "summary", "caveat", "kind", "better", "low", "high", "cost")
        return {
            **{name: getattr(self, name) for name in plain},
            "needs": sorted(self.needs),
            "options": [option.to_dict() for option in self.options],
            "reference": inspect.getdoc(self.function) or "",
        }


def metric(  # noqa: PLR0913 - the keywords are the interface: a metric file declares each of them
    *,
    title: str,
    summary: str,
    caveat: str,
    kind: Kind,
    better: Better,
    low: float | None,
    high: float | None,
    cost: str,
    needs: Iterable[Need] = (),
) -> Callable[[Callable[..., Measurement]], Metric]:
    """Register a function as a ``Metric`` under its own name."""

    def register(function: Callable[..., Measurement]) -> Metric:
        return Metric(
            name=function.__name__,
            function=function,
            title=title,
            summary=summary,
            caveat=caveat,
            kind=kind,
            better=better,
            low=low,
            high=high,
            cost=cost,
            needs=frozenset(needs),
            options=options_of(function),
        )

    return register


@cache
def list_metrics() -> Mapping[str, Metric]:
    """Every metric by name: first the project's own in alphabetical order, then those of other packages."""
    return discover(__name__, Metric)


def find(name: object) -> Metric:
    """The metric of that name. Raises ``UnknownMetric`` with the nearest name."""
    metrics = list_metrics()
    if isinstance(name, str):
        normalized = name.strip().lower().replace("-", "_").replace(" ", "_")
        if normalized in metrics:
            return metrics[normalized]
    raise UnknownMetric(f"There is no metric {quote(name)}.", nearest(name, metrics))


make_callable(__name__, list_metrics)
