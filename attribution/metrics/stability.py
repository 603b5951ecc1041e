from __future__ import annotations

from typing import Annotated

import numpy as np

from attribution.metrics import Measured, metric, undefined
from attribution.metrics.common.case import Case
from attribution.metrics.common.correlation import kendall
from attribution.registry import Between


@metric(
    title="Stability",
    summary="Whether the words keep their order when the method runs again with another seed.",
    caveat="A method that draws nothing is perfectly stable, whether it is right or wrong.",
    kind="robustness",
    better="higher",
    low=-1.0,
    high=1.0,
    cost="the method once more for each run",
    needs=("model", "again"),
)
def stability(case: Case, *, runs: Annotated[int, Between(1, 20), "Runs with other seeds."] = 3) -> Measured:
    """Stability: the mean of Kendall's τ-b between the scores and those of runs with other seeds; 1 for a method that draws nothing.

    As in Visani et al. 2022, "Statistical Stability Indices for LIME", which asks repeated calls for the same
    words; here for the same order of all words.
    """
    found = []
    own = dict(case.attribution.request.options).get("seed")
    for k in range(runs):
        seed = case.seed + 1000 + k
        other = case.again(seed=seed + (seed == own))
        if other is None:
            return Measured(1.0, "The method draws nothing.")
        value = kendall(case.scores, other)
        if value is None:
            return undefined("There is one word only, or all scores are equal.")
        found.append(value)
    return Measured(float(np.mean(found)))
