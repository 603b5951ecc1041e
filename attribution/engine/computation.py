"""One method on one leased model: previews, a long answer part by part, and the finished attribution."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib.metadata import version
from typing import Any, TypeVar

import numpy as np
import torch

from attribution.costs.workload import Workload
from attribution.engine.observer import Observer
from attribution.errors import NotFinite, Unsupported, nearest
from attribution.methods import Method, Scores, list_methods
from attribution.models.adapter import Adapter
from attribution.models.characters import by_character
from attribution.models.deadline import Deadline
from attribution.models.function import Function
from attribution.models.perturbable import Perturbable
from attribution.models.readers import make_objective
from attribution.models.shared_passes import SharedFunctions
from attribution.request import Request, Target
from attribution.settings import VERSION
from attribution.types import Attribution, join

Item = TypeVar("Item")
FIRST_OUTPUTS = 4
"""Outputs of a long answer that the first part explains."""
PART_SECONDS = 0.6
"""Time that each later part may take: short enough that the picture visibly grows."""


@dataclass(frozen=True)
class Computation:
    """One method on one model, from the function that it explains to finished attributions.

    Parameters
    ----------
    model : leased for as long as the computation lasts.
    companion : the second model that the method asks, if any.
    previews : whether anybody looks at attributions before the finished one.
    shared : functions that several methods of one text have in common, if they are shared.
    observer : is told before the method runs and after it.
    """

    model: Adapter | Function
    request: Request
    method: Method
    deadline: Deadline
    companion: Adapter | None = None
    previews: bool = False
    shared: SharedFunctions | None = None
    observer: Observer | None = None

    def steps(self) -> Iterator[Attribution]:
        """Attributions as they get better; all but the last are ``provisional``.

        Raises ``Unsupported``, ``NotFinite``, ``DeadlineExceeded`` and what the method raises.
        """
        check_support(self.method, self.model)
        started = time.perf_counter()
        f, reused = self._make_function()
        f = by_character(f, dict(self.request.options))
        f = f.replace(companion=self.companion)
        workload = Workload(f, self.method, self.request.options)
        if self.observer is not None:
            self.observer.admit(workload, self.deadline.seconds)
        if self._in_parts:
            yield from self._explain_in_parts(f)
            return
        previewed = False
        for scores, finished in self._run(f):
            previewed = previewed or not finished
            yield self._attribution(f, scores, started, provisional=not finished)
        # With previews, their consumer may have spent time in between; a reused function was made before
        # ``started``.
        if self.observer is not None and not previewed and not reused:
            self.observer.observe(workload, time.perf_counter() - started)

    @property
    def _in_parts(self) -> bool:
        """Whether outputs come a few at a time: each costs a backward pass or many, and somebody looks."""
        all_outputs = self.request.target is None and self.request.position is None
        return self.previews and all_outputs and self.model.task.writes and self.method.needs == "gradients"

    def _make_function(self) -> tuple[Perturbable, bool]:
        """The function to explain, and whether it is a shared one that was made before."""
        request, method = self.request, self.method
        first = None
        if method.first is not None and not self._in_parts:
            first = partial(method.first, **dict(request.options))
        make = partial(
            make_objective,
            self.model,
            request.text,
            Target.of(request),
            self.deadline,
            second=request.second,
            gradient=method.at_text and not self._in_parts,
            first=first,
            previews=self.previews and not self._in_parts,
        )
        with torch.inference_mode(False):
            if self.shared is None or isinstance(self.model, Function):
                return make(), False
            return self.shared.function(self.model, request, self.deadline, make, gradient=method.at_text)

    def _run(self, f: Perturbable) -> Iterator[tuple[Scores, bool]]:
        return leave_inference_mode(self.method.steps(f, **dict(self.request.options)))

    def _explain_in_parts(self, f: Perturbable) -> Iterator[Attribution]:
        """The first few outputs, with their own previews, then larger parts."""
        parts: list[Attribution] = []
        start, count = 0, FIRST_OUTPUTS
        while start < len(f.outputs):
            started = time.perf_counter()
            part = f.part(range(start, min(start + count, len(f.outputs)))).replace(previews=not parts)
            for scores, finished in self._run(part):
                if finished:
                    parts.append(self._attribution(part, scores, started))
                else:
                    yield self._attribution(part, scores, started, provisional=True)
            start += len(part.outputs)
            seconds_per_output = max(parts[-1].seconds, 1e-3) / len(part.outputs)
            count = max(1, min(4 * FIRST_OUTPUTS, int(PART_SECONDS / seconds_per_output)))
            yield replace(join(parts), provisional=start < len(f.outputs))

    def _attribution(
        self, f: Perturbable, scores: Scores, started: float, *, provisional: bool = False
    ) -> Attribution:
        """The result of a method on ``f``. Raises ``NotFinite``."""
        arrays = [scores.values] if scores.errors is None else [scores.values, scores.errors]
        if not all(bool(torch.isfinite(array).all()) for array in arrays):
            raise NotFinite(
                f"{self.method.title} gave scores that are not finite for this text.",
                "Try another method or a float32 model.",
            )
        return Attribution(
            request=self.request,
            model=self.model.info,
            text=self.request.text,
            tokens=f.tokens,
            outputs=f.outputs,
            scores=_array(scores.values),
            prediction=f.prediction,
            signed=self.method.signed,
            unit=self.method.unit.format(quantity=f.quantity),
            completeness=scores.completeness,
            notes=(*scores.notes, *f.notes),
            seconds=time.perf_counter() - started,
            versions=versions(),
            errors=None if scores.errors is None else _array(scores.errors),
            fit=scores.fit,
            title=self.method.title,
            provisional=provisional,
        )


def check_support(method: Method, model: Adapter | Function) -> None:
    """Raise ``Unsupported`` where the method does not work with the model; the hint names one that does."""
    if reason := method.unsupported_reason(model.task, model.gives):
        others = list_methods().values()
        fitting = [other.name for other in others if not other.unsupported_reason(model.task, model.gives)]
        raise Unsupported(reason, nearest("", fitting))


def leave_inference_mode(items: Iterator[Item]) -> Iterator[Item]:
    """The same items, each computed outside of the caller's inference mode, which would refuse gradients."""
    end: Any = object()
    while True:
        with torch.inference_mode(False):
            item = next(items, end)
        if item is end:
            return
        yield item


def _array(values: torch.Tensor) -> np.ndarray:
    array: np.ndarray = values.detach().to("cpu", torch.float64).numpy()
    return array


@cache
def versions() -> tuple[tuple[str, str], ...]:
    """What computed a result: packages and their versions, sorted by name."""
    packages = {name: version(name) for name in ("torch", "transformers", "numpy")}
    return tuple(sorted({"attribution": VERSION, "python": platform.python_version(), **packages}.items()))
