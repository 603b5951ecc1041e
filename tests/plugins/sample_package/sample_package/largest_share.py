"""A metric."""

from attribution.metrics import Measurement, metric, no_value


@metric(
    title="Largest share",
    summary="The part of all absolute scores that one word has.",
    caveat="It does not say whether this is the right word.",
    kind="complexity",
    better="higher",
    low=0.0,
    high=1.0,
    cost="none",
)
def largest_share(case) -> Measurement:
    """max |s_i| / Σ |s_i|."""
    total = float(case.strength.sum())
    return Measurement(float(case.strength.max()) / total) if total else no_value("All scores are 0.")
