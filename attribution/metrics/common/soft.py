"""Soft hiding: parts of each word's embedding are dropped at random, with a probability set by its score."""

from __future__ import annotations

import numpy as np
import torch

from attribution.metrics import Measurement, no_value
from attribution.metrics.common.case import Case
from attribution.metrics.common.path import NO_SCALE, SMALLEST
from attribution.metrics.common.shares import NO_ORDER

SAMPLES_HELP = "Random draws of the dropped entries."


def measure_drops(case: Case, samples: int, *, keep: bool) -> tuple[np.ndarray, float] | Measurement:
    """Drops max(0, p(x) − p(x′)) of each draw [samples], and d = p(x) − p(all words' embeddings 0).

    Each entry of a word's embedding stays with probability a (``keep``) or 1 − a, where a is the word's score
    scaled to 0 … 1 over the words. A ``Measurement`` without a value where the drops are undefined.
    """
    if case.constant:
        return no_value(NO_ORDER)
    if not case.f.differentiable:
        return no_value("This model only answers texts, and has no embeddings.")
    embeddings = case.f.embeddings
    share = (case.scores - case.scores.min()) / np.ptp(case.scores)
    stays: np.ndarray = np.ones(len(case.attribution.tokens))
    inside: np.ndarray = np.zeros(len(stays), dtype=bool)
    for value, group in zip(share if keep else 1 - share, case.features.groups, strict=True):
        stays[list(group)], inside[list(group)] = value, True
    draws = np.random.default_rng(case.seed).random((samples, *embeddings.shape)) < stays[:, None]
    masks = np.concatenate([draws, np.broadcast_to(~inside[:, None], (1, *embeddings.shape))])
    assert case.passes is not None
    values = case.passes.at(embeddings * torch.from_numpy(masks).to(embeddings.device))
    scale = case.full - float(values[-1])
    return (np.maximum(0.0, case.full - values[:-1]), scale) if scale >= SMALLEST else no_value(NO_SCALE)
