from __future__ import annotations

from typing import Annotated

import numpy as np

from attribution.metrics import Measured, metric, undefined
from attribution.metrics.common.case import Case
from attribution.registry import Between


@metric(
    title="Max-sensitivity",
    summary="How far the scores move, at most, when the embeddings are moved a little.",
    caveat="Scores that never change are the least sensitive of all, and say nothing: look at it beside a "
    "metric of faithfulness.",
    kind="robustness",
    better="lower",
    low=0.0,
    high=None,
    cost="the method once more for each sample",
    needs=("model", "again"),
)
def max_sensitivity(
    case: Case,
    *,
    samples: Annotated[int, Between(1, 50), "Points at random around the text."] = 4,
    radius: Annotated[
        float, Between(1e-4, 1.0), "Noise on each entry, in standard deviations of the embeddings' entries."
    ] = 0.1,
) -> Measured:
    """Max-sensitivity: max over y of ‖s(y) − s(x)‖ / ‖s(x)‖, where y are embeddings within the radius of the text's, drawn evenly.

    Yeh et al. 2019, "On the (In)fidelity and Sensitivity of Explanations", definition 3.1, relative to the
    size of the scores; the norm is over words, the maximum over the ``samples``. The noise is bounded entry
    by entry. What is explained stays the same, also where the prediction would change.
    """
    size = float(np.linalg.norm(case.scores))
    if not size:
        return undefined("All scores are 0.")
    if not case.f.differentiable:
        return undefined("This model only answers texts, and has no embeddings.")
    embeddings = case.f.embeddings
    draw = np.random.default_rng(case.seed)
    bound = radius * float(embeddings.std())
    moved = []
    for _ in range(samples):
        found = case.again(noise=draw.uniform(-bound, bound, tuple(embeddings.shape)))
        assert found is not None
        moved.append(float(np.linalg.norm(found - case.scores)) / size)
    return Measured(max(moved))
