from __future__ import annotations

from typing import Annotated

import numpy as np

from attribution.metrics import Measurement, metric, no_value
from attribution.metrics.common.case import Case
from attribution.registry import Between


@metric(
    title="Max-sensitivity",
    summary="How far the scores move, at most, when the embeddings are moved a little.",
    caveat="Scores that never change are the least sensitive of all, and say nothing: look at it beside "
    "a metric of faithfulness.",
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
    samples: Annotated[int, Between(1, 50), "Random points around the text."] = 4,
    radius: Annotated[
        float, Between(1e-4, 1.0), "Noise on each entry, in standard deviations of the embeddings' entries."
    ] = 0.1,
) -> Measurement:
    """Max-sensitivity: max over y of ‖s(y) − s(x)‖ / ‖s(x)‖.

    y are embeddings within the radius of the text's own, drawn uniformly.

    Yeh et al. 2019, "On the (In)fidelity and Sensitivity of Explanations", definition 3.1, relative to the
    size of the scores; the norm is over words, the maximum over the ``samples``. The noise is bounded entry
    by entry. The explained output stays the same, even where the prediction would change.
    """
    size = float(np.linalg.norm(case.scores))
    if not size:
        return no_value("All scores are 0.")
    if not case.f.differentiable:
        return no_value("This model only answers texts, and has no embeddings.")
    embeddings = case.f.embeddings
    random = np.random.default_rng(case.seed)
    bound = radius * float(embeddings.std())
    changes = []
    for _ in range(samples):
        scores = case.run_again(noise=random.uniform(-bound, bound, tuple(embeddings.shape)))
        assert scores is not None
        changes.append(float(np.linalg.norm(scores - case.scores)) / size)
    return Measurement(max(changes))
