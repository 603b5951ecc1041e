"""What a method computes: how many rows, in which batches, counted before it runs.

The method's own function runs on a stand-in that has the text's tokens and outputs, answers with numbers that
cost next to nothing, and notes every batch that the model would compute. A new method is counted without a
word about it here.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from attribution.costs.workload import Workload
from attribution.errors import AttributionError
from attribution.models.adapter import Adapter
from attribution.models.base_adapter import BaseAdapter
from attribution.models.deadline import Deadline
from attribution.models.features import Features
from attribution.models.perturbable import Perturbable
from attribution.request import Target
from attribution.types import Output, Prediction, Quantity, Token

Shape = Literal["straight", "rough"]
SHAPES: tuple[Shape, ...] = ("straight", "rough")
"""An adaptive method stops at once on the first shape, and as late as it can on the second."""
HIDDEN = 4
"""Width of a stand-in's embeddings."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A forward pass of ``rows`` × ``tokens``, and a backward pass for each of ``outputs``."""

    rows: int
    tokens: int
    outputs: int = 0


@dataclass(frozen=True)
class Count:
    """What one run of a method computes.

    Attributes
    ----------
    batches : how many of each size.
    rows_held : the most rows that the method holds at once.
    overhead : seconds that the method itself takes beside the model.
    """

    batches: Mapping[Batch, int]
    rows_held: int
    overhead: float = 0.0

    @property
    def passes(self) -> int:
        return sum(self.batches.values())

    @property
    def rows(self) -> int:
        return sum(number * batch.rows for batch, number in self.batches.items())


class Inside(Exception):
    """Raised when a method asks a stand-in for something that only a model has."""


class AdapterFacts:
    """What an adapter can tell without computing; anything else raises ``Inside``."""

    NAMES = (
        "tokenizer",
        "settings",
        "embedding",
        "info",
        "task",
        "config",
        "device",
        "baseline_id",
        "baseline_ids",
        "max_tokens",
    )

    def __init__(self, adapter: BaseAdapter) -> None:
        self._adapter = adapter

    def __getattr__(self, name: str) -> Any:
        if name not in self.NAMES:
            raise Inside(name)
        return getattr(self._adapter, name)


