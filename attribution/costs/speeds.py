"""How long a model's passes take on its device and what they keep, measured on a few small ones; and methods that look inside."""

from __future__ import annotations

import math
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from attribution.costs.counts import Batch, Count
from attribution.costs.workload import Options
from attribution.errors import TooLong
from attribution.methods import Method
from attribution.models.adapter import Adapter
from attribution.models.function import Function
from attribution.models.objective import Deadline, Perturbable
from attribution.models.objectives import objective
from attribution.types import WRITERS, Target

Coefficients = tuple[float, float, float]
WORDS = (10, 40, 100)
"""Words of the texts that a model is measured on."""
ROWS = (1, 8)
"""Rows of a measured batch."""
MEASURING = 0.6
"""Seconds after which no larger batch is measured."""
QUICK = 0.05
"""Seconds below which a measurement is made twice."""


def basis(rows: int, tokens: int) -> Coefficients:
    return 1.0, float(rows * tokens), float(rows * tokens * tokens)


@dataclass(frozen=True, slots=True)
class Speed:
    """Coefficients of 1, rows × tokens and rows × tokens²: seconds of a pass forward and back, and bytes kept for going back.

    ``graph`` are the bytes that autograd keeps of a pass, ``fleeting`` the most bytes at once in a pass without a graph, and ``point``
    those of one token's embedding. ``more`` is what going back for another output takes, as a share of the first.
    """

    forward: Coefficients
    backward: Coefficients
    graph: Coefficients = (0.0, 0.0, 0.0)
    fleeting: Coefficients = (0.0, 0.0, 0.0)
    point: int = 0
    more: float = 1.0

    def seconds(self, batch: Batch) -> float:
        size = basis(batch.rows, batch.tokens)
        back = 1 + self.more * (batch.outputs - 1) if batch.outputs else 0.0
        return float(np.dot(self.forward, size)) + back * float(np.dot(self.backward, size))

    def bytes(self, batch: Batch) -> float:
        """What a pass holds, on the way back with the gradients that are on their way."""
        found = (np.array(self.graph) if batch.outputs else 0) + np.array(self.fleeting)
        return float(found @ basis(batch.rows, batch.tokens))

    def run(self, count: Count) -> float:
        """Seconds of a method."""
        return count.overhead + sum(number * self.seconds(batch) for batch, number in count.batches.items())


