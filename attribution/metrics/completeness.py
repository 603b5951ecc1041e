from __future__ import annotations

from attribution.metrics import Measurement, metric, no_value
from attribution.metrics.common.case import Case

SMALLEST = 1e-6


@metric(
    title="Completeness",
    summary="How far the scores are from adding up to the difference between the text and the baseline.",
    caveat="It is defined for methods that claim to add up, and each has its own baseline.",
    kind="faithfulness",
    better="lower",
    low=0.0,
    high=None,
    cost="none",
)
def completeness(case: Case) -> Measurement:
    """Completeness: |f(x) − f(x₀) − Σ s_i| / |f(x) − f(x₀)|, over all inputs, special ones too.

    Sundararajan, Taly & Yan 2017, "Axiomatic Attribution for Deep Networks", proposition 1, as a share of the
    difference.
    """
    if case.attribution.completeness is None:
        return no_value("The method does not claim to add up.")
    check = case.attribution.completeness[case.row]
    if abs(check.difference) < SMALLEST:
        return no_value("The text and the baseline have the same value.")
    return Measurement(abs(check.residual / check.difference))