class StandIn(Perturbable):
    """Looks like the function ``f``, records each batch, and answers with cheap numbers.

    Whatever else is asked of it raises ``Inside``.

    Parameters
    ----------
    shape : ``"straight"`` is linear; ``"rough"`` jumps from point to point, and its gradients do not fit it.
    gradient : whether the gradient at the text came with the prediction.
    """

    def __init__(
        self,
        f: Perturbable,
        shape: Shape = "straight",
        *,
        gradient: bool = False,
        companion: Adapter | None = None,
    ) -> None:
        self.deadline, self.previews, self._companion = Deadline(), False, companion
        self._f, self._shape, self._has_gradient = f, shape, gradient
        self._outputs = f.outputs
        self.batches: Counter[Batch] = Counter()
        self.rows_held = 1
        generator = torch.Generator().manual_seed(0)
        self._embeddings = torch.randn(len(f.tokens), HIDDEN, generator=generator)
        self._weights = torch.randn(len(f.outputs), 1, HIDDEN, generator=generator).expand(
            -1, len(f.tokens), -1
        )
        self._parts = torch.einsum("oih,ih->oi", self._weights, self._embeddings)

    def __getattr__(self, name: str) -> Any:
        raise Inside(name)

    @property
    def companion(self) -> None:  # type: ignore[override]
        if self._companion is not None:
            raise Inside("companion")

    @property
    def adapter(self) -> Any:
        return AdapterFacts(self._f.adapter)

    @property
    def differentiable(self) -> bool:  # type: ignore[override]
        return self._f.differentiable

    @property
    def text(self) -> str:
        return self._f.text

    @property
    def second(self) -> str | None:
        return self._f.second

    @property
    def target(self) -> Target:
        return self._f.target

    @property
    def tokens(self) -> tuple[Token, ...]:
        return self._f.tokens

    @property
    def outputs(self) -> tuple[Output, ...]:
        return self._outputs

    @property
    def prediction(self) -> Prediction:
        return self._f.prediction

    @property
    def segments(self) -> tuple[slice, ...]:
        return self._f.segments

    @property
    def embeddings(self) -> Tensor:
        return self._embeddings

    @property
    def deletable(self) -> Tensor:
        return self._f.deletable.cpu()

    @property
    def values(self) -> Tensor:
        return self._bend(self._parts.sum(1))

    @property
    def quantity(self) -> str:
        return self._f.quantity

    @property
    def visible(self) -> Tensor:
        return self._f.visible.cpu()

    def _bend(self, values: Tensor) -> Tensor:
        return values if self._shape == "straight" else torch.sin(1e3 * values)

    def gradient(self) -> Tensor:
        if not self._has_gradient:
            deque(self._record(1, len(self.tokens), len(self.outputs)), maxlen=0)
            self._has_gradient = True
        return self._slope(1)[:, 0]

    def _slope(self, rows: int) -> Tensor:
        slope = self._weights if self._shape == "straight" else torch.zeros_like(self._weights)
        return slope[:, None].expand(-1, rows, -1, -1)

    def part(self, rows: Sequence[int]) -> StandIn:
        """The same with some of its outputs only; its batches count for the whole."""
        other: StandIn = object.__new__(type(self))
        vars(other).update(vars(self))
        other._outputs = tuple(self.outputs[k] for k in rows)
        other._weights, other._parts = self._weights[list(rows)], self._parts[list(rows)]
        return other

    # What only a model can do.

    def replace(
        self,
        *,
        deadline: Deadline | None = None,
        companion: Adapter | None = None,
        previews: bool | None = None,
    ) -> Any:
        raise Inside("replace")

    def with_quantity(self, quantity: Quantity) -> Any:
        raise Inside("with_quantity")

    @property
    def notes(self) -> tuple[str, ...]:
        return self._f.notes

    @property
    def model(self) -> Any:
        raise Inside("model")

    def on(self, model: Any) -> Any:
        raise Inside("on")

    def at(self, embeddings: Tensor) -> Any:
        raise Inside("at")

    def with_adapter(self, adapter: Adapter) -> Any:
        raise Inside("with_adapter")

    def traced(self) -> Any:
        raise Inside("traced")

    def in_this_thread(self) -> Any:
        raise Inside("in_this_thread")

    def gradients(
        self,
        points: Tensor,
        places: Tensor | None = None,
    ) -> Iterator[tuple[slice, Tensor, Tensor]]:
        for part in self._record(len(points), points.shape[1], len(self.outputs)):
            yield part, self._at(points[part]), self._slope(part.stop - part.start)

    def evaluate(self, points: Tensor, places: Tensor | None = None) -> Tensor:
        for _ in self._record(len(points), points.shape[1]):
            pass
        return self._at(points)

    def _at(self, points: Tensor) -> Tensor:
        return self._bend(torch.einsum("oih,pih->op", self._weights, points.float()))

    def evaluate_features(self, features: Features, present: np.ndarray, hide: str = "auto") -> Tensor:
        unique, inverse = np.unique(np.asarray(present, dtype=bool), axis=0, return_inverse=True)
        visible = torch.from_numpy(features.present_inputs(unique, len(self.tokens)))
        lengths = {len(self.tokens): len(unique)}
        if self.differentiable:
            mask = self.adapter.tokenizer.mask_token_id is not None
            replacement = "mask" if hide == "auto" and mask else "auto" if hide == "delete" else hide
            self._record_baseline(replacement)
            if hide == "delete":
                lengths = Counter((visible | ~self.deletable).sum(1).tolist())
        for length, rows in sorted(lengths.items()):
            deque(
                self._record(rows, max(1, length) if self.differentiable else 1, holds_rows=False), maxlen=0
            )
        return self._bend(self._parts @ visible.float().T)[:, torch.from_numpy(inverse.reshape(-1))]

    def baseline(self, kind: str) -> Tensor:
        self._record_baseline(kind)
        special = torch.tensor([token.special for token in self.tokens])
        return torch.where(special[:, None], self._embeddings, 0.0)

    def embed(self, ids: Tensor) -> Tensor:
        """Embeddings [rows, inputs, HIDDEN] of ids [rows, inputs]."""
        return torch.sin(ids[..., None].float() * torch.arange(1, HIDDEN + 1))

    def _record_baseline(self, kind: str) -> None:
        """Count what a baseline takes: one of zeros is tested first, with two rows. Raises ``BadOption``."""
        adapter = self._f.adapter
        assert isinstance(adapter, Adapter)
        ids = () if kind in ("mean", "zero") else (adapter.baseline_id(kind),)
        zero = kind == "zero" or any(_is_zero(adapter, index) for index in ids)
        if zero and not all(token.special for token in self.tokens):
            deque(self._record(2, len(self.tokens), holds_rows=False), maxlen=0)

    def _record(self, rows: int, width: int, outputs: int = 0, holds_rows: bool = True) -> Iterator[slice]:
        """Record the batches that ``rows`` need; yields the rows of each."""
        self.rows_held = max(self.rows_held, rows if holds_rows else 0)
        limit = self._f.adapter.rows_at_once(width)
        for start in range(0, rows, limit):
            part = slice(start, min(start + limit, rows))
            self.batches[Batch(part.stop - start, width, outputs)] += 1
            yield part


def _is_zero(adapter: Adapter, index: int) -> bool:
    """Whether a token's embedding is zero."""
    with torch.no_grad():
        return not bool(adapter.embed(torch.tensor([[index]], device=adapter.device)).any())


def count_work(workload: Workload) -> tuple[Count, Count]:
    """What a run of the method computes, the least and the most.

    Raises ``Inside`` for a method that looks inside the model, and what the method raises.
    """
    counts = []
    for shape in SHAPES:
        stand_in = StandIn(workload.f, shape, gradient=workload.method.at_text, companion=workload.companion)
        started = time.perf_counter()
        try:
            workload.method.run(stand_in, **dict(workload.options))
        except (AttributionError, Inside):
            raise
        except Exception as error:
            raise Inside(str(error)) from error  # it expects more of a model than shapes
        counts.append(Count(dict(stand_in.batches), stand_in.rows_held, time.perf_counter() - started))
    # The first of the runs may have imported something.
    overhead = min(count.overhead for count in counts)
    least, most = sorted(
        (Count(c.batches, c.rows_held, overhead) for c in counts), key=lambda c: (c.rows, c.rows_held)
    )
    return least, most


def count_reagent(workload: Workload) -> tuple[Count, Count]:
    """ReAGent: each step computes one batch for the random search and one for its end, a row for each run."""
    options, f = dict(workload.options), workload.f
    width = len(f.tokens)
    first, step = Batch(len(f.outputs), width), Batch(len(f.outputs) * int(options["runs"]), width)
    least, most = (Counter({first: 1}) + Counter({step: 2 * steps}) for steps in (1, int(options["steps"])))
    return Count(least, 1), Count(most, 1)


DECLARED: dict[str, Callable[[Workload], tuple[Count, Count]]] = {"reagent": count_reagent}
"""Counts of methods that ask a second model, which computes the same batches."""
