"""Confidence intervals and tests for the words and rows of a run. scipy is imported on first use."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from attribution.extras import needs_app

LEVEL = 0.975
"""The quantile of a two-sided 95 % interval."""


Sample = tuple[int, float, float]
"""The count of the numbers (2 or more), their mean, and the standard error of the mean."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The 95 % interval of a difference of two means, and the two-sided p-value for no difference."""

    low: float
    high: float
    p: float


def student_interval(count: int, mean: float, error: float) -> tuple[float, float]:
    """Student's 95 % interval of a mean with standard error ``error``. Raises ``NotInstalled``."""
    half = _student_quantile(count - 1) * error
    return mean - half, mean + half


def wilson_interval(count: int, total: int) -> tuple[float, float]:
    """Wilson's 95 % interval of the share ``count / total`` (Wilson 1927)."""
    z = NormalDist().inv_cdf(LEVEL)
    share, scale = count / total, 1 + z * z / total
    middle = (share + z * z / (2 * total)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return max(0.0, middle - half), min(1.0, middle + half)


def welch_test(first: Sample, second: Sample) -> Comparison | None:
    """Welch's test (1947) of the difference of two means, with the degrees of freedom of Satterthwaite.

    None where both standard errors are 0. Raises ``NotInstalled``.
    """
    first_count, first_mean, first_error = first
    second_count, second_mean, second_error = second
    a, b = first_error**2, second_error**2
    if a + b == 0:
        return None
    with needs_app():
        from scipy.special import stdtr
    error = math.sqrt(a + b)
    freedom = (a + b) ** 2 / (a * a / (first_count - 1) + b * b / (second_count - 1))
    difference = first_mean - second_mean
    half = _student_quantile(freedom) * error
    p = 2 * float(stdtr(freedom, -abs(difference) / error))
    return Comparison(difference - half, difference + half, p)


def adjust_for_discoveries(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for multiple tests (Benjamini & Hochberg 1995); the order is that of the input.

    Raises ``NotInstalled``.
    """
    if not p_values:
        return []
    with needs_app():
        from scipy.stats import false_discovery_control
    adjusted: list[float] = false_discovery_control(p_values).tolist()
    return adjusted


def _student_quantile(freedom: float) -> float:
    with needs_app():
        from scipy.special import stdtrit
    return float(stdtrit(freedom, LEVEL))
