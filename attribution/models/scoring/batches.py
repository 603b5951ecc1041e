"""Batches: rows of several requests in one pass of a model, forward and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from attribution.errors import NotEnoughMemory, Unsupported
from attribution.models.calls import call, differentiate, is_out_of_memory
from attribution.models.scoring.arguments import join_arguments
from attribution.models.scoring.tickets import Job


@dataclass(eq=False)
class _Piece:
    """Some rows of a job, and their results."""

    job: Job
    rows: slice
    values: Tensor = field(init=False)
    gradients: Tensor = field(init=False)
    leaf: Tensor = field(init=False)

    @property
    def count(self) -> int:
        return int(self.rows.stop - self.rows.start)

    @property
    def places(self) -> Tensor | None:
        return None if self.job.places is None else self.job.places[self.rows]

    def read(self, logits: Tensor) -> None:
        """Set ``values`` from logits [positions, rows, classes]; the text's own logits resolve the target."""
        job = self.job
        if job.choice is None:
            assert job.choose is not None and self.rows.start == 0
            job.choice = job.choose(logits[:, :1].detach())
        self.values = job.choice.read(logits)


def compute(jobs: Sequence[Job]) -> None:
    """Compute jobs of equal keys as one batch.

    All jobs are finished afterwards; an exception becomes the error of the jobs that it concerns.
    """
    try:
        _compute_together(jobs)
    except Exception as error:
        if len(jobs) == 1:
            jobs[0].finish(error)
            return
        for job in jobs:  # one request must not fail because of another
            compute([job])
    except BaseException as error:
        for job in jobs:
            job.finish(error)
    finally:
        for job in jobs:
            job.finish()


def _compute_together(jobs: Sequence[Job]) -> None:
    pieces = _compute_pieces([_Piece(job, slice(0, len(job.points))) for job in jobs])
    for job in jobs:
        if job.error is None:
            parts = [piece for piece in pieces if piece.job is job]
            job.values = torch.cat([part.values for part in parts], dim=1)
            if job.gradient:
                job.gradients = torch.cat([part.gradients for part in parts], dim=1)


def _compute_pieces(pieces: list[_Piece]) -> list[_Piece]:
    """Compute the pieces; where memory runs out, halve them until they fit.

    Raises ``NotEnoughMemory``.
    """
    try:
        _pass(pieces)
        return pieces
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
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
    adapter, width = job.f.adapter, max(piece.job.width for piece in pieces)
    adapter.budget = max(1, min(adapter.budget, rows * width) // 2)
    left, right = _split(pieces, rows // 2)
    return _compute_pieces(left) + _compute_pieces(right)


def _split(pieces: Sequence[_Piece], count: int) -> tuple[list[_Piece], list[_Piece]]:
    """Split pieces into the first ``count`` rows and the rest."""
    left: list[_Piece] = []
    right: list[_Piece] = []
    for piece in pieces:
        start, stop = piece.rows.start, piece.rows.stop
        middle = min(start + count, stop)
        count -= middle - start
        left += [_Piece(piece.job, slice(start, middle))] if middle > start else []
        right += [_Piece(piece.job, slice(middle, stop))] if stop > middle else []
    return left, right


def _pass(pieces: Sequence[_Piece]) -> None:
    """Run one forward pass over all rows and, for jobs with gradients, the backward passes of all outputs."""
    gradient = pieces[0].job.gradient
    with torch.inference_mode(False), torch.set_grad_enabled(gradient):
        for piece in pieces:
            piece.leaf = piece.job.points[piece.rows].detach().requires_grad_(gradient)
        readable = []
        for piece, logits in zip(pieces, _logits(pieces), strict=True):
            if piece.job.error is not None:
                continue
            try:
                piece.read(logits)
                readable.append(piece)
            except Exception as error:  # such as a target that this model does not have
                piece.job.error = error
        if gradient and readable:
            _run_backward(readable)
    for piece in readable:
        piece.values = piece.values.detach()


def _logits(pieces: Sequence[_Piece]) -> Iterator[Tensor]:
    """The logits of each piece, [positions, rows, classes]."""
    model = pieces[0].job.model
    if len(pieces) == 1:
        yield pieces[0].job.f.forward(model, pieces[0].leaf, pieces[0].places)
        return
    calls = [_arguments(piece) for piece in pieces]
    answer = call(model, **join_arguments(calls))
    start = 0
    for piece, arguments in zip(pieces, calls, strict=True):
        stop = start + piece.count
        rows = {name: value[start:stop] for name, value in answer.items() if isinstance(value, Tensor)}
        yield piece.job.f.logits(SimpleNamespace(**rows), arguments, piece.places)
        start = stop


def _arguments(piece: _Piece) -> dict[str, Any]:
    arguments = piece.job.f.arguments(piece.leaf, piece.places)
    assert arguments is not None, "a job that cannot share a call has a key of its own"
    return arguments


def _run_backward(pieces: Sequence[_Piece]) -> None:
    """Set the gradients of all outputs, several per backward pass, since rows are independent."""
    outputs = max(len(piece.values) for piece in pieces)
    tokens = sum(piece.count * piece.job.width for piece in pieces)
    size = max(1, pieces[0].job.f.adapter.budget // max(1, tokens))
    slopes: list[list[Tensor]] = [[] for _ in pieces]
    for start in range(0, outputs, size):
        stop = min(start + size, outputs)
        for parts, rows in zip(slopes, _slopes(pieces, start, stop, last=stop == outputs), strict=True):
            parts.append(rows)
    for piece, parts in zip(pieces, slopes, strict=True):
        piece.gradients = torch.cat(parts)[: len(piece.values)]


def _slopes(pieces: Sequence[_Piece], start: int, stop: int, *, last: bool) -> Sequence[Tensor]:
    """The gradients of the outputs ``start:stop``, for each piece [outputs, rows, inputs, hidden]."""
    adapter = pieces[0].job.f.adapter
    if stop - start > 1 and adapter.batches_backward:
        try:
            return _batched_slopes(pieces, start, stop)
        except (RuntimeError, Unsupported) as error:  # an operation without a batching rule
            if is_out_of_memory(error):
                raise
            adapter.batches_backward = False
    leaves, model = [piece.leaf for piece in pieces], pieces[0].job.model
    outputs = []
    for k in range(start, stop):
        values = [piece.values[k].sum() for piece in pieces if k < len(piece.values)]
        keep = not last or k + 1 < stop
        outputs.append(
            differentiate(model, torch.stack(values).sum(), leaves, retain_graph=keep, materialize_grads=True)
        )
    return [torch.stack(parts) for parts in zip(*outputs, strict=True)]


def _batched_slopes(pieces: Sequence[_Piece], start: int, stop: int) -> Sequence[Tensor]:
    values, picks = [piece.values for piece in pieces], []
    for value in values:
        pick = value.new_zeros(stop - start, *value.shape)
        shown = torch.arange(start, min(stop, len(value)), device=value.device)
        pick[shown - start, shown] = 1
        picks.append(pick)
    leaves = [piece.leaf for piece in pieces]
    model = pieces[0].job.model
    return differentiate(model, values, leaves, grad_outputs=picks, retain_graph=True, is_grads_batched=True)
