"""The door: check → clean → lease a model → method → check the result → ``Attribution``. Everybody comes through here."""

from __future__ import annotations

import os
import platform
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from importlib.metadata import version

import numpy as np
import torch

from attribution import text as texts
from attribution.errors import NotFinite, QueueFull, Unsupported, nearest
from attribution.methods import Method, find, methods
from attribution.models.adapter import Adapter
from attribution.models.function import Function
from attribution.models.objective import Deadline
from attribution.models.store import Store
from attribution.models.tasks import objective
from attribution.settings import DEFAULT_METHOD, DEFAULT_MODEL, DEFAULTS, VERSION, Settings
from attribution.types import Attribution, Label, Position, Request, check_target

Part = tuple[int, int] | None
"""From which output to before which."""


class Engine:
    """Answers requests from one store of models, with a cache of finished attributions and a bound on what runs at once."""

    def __init__(self, settings: Settings = DEFAULTS, store: Store | None = None) -> None:
        self.settings = settings
        self.store = store or Store(settings)
        self._cache = _Cache(settings.cache_bytes)
        self._running = threading.BoundedSemaphore(settings.running_requests)
        self._waiting = 0
        self._lock = threading.Lock()

    def attribute(
        self,
        text: str,
        model: str | os.PathLike[str] | Adapter | Function = DEFAULT_MODEL,
        method: str = DEFAULT_METHOD,
        target: Label | Sequence[Label] | None = None,
        *,
        second: str | None = None,
        contrast: Label | None = None,
        position: Position | Sequence[int] | None = None,
        continuation: str | None = None,
        quantity: str = "logit",
        max_new_tokens: int = 16,
        task: str | None = None,
        revision: str | None = None,
        options: Mapping[str, object] | None = None,
        rows: Part = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Attribution:
        """One attribution. Raises an ``AttributionError``; nothing is loaded or computed for a request that is refused.

        ``rows`` takes a part of the outputs of generated text, from the first to before the second: see ``types.joined``.
        """
        longest = self.settings.max_characters
        cleaned = texts.clean(text, longest)
        pair = None if second is None else texts.clean(second, longest)
        given_text = continuation if not isinstance(continuation, str) else texts.clean(continuation, longest)
        chosen = find(method)
        limit = self.settings.max_new_tokens
        wanted = check_target(target, quantity, max_new_tokens, contrast, position, given_text, limit=limit)
        given = chosen.check_options(options or {})
        source = None if isinstance(model, Adapter | Function) else self.store.source(model, task, revision)
        request = Request(
            text=cleaned,
            model=source.name if source else model.info.name,  # type: ignore[union-attr]
            method=chosen.name,
            target=wanted,
            options=given,
            task=task,
            revision=source.revision if source else model.info.revision,  # type: ignore[union-attr]
            second=pair,
        )
        other = str(dict(given).get(chosen.companion, ""))
        # The models first: who waits for the Hub must not keep others from computing.
        if source is None:
            # A function may be slow for good reasons, and whoever handed it over is waiting for nobody else.
            seconds = float("inf") if isinstance(model, Function) else self.settings.deadline_seconds
            with self._companion(other) as companion, self._turn(deadline := Deadline(seconds, cancelled)):
                return compute(model, request, chosen, deadline, rows, companion)  # type: ignore[arg-type]
        result = self._cache.get((request, rows))
        if result is None:
            with (
                self.store.lease(source) as adapter,
                self._companion(other) as companion,
                self._turn(deadline := Deadline(self.settings.deadline_seconds, cancelled)),
            ):
                result = compute(adapter, request, chosen, deadline, rows, companion)
            self._cache.put((request, rows), result)
        # The same checkpoint may have been asked for by its own name and by its family's.
        return replace(result, model=replace(result.model, note=source.note)) if source.note else result

    @contextmanager
    def _companion(self, name: str) -> Iterator[Adapter | None]:
        """The other model that a method needs. Raises what leasing a model raises, and ``Unsupported`` for a function."""
        if not name:
            yield None
            return
        with self.store.lease(self.store.source(name)) as found:
            if isinstance(found, Function):
                raise Unsupported(f"{name} only answers texts.", "Name a model of another kind.")
            yield found

    @contextmanager
    def _turn(self, deadline: Deadline) -> Iterator[None]:
        """Wait for a place among the running requests. Raises ``QueueFull``, ``Cancelled``, ``DeadlineExceeded``."""
        with self._lock:
            if self._waiting >= self.settings.waiting_requests:
                raise QueueFull(f"{self._waiting} requests are waiting already.", "Please try again in a few seconds.")
            self._waiting += 1
        try:
            while not self._running.acquire(timeout=0.05):
                deadline.check()
        finally:
            with self._lock:
                self._waiting -= 1
        try:
            deadline.check()
            yield
        finally:
            self._running.release()


def compute(
    adapter: Adapter | Function,
    request: Request,
    chosen: Method,
    deadline: Deadline,
    rows: Part = None,
    companion: Adapter | None = None,
) -> Attribution:
    """Run one method on a leased model. Raises ``Unsupported``, ``NotFinite`` and what the method raises."""
    if reason := chosen.why_not(adapter.task, adapter.gives):
        fitting = [m.name for m in methods().values() if m.why_not(adapter.task, adapter.gives) is None]
        raise Unsupported(reason, nearest("", fitting))
    started = time.perf_counter()
    with torch.inference_mode(False):
        differentiable = chosen.needs == "gradients"
        f = objective(
            adapter,
            request.text,
            request.target,
            deadline,
            second=request.second,
            rows=slice(*rows) if rows else slice(None),
            differentiable=differentiable,
        )
        f.companion = companion
        found = chosen.function(f, **dict(request.options))
    numbers = [found.values] if found.errors is None else [found.values, found.errors]
    if not all(bool(torch.isfinite(part).all()) for part in numbers):
        raise NotFinite(
            f"{chosen.title} gave scores that are not finite for this text.", "Try another method or a float32 model."
        )
    return Attribution(
        request=request,
        model=adapter.info,
        text=request.text,
        tokens=f.tokens,
        outputs=f.outputs,
        scores=_array(found.values),
        prediction=f.prediction,
        signed=chosen.signed,
        unit=chosen.unit.format(quantity=f.quantity),
        completeness=found.completeness,
        notes=found.notes,
        seconds=time.perf_counter() - started,
        versions=versions(),
        errors=None if found.errors is None else _array(found.errors),
        fit=found.fit,
        title=chosen.title,
    )


def _array(values: torch.Tensor) -> np.ndarray:
    return values.detach().to("cpu", torch.float64).numpy()


@cache
def versions() -> tuple[tuple[str, str], ...]:
    """What computed a result, sorted by name."""
    packages = {name: version(name) for name in ("torch", "transformers", "numpy")}
    return tuple(sorted({"attribution": VERSION, "python": platform.python_version(), **packages}.items()))


class _Cache:
    """Finished attributions, least recently used out, bounded by bytes."""

    def __init__(self, limit: int) -> None:
        self.limit, self.size = limit, 0
        self._held: OrderedDict[tuple[Request, Part], Attribution] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[Request, Part]) -> Attribution | None:
        with self._lock:
            if (found := self._held.get(key)) is not None:
                self._held.move_to_end(key)
            return found

    def put(self, key: tuple[Request, Part], result: Attribution) -> None:
        with self._lock:
            if (old := self._held.pop(key, None)) is not None:
                self.size -= _bytes(old)
            self._held[key] = result
            self.size += _bytes(result)
            while self.size > self.limit:
                _, dropped = self._held.popitem(last=False)
                self.size -= _bytes(dropped)


def _bytes(result: Attribution) -> int:
    """A generous estimate: arrays, the text twice, and the objects around each token and output."""
    return (
        2 * result.scores.nbytes
        + 8 * (len(result.text) + len(result.second))
        + 400 * (len(result.tokens) + len(result.outputs))
        + 2000
    )


@cache
def default_engine() -> Engine:
    """The engine behind ``attribution.attribute``: any model, local folders too."""
    return Engine()
