"""Integrated gradients: gradients along the path from a baseline to the text."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import cached_property
from typing import Annotated, Literal, Self

import numpy as np
import torch
from torch import Tensor

from attribution.methods import Scores, method
from attribution.models.baselines import Outset
from attribution.models.contexts import (
    ABSENT_HELP,
    CONTEXTS_HELP,
    SEED_HELP,
    SHARE_HELP,
    group_by_length,
    make_copies,
)
from attribution.models.objective import Objective
from attribution.registry import Between
from attribution.types import Completeness

FIRST, ROUND = 8, 4
"""Intervals that the adaptive rule begins with, and how many it halves at once at least."""
FEW, AT_ONCE = 8, 4
"""Points on the path to each copy of the text, and copies whose points are in memory at once."""
PREVIEWS = (2,)
"""Intervals that are shown before; their points are among the first ones."""


def beginning(
    outset: Outset, *, rule: str, steps: int, baseline: str, contexts: int = 0, **_: object
) -> Tensor:
    """The path's first points but the text itself, [points, inputs, hidden].

    None where the path leads to copies of the text, or where only f can tell from where it starts.
    """
    text = outset.embeddings
    start = None if contexts else outset.baseline(baseline)
    if start is None:
        return text[None][:0]
    places = _beginning(rule, steps, previews=outset.previews)
    alphas = torch.tensor(places[places < 1], dtype=start.dtype, device=start.device)
    return start + alphas[:, None, None] * (text - start)


def _beginning(rule: str, steps: int, *, previews: bool) -> np.ndarray:
    if rule != "adaptive":
        return nodes(steps, rule)[0]
    points: np.ndarray = np.linspace(0, 1, _levels(steps, previews=previews)[0] + 1)
    return points


def _levels(steps: int, *, previews: bool) -> list[int]:
    """Numbers of intervals that the adaptive rule goes through before it refines."""
    first = min(FIRST, 2 ** int(np.log2(steps - 1)))
    return [*(n for n in PREVIEWS if previews and n < first), first]


@method(
    title="Integrated gradients",
    summary="What each token adds to the prediction on the way from an empty text to this one.",
    caveat="'Empty' has to mean something: another baseline gives other scores. How far the scores are from "
    "adding up is shown.",
    cost="9 to 257 forward and backward passes, in batches",
    signed=True,
    unit="{quantity}",
    needs="gradients",
    at_text=True,
    first=beginning,
    aliases=("ig", "integrated_gradient"),
)
def integrated_gradients(
    f: Objective,
    *,
    rule: Annotated[
        Literal["adaptive", "gausslegendre", "trapezoid"],
        "How the points on the path are placed. adaptive: more where it is needed, until the scores add up.",
    ] = "adaptive",
    steps: Annotated[
        int, Between(2, 513), "Points on the path; for the adaptive rule the most that are taken."
    ] = 257,
    tolerance: Annotated[
        float,
        Between(0.0001, 1.0),
        "Adaptive rule: the residual that is small enough, as a share of the sum of absolute scores.",
    ] = 0.01,
    baseline: Annotated[
        Literal["auto", "pad", "mask", "unk", "eos", "mean", "zero"],
        "What stands for 'no token'; special tokens stay. auto: the first the model has of pad, mask and "
        "end token.",
    ] = "auto",
    contexts: Annotated[int, Between(0, 500), CONTEXTS_HELP] = 0,
    share: Annotated[float, Between(0.01, 1.0), SHARE_HELP] = 0.5,
    absent: Annotated[Literal["baseline", "delete"], ABSENT_HELP] = "baseline",
    seed: Annotated[int, Between(0, 2**31 - 1), SEED_HELP] = 0,
) -> Generator[Scores, None, Scores]:
    """Integrated gradients: s_i = (e_i − b_i) · ∫₀¹ ∂f/∂e_i(b + α(e − b)) dα, from a baseline b.

    e are the embeddings.

    Sundararajan, Taly & Yan 2017, "Axiomatic Attribution for Deep Networks", equation 1. The integral is a
    weighted sum over points of the path; embeddings are interpolated, never token ids. The residual is f(x) −
    f(b) − Σ s_i, which is 0 for the exact integral (their proposition 1, completeness). The adaptive rule is
    the trapezoid rule from 9 points on. Between two points the exact integral of all scores together is the
    difference of f, so it is known where on the path the residual arises: there the intervals are halved, the
    others are left alone, and no point is computed twice.

    With ``contexts``, the mean over paths from the baseline to copies of the text that lack some of the
    words: equation 1 for each copy, by Gauss-Legendre's rule whatever the rule, and of each token the mean
    over the copies that it is in. It adds up to what the copies add up to, not to f(x) − f(b).
    """
    if contexts:
        return in_contexts(f, contexts, share, seed, f.baseline(baseline), delete=absent == "delete")
    path = Path(f, f.baseline(baseline), _beginning(rule, steps, previews=f.previews))
    if rule != "adaptive":
        places, weights = nodes(steps, rule)
        return path.scored(torch.einsum("n,oni->oi", torch.from_numpy(weights), path.at(places)[1]))
    count = 0
    for scores, count in refined(path, steps, tolerance):
        if f.previews and count < steps and float(path.shares(scores).max()) > tolerance:
            yield path.scored(scores, f"A first estimate from {count} points on the path.")
    reached = (
        "which was enough"
        if float(path.shares(scores).max()) <= tolerance
        else "the most allowed: the residual is still larger"
    )
    return path.scored(
        scores,
        f"Taken: {count} points on the path, {reached} for a residual of at most {tolerance:.2%} of all "
        "absolute scores.",
    )


class Path:
    """The straight line from a baseline to the text, in embedding space, and f on it."""

    def __init__(self, f: Objective, start: Tensor, beginning: np.ndarray) -> None:
        self.f, self.start, self.step = f, start, f.embeddings - start
        self._beginning = beginning[beginning < 1]

    @cached_property
    def empty(self) -> Tensor:
        """Value of f at the baseline, [outputs]; set by who computes it on the way."""
        return self.f.evaluate(self.start[None])[:, 0]

    def at(self, places: np.ndarray) -> tuple[Tensor, Tensor]:
        """Values of f at ``places`` on [0, 1], [outputs, places], and its gradient times the step.

        The latter is [outputs, places, inputs].
        """
        inside = places[places < 1]
        values, slopes = [], []
        if self.f.first_pass is not None and np.array_equal(
            inside, self._beginning
        ):  # came with the prediction
            values.append(self.f.first_pass[0].double().cpu())
            slopes.append(self._along(self.f.first_pass[1]))
            inside = inside[:0]
        alphas = torch.tensor(inside, dtype=self.step.dtype, device=self.step.device)
        for _, value, gradients in self.f.gradients(self.start + alphas[:, None, None] * self.step):
            values.append(value.double().cpu())
            slopes.append(self._along(gradients))
        if len(places) and places[-1] == 1:  # the end of the path is the text itself, which is known
            values.append(self.f.values.double().cpu()[:, None])
            slopes.append(self._along(self.f.gradient()[:, None]))
        found = torch.cat(values, dim=1)
        if len(places) and places[0] == 0:
            self.empty = found[:, 0]
        return found, torch.cat(slopes, dim=1)

    def _along(self, gradients: Tensor) -> Tensor:
        """[outputs, points, inputs, hidden] → times the whole step, summed over hidden."""
        return (gradients.float() * self.step.float()).sum(-1).double().cpu()

    def residual(self, scores: Tensor) -> Tensor:
        """Residual f(x) − f(b) − Σ scores, [outputs]."""
        return self.f.values.double().cpu() - self.empty.double().cpu() - scores.sum(-1)

    def scored(self, scores: Tensor, *notes: str) -> Scores:
        """With how far they are from adding up."""
        rows = zip(self.f.values.tolist(), self.empty.tolist(), self.residual(scores).tolist(), strict=True)
        return Scores(scores, tuple(Completeness(*row) for row in rows), notes)

    def shares(self, scores: Tensor) -> Tensor:
        """Shares |residual| / Σ|score|, [outputs]."""
        return self.residual(scores).abs() / scores.abs().sum(-1).clamp_min(1e-12)

    def part(self, rows: list[int]) -> Self:
        """The same path for some of the outputs."""
        other = type(self)(self.f.part(rows), self.start, self._beginning)
        other.empty = self.empty[rows]
        return other


def refined(path: Path, steps: int, tolerance: float) -> Iterator[tuple[Tensor, int]]:
    """Scores [outputs, inputs] by the trapezoid rule over more and more points, and the number of points.

    Points are added where the residual arises.

    Ends with at most ``steps`` points.
    """
    places = np.empty(0)
    values = slopes = torch.empty(0)
    for intervals in _levels(steps, previews=path.f.previews):
        grid = np.linspace(0, 1, intervals + 1)
        places, values, slopes = _with_more(path, places, values, slopes, grid[~np.isin(grid, places)])
        means = _means(places, slopes)
        yield means.sum(1), len(places)
    scores, active = means.sum(1), list(range(len(means)))
    while room := steps - len(places):
        # Outputs whose scores add up are done: they need no more points.
        wanting = torch.nonzero(path.shares(means.sum(1)) > tolerance)[:, 0].tolist()
        if not wanting:
            return
        active, path = [active[k] for k in wanting], path.part(wanting)
        values, slopes, means = values[wanting], slopes[wanting], means[wanting]
        # The residual of each interval, as a share of all absolute scores; of several outputs the worst.
        local = values.diff(dim=1) - means.sum(-1)
        shares = (local.abs() / means.sum(1).abs().sum(-1, keepdim=True).clamp_min(1e-12)).amax(0).numpy()
        order = np.argsort(-shares, kind="stable")
        left = shares.sum() - np.cumsum(shares[order])
        halved = order[: min(max(ROUND, int((left > tolerance / 2).sum()) + 1), room, len(order))]
        middles = (places[halved] + places[halved + 1]) / 2
        places, values, slopes = _with_more(path, places, values, slopes, middles)
        means = _means(places, slopes)
        scores = scores.clone()
        scores[active] = means.sum(1)
        yield scores, len(places)


def in_contexts(f: Objective, count: int, share: float, seed: int, start: Tensor, *, delete: bool) -> Scores:
    """Integrated gradients from ``start`` [inputs, hidden] to each of the copies; see ``models.contexts``."""
    total = torch.zeros(len(f.outputs), len(f.tokens), dtype=torch.float64)
    there = torch.zeros(len(f.tokens), dtype=torch.float64)
    for ends, kept in make_copies(f, count, share, seed, start):
        there += kept.sum(0).cpu()
        for same, every in group_by_length(f, kept if delete else torch.ones_like(kept)):
            for rows, places in zip(same.split(AT_ONCE), every.split(AT_ONCE), strict=True):
                step = (ends - start)[rows].gather(1, places[:, :, None].expand(-1, -1, ends.shape[-1]))
                total.index_add_(
                    1, places.flatten().cpu(), _to_ends(f, start[places], step, places).flatten(1)
                )
    return Scores(
        total / there,
        notes=(f"The mean over {count} copies of the text, each with {share:.0%} of the words on average.",),
    )


def _to_ends(f: Objective, start: Tensor, step: Tensor, places: Tensor) -> Tensor:
    """Integrated gradients along ``start`` + α ``step``: [outputs, rows, places].

    ``start`` and ``step`` are [rows, places, hidden].
    """
    ways, weights = (
        torch.tensor(found, dtype=step.dtype, device=step.device) for found in nodes(FEW, "gausslegendre")
    )
    points = (start[:, None] + ways[:, None, None] * step[:, None]).flatten(0, 1)
    whole = places.shape[1] == len(f.tokens)
    along = (weights[:, None, None] * step[:, None]).flatten(0, 1).float()
    found = [
        torch.einsum("rih,orih->ori", along[rows], gradients.float()).double().cpu()
        for rows, _, gradients in f.gradients(points, None if whole else places.repeat_interleave(FEW, dim=0))
    ]
    return torch.cat(found, dim=1).unflatten(1, (len(step), FEW)).sum(2)


def _means(places: np.ndarray, slopes: Tensor) -> Tensor:
    """Each interval's share of the scores, [outputs, intervals, inputs]."""
    return (slopes[:, 1:] + slopes[:, :-1]) / 2 * torch.from_numpy(np.diff(places))[None, :, None]


def _with_more(
    path: Path, places: np.ndarray, values: Tensor, slopes: Tensor, more: np.ndarray
) -> tuple[np.ndarray, Tensor, Tensor]:
    """The points of the path with more of them, in order."""
    # The known end of the path comes last, whatever the order.
    found, slope = path.at(np.sort(more))
    places = np.concatenate([places, np.sort(more)])
    order = np.argsort(places)
    index = torch.from_numpy(order)
    joined = (
        (found, slope)
        if not values.numel()
        else (torch.cat([values, found], 1), torch.cat([slopes, slope], 1))
    )
    return places[order], joined[0][:, index], joined[1][:, index]


def nodes(steps: int, rule: str) -> tuple[np.ndarray, np.ndarray]:
    """Points on [0, 1] and weights that add up to 1, [steps] each."""
    if rule == "gausslegendre":
        points, weights = np.polynomial.legendre.leggauss(steps)
        return (points + 1) / 2, weights / 2
    weights = np.full(steps, 1 / (steps - 1))
    weights[[0, -1]] /= 2
    return np.linspace(0, 1, steps), weights
