"""The door: check → clean → lease a model → method → check the result → ``Attribution``. Everybody comes through here."""

from __future__ import annotations

import os
import platform
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib.metadata import version
from typing import Any, Literal, TypeVar

import numpy as np
import torch

from attribution.costs import estimator
from attribution.costs.estimates import Estimate
from attribution.engine.lookahead import Ahead
from attribution.errors import (
    AttributionError,
    BadOption,
    InputError,
    NotFinite,
    QueueFull,
    Unsupported,
    nearest,
    quote,
)
from attribution.methods import Method, Scores, find, list_methods
from attribution.models.adapter import Adapter
from attribution.models.function import Function
from attribution.models.objective import Deadline, Perturbable
from attribution.models.objectives import objective
from attribution.models.objectives.generation import Generation
from attribution.models.scorer import WORKER
from attribution.models.shared_passes import Known
from attribution.models.sources import devices
from attribution.models.sources.store import Source, Store
from attribution.settings import DEFAULT_METHOD, DEFAULT_MODEL, DEFAULTS, VERSION, Settings
from attribution.studies.attention import Attentions, attentions
from attribution.text import clean
from attribution.types import WRITERS, Attribution, Label, Position, Request, Token, check_target, joined

Model = str | os.PathLike[str] | Adapter | Function
Answer = TypeVar("Answer")
FIRST_ROWS = 4
"""Outputs of a long answer that a preview begins with."""
PART_SECONDS = 0.6
"""Time that the next outputs of a long answer may take: short enough that the picture grows before one's eyes."""


