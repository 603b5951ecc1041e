from __future__ import annotations

from typing import Annotated

import numpy as np

from attribution.metrics import Measurement, metric, no_value
from attribution.metrics.common.case import Case
from attribution.metrics.common.correlation import kendall
from attribution.registry import Between


@metric(
    title="Stability",
    summary="Whether the words keep their order when the method runs again with another seed.",
    caveat="A method without random numbers is perfectly stable, whether it is right or wrong.",
    kind="robustness",
    better="higher",
    low=-1.0,
    high=1.0,
    cost="the method once more for each run",
    needs=("model", "again"),
)
def stability(
    case: Case, *, runs: Annotated[int, Between(1, 20), "Runs with other seeds."] = 3
) -> Measurement:
    """Stability: the mean Kendall's τ-b between the scores and those of runs with other seeds.

    1 for a method that draws no random numbers.

    As in Visani et al. 2022, "Statistical Stability Indices for LIME", which compares the words that
    repeated calls select; here the order of all words is compared.
    """
    correlations = []
    own = dict(case.attribution.request.options).get("seed")
    for k in range(runs):
        seed = case.seed + 1000 + k
        scores = case.run_again(seed=seed + (seed == own))
        if scores is None:
            return Measurement(1.0, "The method draws no random numbers.")
        value = kendall(case.scores, scores)
        if value is None:
            return no_value("There is one word only, or all scores are equal.")
        correlations.append(value)
    return Measurement(float(np.mean(correlations)))
