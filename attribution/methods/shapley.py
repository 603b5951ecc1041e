"""Shapley values over all subsets, or over sampled permutations."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from attribution.methods import Scores, method
from attribution.methods.common.games import measure_completeness, subsets
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

CELLS = 1 << 22
"""Rows × features in memory at once."""


@method(
    title="Shapley values",
    summary="What each word adds to the prediction, averaged over all orders in which the words could be "
    "added one by one.",
    caveat="Beyond a few words it is a sample of the orders: the standard errors say how far another one "
    "could differ. Texts with hidden words are no sentences, and what stands for a hidden word matters.",
    cost="2ⁿ forward passes for few features; else (features − 1) for each permutation; in batches",
    signed=True,
    unit="{quantity}",
    needs="texts",
    aliases=("shapley_values", "shapley_value_sampling", "shap"),
)
def shapley(
    f: Perturbable,
    *,
    exact_up_to: Annotated[
        int,
        Between(1, 12),
        "Up to this many features all subsets are computed; beyond it permutations are drawn.",
    ] = 12,
    permutations: Annotated[
        int, Between(4, 2000), "Number of permutations; every second one is the reverse of the one before."
    ] = 20,
    features: Annotated[Unit, UNIT_HELP] = "words",
    spans: Annotated[str, SPANS, SPANS_HELP] = "",
    hide: Annotated[Hide, HIDE_HELP] = "auto",
    seed: Annotated[int, Between(0, 2**31 - 1), "Seed of the permutations."] = 0,
) -> Scores:
    """Shapley values: φ_i = Σ_{S ⊆ N∖i} |S|! (n − |S| − 1)! / n! · [v(S ∪ i) − v(S)].

    v(S) is f where only the features S are present.

    The equation is that of Shapley 1953, "A Value for n-Person Games"; for the inputs of a model, Štrumbelj &
    Kononenko 2014, "Explaining prediction models and individual predictions with feature contributions".
    Beyond ``exact_up_to`` features the mean over permutations of the marginal contributions, Castro, Gómez &
    Tejada 2009, "Polynomial calculation of the Shapley value based on sampling", section 3; each permutation
    is drawn together with its reverse, the antithetic sampling of Mitchell, Cooper, Frank & Holmes 2022,
    "Sampling Permutations for Shapley Value Estimation". All prefixes of a permutation are computed once, and
    its contributions add up to f(x) − f(nothing). Standard errors: the standard deviation over the
    independent pairs / √pairs.
    """
    groups = features_of(f, features, spans)
    if len(groups) <= exact_up_to:
        rows = subsets(len(groups))
        values = f.evaluate_features(groups, rows, hide).double().cpu()
        contributions, empty, errors = exact_values(values), values[:, 0], None
        note = f"Exact: all {len(rows)} subsets of the {len(groups)} features."
    else:
        pairs = max(2, permutations // 2)
        pair_contributions, empty = _sample_permutations(f, groups, pairs, hide, np.random.default_rng(seed))
        contributions, errors = pair_contributions.mean(1), pair_contributions.std(1) / pairs**0.5
        note = f"A sample of {2 * pairs} permutations of {len(groups)} features."
    inputs, visible = len(f.tokens), f.visible.cpu()
    scores = groups.spread(contributions, inputs, visible)
    deviations = None if errors is None else groups.spread(errors, inputs, visible)
    return Scores(scores, measure_completeness(f, empty, scores), (note,), deviations)


def exact_values(values: Tensor) -> Tensor:
    """Shapley values [outputs, n] from v of all ``subsets`` [outputs, 2**n]."""
    rows = subsets(int(values.shape[1]).bit_length() - 1)
    count = rows.shape[1]
    sizes = rows.sum(1)
    # |S|! (n − |S| − 1)! / n! by size, without large factorials.
    share = np.cumprod([1 / count, *(s / (count - s) for s in range(1, count))])
    columns = []
    for i in range(count):
        without = np.flatnonzero(~rows[:, i])
        gains = values[:, without + (1 << i)] - values[:, without]
        columns.append(gains @ torch.from_numpy(share[sizes[without]]))
    return torch.stack(columns, dim=1)


def _sample_permutations(
    f: Perturbable, groups: Features, pairs: int, hide: str, random: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Contributions of each pair of a permutation and its reverse, and v(∅) [outputs].

    Contributions are [outputs, pairs, features].
    """
    count = len(groups)
    ranks = np.stack([random.permutation(count) for _ in range(pairs)])
    block = max(1, CELLS // (2 * (count + 1) * count))
    contributions, empty = [], f.values
    for first in range(0, pairs, block):
        block_ranks = ranks[first : first + block]
        places = np.stack([block_ranks, count - 1 - block_ranks], axis=1).reshape(
            -1, count
        )  # the place of each feature in each permutation
        rows = places[:, None, :] < np.arange(count + 1)[None, :, None]  # [permutations, prefixes, features]
        values = f.evaluate_features(groups, rows.reshape(-1, count), hide).double().cpu()
        steps = values.reshape(len(values), len(places), count + 1).diff(dim=2)
        gains = steps.gather(2, torch.from_numpy(places).expand(len(steps), -1, -1))
        contributions.append(gains.reshape(len(steps), len(block_ranks), 2, count).mean(2))
        empty = values[:, 0]
    return torch.cat(contributions, dim=1), empty
