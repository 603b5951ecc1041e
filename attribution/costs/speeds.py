"""How long a model's passes take on its device and what they hold, measured on a few small ones.

Methods that look inside a model are timed here too.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor

from attribution.costs.counts import Batch, Count
from attribution.costs.memory import graph_bytes, peak_bytes
from attribution.costs.workload import Options
from attribution.errors import TooLong
from attribution.methods import Method
from attribution.models.adapter import Adapter
from attribution.models.deadline import Deadline
from attribution.models.function import Function
from attribution.models.perturbable import Perturbable
from attribution.models.readers import make_objective

Coefficients = tuple[float, float, float]
WORDS = (10, 40, 100)
"""Words of the texts that a model is measured on."""
ROWS = (1, 8)
"""Rows of a measured batch."""
MEASURING = 0.6
"""Seconds after which no larger batch is measured."""
QUICK = 0.05
"""Seconds below which a measurement is made twice."""
TOO_LONG = (TooLong, IndexError)
"""Errors of a text that is too long; a model may have fewer positions than its configuration says."""


def basis(rows: int, tokens: int) -> Coefficients:
    """What the coefficients multiply: 1, rows × tokens, rows × tokens²."""
    return 1.0, float(rows * tokens), float(rows * tokens * tokens)


@dataclass(frozen=True, slots=True)
class Speed:
    """Seconds and bytes of a model's passes, as coefficients of 1, rows × tokens and rows × tokens².

    Attributes
    ----------
    forward, backward : seconds of a pass.
    graph : bytes that autograd keeps of a forward pass.
    fleeting : the most bytes at once in a pass without a graph.
    point : bytes of one token's embedding.
    further : seconds of a backward pass for each further output, as a share of the first.
    """

    forward: Coefficients
    backward: Coefficients
    graph: Coefficients = (0.0, 0.0, 0.0)
    fleeting: Coefficients = (0.0, 0.0, 0.0)
    point: int = 0
    further: float = 1.0

    def seconds(self, batch: Batch) -> float:
        """Seconds of one batch."""
        size = basis(batch.rows, batch.tokens)
        backwards = 1 + self.further * (batch.outputs - 1) if batch.outputs else 0.0
        return float(np.dot(self.forward, size)) + backwards * float(np.dot(self.backward, size))

    def bytes(self, batch: Batch) -> float:
        """Bytes that one batch holds at most."""
        coefficients = (np.array(self.graph) if batch.outputs else 0) + np.array(self.fleeting)
        return float(coefficients @ basis(batch.rows, batch.tokens))

    def run(self, count: Count) -> float:
        """Seconds of a method."""
        return count.overhead + sum(number * self.seconds(batch) for batch, number in count.batches.items())


@dataclass(frozen=True, slots=True)
class Curve:
    """One method with its options on one model, by the length of the text.

    Attributes
    ----------
    seconds, bytes : coefficients for a text with one output.
    longest : tokens and seconds of the longest text that was timed.
    further : the cost of each further output, as a share of the first.
    """

    seconds: Coefficients
    bytes: Coefficients
    longest: tuple[int, float]
    further: float

    def seconds_range(self, tokens: int, outputs: int) -> tuple[float, float]:
        """Seconds, least and most: beyond the longest timed text they may grow with the length squared."""
        longest, seconds = self.longest
        least = float(np.dot(self.seconds, basis(1, tokens)))
        most = max(least, seconds * (tokens / longest) ** 2) if tokens > longest else least
        share = 1 + self.further * (outputs - 1)
        return least * share, most * share


def make_probe(
    adapter: Adapter | Function, words: int, several: bool = False, gradient: bool = False
) -> Perturbable:
    """The function of a ``probe``. Raises what ``make_objective`` raises."""
    text, second, target = adapter.task.probe(words, several, adapter)
    return make_objective(adapter, text, target, Deadline(), second=second, gradient=gradient)


def time_call(call: Callable[[], Any], device: torch.device | None) -> float:
    """Seconds of a call, with the work that it leaves to the device; the better of two where it is quick."""
    best = math.inf
    while True:
        started = time.perf_counter()
        call()
        if device is not None and device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds = time.perf_counter() - started
        if best < math.inf or seconds > QUICK:
            return min(best, seconds)
        best = seconds


@dataclass(frozen=True)
class Passes:
    """Passes of a function at ``points`` [rows, inputs, hidden]."""

    f: Any
    points: Tensor

    def forward(self) -> None:
        """One forward pass."""
        self.f.evaluate(self.points)

    def both(self) -> None:
        """A forward pass, and a backward pass for each output."""
        deque(self.f.gradients(self.points), maxlen=0)


def measure(adapter: Adapter) -> Speed:
    """How long this model's passes take on its device and what they hold, from small ones.

    Takes well under a second for a small model. Raises what the model raises for a text of a few words.
    """
    seconds: list[tuple[Coefficients, float, float]] = []
    sizes: list[tuple[Coefficients, float, float]] = []
    started = time.perf_counter()
    for words in WORDS:
        try:
            f: Any = make_probe(adapter, words)
        except TOO_LONG:
            if not seconds:
                raise
            break
        # Bytes are the same each time, so they never depend on the clock.
        for rows in (1, 3):
            passes = Passes(f, f.embeddings.expand(rows, -1, -1))
            graph, fleeting = graph_bytes(f.model, passes.both), peak_bytes(f.model, passes.forward)
            sizes.append((basis(rows, len(f.tokens)), graph, fleeting))
        for rows in ROWS:
            if len(seconds) > 2 and time.perf_counter() - started > MEASURING:
                break
            passes = Passes(f, f.embeddings.expand(rows, -1, -1))
            if not seconds:  # a first pass of a kind prepares what later ones use
                passes.both()
            forward = time_call(passes.forward, adapter.device)
            both = time_call(passes.both, adapter.device)
            seconds.append((basis(rows, len(f.tokens)), forward, max(both - forward, 1e-9)))
    point = f.embeddings.shape[1] * f.embeddings.element_size()
    _, forward, backward = seconds[1]
    return Speed(
        *_fit_both(seconds), *_fit_both(sizes), point, measure_further_outputs(adapter, forward, backward)
    )


def measure_further_outputs(adapter: Adapter, forward: float, backward: float) -> float:
    """Seconds of a backward pass for each further output, as a share of ``backward``.

    ``forward`` and ``backward`` are the seconds for one output. 1 where the model has one output.
    """
    f: Any = make_probe(adapter, WORDS[0], several=True)
    passes = Passes(f, f.embeddings.expand(ROWS[-1], -1, -1))
    if len(f.outputs) == 1:
        return 1.0
    extra = (time_call(passes.both, adapter.device) - forward) / backward - 1
    return min(1.0, max(0.0, extra) / (len(f.outputs) - 1))


def _fit_both(rows: list[tuple[Coefficients, float, float]]) -> tuple[Coefficients, Coefficients]:
    bases, first, second = zip(*rows, strict=True)
    return fit(bases, first), fit(bases, second)


def fit(bases: Iterable[Coefficients], values: Iterable[float]) -> Coefficients:
    """Coefficients ≥ 0 with the least squares of relative errors: what is larger cannot cost less."""
    rows, targets = np.array(list(bases)), np.maximum(np.array(list(values)), 1e-9)
    scaled = rows / targets[:, None]
    norms = np.linalg.norm(scaled, axis=0)
    a, b, c = (nnls(scaled / norms, np.ones(len(targets)))[0] / norms).tolist()
    return a, b, c


def time_method(
    adapter: Adapter, method: Method, options: Options, companion: Adapter | None = None
) -> Curve:
    """Time a method on short texts.

    Raises what it raises there, so ``Unsupported`` where it does not work.
    """

    def run(words: int, several: bool = False) -> tuple[Perturbable, float, Callable[[], Any]]:
        f = make_probe(adapter, words, several, gradient=method.at_text)
        f = f.replace(companion=companion)
        call = partial(method.run, f, **dict(options))
        return f, time_call(call, adapter.device), call

    run(WORDS[0])  # prepares what later ones use
    timings: list[tuple[int, float, int]] = []
    spent = 0.0
    for words in WORDS:
        if len(timings) > 1 and spent > MEASURING:
            break
        try:
            f, seconds, call = run(words)
        except TOO_LONG:
            if not timings:
                raise
            break
        timings.append((len(f.tokens), seconds, peak_bytes(adapter.model, call)))
        spent += seconds
    f, several, _ = run(WORDS[0], True)
    extra = max(0.0, several / timings[0][1] - 1)
    bases = [basis(1, tokens) for tokens, _, _ in timings]
    return Curve(
        fit(bases, [seconds for _, seconds, _ in timings]),
        fit(bases, [float(size) for _, _, size in timings]),
        timings[-1][:2],
        min(extra / (len(f.outputs) - 1), 1.0) if len(f.outputs) > 1 else 0.0,
    )
