"""The ways of hiding a word that a model supports."""

from __future__ import annotations

import numpy as np

from attribution.errors import BadOption
from attribution.metrics.common.case import Case
from attribution.models.features import Hide

WAYS: tuple[Hide, ...] = ("mask", "pad", "unk", "eos", "mean", "zero", "delete")


def ways(case: Case) -> tuple[Hide, ...]:
    """The ``WAYS`` that work with the case's model, without duplicates.

    Duplicates give the same value, such as a pad token that is also the end token.
    """
    nothing: np.ndarray = np.zeros((1, len(case.words)), dtype=bool)
    by_value: dict[float, Hide] = {}
    for way in WAYS:
        try:
            by_value.setdefault(float(case.values(nothing, way)[0]), way)
        except BadOption:
            continue
    return tuple(by_value.values())
