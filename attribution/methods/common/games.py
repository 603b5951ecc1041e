"""Shapley-type methods: subsets of features as a game, and how far its values add up."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from attribution.models.features import Features
from attribution.models.perturbable import Perturbable
from attribution.types import Completeness


def measure_completeness(f: Perturbable, empty: Tensor, scores: Tensor) -> tuple[Completeness, ...]:
    """The completeness of ``scores`` [outputs, inputs]: how far they add up to f(x) − ``empty``.

    ``empty`` [outputs] is f of the text without any feature.
    """
    full, start = f.values.double().cpu(), empty.double().cpu()
    rows = zip(full.tolist(), start.tolist(), (full - start - scores.sum(1)).tolist(), strict=True)
    return tuple(Completeness(*row) for row in rows)


def subsets(count: int) -> np.ndarray:
    """All subsets of ``count`` features, bool [2**count, count]; row k holds the bits of k."""
    bits: np.ndarray = (np.arange(2**count)[:, None] >> np.arange(count)) & 1 == 1
    return bits


def find_visible_features(f: Perturbable, features: Features) -> np.ndarray:
    """Which features each output can see, bool [outputs, features]."""
    visible = f.visible.cpu().numpy()
    columns = [visible[:, list(group)].any(1) for group in features.groups]
    mask: np.ndarray = np.stack(columns, axis=1)
    return mask
