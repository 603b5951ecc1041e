"""The door: check → clean → lease a model → method → check the result → ``Attribution``.

Everybody comes through here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any, Literal

import torch

from attribution.costs.estimates import Estimate
from attribution.costs.estimator import Estimator
from attribution.costs.workload import Workload
from attribution.engine.cache import Cache
from attribution.engine.computation import Computation, check_support
from attribution.engine.lookahead import LookAhead
from attribution.engine.observer import Observer
from attribution.engine.turns import Turns
from attribution.errors import AttributionError, BadOption, Unsupported
from attribution.methods import Method, find, list_methods
from attribution.models.adapter import Adapter
from attribution.models.characters import by_character
from attribution.models.deadline import NO_METER, Deadline, Meter
from attribution.models.function import Function
from attribution.models.perturbable import Perturbable
from attribution.models.readers import make_objective
from attribution.models.shared_passes import SharedFunctions
from attribution.models.sources import devices
from attribution.models.sources.store import Source, Store, load
from attribution.registry import share_options
from attribution.request import Model as Model
from attribution.request import Request, Target
from attribution.request.arguments import check_many
from attribution.settings import DEFAULT_METHOD, DEFAULT_MODEL, DEFAULTS, FALLBACK_METHOD, Settings, Unnamed
from attribution.types import Attribution, Token


class Engine:
    """Answers requests from one store of models, with a cache of results and a bound on what runs at once.

    Parameters
    ----------
    sharing : whether methods of one text share its own forward and backward passes, which changes scores by
        rounding.
    observer : is told of every computation and estimates costs; by default a new ``Estimator``.
    """

    def __init__(
        self,
        settings: Settings = DEFAULTS,
        store: Store | None = None,
        *,
        sharing: bool = False,
        observer: Observer | None = None,
    ) -> None:
        self.settings = settings
        self.store = store or Store(settings)
        self.shared = SharedFunctions(most_bytes=settings.shared_bytes) if sharing else None
        self.observer: Observer = observer or Estimator()
        self.turns = Turns(settings.running_requests, settings.waiting_requests)
        self._cache = Cache(settings.cache_bytes)

    def open_model(self, model: Any) -> Any:
        """What ``load`` makes of an object that a caller holds; names and loaded models are returned.

        Raises the errors of ``load``.
        """
        if isinstance(model, str | os.PathLike | Adapter | Function):
            return model
        return load(model, settings=self.settings)

    def find_method(self, name: object) -> Method:
        """The method of that name or alias. Raises ``UnknownMethod``."""
        return find(name)

    def for_batch(self) -> Engine:
        """An engine of the same models for long runs.

        It has more time for each request and no cache, and methods share a text's own passes.
        """
        seconds = max(self.settings.row_seconds, self.settings.deadline_seconds)
        settings = replace(self.settings, deadline_seconds=seconds, cache_bytes=0)
        return Engine(settings, self.store, sharing=True, observer=self.observer)

    def attribute(
        self,
        *positional: Any,
        cancelled: Callable[[], bool] = lambda: False,
        meter: Meter = NO_METER,
        **keywords: Any,
    ) -> Attribution:
        """One attribution.

        The arguments are those of ``Request.of``: a ``Request``, or a text and other fields. ``meter`` counts
        the rows that are computed.

        Raises an ``AttributionError``; nothing is loaded or computed for a request that is refused.
        """
        checked = self._check(Request.of(*positional, **keywords))
        *_, result = self._answer(checked, cancelled, previews=False, meter=meter)
        return result

    def progress(
        self, *positional: Any, cancelled: Callable[[], bool] = lambda: False, **keywords: Any
    ) -> Generator[Attribution, None, None]:
        """What ``attribute`` returns, as it grows: previews (``provisional``), then the finished attribution.

        Takes the arguments of ``attribute``. A preview has coarser numbers, or only the first outputs.
        """
        checked = self._check(Request.of(*positional, **keywords))
        yield from self._answer(checked, cancelled, previews=True)

    def attribute_many(
        self,
        texts: Iterable[str | Mapping[str, Any] | AttributionError],
        model: Model = DEFAULT_MODEL,
        method: str = DEFAULT_METHOD,
        *,
        on_error: Literal["raise", "yield"] = "raise",
        **arguments: Any,
    ) -> Iterator[Attribution | AttributionError]:
        """One attribution for each text, in order, as they are ready. Takes the arguments of ``attribute``.

        Texts are read as they are needed, some hundreds ahead; those of like length are computed together. An
        item may also be a mapping of arguments for it alone, or an error. The error of an item is raised in
        its turn or, with ``on_error="yield"``, yielded.
        """
        check_many(texts, on_error)
        model = self.open_model(model)
        return self._attribute_in_order(
            iter(texts), on_error == "raise", {"model": model, "method": method, **arguments}
        )

    def _attribute_in_order(
        self, items: Iterator[Any], raising: bool, arguments: Mapping[str, Any]
    ) -> Iterator[Attribution | AttributionError]:
        answer = partial(self._attribute_item, arguments)
        with LookAhead(answer, items, self.settings.running_requests) as ahead:
            while ahead:
                result = ahead.take_next()
                if raising and isinstance(result, AttributionError):
                    raise result
                yield result

    def attribute_each(
        self, items: Iterable[Mapping[str, Any]], cancelled: Callable[[], bool] = lambda: False
    ) -> Iterator[list[tuple[int, Attribution | AttributionError]]]:
        """Answers to many requests as they are ready: lists of (index of the item, answer).

        An item has the named arguments of ``attribute``.

        Shares batches as ``attribute_many`` does, and models and methods may differ. Nothing is raised for an
        item, not even for a bug: its error is its answer. Ends early when ``cancelled()``: the remaining
        items have no answer, or ``Cancelled``.
        """
        answer = partial(self._attribute_item, {})
        with LookAhead(answer, iter(items), self.settings.running_requests, cancelled) as ahead:
            stopped = False
            while ahead and not stopped:
                stopped = cancelled()  # before waiting: what has finished by then is still yielded
                if results := ahead.take_finished():
                    yield results

    def _attribute_item(
        self, arguments: Mapping[str, Any], item: Any, cancelled: Callable[[], bool]
    ) -> Attribution | AttributionError:
        if isinstance(item, AttributionError):
            return item
        own = item if isinstance(item, Mapping) else {"text": item}
        try:
            # The thread that waits for the answers has the team of threads: see ``Worker``.
            with devices.one_thread():
                return self.attribute(**{**arguments, **own}, cancelled=cancelled)
        except AttributionError as error:
            return error

    def request(self, *positional: Any, **keywords: Any) -> Request:
        """The request that ``attribute`` would answer, checked as far as possible without the model."""
        return self._check(Request.of(*positional, **keywords)).request

    def estimate(self, *positional: Any, **keywords: Any) -> Estimate:
        """What ``attribute`` would cost for the same arguments.

        Raises what it raises before it computes much.

        The model is loaded, makes its prediction for the text (a function is called once), and is measured if
        it was not.
        """
        checked = self._check(Request.of(*positional, **keywords))
        with (
            self._lease(checked) as (leased, companion),
            self.turns.take(deadline := Deadline(self.settings.deadline_seconds)),
        ):
            checked = _fit(checked, leased)
            check_support(checked.method, leased)
            request = checked.request
            f = make_objective(leased, request.text, Target.of(request), deadline, second=request.second)
            f = by_character(f, dict(request.options)).replace(companion=companion)
            return self.observer.estimate(Workload(f, checked.method, request.options))

    @contextmanager
    def lease_function(
        self,
        request: Request,
        model: Model | None = None,
        *,
        seconds: float | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Iterator[Perturbable]:
        """Context manager: the function that a request explains, with a leased model and a deadline.

        Parameters
        ----------
        model : what the caller named, where the request's model name does not identify it.
        seconds : for everything that is computed with the function; by default those of one attribution.

        Raises what ``attribute`` raises.
        """
        limit = self.settings.deadline_seconds if seconds is None else seconds
        with ExitStack() as stack:
            model = None if model is None else self.open_model(model)
            if isinstance(model, Adapter | Function):
                leased = model
            else:
                name = request.model if model is None else model
                if not name:
                    raise BadOption(
                        "The attribution does not name the model that it explains.", "Pass model=..., too."
                    )
                source = self.store.source(name, request.task, request.revision)
                leased = stack.enter_context(self.store.lease(source))
            if method := list_methods().get(request.method):  # not that of another tool
                check_support(method, leased)
            deadline = Deadline(limit, cancelled)
            stack.enter_context(self.turns.take(deadline))
            stack.enter_context(torch.inference_mode(False))
            f = make_objective(leased, request.text, Target.of(request), deadline, second=request.second)
            yield by_character(f, dict(request.options))

    def _check(self, request: Request) -> _CheckedRequest:
        """A request that is valid as far as can be decided without the model."""
        request = request.checked(self.settings)
        method, model = find(request.method), request.model
        model = self.open_model(model)
        if isinstance(model, Adapter | Function):
            method = _fitting_method(request, method, model)
        shares = share_options(dict.fromkeys((method.name, *method.aliases), method), request.options)
        changes: dict[str, Any] = {
            "method": method.name,
            "options": method.check_options(shares[method.name]),
        }
        if isinstance(model, Adapter | Function):
            source = None
            changes |= {"model": model.info.name, "revision": model.info.revision}
        else:
            source = self.store.source(model, request.task, request.revision)
            changes |= {"model": source.name, "revision": source.revision}
        return _CheckedRequest(replace(request, **changes), method, model, source, request)

    def _answer(
        self,
        checked: _CheckedRequest,
        cancelled: Callable[[], bool],
        *,
        previews: bool,
        meter: Meter = NO_METER,
    ) -> Iterator[Attribution]:
        """Attributions as they get better, the last one finished; from the cache where it is there."""
        request, source = checked.request, checked.source
        if source is None:
            yield from self._compute(checked, cancelled, previews=previews, meter=meter)
            return
        result = self._cache.get(request)
        if result is not None:
            yield _add_note(result, source)
            return
        for result in self._compute(checked, cancelled, previews=previews, meter=meter):
            if not result.provisional:
                self._cache.put(request, result)
            yield _add_note(result, source)

    def _compute(
        self,
        checked: _CheckedRequest,
        cancelled: Callable[[], bool],
        *,
        previews: bool,
        meter: Meter,
    ) -> Iterator[Attribution]:
        deadline = Deadline(self.settings.deadline_seconds, cancelled, meter=meter)
        # The models come first: a request that waits for the Hub must not keep others from computing.
        with (
            self._lease(checked) as (model, companion),
            self.turns.take(deadline := deadline.restart()),
        ):
            checked = _fit(checked, model)
            request, method = checked.request, checked.method
            tokens, key = ((), None) if checked.source is None else _visible_key(model, request, method)
            if key is not None and (result := self._cache.get(key)) is not None:
                yield replace(result, request=request, text=request.text, tokens=tokens)
                return
            computation = Computation(
                model, request, method, deadline, companion, previews, self.shared, self.observer
            )
            for result in computation.steps():
                if key is not None and not result.provisional:
                    self._cache.put(key, result)
                yield result

    @contextmanager
    def _lease(self, checked: _CheckedRequest) -> Iterator[tuple[Adapter | Function, Adapter | None]]:
        """Context manager: the model of a request, and the second model that its method asks, if any.

        Raises what leasing a model raises, and ``Unsupported`` for a companion that is a function.
        """
        name = str(dict(checked.request.options).get(checked.method.companion, ""))
        with ExitStack() as stack:
            model: Any = checked.model
            if checked.source is not None:
                model = stack.enter_context(self.store.lease(checked.source))
            companion = stack.enter_context(self.store.lease(self.store.source(name))) if name else None
            if isinstance(companion, Function):
                raise Unsupported(f"{name} only answers texts.", "Name a model of another kind.")
            yield model, companion


@dataclass(frozen=True)
class _CheckedRequest:
    """A checked request.

    ``source`` says where its model comes from, None for one that the caller holds; ``original`` is what was
    asked.
    """

    request: Request
    method: Method
    model: Model
    source: Source | None
    original: Request


def _fitting_method(request: Request, method: Method, model: Adapter | Function) -> Method:
    """The method of a request, or another one where nobody chose it and it does not fit the model."""
    fits = not isinstance(request.method, Unnamed) or not method.unsupported_reason(model.task, model.gives)
    return method if fits else find(FALLBACK_METHOD)


def _fit(checked: _CheckedRequest, model: Adapter | Function) -> _CheckedRequest:
    """The request with a method that fits the model, which is known by now. Raises ``BadOption``."""
    method = _fitting_method(checked.original, checked.method, model)
    if method is checked.method:
        return checked
    usual = dict(checked.method.check_options({}))
    options = {name: value for name, value in checked.original.options if value != usual.get(name)}
    request = replace(checked.request, method=method.name, options=method.check_options(options))
    return replace(checked, request=request, method=method)


def _add_note(result: Attribution, source: Source) -> Attribution:
    """The result with the note on how its model's name was resolved: a checkpoint may have several names."""
    return replace(result, model=replace(result.model, note=source.note)) if source.note else result


def _visible_key(
    model: Adapter | Function, request: Request, method: Method
) -> tuple[tuple[Token, ...], Request | None]:
    """The tokens, and a cache key of what the method can see of the text: an extra space need not change it.

    Only for classes and for methods that look at tokens alone; else the key is None.
    """
    if isinstance(model, Function) or not model.task.classifies or method.needs == "texts":
        return (), None
    tokens = model.encode(request.text, request.second).tokens
    visible = " ".join(f"{t.id}:{t.word}:{t.segment}" for t in tokens)
    return tokens, replace(request, text=f"\0{visible}", second=None if request.second is None else "")


@cache
def default_engine() -> Engine:
    """The engine behind ``attribution.attribute``: any model, local folders too."""
    return Engine()
