"""What soft sufficiency and soft comprehensiveness share: embeddings of which parts are dropped at random, the more the lower the score."""

from __future__ import annotations

import numpy as np
import torch

from attribution.metrics import Measured, undefined
from attribution.metrics.common.case import Case
from attribution.metrics.common.path import NO_SCALE, SMALLEST
from attribution.metrics.common.shares import NO_ORDER

SAMPLES_HELP = "Draws of what is dropped."


def falls(case: Case, samples: int, *, keep: bool) -> tuple[np.ndarray, float] | Measured:
    """max(0, p(x) − p(x′)) of each draw [samples], and d = p(x) − p(all words' embeddings 0); or why there are none.

    Each entry of a word's embedding stays with probability a (``keep``) or 1 − a, where a is its score,
    stretched over the words to 0 … 1.
    """
    if case.constant:
        return undefined(NO_ORDER)
    if not case.f.differentiable:
        return undefined("This model only answers texts, and has no embeddings.")
    embeddings = case.f.embeddings
    share = (case.scores - case.scores.min()) / np.ptp(case.scores)
    stays: np.ndarray = np.ones(len(case.attribution.tokens))
    inside: np.ndarray = np.zeros(len(stays), dtype=bool)
    for value, group in zip(share if keep else 1 - share, case.features.groups, strict=True):
        stays[list(group)], inside[list(group)] = value, True
    drawn = np.random.default_rng(case.seed).random((samples, *embeddings.shape)) < stays[:, None]
    kept = np.concatenate([drawn, np.broadcast_to(~inside[:, None], (1, *embeddings.shape))])
    assert case.passes is not None
    values = case.passes.at(embeddings * torch.from_numpy(kept).to(embeddings.device))
    scale = case.full - float(values[-1])
    return (np.maximum(0.0, case.full - values[:-1]), scale) if scale >= SMALLEST else undefined(NO_SCALE)
