"""What a method computes: how many rows, in which batches, counted before it runs.

The method's own function runs on a stand-in that has the text's tokens and outputs, answers with numbers that cost next to nothing,
and notes every batch that the model would compute. A new method is counted without a word about it here.
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
from attribution.models.features import Features
from attribution.models.objective import Deadline, Perturbable

Shape = Literal["straight", "rough"]
SHAPES: tuple[Shape, ...] = ("straight", "rough")
"""Stand-ins: one that an adaptive method is done with at once, and one that it is never done with."""
HIDDEN = 4
"""Width of a stand-in's embeddings."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One pass forward of ``rows`` × ``tokens``, and back for so many outputs."""

    rows: int
    tokens: int
    outputs: int = 0


@dataclass(frozen=True)
class Count:
    """What one run of a method computes: its batches, the most rows that it holds at once, and its own seconds beside them."""

    batches: Mapping[Batch, int]
    held: int
    overhead: float = 0.0

    @property
    def passes(self) -> int:
        return sum(number for batch, number in self.batches.items())

    @property
    def rows(self) -> int:
        return sum(number * batch.rows for batch, number in self.batches.items())


class Inside(Exception):
    """A method asked a stand-in for what only a model has."""


class Outside:
    """Of an adapter what can be asked without computing."""

    KNOWN = (
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

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter

    def __getattr__(self, name: str) -> Any:
        if name not in self.KNOWN:
            raise Inside(name)
        return getattr(self._adapter, name)


class StandIn(Perturbable):
    """Looks like the objective ``f``, notes each batch, and answers with cheap numbers of embeddings of its own.

    ``straight`` is linear; ``rough`` jumps from point to point, and its gradients do not fit it. ``gradient``: that at the text came with
    the prediction. What it does not know raises ``Inside``.
    """

    seen = None  # points that came with the prediction: they are counted when the method asks for them

    def __init__(self, f: Perturbable, shape: Shape = "straight", *, gradient: bool = False) -> None:
        self.text, self.target, self.tokens, self.outputs, self.prediction = (
            f.text,
            f.target,
            f.tokens,
            f.outputs,
            f.prediction,
        )
        self.second = getattr(f, "second", None)
        self.deadline = Deadline()
        self._f, self._shape, self._has_gradient = f, shape, gradient
        self._companion: Adapter | None = None
        self.batches: Counter[Batch] = Counter()
        self.held = 1
        self._embeds = hasattr(f, "adapter")
        if self._embeds:
            self.adapter = Outside(f.adapter)  # type: ignore[attr-defined]
        generator = torch.Generator().manual_seed(0)
        self.embeddings = torch.randn(len(f.tokens), HIDDEN, generator=generator)
        self._weights = torch.randn(len(f.outputs), 1, HIDDEN, generator=generator).expand(
            -1, len(f.tokens), -1
        )
        self._parts = torch.einsum("oih,ih->oi", self._weights, self.embeddings)

    def __getattr__(self, name: str) -> Any:
        raise Inside(name)

    @property
    def companion(self) -> Any:
        if self._companion is not None:
            raise Inside("companion")
        return None

    @companion.setter
    def companion(self, found: Adapter | None) -> None:
        self._companion = found

    @property
    def values(self) -> Tensor:
        return self._shaped(self._parts.sum(1))

    @property
    def quantity(self) -> str:
        return self._f.quantity

    @property
    def visible(self) -> Tensor:
        return self._f.visible.cpu()

    def _shaped(self, values: Tensor) -> Tensor:
        return values if self._shape == "straight" else torch.sin(1e3 * values)

    def gradient(self) -> Tensor:
        if not self._has_gradient:
            deque(self._noted(1, len(self.tokens), len(self.outputs)), maxlen=0)
            self._has_gradient = True
        return self._slope(1)[:, 0]

    def _slope(self, rows: int) -> Tensor:
        slope = self._weights if self._shape == "straight" else torch.zeros_like(self._weights)
        return slope[:, None].expand(-1, rows, -1, -1)

    def part(self, rows: Sequence[int]) -> StandIn:
        """The same with some of its outputs only; what it notes counts for the whole."""
        other: StandIn = object.__new__(type(self))
        vars(other).update(vars(self))
        other.outputs = tuple(self.outputs[k] for k in rows)
        other._weights, other._parts = self._weights[list(rows)], self._parts[list(rows)]
        return other

    def gradients(
        self, points: Tensor, places: Tensor | None = None
    ) -> Iterator[tuple[slice, Tensor, Tensor]]:
        for part in self._noted(len(points), points.shape[1], len(self.outputs)):
            yield part, self._at(points[part]), self._slope(part.stop - part.start)

    def evaluate(self, points: Tensor, places: Tensor | None = None) -> Tensor:
        for _ in self._noted(len(points), points.shape[1]):
            pass
        return self._at(points)

    def _at(self, points: Tensor) -> Tensor:
        return self._shaped(torch.einsum("oih,pih->op", self._weights, points.float()))

    def hidden(self, features: Features, present: np.ndarray, hide: str = "auto") -> Tensor:
        unique, back = np.unique(np.asarray(present, dtype=bool), axis=0, return_inverse=True)
        kept = torch.from_numpy(features.kept(unique, len(self.tokens)))
        lengths = {len(self.tokens): len(unique)}
        if self._embeds:
            mask = self.adapter.tokenizer.mask_token_id is not None
            self._replacement(
                "auto"
                if hide == "delete" or (hide == "auto" and not mask)
                else "mask"
                if hide == "auto"
                else hide
            )
            if hide == "delete":
                lengths = Counter((kept | ~self._f._deletable().cpu()).sum(1).tolist())  # type: ignore[attr-defined]
        for length, rows in sorted(lengths.items()):
            deque(self._noted(rows, max(1, length) if self._embeds else 1, held=False), maxlen=0)
        return self._shaped(self._parts @ kept.float().T)[:, torch.from_numpy(back.reshape(-1))]

    def baseline(self, kind: str) -> Tensor:
        self._replacement(kind)
        special = torch.tensor([token.special for token in self.tokens])
        return torch.where(special[:, None], self.embeddings, 0.0)

    def embed(self, ids: Tensor) -> Tensor:
        """[rows, inputs] → [rows, inputs, HIDDEN]"""
        return torch.sin(ids[..., None].float() * torch.arange(1, HIDDEN + 1))

    def _replacement(self, kind: str) -> None:
        """What stands for nothing. Embeddings of zeros are tried first, which takes two rows. Raises ``BadOption``."""
        adapter = self._f.adapter  # type: ignore[attr-defined]
        ids = () if kind in ("mean", "zero") else (adapter.baseline_id(kind),)
        zero = kind == "zero" or any(_is_zero(adapter, index) for index in ids)
        if zero and not all(token.special for token in self.tokens):
            deque(self._noted(2, len(self.tokens), held=False), maxlen=0)

    def _noted(self, rows: int, width: int, outputs: int = 0, held: bool = True) -> Iterator[slice]:
        """The batches that so many rows make, noted."""
        self.held = max(self.held, rows if held else 0)
        most = max(1, self._f.adapter.budget // width if self._embeds else self._f.function.batch)  # type: ignore[attr-defined]
        for start in range(0, rows, most):
            part = slice(start, min(start + most, rows))
            self.batches[Batch(part.stop - start, width, outputs)] += 1
            yield part


@torch.no_grad()
def _is_zero(adapter: Adapter, index: int) -> bool:
    return not bool(adapter.embed(torch.tensor([[index]], device=adapter.device)).any())


def count_work(workload: Workload) -> tuple[Count, Count]:
    """What a run of the method computes, the least and the most.

    Raises ``Inside`` for a method that looks inside the model, and what the method raises.
    """
    counts = []
    for shape in SHAPES:
        stand_in = StandIn(workload.f, shape, gradient=workload.method.at_text)
        stand_in.companion = workload.companion
        started = time.perf_counter()
        try:
            workload.method.run(stand_in, **dict(workload.options))
        except (AttributionError, Inside):
            raise
        except Exception as error:
            raise Inside(str(error)) from error  # it expects more of a model than shapes
        counts.append(Count(dict(stand_in.batches), stand_in.held, time.perf_counter() - started))
    # The first of the runs may have imported something.
    overhead = min(count.overhead for count in counts)
    least, most = sorted((Count(c.batches, c.held, overhead) for c in counts), key=lambda c: (c.rows, c.held))
    return least, most


def count_reagent(workload: Workload) -> tuple[Count, Count]:
    """ReAGent: each step reads the model once for the random search and once for its end, with as many rows as runs are active."""
    options, f = dict(workload.options), workload.f
    width = len(f.tokens)
    first, step = Batch(len(f.outputs), width), Batch(len(f.outputs) * int(options["runs"]), width)
    least, most = (Counter({first: 1}) + Counter({step: 2 * steps}) for steps in (1, int(options["steps"])))
    return Count(least, 1), Count(most, 1)


DECLARED: dict[str, Callable[[Workload], tuple[Count, Count]]] = {"reagent": count_reagent}
"""Methods that work with a second model, which computes the same batches."""
