"""The one place where a model computes for objectives: rows of all requests, one batch after another.

A request asks for its rows and waits. Whoever has waited longest computes next, in its own thread, and takes along what others ask
of the same model, as far as the token budget goes: the points of a path, samples, texts and the requests of several visitors are all
rows of one batch. Two computations at once would only take the cores from each other.

Where many threads ask, one of them all may compute (``Worker.serve``), as the thread that waits for the answers of ``attribute_many`` does:
OpenMP keeps a team of threads for each thread that computes, and as soon as the teams together are larger than the machine, all of them
sleep at each barrier instead of waiting for each other. The app has no such thread: beside a busy browser on the same cores, a team that
does not sleep lost more than it gained (``benchmarks/README.md``).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch
from torch import Tensor

from attribution.errors import NotEnoughMemory
from attribution.models.adapter import joined

if TYPE_CHECKING:
    from attribution.models.objective import Deadline, Objective

Found = TypeVar("Found")

TICK = 0.05
"""Seconds after which one who waits looks whether its time is up."""


@dataclass(eq=False)
class Job:
    """What one request wants computed: f, and perhaps its gradient, at ``points`` [rows, inputs, hidden].

    ``places`` as in ``Objective._forward``. ``first`` begins with the text itself: the objective chooses its target by the logits of that row.
    Filled in: ``values`` [outputs, rows] and ``gradients`` [outputs, rows, inputs, hidden], or ``error``.
    """

    f: Objective
    points: Tensor
    places: Tensor | None = None
    gradient: bool = False
    first: bool = False
    values: Tensor = field(init=False)
    gradients: Tensor | None = None
    error: BaseException | None = None

    here = False
    """Any thread may compute it."""

    def __post_init__(self) -> None:
        self.done = threading.Event()
        self.model = self.f.computing_model
        self.width = self.points.shape[1]
        self.key = self._key()

    def _key(self) -> object:
        """Jobs with equal keys may share a batch."""
        inputs = self.f._inputs(self.points[:1], None if self.places is None else self.places[:1])
        if inputs is None:
            return self
        tensors = {name: value for name, value in inputs.items() if isinstance(value, Tensor)}
        others = tuple((name, value) for name, value in sorted(inputs.items()) if name not in tensors)
        pads = self.f.adapter.pads and "logits_to_keep" not in inputs
        widths = None if pads else tuple(tuple(value.shape[1:2]) for value in tensors.values())
        return id(self.model), self.gradient, tuple(sorted(tensors)), others, widths


@dataclass(eq=False)
class _Piece:
    """Some rows of a job, and what came out."""

    job: Job
    rows: slice
    values: Tensor = field(init=False)
    gradients: Tensor | None = None
    leaf: Tensor = field(init=False)

    @property
    def count(self) -> int:
        return self.rows.stop - self.rows.start


class _Call(Generic[Found]):
    """A computation that shares no batch, and what came out; ``here``: in the thread that asks for it."""

    def __init__(self, work: Callable[[], Found], *, here: bool = False) -> None:
        self.work, self.here, self.done = work, here, threading.Event()
        self.found: Found | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.found = self.work()
        except BaseException as error:
            self.error = error
        finally:
            self.done.set()


GATHER = 0.003
"""Seconds that a batch with room waits for the next of the requests that are under way and have not asked yet. What comes is then part of a
larger batch, and its own Python code is not run while the batch computes, which would slow both."""


class Worker:
    """Lets one thread compute at a time, in the order of asking."""

    def __init__(self) -> None:
        self._present = 0
        self._server: object | None = None
        self._queue: list[Any] = []
        self._busy = False
        self._changed = threading.Condition()
        self._inside = threading.local()

    @contextmanager
    def present(self) -> Iterator[None]:
        """For the time of a request: others may wait a moment for what it is about to ask."""
        with self._changed:
            self._present += 1
        try:
            yield
        finally:
            with self._changed:
                self._present -= 1

    def serve(self, until: Callable[[], bool]) -> None:
        """Compute in the calling thread what others ask for, until that is true: looked at whenever something changes (``wake``).

        While another thread does so already, this one only waits.
        """
        me = object()
        try:
            while (ticket := self._next(me, until)) is not None:
                with self._holding():
                    self._perform(ticket)
        finally:
            with self._changed:
                if self._server is me:
                    self._server = None
                self._changed.notify_all()

    def wake(self) -> None:
        """Let those who wait look again."""
        with self._changed:
            self._changed.notify_all()

    def run(self, job: Job, deadline: Deadline) -> Job:
        """The job, computed. Raises what computing it raised, ``Cancelled``, ``DeadlineExceeded`` and ``NotEnoughMemory``."""
        deadline.check()
        if getattr(self._inside, "turn", False):
            compute([job])
        else:
            self._wait_for(job, deadline)
        if job.error is not None:
            raise job.error
        return job

    def call(self, work: Callable[[], Found], deadline: Deadline) -> Found:
        """What a computation gives that cannot share a batch; nothing else computes meanwhile. It may run in another thread."""
        deadline.check()
        if getattr(self._inside, "turn", False):
            return work()
        call = _Call(work)
        self._wait_for(call, deadline)
        if call.error is not None:
            raise call.error
        return call.found  # type: ignore[return-value]

    @contextmanager
    def alone(self, deadline: Deadline) -> Iterator[None]:
        """The same for what has to run in the calling thread."""
        deadline.check()
        if getattr(self._inside, "turn", False):
            yield
            return
        self._my_turn(_Call(lambda: None, here=True), deadline)
        with self._holding():
            yield

    def _wait_for(self, ticket: Job | _Call, deadline: Deadline) -> None:
        """Until somebody has performed it; do so where nobody else will."""
        if self._my_turn(ticket, deadline):
            with self._holding():
                self._perform(ticket)

    def _perform(self, ticket: Job | _Call) -> None:
        if isinstance(ticket, Job):
            compute(self._with_others(ticket))
        else:
            ticket.run()

    def _my_turn(self, ticket: Job | _Call, deadline: Deadline) -> bool:
        """Wait; whether to compute now. False if somebody else has done it meanwhile."""
        with self._changed:
            self._queue.append(ticket)
            self._changed.notify_all()
            try:
                while not ticket.done.is_set() and not self._may(ticket):
                    self._changed.wait(TICK)
                    deadline.check()
            except BaseException:
                if ticket in self._queue:
                    self._queue.remove(ticket)
                self._changed.notify_all()
                raise
            if ticket.done.is_set():
                return False
            self._queue.pop(0)
            self._busy = True
            return True

    def _may(self, ticket: Job | _Call) -> bool:
        """Whether it is the ticket's turn in the thread that asked."""
        return not self._busy and self._queue[:1] == [ticket] and (ticket.here or self._server is None)

    def _next(self, me: object, until: Callable[[], bool]) -> Job | _Call | None:
        """What waits longest, for the thread that serves; None as soon as ``until()``."""
        with self._changed:
            while not until():
                self._server = self._server or me
                if self._server is me and not self._busy and self._queue and not self._queue[0].here:
                    self._busy = True
                    return self._queue.pop(0)
                self._changed.wait(TICK)
        return None

    @contextmanager
    def _holding(self) -> Iterator[None]:
        self._inside.turn = True
        try:
            yield
        finally:
            self._inside.turn = False
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def _with_others(self, job: Job) -> list[Job]:
        """The job and those that wait for the same model; for more of them it waits while they keep coming and there is room."""
        with self._changed:
            batch, full = self._batch(job)
            while not full and len(self._queue) + 1 < self._present:
                known = len(self._queue)
                if not self._changed.wait_for(lambda known=known: len(self._queue) > known, GATHER):  # type: ignore[misc]
                    break
                batch, full = self._batch(job)
            for one in batch[1:]:
                self._queue.remove(one)
        return batch

    def _batch(self, job: Job) -> tuple[list[Job], bool]:
        """The job and those that may share its batch, nearest in length first, within the token budget; whether that is used up."""
        fitting = [one for one in self._queue if isinstance(one, Job) and one.key == job.key]
        batch, rows, width, budget = [job], len(job.points), job.width, job.f.adapter.budget
        for one in sorted(fitting, key=lambda one: abs(one.width - job.width)):
            rows, width = rows + len(one.points), max(width, one.width)
            if rows * width > budget:
                return batch, True
            batch.append(one)
        return batch, rows * width >= budget


