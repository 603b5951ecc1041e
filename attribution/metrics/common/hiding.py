"""The ways of hiding a word that a model knows."""

from __future__ import annotations

import numpy as np

from attribution.errors import BadOption
from attribution.metrics.common.case import Case
from attribution.models.features import Hide

WAYS: tuple[Hide, ...] = ("mask", "pad", "unk", "eos", "mean", "zero", "delete")


def ways(case: Case) -> tuple[Hide, ...]:
    """Those of ``WAYS`` that work with the case's model, one of each that come to the same, such as a pad token that is also the end."""
    nothing: np.ndarray = np.zeros((1, len(case.words)), dtype=bool)
    found: dict[float, Hide] = {}
    for way in WAYS:
        try:
            found.setdefault(float(case.values(nothing, way)[0]), way)
        except BadOption:
            continue
    return tuple(found.values())