def probe(adapter: Adapter | Function, words: int, several: bool = False) -> tuple[str, str | None, Target]:
    """A text of so many words that the model takes, the other one of a pair, and a target with one output (or a few)."""
    text, second, target = " ".join(["the", "good"] * (words // 2)), None, Target(label=0)
    if adapter.task == "classification":
        target = Target(label=(0, 1)) if several and len(adapter.info.labels) > 1 else target
    elif adapter.task == "token_classification":
        target = Target(position=(0, 1) if several else 0)
    elif adapter.task == "masked":
        mask = f" {adapter.tokenizer.mask_token}"  # type: ignore[union-attr]
        text, target = text + mask * (2 if several else 1), Target()
    elif adapter.task == "question_answering":
        text, second = " ".join(["the", "good"] * (words // 4)), " ".join(["a", "film"] * (words // 4))
        target = Target(label=None if several else "start")
    elif adapter.task == "similarity":
        text, second, target = (
            " ".join(["the", "good"] * (words // 4)),
            " ".join(["a", "film"] * (words // 4)),
            Target(),
        )
    elif adapter.task in WRITERS:
        target = Target(continuation=" the good" if several else " the", position=None if several else 0)
    return text, second, target


def make_probe(
    adapter: Adapter | Function, words: int, several: bool = False, gradient: bool = False
) -> Perturbable:
    """The objective of a ``probe``. Raises what ``objective`` raises."""
    text, second, target = probe(adapter, words, several)
    return objective(adapter, text, target, Deadline(), second=second, gradient=gradient)


def time_call(call: Callable[[], Any], device: torch.device | None) -> float:
    """Seconds of a call, on the device too; the better of two where it is quick."""
    best = math.inf
    while True:
        started = time.perf_counter()
        call()
        if device is not None and device.type == "cuda":
            torch.cuda.synchronize(device)
        taken = time.perf_counter() - started
        if best < math.inf or taken > QUICK:
            return min(best, taken)
        best = taken


@dataclass(frozen=True)
class Passing:
    """Passes of an objective at ``points`` [rows, inputs, hidden]."""

    f: Any
    points: Tensor

    def forward(self) -> None:
        self.f.evaluate(self.points)

    def both(self) -> None:
        deque(self.f.gradients(self.points), maxlen=0)


def measure(adapter: Adapter) -> Speed:
    """How long this model's passes take on its device and what they keep, from small ones; well under a second for a small model.

    Raises what the model raises for a text of a few words.
    """
    seconds: list[tuple[Coefficients, float, float]] = []
    bytes_: list[tuple[Coefficients, float, float]] = []
    started = time.perf_counter()
    for words in WORDS:
        try:
            f: Any = make_probe(adapter, words)
        except (
            TooLong,
            IndexError,
        ):  # an IndexError where the model has fewer places than its configuration says
            if not seconds:
                raise
            break
        # Bytes are the same each time, so they never hang on the clock.
        for rows in (1, 3):
            passing = Passing(f, f.embeddings.expand(rows, -1, -1))
            bytes_.append(
                (
                    basis(rows, len(f.tokens)),
                    kept_bytes(f.model, passing.both),
                    live_bytes(f.model, passing.forward),
                )
            )
        for rows in ROWS:
            if len(seconds) > 2 and time.perf_counter() - started > MEASURING:
                break
            passing = Passing(f, f.embeddings.expand(rows, -1, -1))
            if not seconds:  # a first pass of a kind makes ready what later ones use
                passing.both()
            there, both = time_call(passing.forward, adapter.device), time_call(passing.both, adapter.device)
            seconds.append((basis(rows, len(f.tokens)), there, max(both - there, 1e-9)))
    point = f.embeddings.shape[1] * f.embeddings.element_size()
    return Speed(
        *_fit_both(seconds), *_fit_both(bytes_), point, measure_further_outputs(adapter, *seconds[1][1:])
    )


def measure_further_outputs(adapter: Adapter, there: float, back: float) -> float:
    """What going back for another output takes, as a share of ``back``, measured where that is known for one; 1 where there is but one."""
    f: Any = make_probe(adapter, WORDS[0], several=True)
    passing = Passing(f, f.embeddings.expand(ROWS[-1], -1, -1))
    if len(f.outputs) == 1:
        return 1.0
    more = (time_call(passing.both, adapter.device) - there) / back - 1
    return min(1.0, max(0.0, more) / (len(f.outputs) - 1))


def _fit_both(found: list[tuple[Coefficients, float, float]]) -> tuple[Coefficients, Coefficients]:
    bases, first, second = zip(*found, strict=True)
    return fit(bases, first), fit(bases, second)


def fit(bases: Iterable[Coefficients], values: Iterable[float]) -> Coefficients:
    """Coefficients ≥ 0 of the least squares of relative errors: what is larger cannot cost less."""
    rows, wanted = np.array(list(bases)), np.maximum(np.array(list(values)), 1e-9)
    scaled = rows / wanted[:, None]
    norms = np.linalg.norm(scaled, axis=0)
    a, b, c = (nnls(scaled / norms, np.ones(len(wanted)))[0] / norms).tolist()
    return a, b, c


def kept_bytes(model: torch.nn.Module, run: Callable[[], Any]) -> int:
    """Bytes that autograd keeps of a forward pass for the way back, but for what the model owns. ``run`` goes both ways."""
    own = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    held: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            held[storage.data_ptr()] = storage.nbytes()
        return tensor

    # What was kept stays until the way back begins, so no address is used twice.
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        run()
    return sum(held.values())


def live_bytes(model: torch.nn.Module, run: Callable[[], Any]) -> int:
    """The most bytes of tensors that were alive at once during a call, but for what the model owns and what was there before."""
    with Living(model) as living:
        run()
    return living.peak


class Living(TorchDispatchMode):
    """Adds up the tensors that this thread's operations make, for as long as they live."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._seen = {t.untyped_storage()._cdata for t in (*model.parameters(), *model.buffers())}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if (
                isinstance(tensor, Tensor)
                and (key := (storage := tensor.untyped_storage())._cdata) not in self._seen
            ):
                self._seen.add(key)
                self.now += storage.nbytes()
                self.peak = max(self.peak, self.now)
                weakref.finalize(storage, self._gone, key, storage.nbytes()).atexit = False
        return made

    def _gone(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.now -= size


@dataclass(frozen=True, slots=True)
class Curve:
    """One method with its options on one model: seconds and bytes of a text with one output by its tokens, and of each more output."""

    seconds: Coefficients
    bytes: Coefficients
    longest: tuple[int, float]
    more: float

    def between(self, tokens: int, outputs: int) -> tuple[float, float]:
        """Seconds, the least and the most: beyond the longest text that was timed they may grow with the square of its length."""
        known, taken = self.longest
        least = float(np.dot(self.seconds, basis(1, tokens)))
        most = max(least, taken * (tokens / known) ** 2) if tokens > known else least
        share = 1 + self.more * (outputs - 1)
        return least * share, most * share


def time_method(
    adapter: Adapter, chosen: Method, options: Options, companion: Adapter | None = None
) -> Curve:
    """A method on short texts. Raises what it raises there, so ``Unsupported`` for a model that it does not work with."""

    def one(words: int, several: bool = False) -> tuple[int, int, float, Callable[[], Any]]:
        f: Any = make_probe(adapter, words, several, gradient=chosen.at_text)
        f.companion = companion

        def run() -> None:
            chosen.run(f, **dict(options))

        return len(f.tokens), len(f.outputs), time_call(run, adapter.device), run

    one(WORDS[0])  # makes ready what later ones use
    found: list[tuple[int, float, int]] = []
    spent = 0.0
    for words in WORDS:
        if len(found) > 1 and spent > MEASURING:
            break
        try:
            tokens, _, seconds, run = one(words)
        except (TooLong, IndexError):
            if not found:
                raise
            break
        found.append((tokens, seconds, live_bytes(adapter.model, run)))
        spent += seconds
    bases = [basis(1, tokens) for tokens, _, _ in found]
    _, outputs, several, _ = one(WORDS[0], True)
    more = max(0.0, several / found[0][1] - 1) / (outputs - 1) if outputs > 1 else 0.0
    return Curve(
        fit(bases, [seconds for _, seconds, _ in found]),
        fit(bases, [float(held) for _, _, held in found]),
        found[-1][:2],
        min(more, 1.0),
    )