WORKER = Worker()
"""The process has one: its cores, or its accelerator, are shared by all engines."""


def compute(jobs: Sequence[Job]) -> None:
    """Compute jobs of equal keys as one batch. What goes wrong is written into the jobs that it concerns."""
    pieces = [_Piece(job, slice(0, len(job.points))) for job in jobs]
    try:
        for job, parts in zip(jobs, _by_job(jobs, _computed(pieces)), strict=True):
            if job.error is None:
                job.values = torch.cat([part.values for part in parts], dim=1)
                if job.gradient:
                    job.gradients = torch.cat([_given(part.gradients) for part in parts], dim=1)
    except BaseException as error:
        if len(jobs) == 1 or not isinstance(error, Exception):
            for job in jobs:
                job.error = error
        else:  # one request must not fail for another's sake
            for job in jobs:
                compute([job])
    finally:
        for job in jobs:
            job.done.set()


def _by_job(jobs: Sequence[Job], pieces: Sequence[_Piece]) -> Iterator[list[_Piece]]:
    for job in jobs:
        yield [piece for piece in pieces if piece.job is job]


def _computed(pieces: list[_Piece]) -> list[_Piece]:
    """The pieces with their results; halved as often as memory asks for. Raises ``NotEnoughMemory``."""
    try:
        _pass(pieces)
        return pieces
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
    rows = sum(piece.count for piece in pieces)
    job = pieces[0].job
    if rows == 1:
        raise NotEnoughMemory(
            f"There is not enough memory to compute {job.width} tokens with this model.",
            "Use a shorter text or a smaller model.",
        )
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    job.f.adapter.budget = max(1, min(job.f.adapter.budget, rows * max(p.job.width for p in pieces)) // 2)
    left, right = _halves(pieces, rows // 2)
    return _computed(left) + _computed(right)


def _is_out_of_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def _halves(pieces: Sequence[_Piece], count: int) -> tuple[list[_Piece], list[_Piece]]:
    """The first ``count`` rows, and the rest."""
    left: list[_Piece] = []
    right: list[_Piece] = []
    for piece in pieces:
        start, middle, stop = (
            piece.rows.start,
            min(piece.rows.start + count, piece.rows.stop),
            piece.rows.stop,
        )
        count -= middle - start
        left += [_Piece(piece.job, slice(start, middle))] if middle > start else []
        right += [_Piece(piece.job, slice(middle, stop))] if stop > middle else []
    return left, right


def _pass(pieces: Sequence[_Piece]) -> None:
    """One forward pass over all rows and, where gradients are wanted, the backward passes of all outputs."""
    gradient = pieces[0].job.gradient
    with torch.inference_mode(False), torch.set_grad_enabled(gradient):
        for piece in pieces:
            piece.leaf = piece.job.points[piece.rows].detach().requires_grad_(gradient)
        good = []
        for piece, logits in zip(pieces, _logits(pieces), strict=True):
            try:
                if piece.job.first and piece.rows.start == 0:
                    piece.job.f._choose(logits[:, :1].detach())
                piece.values = piece.job.f._values(logits)
                good.append(piece)
            except Exception as error:
                piece.job.error = error
        if gradient and good:
            _backward(good)
    for piece in good:
        piece.values = piece.values.detach()


def _logits(pieces: Sequence[_Piece]) -> Iterator[Tensor]:
    """The logits of each piece, [positions, rows, classes]."""
    places = [None if p.job.places is None else p.job.places[p.rows] for p in pieces]
    if len(pieces) == 1:
        f = pieces[0].job.f
        g = f if f.model is pieces[0].job.model else f.on(pieces[0].job.model)
        yield g._forward(pieces[0].leaf, places[0])
        return
    each = [_given(p.job.f._inputs(p.leaf, where)) for p, where in zip(pieces, places, strict=True)]
    said = pieces[0].job.model(**joined(each))
    start = 0
    for piece, given, where in zip(pieces, each, places, strict=True):
        stop = start + piece.count
        rows = {name: value[start:stop] for name, value in said.items() if isinstance(value, Tensor)}
        yield piece.job.f._logits(SimpleNamespace(**rows), given, where)
        start = stop


def _backward(pieces: Sequence[_Piece]) -> None:
    """Set the gradients of all outputs, several outputs by one backward pass: rows of a batch do not see each other."""
    most = max(len(piece.values) for piece in pieces)
    tokens = sum(piece.count * piece.job.width for piece in pieces)
    size = max(1, pieces[0].job.f.adapter.budget // max(1, tokens))
    leaves = [piece.leaf for piece in pieces]
    found: list[list[Tensor]] = [[] for _ in pieces]
    for start in range(0, most, size):
        stop = min(start + size, most)
        for parts, rows in zip(found, _slopes(pieces, leaves, start, stop, last=stop == most), strict=True):
            parts.append(rows)
    for piece, parts in zip(pieces, found, strict=True):
        piece.gradients = torch.cat(parts)[: len(piece.values)]


def _slopes(
    pieces: Sequence[_Piece], leaves: list[Tensor], start: int, stop: int, *, last: bool
) -> Sequence[Tensor]:
    """The gradients of the outputs from ``start`` to before ``stop``: for each piece [stop − start, rows, inputs, hidden]."""
    values = [piece.values for piece in pieces]
    if stop - start > 1 and pieces[0].job.f.adapter.batches_backward:
        picks = []
        for value in values:
            pick = value.new_zeros(stop - start, *value.shape)
            shown = torch.arange(start, min(stop, len(value)), device=value.device)
            pick[shown - start, shown] = 1
            picks.append(pick)
        try:
            return torch.autograd.grad(values, leaves, picks, retain_graph=True, is_grads_batched=True)
        except RuntimeError as error:  # an operation without a batching rule
            if _is_out_of_memory(error):
                raise
            pieces[0].job.f.adapter.batches_backward = False
    rows = []
    for k in range(start, stop):
        total = torch.stack([value[k].sum() for value in values if k < len(value)]).sum()
        rows.append(
            torch.autograd.grad(total, leaves, retain_graph=not last or k + 1 < stop, materialize_grads=True)
        )
    return [torch.stack(parts) for parts in zip(*rows, strict=True)]


def _given(value: Any) -> Any:
    assert value is not None
    return value
