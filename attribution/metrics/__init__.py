"""The quality metrics: one file a metric, found by themselves.

A metric is a function ``(case: Case, *, options...) -> Measured`` under ``@metric(...)``. Its docstring cites
the paper and the equation. Packages outside this one add metrics through the entry point group
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
Needs = Literal["model", "rationale", "again"]


@dataclass(frozen=True)
class Curve:
    """What a metric may draw: ``y`` over ``x``, both in reading order."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    x_title: str
    y_title: str


@dataclass(frozen=True)
class Measured:
    """What a metric says of one row of one attribution.

    ``value`` is None where it is undefined, and ``why`` says why in a sentence. ``ceiling`` is the best value
    that could be attained here, None where that is the metric's own bound.
    """

    value: float | None
    why: str = ""
    curve: Curve | None = None
    ceiling: float | None = None


def undefined(why: str) -> Measured:
    """No value, and the reason as a sentence."""
    return Measured(None, why)


@dataclass(frozen=True)
class Metric:
    """One registered metric.

    ``better`` says which direction is better; ``low`` and ``high`` bound the value where the model gives
    probabilities, None: unbounded. ``needs`` says what it asks of a case beside the scores: ``"model"``
    (answers for texts with hidden words), ``"rationale"`` (what people marked) or ``"again"`` (the method
    itself, once more).
    """

    name: str
    function: Callable[..., Measured]
    title: str
    summary: str
    caveat: str
    kind: Kind
    better: Better
    low: float | None
    high: float | None
    cost: str
    needs: frozenset[Needs]
    options: tuple[Option, ...]

    def check_options(self, given: Mapping[str, object]) -> tuple[tuple[str, types.Option], ...]:
        """All options with their values, sorted by name. Raises ``BadOption``."""
        return check_options(self.name, self.options, given)

    def measure(self, case: Case, **options: types.Option) -> Measured:
        """The value for one case, or why there is none.

        Raises only what is no answer: a ``BusyError``, such as a passed deadline.
        """
        if reason := self._lacking(case):
            return undefined(reason)
        try:
            found = self.function(case, **options)
        except BusyError:
            raise
        except AttributionError as error:
            return undefined(str(error))
        if found.value is None or math.isfinite(found.value):
            return found
        return undefined("The numbers are not finite.")

    def _lacking(self, case: Case) -> str:
        if not len(case.words):
            return "There are no words to score."
        if "rationale" in self.needs and case.rationale is None:
            return "Nobody has marked this text."
        if "model" in self.needs and case.passes is None:
            return "It needs the model, and only the scores are here."
        if "again" in self.needs and case.rerun is None:
            return "It needs the method itself, and only its scores are here."
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


def metric(
    *,
    title: str,
    summary: str,
    caveat: str,
    kind: Kind,
    better: Better,
    low: float | None,
    high: float | None,
    cost: str,
    needs: Iterable[Needs] = (),
) -> Callable[[Callable[..., Measured]], Metric]:
    """Make a function a ``Metric`` under the function's name."""

    def register(function: Callable[..., Measured]) -> Metric:
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
    known = list_metrics()
    if isinstance(name, str):
        wanted = name.strip().lower().replace("-", "_").replace(" ", "_")
        if wanted in known:
            return known[wanted]
    raise UnknownMetric(f"There is no metric {quote(name)}.", nearest(name, known))


make_callable(__name__, list_metrics)
