from __future__ import annotations

from typing import Annotated

from attribution.metrics import Measurement, metric, no_value
from attribution.metrics.common.case import Case
from attribution.metrics.common.correlation import spearman
from attribution.registry import Between


@metric(
    title="Randomisation",
    summary="How similar the scores remain when all weights of the model are replaced by random ones.",
    caveat="A low value is not enough: random scores, drawn anew, would pass. In a short text chance "
    "alone gives 0.3 and more.",
    kind="robustness",
    better="lower",
    low=0.0,
    high=1.0,
    cost="a copy of the model, once, and the method once more",
    needs=("model", "again"),
)
def randomisation(
    case: Case, *, weights_seed: Annotated[int, Between(0, 2**31 - 1), "Seed of the new weights."] = 0
) -> Measurement:
    """Randomisation: |Spearman's ρ| of the absolute scores and those of a model with random weights.

    Adebayo et al. 2018, "Sanity Checks for Saliency Maps", section 3, the last step of its cascade; see
    ``attribution.studies.randomisation`` for the steps before. The explained output stays the same.
    """
    scores = case.run_again(weights_seed=weights_seed)
    assert scores is not None
    rho = spearman(case.strength, abs(scores))
    if rho is None:
        return no_value("There is one word only, or all scores are equal.")
    return Measurement(abs(rho))
