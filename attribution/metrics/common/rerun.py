"""Running a method again with another seed, with noise on the embeddings, or with random weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from attribution.errors import Unsupported
from attribution.methods import find
from attribution.models.adapter import Adapter
from attribution.models.perturbable import Perturbable
from attribution.types import Attribution

Randomize = Callable[[Adapter, int], Adapter]
"""Makes a copy of a model with random weights from a seed."""


class MethodRerun:
    """Runs the method of an attribution again, on its explained function ``f``.

    ``randomize`` makes the copy of the model with random weights.
    """

    def __init__(self, attribution: Attribution, f: Perturbable, randomize: Randomize) -> None:
        self.method, self.options = find(attribution.method), dict(attribution.request.options)
        self.f, self._randomize = f, randomize

    def __call__(
        self, *, seed: int | None = None, noise: np.ndarray | None = None, weights_seed: int | None = None
    ) -> np.ndarray | None:
        """Scores, float64 [outputs, inputs]; None for a ``seed`` that the method does not use.

        ``noise`` [inputs, hidden] is added to the embeddings; ``weights_seed`` is the seed of random weights.
        Raises ``Unsupported`` for a function of texts, which has neither, and what the method raises.
        """
        f, options = self.f, self.options
        if self.method.companion:
            raise Unsupported(f"{self.method.title} needs a second model and is not run again here.")
        if seed is not None:
            if "seed" not in options:
                return None
            options = {**options, "seed": seed}
        if noise is not None or weights_seed is not None:
            if not f.differentiable:
                raise Unsupported("This model only answers texts: it has no weights or embeddings to change.")
            if noise is not None:
                f = f.at(f.embeddings + torch.from_numpy(noise).to(f.embeddings))
            if weights_seed is not None:
                assert isinstance(f.adapter, Adapter)
                f = f.with_adapter(self._randomize(f.adapter, weights_seed))
        scores: np.ndarray = self.method.run(f, **options).values.detach().to("cpu", torch.float64).numpy()
        return scores