class Engine:
    """Answers requests from one store of models, with a cache of finished attributions and a bound on what runs at once."""

    def __init__(
        self, settings: Settings = DEFAULTS, store: Store | None = None, *, sharing: bool = False
    ) -> None:
        """``sharing``: several methods of one text have its own passes in common, which changes scores by rounding."""
        self.settings = settings
        self.store = store or Store(settings)
        self.known = Known() if sharing else None
        self._cache = _Cache(settings.cache_bytes)
        self._running = threading.BoundedSemaphore(settings.running_requests)
        self._waiting = 0
        self._lock = threading.Lock()

    def attribute(
        self,
        text: str,
        model: Model = DEFAULT_MODEL,
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
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Attribution:
        """One attribution. Raises an ``AttributionError``; nothing is loaded or computed for a request that is refused."""
        asked = self._check(
            text,
            model,
            method,
            target=target,
            second=second,
            contrast=contrast,
            position=position,
            continuation=continuation,
            quantity=quantity,
            max_new_tokens=max_new_tokens,
            task=task,
            revision=revision,
            options=options,
        )
        *_, last = self._steps(asked, cancelled, previews=False)
        return last

    def progress(
        self,
        text: str,
        model: Model = DEFAULT_MODEL,
        method: str = DEFAULT_METHOD,
        *,
        cancelled: Callable[[], bool] = lambda: False,
        **asked: Any,
    ) -> Generator[Attribution, None, None]:
        """What ``attribute`` gives, as it comes: previews first (``provisional``), the finished attribution last.

        Takes what ``attribute`` takes. A preview has coarser numbers, or the first outputs of a long answer.
        """
        yield from self._steps(self._check(text, model, method, **asked), cancelled, previews=True)

    def attribute_many(
        self,
        texts: Iterable[str | Mapping[str, Any] | AttributionError],
        model: Model = DEFAULT_MODEL,
        method: str = DEFAULT_METHOD,
        *,
        on_error: Literal["raise", "yield"] = "raise",
        **asked: Any,
    ) -> Iterator[Attribution | AttributionError]:
        """One attribution for each text, in order, as they are ready. Takes what ``attribute`` takes.

        Texts are read as they are needed, some hundreds ahead; those of like length are computed together. In place of a text may stand
        what ``attribute`` takes by name for it alone, or an error. The error of a text is raised in its turn, or, with
        ``on_error="yield"``, stands in its place.
        """
        if on_error not in ("raise", "yield"):
            raise BadOption(f"on_error is {quote(on_error)}.", "It must be 'raise' or 'yield'.")
        if isinstance(texts, str):
            raise InputError("texts is one text.", "Give a list of texts, or call attribute.")
        return self._in_order(iter(texts), on_error == "raise", {"model": model, "method": method, **asked})

    def _in_order(
        self, items: Iterator[Any], raising: bool, asked: Mapping[str, Any]
    ) -> Iterator[Attribution | AttributionError]:
        with Ahead(partial(self._one, asked), items, self.settings.running_requests) as ahead:
            while ahead.under_way:
                found = ahead.take(next(iter(ahead.under_way)))
                if raising and isinstance(found, AttributionError):
                    raise found
                yield found

    def attribute_each(
        self, items: Iterable[Mapping[str, Any]], cancelled: Callable[[], bool] = lambda: False
    ) -> Iterator[list[tuple[int, Attribution | AttributionError]]]:
        """Answers to many requests, each what ``attribute`` takes by name, as they are ready: lists of (place among the items, answer).

        Shares batches as ``attribute_many`` does, and models and methods may differ. Nothing is raised for an item, not even what is a
        bug: its error stands in the answer's place. Ends early when ``cancelled()``: the rest has no answer, or ``Cancelled``.
        """
        with Ahead(partial(self._one, {}), iter(items), self.settings.running_requests, cancelled) as ahead:
            stopped = False
            while ahead.under_way and not stopped:
                stopped = cancelled()  # asked before: what is ready by then is given
                if found := ahead.ready():
                    yield found

    def _one(
        self, asked: Mapping[str, Any], item: Any, cancelled: Callable[[], bool]
    ) -> Attribution | AttributionError:
        if isinstance(item, AttributionError):
            return item
        given = item if isinstance(item, Mapping) else {"text": item}
        try:
            # The team of threads is that of the one who waits: see ``Worker``.
            with devices.one_thread():
                return self.attribute(**{**asked, **given}, cancelled=cancelled)
        except AttributionError as error:
            return error

    def request(
        self, text: str, model: Model = DEFAULT_MODEL, method: str = DEFAULT_METHOD, **asked: Any
    ) -> Request:
        """What ``attribute`` with the same arguments would answer, checked as far as can be told without the model."""
        return self._check(text, model, method, **asked).request

    def estimate(
        self, text: str, model: Model = DEFAULT_MODEL, method: str = DEFAULT_METHOD, **asked: Any
    ) -> Estimate:
        """What ``attribute`` with the same arguments would take: see ``attribution.costs``."""
        return estimator.estimate(self, text, model, method, **asked)

    def attentions(
        self,
        text: str,
        model: Model = DEFAULT_MODEL,
        *,
        second: str | None = None,
        continuation: str | None = None,
        max_new_tokens: int = 16,
        task: str | None = None,
        revision: str | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Attentions:
        """Every head's attention weights: see ``attribution.studies.attention``. Raises an ``AttributionError``."""
        asked = self._check(
            text,
            model,
            "attention",
            second=second,
            continuation=continuation,
            max_new_tokens=max_new_tokens,
            task=task,
            revision=revision,
        )
        with ExitStack() as held:
            found: Any = model if asked.source is None else held.enter_context(self.store.lease(asked.source))
            if reason := asked.method.why_not(found.task, found.gives):
                raise Unsupported(reason)
            held.enter_context(self._turn(deadline := Deadline(self.settings.deadline_seconds, cancelled)))
            with torch.inference_mode(False):
                f = objective(
                    found, asked.request.text, asked.request.target, deadline, second=asked.request.second
                )
                return attentions(f)  # type: ignore[arg-type]

    @contextmanager
    def explained(
        self,
        request: Request,
        model: Model | None = None,
        *,
        seconds: float | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Iterator[Perturbable]:
        """The function that a request explains, for as long as the context lasts: leased, in its turn, and with a deadline.

        ``model`` is what was asked for, where its name alone does not say it; ``seconds`` the time for all that is asked of the function
        (None: that of one attribution). Raises what ``attribute`` raises.
        """
        with ExitStack() as held:
            if isinstance(model, Adapter | Function):
                found = model
            else:
                source = self.store.source(
                    request.model if model is None else model, request.task, request.revision
                )
                found = held.enter_context(self.store.lease(source))
            most = self.settings.deadline_seconds if seconds is None else seconds
            most = float("inf") if isinstance(model, Function) else most
            held.enter_context(self._turn(deadline := Deadline(most, cancelled)))
            held.enter_context(torch.inference_mode(False))
            yield objective(found, request.text, request.target, deadline, second=request.second)

    def _check(
        self,
        text: object,
        model: Model,
        method: object,
        *,
        target: Label | Sequence[Label] | None = None,
        second: str | None = None,
        contrast: Label | None = None,
        position: Position | Sequence[int] | None = None,
        continuation: str | None = None,
        quantity: str = "logit",
        max_new_tokens: int = 16,
        task: str | None = None,
        revision: str | None = None,
        options: Mapping[str, object] | None = None,
    ) -> _Asked:
        """A request that can be answered as far as can be told without the model."""
        longest = self.settings.max_characters
        cleaned = clean(text, longest)
        pair = None if second is None else clean(second, longest)
        given_text = continuation if not isinstance(continuation, str) else clean(continuation, longest)
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
        return _Asked(request, chosen, model, source)

    def _steps(
        self, asked: _Asked, cancelled: Callable[[], bool], *, previews: bool
    ) -> Iterator[Attribution]:
        request, chosen, model, source = asked.request, asked.method, asked.model, asked.source
        other = str(dict(request.options).get(chosen.companion, ""))
        # The models first: who waits for the Hub must not keep others from computing.
        if source is None:
            # A function may be slow for good reasons, and whoever handed it over is waiting for nobody else.
            seconds = float("inf") if isinstance(model, Function) else self.settings.deadline_seconds
            with self._companion(other) as companion, self._turn(deadline := Deadline(seconds, cancelled)):
                given = (model, request, chosen, deadline, companion)
                yield from steps(*given, previews=previews, known=self.known)  # type: ignore[arg-type]
            return

        # The same checkpoint may have been asked for by its own name and by its family's.
        def noted(result: Attribution) -> Attribution:
            return replace(result, model=replace(result.model, note=source.note)) if source.note else result

        if (known := self._cache.get(request)) is not None:
            yield noted(known)
            return
        with (
            self.store.lease(source) as adapter,
            self._companion(other) as companion,
            self._turn(deadline := Deadline(self.settings.deadline_seconds, cancelled)),
        ):
            tokens, seen = _read(adapter, request, chosen)
            if seen is not None and (known := self._cache.get(seen)) is not None:
                result = replace(known, request=request, text=request.text, tokens=tokens)
                self._cache.put(request, result)
                yield noted(result)
                return
            for result in steps(
                adapter, request, chosen, deadline, companion, previews=previews, known=self.known
            ):
                if not result.provisional:
                    self._cache.put(request, result)
                    if seen is not None:
                        self._cache.put(seen, result)
                yield noted(result)

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
                raise QueueFull(
                    f"{self._waiting} requests are waiting already.", "Please try again in a few seconds."
                )
            self._waiting += 1
        try:
            while not self._running.acquire(timeout=0.05):
                deadline.check()
        finally:
            with self._lock:
                self._waiting -= 1
        try:
            deadline.check()
            with WORKER.present():
                yield
        finally:
            self._running.release()


def steps(
    adapter: Adapter | Function,
    request: Request,
    chosen: Method,
    deadline: Deadline,
    companion: Adapter | None = None,
    *,
    previews: bool = False,
    known: Known | None = None,
) -> Iterator[Attribution]:
    """Run one method on a leased model, whose functions may be ``known``; the last is the finished one.

    Raises ``Unsupported``, ``NotFinite`` and what the method raises.
    """
    if reason := chosen.why_not(adapter.task, adapter.gives):
        fitting = [m.name for m in list_methods().values() if m.why_not(adapter.task, adapter.gives) is None]
        raise Unsupported(reason, nearest("", fitting))
    started = time.perf_counter()
    target = request.target
    whole = target.label is None and target.position is None
    in_parts = previews and whole and adapter.task in WRITERS and chosen.needs == "gradients"
    options = dict(request.options)
    make = partial(
        objective,
        adapter,
        request.text,
        target,
        deadline,
        second=request.second,
        gradient=chosen.at_text and not in_parts,
        first=partial(chosen.first, **options) if chosen.first and not in_parts else None,
        previews=previews and not in_parts,
    )
    with torch.inference_mode(False):
        if known is None or isinstance(adapter, Function):
            f, shared = make(), False
        else:
            f, shared = known.function(adapter, request, deadline, make, gradient=chosen.at_text)
    f.companion = companion
    estimator.check(f, chosen, request.options, deadline.seconds, companion)

    def made(g: Perturbable, found: Scores, *, provisional: bool = False) -> Attribution:
        numbers = [found.values] if found.errors is None else [found.values, found.errors]
        if not all(bool(torch.isfinite(part).all()) for part in numbers):
            raise NotFinite(
                f"{chosen.title} gave scores that are not finite for this text.",
                "Try another method or a float32 model.",
            )
        return Attribution(
            request=request,
            model=adapter.info,
            text=request.text,
            tokens=f.tokens,
            outputs=g.outputs,
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
            provisional=provisional,
        )

    if not in_parts:
        alone = True
        for found, last in _plainly(chosen.steps(f, **options)):
            alone = alone and last
            yield made(f, found, provisional=not last)
        if (
            alone and not shared
        ):  # else whoever took the previews may have spent time in between, or a part was done before
            estimator.observe(f, chosen, request.options, time.perf_counter() - started, companion)
        return
    # Each output costs a backward pass or many: the first few are shown while the others are on their way.
    assert isinstance(f, Generation)
    parts: list[Attribution] = []
    start, count = 0, FIRST_ROWS
    while start < len(f.outputs):
        started = time.perf_counter()
        g = f.part(range(start, min(start + count, len(f.outputs))))
        g.previews = not parts
        for found, last in _plainly(chosen.steps(g, **options)):
            if last:
                parts.append(made(g, found))
            else:
                yield made(g, found, provisional=True)
        start += len(g.outputs)
        count = max(1, min(4 * FIRST_ROWS, int(PART_SECONDS * len(g.outputs) / max(parts[-1].seconds, 1e-3))))
        yield replace(joined(parts), provisional=start < len(f.outputs))


def _read(
    adapter: Adapter | Function, request: Request, chosen: Method
) -> tuple[tuple[Token, ...], Request | None]:
    """The tokens, and a key of all that the method can see of the text: a space more, or capitals, need not change it.

    Only for classes and for methods that look at tokens alone; else the key is None.
    """
    if isinstance(adapter, Function) or adapter.task != "classification" or chosen.needs == "texts":
        return (), None
    tokens = adapter.encode(request.text, request.second).tokens
    seen = " ".join(f"{t.id}:{t.word}:{t.segment}" for t in tokens)
    return tokens, replace(request, text=f"\0{seen}", second=None if request.second is None else "")


def _plainly(found: Iterator[Answer]) -> Iterator[Answer]:
    """The same, computed outside of the caller's inference mode, which would refuse gradients."""
    nothing: Any = object()
    while True:
        with torch.inference_mode(False):
            step = next(found, nothing)
        if step is nothing:
            return
        yield step


def _array(values: torch.Tensor) -> np.ndarray:
    return values.detach().to("cpu", torch.float64).numpy()


@cache
def versions() -> tuple[tuple[str, str], ...]:
    """What computed a result, sorted by name."""
    packages = {name: version(name) for name in ("torch", "transformers", "numpy")}
    return tuple(sorted({"attribution": VERSION, "python": platform.python_version(), **packages}.items()))


@dataclass(frozen=True)
class _Asked:
    """A checked request, and where its model comes from: ``source`` is None for a model that the caller holds."""

    request: Request
    method: Method
    model: Model
    source: Source | None


class _Cache:
    """Finished attributions, least recently used out, bounded by bytes."""

    def __init__(self, limit: int) -> None:
        self.limit, self.size = limit, 0
        self._held: OrderedDict[Request, Attribution] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Request) -> Attribution | None:
        with self._lock:
            if (found := self._held.get(key)) is not None:
                self._held.move_to_end(key)
            return found

    def put(self, key: Request, result: Attribution) -> None:
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
