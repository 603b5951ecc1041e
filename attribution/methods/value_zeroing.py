"""Value zeroing: how a layer's output changes without a token's value vector."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn
from transformers import Cache

from attribution.errors import Unsupported
from attribution.methods import Scores, method
from attribution.models.inside.attentions import (
    Map,
    Step,
    Watch,
    describe_output_rows,
    output_rows,
    pick_layer,
    roll_out,
)
from attribution.models.objective import Objective
from attribution.registry import Between

SAME = 1e-3
"""Largest difference of a layer's output when run alone, as a share of its largest number."""


@method(
    title="Value zeroing",
    summary="How much each token changes where the prediction is read, layer by layer, when its value "
    "vector is set to zero.",
    caveat="It measures how layers mix tokens, not what the mixture does to the prediction: it is the "
    "same for every class. A zero vector is nothing that the layer saw in training.",
    cost="2 forward passes, and each layer once more for each token, in batches",
    signed=False,
    unit="share of context mixing",
    needs="attentions",
    aliases=("context_mixing",),
)
def value_zeroing(
    f: Objective,
    *,
    layer: Annotated[int, Between(-1, 255), "One layer, counted from 0; -1 follows all layers."] = -1,
) -> Scores:
    """Value zeroing: C_ij is how far a layer's output x̃_i moves when token j's value vector is zeroed.

    The distance is the cosine distance; the vector is zeroed in all heads.

    Mohebbi, Zuidema, Chrupała & Alishahi 2023, "Quantifying Context Mixing in Transformers", section 3 (the
    equation for C_ij); each row is divided by its sum, and layers are combined by rollout, without Abnar &
    Zuidema's identity, as the residual connection is part of x̃. Everything else in the layer stays,
    including the attention weights. The scores are the row that the prediction is read from. In an
    encoder-decoder a decoder layer's row spans its own values and those of cross-attention, divided by
    their common sum.
    """
    rows = output_rows(f)
    watch = Zeroing(f)
    steps = list(watch.steps())
    if layer >= 0:
        steps = pick_layer(steps, rows, layer)
    return Scores(roll_out(rows, steps), notes=(describe_output_rows(f),))


@dataclass
class Run:
    """One run of a module that holds attention: what it received and returned, and the calls made inside."""

    module: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output: Tensor
    calls: range


class Zeroing(Watch):
    """A private copy of the model whose layers can be run again with some value vectors set to zero."""

    def __init__(self, f: Objective) -> None:
        super().__init__(f)
        self._runs: list[Run] = []
        self._zero: list[Tensor] = []
        for holder in self.model.modules():
            if isinstance(holder, nn.ModuleList):
                for module in holder:
                    self._record(module)

    def _record(self, module: nn.Module) -> None:
        starts: list[int] = []

        def before(_module: Any, _args: Any) -> None:
            starts.append(len(self.calls))

        def after(_module: Any, args: Any, kwargs: Any, result: Any) -> None:
            calls = range(starts.pop(), len(self.calls))
            if calls and not self._zero:
                self._runs.append(
                    Run(module, args, kwargs, result if isinstance(result, Tensor) else result[0], calls)
                )

        module.register_forward_pre_hook(before)
        module.register_forward_hook(after, with_kwargs=True)

    def value(self, value: Tensor) -> Tensor:
        if not self._zero:
            return value
        return value.masked_fill(self._zero[len(self.calls)][:, None, :, None], 0)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def steps(self) -> Iterator[Step]:
        """Each layer's C with rows that add up to 1, from the first layer to the last."""
        maps = self.run()
        for run in self._layers(maps):
            yield self._mixing(run, maps)

    def _layers(self, maps: list[Map]) -> list[Run]:
        """The runs that are layers: the outermost ones with one call of self-attention."""
        single = [run for run in self._runs if sum(maps[c].kind == "self" for c in run.calls) == 1]
        layers = [
            run
            for run in single
            if not any(set(run.calls) <= set(o.calls) and _holds(o.module, run.module) for o in single)
        ]
        layers.sort(key=lambda run: run.calls.start)
        if [c for run in layers for c in run.calls] != list(range(len(maps))):
            raise Unsupported(
                "This model's attention modules are not in a list of layers that can be run one by one.",
                "Attention rollout works for it.",
            )
        return layers

    def _mixing(self, run: Run, maps: list[Map]) -> Step:
        own_maps = [maps[c] for c in run.calls]
        queries = own_maps[0].queries
        width, inputs = queries.stop - queries.start, len(self.f.tokens)
        counts = [attention.keys.stop - attention.keys.start for attention in own_maps]
        total = sum(counts)
        size = max(1, self.f.adapter.settings.rows_per_batch_tokens // inputs)
        distances = torch.empty(width, total, dtype=torch.float64, device=run.output.device)
        for start in range(0, total, size):
            self.f.deadline.check()
            columns = torch.arange(start, min(start + size, total), device=run.output.device)
            distances[:, columns] = self._distances(run, columns, counts)
        # Where no head attends, nothing can change: any distance there is rounding.
        distances = distances * torch.cat([(attention.weights > 0).any(0) for attention in own_maps], dim=1)
        sums = distances.sum(-1, keepdim=True)
        shares = distances / torch.where(sums > 0, sums, 1.0)
        matrix = torch.zeros(width, inputs, dtype=torch.float64, device=shares.device)
        for attention, part in zip(own_maps, shares.split(counts, dim=1), strict=True):
            matrix[:, attention.keys] += part
        # A token that nothing changes depends only on itself.
        matrix[:, queries] += torch.diag((sums[:, 0] == 0).double())
        return Step(own_maps[0].layer, queries, matrix)

    def _distances(self, run: Run, columns: Tensor, counts: list[int]) -> Tensor:
        """Cosine distances [queries, columns] between a layer's outputs with and without one value vector."""
        batch = len(columns) + 1
        hit = nn.functional.one_hot(columns, sum(counts)).bool()
        # The first row zeroes nothing: it checks that the layer can be run alone.
        hit = torch.cat([torch.zeros_like(hit[:1]), hit])
        self.calls.clear()
        self._zero = list(hit.split(counts, dim=1))
        try:
            result = run.module(*_expand_arguments(run.args, batch), **_expand_arguments(run.kwargs, batch))
        finally:
            self._zero = []
        changed = (result if isinstance(result, Tensor) else result[0]).double()
        expected = run.output.double()
        if changed.shape[0] != batch or (changed[:1] - expected).abs().max() > SAME * expected.abs().max():
            raise Unsupported(
                "A layer of this model gives different numbers when it is run alone.",
                "Attention rollout works for it.",
            )
        unit, other = (nn.functional.normalize(t, dim=-1) for t in (changed[:1], changed[1:]))
        return ((unit - other).square().sum(-1) / 2).T


def _holds(outer: nn.Module, inner: nn.Module) -> bool:
    return outer is not inner and any(module is inner for module in outer.modules())


def _expand_arguments(arguments: Any, batch: int) -> Any:
    """Arguments of one text for ``batch`` rows; no cache is written to.

    Hidden states [1, tokens, hidden] become [batch, tokens, hidden].
    """
    if isinstance(arguments, Tensor):
        wide = arguments.is_floating_point() and arguments.ndim >= 3 and arguments.shape[0] == 1
        return arguments.expand(batch, *arguments.shape[1:]) if wide else arguments
    if isinstance(arguments, Cache):
        return None
    if isinstance(arguments, dict):
        return {name: _expand_arguments(value, batch) for name, value in arguments.items()}
    if isinstance(arguments, tuple | list):
        return type(arguments)(_expand_arguments(value, batch) for value in arguments)
    return arguments
