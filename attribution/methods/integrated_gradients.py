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
"""Intervals that the adaptive rule starts with, and the least number that it halves per round."""
FEW, AT_ONCE = 8, 4
"""Points on the path to each copy of the text, and copies in memory at once."""
PREVIEWS = (2,)
"""Intervals of the previews; their points are a subset of the first ones."""


def first_points(
    outset: Outset, *, rule: str, steps: int, baseline: str, contexts: int = 0, **_: object
) -> Tensor:
    """The path's first points except the text itself, [points, inputs, hidden].

    Empty where the path leads to copies of the text, or where only f knows the baseline.
    """
    text = outset.embeddings
    start = None if contexts else outset.baseline(baseline)
    if start is None:
        return text[None][:0]
    places = _first_places(rule, steps, previews=outset.previews)
    alphas = torch.tensor(places[places < 1], dtype=start.dtype, device=start.device)
    return start + alphas[:, None, None] * (text - start)


def _first_places(rule: str, steps: int, *, previews: bool) -> np.ndarray:
    if rule != "adaptive":
        return nodes(steps, rule)[0]
    points: np.ndarray = np.linspace(0, 1, _levels(steps, previews=previews)[0] + 1)
    return points


def _levels(steps: int, *, previews: bool) -> list[int]:
    """Numbers of intervals that the adaptive rule uses before it refines."""
    first = min(FIRST, 2 ** int(np.log2(steps - 1)))
    return [*(n for n in PREVIEWS if previews and n < first), first]


