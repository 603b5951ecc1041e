"""Random scores: the control."""

from __future__ import annotations

from typing import Annotated

import torch

from attribution.methods import Scores, method
from attribution.models.perturbable import Perturbable
from attribution.registry import Between


@method(
    title="Random",
    summary="Random numbers: the control that every method has to beat.",
    caveat="It explains nothing: the scores depend on the seed and on nothing that the model does.",
    cost="1 forward pass",
    signed=True,
    unit="standard deviations",
    needs="texts",
    aliases=("control",),
)
def random(
    f: Perturbable, *, seed: Annotated[int, Between(0, 2**31 - 1), "Seed of the scores."] = 0
) -> Scores:
    """Random scores: s_i ~ N(0, 1) for each output and input, 0 for inputs that come after an output.

    The control in measurements of faithfulness (DeYoung et al. 2020, "ERASER: A Benchmark to Evaluate
    Rationalized NLP Models", section 5) and of the dependence on the model (Adebayo et al. 2018, "Sanity
    Checks for Saliency Maps", section 3).
    """
    numbers = torch.randn(
        len(f.outputs), len(f.tokens), generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    return Scores(torch.where(f.visible.cpu(), numbers, 0.0))
