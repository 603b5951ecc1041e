"""Tickets: the computations that threads submit to the worker."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from torch import Tensor
from transformers import PreTrainedModel

from attribution.models.reader import Scorable
from attribution.models.targets.choice import Choice

Result = TypeVar("Result")


class Ticket:
    """A computation that a thread waits for. It is finished once, with a result or with ``error``."""

    in_own_thread = False
    """Whether only the submitting thread may compute it."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self._done = threading.Event()

    @property
    def is_done(self) -> bool:
        return self._done.is_set()

    def finish(self, error: BaseException | None = None) -> None:
        """Wake the waiting thread; only the first call has an effect."""
        if not self.is_done:
            self.error = error if self.error is None else self.error
            self._done.set()


@dataclass(eq=False)
class Job(Ticket):
    """Values, and perhaps gradients, of f at ``points`` [rows, inputs, hidden], which may share a batch.

    ``places`` as in ``Scorable.forward``. Without a ``choice`` the first row is the text itself, and
    ``choose`` decides by its logits what is explained. Filled in: ``choice``, ``values`` [outputs, rows] and
    ``gradients`` [outputs, rows, inputs, hidden], or ``error``.
    """

    f: Scorable
    model: PreTrainedModel
    points: Tensor
    places: Tensor | None = None
    gradient: bool = False
    choice: Choice | None = None
    choose: Callable[[Tensor], Choice] | None = None
    values: Tensor = field(init=False)
    gradients: Tensor | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        super().__init__()
        self.width = self.points.shape[1]
        self.key = self._key()

    def _key(self) -> object:
        """Jobs with equal keys may share a batch."""
        arguments = self.f.arguments(self.points[:1], None if self.places is None else self.places[:1])
        if arguments is None:
            return self
        tensors = {name: value for name, value in arguments.items() if isinstance(value, Tensor)}
        flags = tuple((name, value) for name, value in sorted(arguments.items()) if name not in tensors)
        pads = self.f.adapter.pads and "logits_to_keep" not in arguments
        widths = None if pads else tuple(tuple(value.shape[1:2]) for value in tensors.values())
        return id(self.model), self.gradient, tuple(sorted(tensors)), flags, widths


class Call(Ticket, Generic[Result]):
    """A computation that shares no batch."""

    def __init__(self, work: Callable[[], Result]) -> None:
        super().__init__()
        self._work = work
        self._result: list[Result] = []

    def run(self) -> None:
        """Compute it; an exception becomes its ``error``."""
        try:
            self._result.append(self._work())
        except BaseException as error:
            self.finish(error)
        finally:
            self.finish()

    @property
    def result(self) -> Result:
        return self._result[0]


class Turn(Ticket):
    """The exclusive right to compute in the submitting thread."""

    in_own_thread = True