@method(
    title="Integrated gradients",
    summary="What each token adds to the prediction on the path from an empty text to this one.",
    caveat="'Empty' has to mean something: another baseline gives other scores. How far the scores are "
    "from adding up is shown.",
    cost="9 to 257 forward and backward passes, in batches",
    signed=True,
    unit="{quantity}",
    needs="gradients",
    at_text=True,
    first=first_points,
    aliases=("ig", "integrated_gradient"),
)
def integrated_gradients(
    f: Objective,
    *,
    rule: Annotated[
        Literal["adaptive", "gausslegendre", "trapezoid"],
        "How the points on the path are placed. adaptive: denser where needed, until the scores add up.",
    ] = "adaptive",
    steps: Annotated[int, Between(2, 513), "Points on the path; the maximum for the adaptive rule."] = 257,
    tolerance: Annotated[
        float,
        Between(0.0001, 1.0),
        "Adaptive rule: largest acceptable residual, as a share of the sum of absolute scores.",
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
    weighted sum over points of the path; embeddings are interpolated, never token ids. The residual is f(x)
    − f(b) − Σ s_i, which is 0 for the exact integral (their proposition 1, completeness). The adaptive rule
    is the trapezoid rule from 9 points on. Between two points the exact integral of all scores together is
    the difference of f, so it is known where on the path the residual arises: only those intervals are
    halved, and no point is computed twice.

    With ``contexts``, the mean over paths from the baseline to copies of the text that lack some of the
    words: equation 1 for each copy, always by the Gauss-Legendre rule, and for each token the mean
    over the copies that contain it. The scores do not add up to f(x) − f(b).
    """
    if contexts:
        return average_over_contexts(
            f, contexts, share, seed, f.baseline(baseline), delete=absent == "delete"
        )
    path = Path(f, f.baseline(baseline), _first_places(rule, steps, previews=f.previews))
    if rule != "adaptive":
        places, weights = nodes(steps, rule)
        return path.to_scores(torch.einsum("n,oni->oi", torch.from_numpy(weights), path.at(places)[1]))
    count = 0
    for scores, count in refine_path(path, steps, tolerance):
        if f.previews and count < steps and float(path.shares(scores).max()) > tolerance:
            yield path.to_scores(scores, f"A first estimate from {count} points on the path.")
    within = float(path.shares(scores).max()) <= tolerance
    outcome = "is within" if within else "still exceeds"
    limit = "" if within else " (the maximum)"
    return path.to_scores(
        scores,
        f"After {count} points on the path{limit}, the residual {outcome} {tolerance:.2%} of all absolute "
        "scores.",
    )


class Path:
    """The straight line from a baseline to the text, in embedding space, and f on it."""

    def __init__(self, f: Objective, start: Tensor, first_places: np.ndarray) -> None:
        self.f, self.start, self.step = f, start, f.embeddings - start
        self._first_places = first_places[first_places < 1]

    @cached_property
    def empty(self) -> Tensor:
        """Value of f at the baseline, [outputs]; ``at`` sets it when it computes the start of the path."""
        return self.f.evaluate(self.start[None])[:, 0]

    def at(self, places: np.ndarray) -> tuple[Tensor, Tensor]:
        """Values of f at ``places`` on [0, 1], [outputs, places], and its slopes along the path.

        A slope is the gradient times the step by input, [outputs, places, inputs].
        """
        inside = places[places < 1]
        values, slopes = [], []
        first_pass = self.f.first_pass  # computed with the prediction
        if first_pass is not None and np.array_equal(inside, self._first_places):
            values.append(first_pass[0].double().cpu())
            slopes.append(self._along(first_pass[1]))
            inside = inside[:0]
        alphas = torch.tensor(inside, dtype=self.step.dtype, device=self.step.device)
        for _, value, gradients in self.f.gradients(self.start + alphas[:, None, None] * self.step):
            values.append(value.double().cpu())
            slopes.append(self._along(gradients))
        if len(places) and places[-1] == 1:  # the path ends at the text, whose value is available
            values.append(self.f.values.double().cpu()[:, None])
            slopes.append(self._along(self.f.gradient()[:, None]))
        joined = torch.cat(values, dim=1)
        if len(places) and places[0] == 0:
            self.empty = joined[:, 0]
        return joined, torch.cat(slopes, dim=1)

    def _along(self, gradients: Tensor) -> Tensor:
        """Gradients [outputs, points, inputs, hidden] times the full step, summed over hidden."""
        return (gradients.float() * self.step.float()).sum(-1).double().cpu()

    def residual(self, scores: Tensor) -> Tensor:
        """Residual f(x) − f(b) − Σ scores, [outputs]."""
        return self.f.values.double().cpu() - self.empty.double().cpu() - scores.sum(-1)

    def to_scores(self, scores: Tensor, *notes: str) -> Scores:
        """The scores with their completeness: how far they are from adding up."""
        rows = zip(self.f.values.tolist(), self.empty.tolist(), self.residual(scores).tolist(), strict=True)
        return Scores(scores, tuple(Completeness(*row) for row in rows), notes)

    def shares(self, scores: Tensor) -> Tensor:
        """The residual as a share of all absolute scores, [outputs]."""
        return self.residual(scores).abs() / scores.abs().sum(-1).clamp_min(1e-12)

    def part(self, rows: list[int]) -> Self:
        """The same path for the outputs ``rows``."""
        other = type(self)(self.f.part(rows), self.start, self._first_places)
        other.empty = self.empty[rows]
        return other


def refine_path(path: Path, steps: int, tolerance: float) -> Iterator[tuple[Tensor, int]]:
    """Scores [outputs, inputs] by the trapezoid rule on ever more points, each with the number of points.

    Points are added where the residual arises, ``steps`` at most.
    """
    places = np.empty(0)
    values = slopes = torch.empty(0)
    for intervals in _levels(steps, previews=path.f.previews):
        grid = np.linspace(0, 1, intervals + 1)
        places, values, slopes = _merge_points(path, places, values, slopes, grid[~np.isin(grid, places)])
        means = _interval_scores(places, slopes)
        yield means.sum(1), len(places)
    scores, active = means.sum(1), list(range(len(means)))
    while room := steps - len(places):
        # Outputs whose scores add up need no further points.
        unfinished = torch.nonzero(path.shares(means.sum(1)) > tolerance)[:, 0].tolist()
        if not unfinished:
            return
        active, path = [active[k] for k in unfinished], path.part(unfinished)
        values, slopes, means = values[unfinished], slopes[unfinished], means[unfinished]
        # The residual of each interval, as a share of all absolute scores; for several outputs the largest.
        local = values.diff(dim=1) - means.sum(-1)
        shares = (local.abs() / means.sum(1).abs().sum(-1, keepdim=True).clamp_min(1e-12)).amax(0).numpy()
        order = np.argsort(-shares, kind="stable")
        remaining = shares.sum() - np.cumsum(shares[order])
        chosen = order[: min(max(ROUND, int((remaining > tolerance / 2).sum()) + 1), room, len(order))]
        middles = (places[chosen] + places[chosen + 1]) / 2
        places, values, slopes = _merge_points(path, places, values, slopes, middles)
        means = _interval_scores(places, slopes)
        scores = scores.clone()
        scores[active] = means.sum(1)
        yield scores, len(places)


def average_over_contexts(
    f: Objective, count: int, share: float, seed: int, start: Tensor, *, delete: bool
) -> Scores:
    """Integrated gradients from ``start`` [inputs, hidden] to each of the copies; see ``models.contexts``."""
    total = torch.zeros(len(f.outputs), len(f.tokens), dtype=torch.float64)
    appearances = torch.zeros(len(f.tokens), dtype=torch.float64)
    for ends, presence in make_copies(f, count, share, seed, start):
        appearances += presence.sum(0).cpu()
        for rows, present_places in group_by_length(f, presence if delete else torch.ones_like(presence)):
            for part, places in zip(rows.split(AT_ONCE), present_places.split(AT_ONCE), strict=True):
                step = (ends - start)[part].gather(1, places[:, :, None].expand(-1, -1, ends.shape[-1]))
                total.index_add_(
                    1, places.flatten().cpu(), _integrate_to_copies(f, start[places], step, places).flatten(1)
                )
    return Scores(
        total / appearances,
        notes=(f"The mean over {count} copies of the text, each with {share:.0%} of the words on average.",),
    )


def _integrate_to_copies(f: Objective, start: Tensor, step: Tensor, places: Tensor) -> Tensor:
    """Integrated gradients along ``start`` + α ``step``: [outputs, rows, places].

    ``start`` and ``step`` are [rows, places, hidden].
    """
    alphas, weights = (
        torch.tensor(numbers, dtype=step.dtype, device=step.device) for numbers in nodes(FEW, "gausslegendre")
    )
    points = (start[:, None] + alphas[:, None, None] * step[:, None]).flatten(0, 1)
    all_tokens = places.shape[1] == len(f.tokens)
    along = (weights[:, None, None] * step[:, None]).flatten(0, 1).float()
    integrals = [
        torch.einsum("rih,orih->ori", along[rows], gradients.float()).double().cpu()
        for rows, _, gradients in f.gradients(
            points, None if all_tokens else places.repeat_interleave(FEW, dim=0)
        )
    ]
    return torch.cat(integrals, dim=1).unflatten(1, (len(step), FEW)).sum(2)


def _interval_scores(places: np.ndarray, slopes: Tensor) -> Tensor:
    """The scores of each interval by the trapezoid rule, [outputs, intervals, inputs]."""
    return (slopes[:, 1:] + slopes[:, :-1]) / 2 * torch.from_numpy(np.diff(places))[None, :, None]


def _merge_points(
    path: Path, places: np.ndarray, values: Tensor, slopes: Tensor, new_places: np.ndarray
) -> tuple[np.ndarray, Tensor, Tensor]:
    """Add new places, their values and slopes to those computed so far, in order."""
    # ``Path.at`` expects the end of the path last.
    new_values, new_slopes = path.at(np.sort(new_places))
    places = np.concatenate([places, np.sort(new_places)])
    order = np.argsort(places)
    index = torch.from_numpy(order)
    joined = (
        (new_values, new_slopes)
        if not values.numel()
        else (torch.cat([values, new_values], 1), torch.cat([slopes, new_slopes], 1))
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
