"""The same method once more with one thing changed: another seed, embeddings beside the text's, or a model that has forgotten all."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from attribution.errors import Unsupported
from attribution.methods import find
from attribution.models.adapter import Adapter
from attribution.models.perturbable import Perturbable
from attribution.types import Attribution

Forgotten = Callable[[Adapter, int], Adapter]
"""A model whose weights are all drawn anew by that seed."""


class Again:
    """Runs the method of an attribution on its explained function ``f``; ``forgotten`` makes a model that learned nothing."""

    def __init__(self, attribution: Attribution, f: Perturbable, forgotten: Forgotten) -> None:
        self.method, self.options = find(attribution.method), dict(attribution.request.options)
        self.f, self._forgotten = f, forgotten

    def __call__(
        self, *, seed: int | None = None, noise: np.ndarray | None = None, forgotten: int | None = None
    ) -> np.ndarray | None:
        """Scores, float64 [outputs, inputs]; None for another ``seed`` where the method draws nothing.

        ``noise`` [inputs, hidden] is added to the embeddings; ``forgotten`` is the seed of the weights.
        Raises ``Unsupported`` for a function of texts, which has neither, and what the method raises.
        """
        f, options = self.f, self.options
        if self.method.companion:
            raise Unsupported(f"{self.method.title} needs a second model and is not run again here.")
        if seed is not None:
            if "seed" not in options:
                return None
            options = {**options, "seed": seed}
        if noise is not None or forgotten is not None:
            if not f.differentiable:
                raise Unsupported(
                    "This model only answers texts: it has no weights and no embeddings that could be "
                    "changed."
                )
            if noise is not None:
                f = f.at(f.embeddings + torch.from_numpy(noise).to(f.embeddings))
            if forgotten is not None:
                assert isinstance(f.adapter, Adapter)
                f = f.with_adapter(self._forgotten(f.adapter, forgotten))
        found: np.ndarray = self.method.run(f, **options).values.detach().to("cpu", torch.float64).numpy()
        return found
