from __future__ import annotations

from typing import Annotated

from attribution.metrics import Measured, metric, undefined
from attribution.metrics.common.case import Case
from attribution.metrics.common.correlation import spearman
from attribution.registry import Between


@metric(
    title="Randomisation",
    summary="How much the scores are still the same when the model has forgotten all that it learned.",
    caveat="Low is not enough: scores at random that were drawn again would pass. In a short text chance "
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
) -> Measured:
    """Randomisation: |Spearman's ρ| of the absolute scores and those for a model whose weights are all drawn anew.

    Adebayo et al. 2018, "Sanity Checks for Saliency Maps", section 3, the last step of its cascade; see
    ``attribution.studies.randomisation`` for the steps before. The explained output stays the same.
    """
    found = case.again(forgotten=weights_seed)
    assert found is not None
    value = spearman(case.strength, abs(found))
    if value is None:
        return undefined("There is one word only, or all scores are equal.")
    return Measured(abs(value))
