"""Partition SHAP: Owen values of a hierarchy of the text."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Annotated

import numpy as np
import torch

from attribution import text as texts
from attribution.methods import Scores, method
from attribution.methods.common.games import find_visible_features, measure_completeness
from attribution.models.features import (
    HIDE_HELP,
    SPANS,
    SPANS_HELP,
    UNIT_HELP,
    Features,
    Hide,
    Unit,
    features_of,
)
from attribution.models.perturbable import Perturbable
from attribution.registry import Between

ROUND = 8
"""Nodes that are split per round where not all can be split; the next ones are chosen after each round."""


@method(
    title="Partition SHAP",
    summary="Splits the text into sentences, parts and words, and shares out the prediction at each "
    "split by Shapley's rule.",
    caveat="Words of one sentence are hidden and shown together before others: another hierarchy gives "
    "other scores. Where the evaluations run out, the words of a part share its value equally.",
    cost="two forward passes for each split and context, about ⅔ n² for all, in batches",
    signed=True,
    unit="{quantity}",
    needs="texts",
    aliases=("owen", "owen_values", "partition"),
)
def partition_shap(
    f: Perturbable,
    *,
    evaluations: Annotated[int, Between(4, 20000), "Maximum number of texts with hidden words."] = 400,
    features: Annotated[Unit, UNIT_HELP] = "words",
    spans: Annotated[str, SPANS, SPANS_HELP] = "",
    hide: Annotated[Hide, HIDE_HELP] = "auto",
) -> Scores:
    """Partition SHAP: the Owen values of a binary tree, text ⊃ sentences ⊃ halves ⊃ ... ⊃ words (⊃ tokens).

    Owen 1977, "Values of Games with a Priori Unions", for a hierarchy of any depth as in Winter 1989, "A
    Value for Cooperative Games with Levels Structure of Cooperation": the mean of a feature's marginal
    contribution over all the orders in which the features of each node follow each other without a gap. In a
    binary tree that is the recursion of ``shap``'s Partition explainer, used here as the equation: a node M,
    worth v(C ∪ M) − v(C) in a context C, gives its half L

        ½ [v(C ∪ L) − v(C)] + ½ [v(C ∪ M) − v(C ∪ R)],

    L then being split in the contexts C and C ∪ R, and R likewise; a leaf's value is the sum over its
    contexts, each of which weighs 2^−depth. Siblings of the path to a node are thus either fully
    present or fully absent.

    The node with the largest weighted difference (over the outputs) is split first. A node that is not
    split any further shares its value equally among those of its features that the output can see. The
    values add up to f(x) − f(nothing) in any case.
    """
    groups = features_of(f, features, spans)
    count = len(groups)
    tree = hierarchy(f, groups)
    empty = f.evaluate_features(groups, np.zeros((1, count), bool), hide).double().cpu().numpy()[:, 0]
    search = _Search(np.zeros((len(f.outputs), count)), find_visible_features(f, groups))
    search.add(_Part(tree, np.zeros(count, bool), empty, f.values.double().cpu().numpy(), 1.0))
    remaining = evaluations - 1
    fits_all = 2 * _splits(tree) <= remaining
    while search.open and remaining >= 2:
        # Where all splits fit, the order does not matter.
        parts = search.pop(len(search.open) if fits_all else min(ROUND, remaining // 2))
        rows = np.concatenate([[p.context | _mask(half, count) for half in p.halves()] for p in parts])
        values = f.evaluate_features(groups, rows, hide).double().cpu().numpy()
        remaining -= len(rows)
        for k, part in enumerate(parts):
            search.split(part, rows[2 * k : 2 * k + 2], values[:, 2 * k], values[:, 2 * k + 1])
    unsplit = search.close()
    scores = groups.spread(torch.from_numpy(search.values), len(f.tokens), f.visible.cpu())
    note = "The full hierarchy was computed" if not unsplit else f"{unsplit} parts were not split further"
    return Scores(
        scores,
        measure_completeness(f, torch.from_numpy(empty), scores),
        (f"{note}, with {evaluations - remaining} evaluations.",),
    )


Tree = int | tuple["Tree", "Tree"]
"""A feature, or two subtrees."""


def hierarchy(f: Perturbable, groups: Features) -> Tree:
    """A binary tree of the features: texts, sentences, words, tokens; each level is halved by count."""
    sources = {
        "text": f.text,
        "second": f.second or "",
        "generated": f.prediction.text or "",
    }

    def place(feature: int) -> tuple[object, ...]:
        token = f.tokens[groups.groups[feature][0]]
        sentence = texts.sentence_at(sources[token.segment], token.start)
        return token.segment, sentence, -1 - feature if token.word is None else token.word

    def grow(members: Sequence[int], level: int) -> Tree:
        if len(members) == 1:
            return members[0]
        if level == len(place(members[0])):
            return _halve(list(members))
        parts = [list(group) for _, group in groupby(members, key=lambda i: place(i)[: level + 1])]
        return _halve([grow(part, level + 1) for part in parts])

    return grow(range(len(groups)), 0)


def _halve(parts: Sequence[Tree]) -> Tree:
    middle = (len(parts) + 1) // 2
    return parts[0] if len(parts) == 1 else (_halve(parts[:middle]), _halve(parts[middle:]))


def _leaves(tree: Tree) -> list[int]:
    return [tree] if isinstance(tree, int) else _leaves(tree[0]) + _leaves(tree[1])


def _splits(tree: Tree, depth: int = 0) -> int:
    """The number of pairs of a node and a context."""
    return (
        0 if isinstance(tree, int) else 2**depth + _splits(tree[0], depth + 1) + _splits(tree[1], depth + 1)
    )


def _mask(tree: Tree, count: int) -> np.ndarray:
    mask: np.ndarray = np.zeros(count, dtype=bool)
    mask[_leaves(tree)] = True
    return mask


@dataclass
class _Part:
    """A node in one context: ``without`` = v(context), ``within`` = v(context ∪ node), [outputs] each."""

    tree: Tree
    context: np.ndarray
    without: np.ndarray
    within: np.ndarray
    weight: float

    def halves(self) -> tuple[Tree, Tree]:
        assert isinstance(self.tree, tuple)
        return self.tree


@dataclass
class _Search:
    """``values`` [outputs, features] of the finished parts, and a queue of the others, the heaviest first."""

    values: np.ndarray
    visible: np.ndarray
    open: list[tuple[float, int, _Part]] = field(default_factory=list)
    counter: int = 0

    def add(self, part: _Part) -> None:
        if isinstance(part.tree, int):
            self.values[:, part.tree] += part.weight * (part.within - part.without)
            return
        self.counter += 1
        # Rounded, so that the order does not depend on the last digits; equal weights in insertion order.
        weight = float(f"{part.weight * np.abs(part.within - part.without).max():.3e}")
        heapq.heappush(self.open, (-weight, self.counter, part))

    def pop(self, number: int) -> list[_Part]:
        return [heapq.heappop(self.open)[2] for _ in range(min(number, len(self.open)))]

    def split(self, part: _Part, contexts: np.ndarray, first: np.ndarray, second: np.ndarray) -> None:
        """Replace a part by its halves in both contexts.

        ``first`` and ``second`` are v where only that half is present.
        """
        half = part.weight / 2
        left, right = part.halves()
        self.add(_Part(left, part.context, part.without, first, half))
        self.add(_Part(left, contexts[1], second, part.within, half))
        self.add(_Part(right, part.context, part.without, second, half))
        self.add(_Part(right, contexts[0], first, part.within, half))

    def close(self) -> int:
        """Distribute the values of the unsplit parts. Returns how many there were."""
        for _, _, part in self.open:
            inside = self.visible & _mask(part.tree, self.visible.shape[1])
            value = part.weight * (part.within - part.without) / np.maximum(inside.sum(1), 1)
            self.values += inside * value[:, None]
        return len(self.open)
