"""Copies of a text in which randomly drawn words are hidden."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from attribution.models.features import features_of
from attribution.models.perturbable import Perturbable

BLOCK = 32
"""Copies held in memory at once."""
CONTEXTS_HELP = (
    "Copies of the text in which words drawn at random are hidden, each as costly as the text; "
    "0: the text itself. A token's score is the "
    "mean over the copies that it is in."
)
SHARE_HELP = "For contexts: the share of the copies that each word is in."
FADE_HELP = (
    "For contexts: fade each copy, by another amount, towards a text of nothing, "
    "as on the path of integrated gradients."
)
ABSENT_HELP = (
    "For contexts: what stands for a word that is not in a copy: the baseline, or nothing at all (delete)."
)
SEED_HELP = "For contexts: seed of the words that stay."


def draw_words(words: int, count: int, share: float, seed: int) -> np.ndarray:
    """Draw which words each copy contains, bool [count, words].

    Every word is in the same number of copies, at least 1.
    """
    ranks = np.random.default_rng(seed).random((count, words)).argsort(axis=0).argsort(axis=0)
    present: np.ndarray = ranks < max(1, int(share * count + 0.5))
    return present


def make_copies(
    f: Perturbable, count: int, share: float, seed: int, nothing: Tensor | None = None, *, fade: bool = False
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield blocks of copies: embeddings [rows, inputs, hidden] and present inputs, bool [rows, inputs].

    A hidden word gets the embedding of ``nothing`` [inputs, hidden], by default ``f.baseline("auto")``, and
    keeps its position; special tokens are unchanged. With ``fade``, the n copies are moved towards
    ``nothing``: their distances from it are ½/n, 1½/n, ... of the path, in random order. A count of 0 yields
    the text itself.
    """
    if not count:
        yield f.embeddings[None], torch.ones(1, len(f.tokens), dtype=torch.bool, device=f.embeddings.device)
        return
    words, nothing = features_of(f, "words"), f.baseline("auto") if nothing is None else nothing
    present = draw_words(len(words), count, share, seed)
    mask = torch.from_numpy(words.present_inputs(present, len(f.tokens))).to(nothing.device)
    ways = (np.random.default_rng(seed).permutation(count) + 0.5) / count if fade else np.ones(count)
    for rows, way in zip(mask.split(BLOCK), torch.from_numpy(ways).to(nothing).split(BLOCK), strict=True):
        step = torch.where(rows[:, :, None], f.embeddings - nothing, 0.0)
        yield nothing + way[:, None, None] * step, rows


def group_by_length(f: Perturbable, present: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield for each length its rows of ``present`` [rows, inputs] and their inputs [rows, length].

    Inputs that cannot be deleted stay (``Perturbable.evaluate_features`` with "delete").
    """
    stays = present | ~f.deletable.to(present.device)
    lengths = stays.sum(1)
    for length in sorted(set(lengths.tolist())):
        rows = torch.nonzero(lengths == length)[:, 0]
        yield rows, torch.nonzero(stays[rows])[:, 1].view(len(rows), length)
