"""What is explained, as a function: embeddings [batch, inputs, hidden] → one number for each output and row.

Methods see only this. State is per call; the model is shared and never written to. How each task reads its numbers off a model
is in ``models/objectives``, one file a task.
"""

from __future__ import annotations

import copy
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from attribution.errors import BadOption, Cancelled, DeadlineExceeded, NotFinite, UnknownTarget, Unsupported
from attribution.models.adapter import Adapter
from attribution.models.features import Features
from attribution.models.scorer import WORKER, Job
from attribution.types import Output, Prediction, Quantity, Target, Token

JUMP_STEP, JUMP = 1e-3, 0.3
"""A baseline is void where this step of the path makes more than this share of the whole way (measured: 0.57 and more against 0.1)."""


@dataclass(frozen=True)
class Deadline:
    """When to stop: after ``seconds``, or as soon as ``cancelled()`` is true."""

    seconds: float = float("inf")
    cancelled: Callable[[], bool] = lambda: False
    started: float = field(default_factory=time.monotonic)

    def check(self) -> None:
        """Raises ``DeadlineExceeded`` or ``Cancelled``."""
        if self.cancelled():
            raise Cancelled("The request was cancelled.")
        if time.monotonic() - self.started > self.seconds:
            raise DeadlineExceeded(
                f"The computation took longer than {self.seconds:g} seconds.",
                "Use a shorter text, fewer steps or samples.",
            )


class Perturbable(ABC):
    """What every explained function offers, also that of a model that only answers texts.

    Attributes
    ----------
    tokens : the inputs. For a pair the second text follows the first, for generation the generated prefix the text.
    outputs : what is explained.
    prediction : what the model said.
    companion : another model that the method asked for, or None.
    previews : whether somebody looks at what a method yields before it is done.
    """

    companion: Adapter | None = None
    text: str
    target: Target
    deadline: Deadline
    previews: bool = False
    tokens: tuple[Token, ...]
    outputs: tuple[Output, ...]
    prediction: Prediction

    @property
    @abstractmethod
    def values(self) -> Tensor:
        """f(x) [outputs]"""

    @property
    @abstractmethod
    def quantity(self) -> str:
        """What f counts in, in words."""

    @property
    def visible(self) -> Tensor:
        """Which inputs can matter for which output, [outputs, inputs]."""
        return torch.ones(len(self.outputs), len(self.tokens), dtype=torch.bool)

    @abstractmethod
    def hidden(self, features: Features, present: np.ndarray, hide: str = "auto") -> Tensor:
        """f where only some features are there, [outputs, rows]; ``present`` is bool [rows, features].

        ``hide`` says what stands for a feature that is not: see ``features.Hide``. Equal rows are computed once.
        Raises ``BadOption`` where the model has no such token.
        """

    def counted_in(self, quantity: Quantity) -> Self:
        """The same outputs of the same model as another number: logits, log-probabilities or probabilities (or differences of them).

        Raises ``Unsupported`` where the model gives no probabilities.
        """
        if quantity == self.target.quantity:
            return self
        if any(output.probability is None for output in self.outputs):
            raise Unsupported(
                "This model gives one number and no probabilities.", "Leave the quantity as it is."
            )
        other = copy.copy(self)
        other.target = replace(self.target, quantity=quantity)
        return other._anew()

    def _anew(self) -> Self:
        """This one, a changed copy: what is known of the function that it was copied from is forgotten, and f(x) is computed."""
        raise NotImplementedError

    def _valued(self, values: Tensor) -> None:
        """Set the values [outputs] that ``outputs`` states."""
        self.outputs = tuple(replace(o, value=v) for o, v in zip(self.outputs, values.tolist(), strict=True))


class _TooEarly(Exception):
    """The target is not chosen yet."""


class Objective(Perturbable):
    """The explained function f of one text (or pair), model and target, differentiable from the embeddings on.

    ``embeddings`` [inputs, hidden] are the model's own embeddings of the inputs.
    """

    def __init__(
        self,
        adapter: Adapter,
        text: str,
        target: Target,
        deadline: Deadline,
        *,
        second: str | None = None,
        gradient: bool = False,
        first: Callable[[Self], Tensor] | None = None,
        previews: bool = False,
    ) -> None:
        self.adapter, self.text, self.second, self.target, self.deadline = (
            adapter,
            text,
            second,
            target,
            deadline,
        )
        self.previews = previews
        self.model = adapter.model
        self._prepare()
        adapter.check_embeddings()
        self._root = self._embed().detach()
        # One pass serves the prediction and, where the method needs them, the gradient at the text and f at its first points.
        points = torch.cat([self._root, self._first(first)])
        found = WORKER.run(Job(self, points, gradient=gradient, first=True), deadline)
        self._root_values = found.values[:, 0]
        self._root_gradient = None if found.gradients is None else found.gradients[:, 0]
        self.seen = (
            None
            if len(points) == 1 or found.gradients is None
            else (found.values[:, 1:], found.gradients[:, 1:])
        )
        if not torch.isfinite(self._root_values).all():
            raise NotFinite(
                "The model's own prediction is not finite.",
                "Its weights may be broken, or overflow in half precision.",
            )
        self.outputs = tuple(self._outputs(self._root_values.tolist()))

    def _first(self, ask: Callable[[Self], Tensor] | None) -> Tensor:
        """The points that a method asks for at once, none where they do not fit or depend on the target."""
        nothing = self._root[:0]
        try:
            found = nothing if ask is None else ask(self)
        except _TooEarly:
            return nothing
        return found if (1 + len(found)) * len(self.tokens) <= self.adapter.budget else nothing

    # Each task fills these in.

    @abstractmethod
    def _prepare(self) -> None:
        """Encode the text (and generate): sets ``tokens``."""

    @abstractmethod
    def _embed(self) -> Tensor:
        """[1, inputs, hidden]"""

    def _inputs(self, embeddings: Tensor, places: Tensor | None = None) -> dict[str, Any] | None:
        """What the model is called with: tensors [batch, ...], padded behind where rows of other texts are longer, and flags.

        None where one call of the model does not do, or where rows of different texts cannot share one.
        """
        return None

    def _logits(self, said: Any, inputs: dict[str, Any], places: Tensor | None) -> Tensor:
        """What the model answered to ``inputs`` → logits [positions, batch, classes]; its rows may be padded behind."""
        raise NotImplementedError

    def _forward(self, embeddings: Tensor, places: Tensor | None = None) -> Tensor:
        """[batch, inputs, hidden] → logits [positions, batch, classes].

        ``places`` [batch, inputs] are the tokens that the columns stand for, where some were deleted; None is all of them.
        """
        inputs = self._inputs(embeddings, places)
        assert inputs is not None
        return self._logits(self.model(**inputs), inputs, places)

    @abstractmethod
    def _choose(self, logits: Tensor) -> None:
        """From the logits of the text itself set ``prediction`` and what is read: ``_places``, ``_ids``, perhaps ``_against``."""

    @abstractmethod
    def _outputs(self, values: Sequence[float]) -> Iterator[Output]:
        """The explained outputs."""

    seen: tuple[Tensor, Tensor] | None = None
    """f [outputs, rows] and its gradients [outputs, rows, inputs, hidden] at the points that the method asked for with the prediction."""
    _root_values: Tensor
    _places: list[int]
    """The position of the logits that each output is read from."""
    _ids: Tensor
    """The explained class or token of each output, [outputs]."""
    _against: Tensor | None = None
    """What each output is contrasted with, [outputs]."""

    # What methods use.

    @property
    def embeddings(self) -> Tensor:
        """[inputs, hidden]"""
        return self._root.detach()[0]

    @property
    def values(self) -> Tensor:
        return self._root_values.detach()

    @property
    def quantity(self) -> str:
        words = self.target.quantity.replace("_", " ")
        return f"difference of {words}" if self.target.contrast is not None else words

    @property
    def computing_model(self) -> Any:
        """The model that the worker runs: one that leaves out what no output is read from, where there is one."""
        return self.model

    def gradient(self) -> Tensor:
        """∂f/∂embeddings at the text itself, [outputs, inputs, hidden]."""
        if self._root_gradient is None:
            [(_, _, found)] = self.gradients(self._root)
            self._root_gradient = found[:, 0]
        return self._root_gradient

    def on(self, model: PreTrainedModel) -> Self:
        """The same function of the same tokens, computed by another module tree, such as one of ``models.inside``."""
        other = copy.copy(self)
        other.model = model
        return other

    def part(self, rows: Sequence[int]) -> Self:
        """The same function with some of its outputs only."""
        if len(rows) == len(self.outputs):
            return self
        other, index = copy.copy(self), torch.tensor(rows, device=self._root.device)
        other.outputs = tuple(self.outputs[k] for k in rows)
        other._places, other._ids = [self._places[k] for k in rows], self._ids[index]
        other._against = None if self._against is None else self._against[index]
        other._root_values = self._root_values[index]
        other._root_gradient = None if self._root_gradient is None else self._root_gradient[index]
        other.seen = None if self.seen is None else (self.seen[0][index], self.seen[1][index])
        return other

    def at(self, embeddings: Tensor) -> Self:
        """The same function around other embeddings [inputs, hidden] of the same tokens; what is explained stays."""
        other = copy.copy(self)
        other._root = embeddings.detach()[None]
        return other._anew()

    def asked_of(self, adapter: Adapter) -> Self:
        """The same outputs of another model with the same tokenizer and classes."""
        other = copy.copy(self)
        other.adapter, other.model = adapter, adapter.model
        other._root = other._embed().detach()
        return other._anew()

    def _anew(self) -> Self:
        self._root_gradient = self.seen = None
        self._root_values = self.evaluate(self._root)[:, 0]
        self._valued(self._root_values)
        return self

    @torch.enable_grad()
    def here(self) -> AbstractContextManager[None]:
        """For its time this thread computes what it asks for, and nothing else does: for what holds in a thread only."""
        return WORKER.alone(self.deadline)

    def traced(self) -> tuple[Tensor, Tensor]:
        """A fresh forward pass with its graph: the embeddings, a leaf [1, inputs, hidden], and f(x) [outputs]."""
        leaf = self._root.clone().requires_grad_()
        with self.here():
            return leaf, self._values(self._forward(leaf))[:, 0]

    def gradients(
        self, points: Tensor, places: Tensor | None = None
    ) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """f and its gradient at ``points`` [batch, inputs, hidden], chunk by chunk; ``places`` as in ``_forward``.

        Yields (rows of ``points``, values [outputs, rows], gradients [outputs, rows, inputs, hidden]).
        """
        for rows in self._chunks(len(points), points.shape[1]):
            job = Job(self, points[rows], None if places is None else places[rows], gradient=True)
            found = WORKER.run(job, self.deadline)
            assert found.gradients is not None
            yield rows, found.values, found.gradients

    def evaluate(self, points: Tensor, places: Tensor | None = None) -> Tensor:
        """f at ``points`` [batch, inputs, hidden]: values [outputs, batch]; ``places`` as in ``_forward``."""
        found = []
        for rows in self._chunks(len(points), points.shape[1]):
            job = Job(self, points[rows], None if places is None else places[rows])
            found.append(WORKER.run(job, self.deadline).values)
        return torch.cat(found, dim=1)

    def _changed(self, points: Tensor, same: int) -> Tensor:
        """``evaluate`` of points that are the text itself up to before the input ``same``."""
        return self.evaluate(points)

    @torch.no_grad()
    def hidden(self, features: Features, present: np.ndarray, hide: str = "auto") -> Tensor:
        unique, back = np.unique(np.asarray(present, dtype=bool), axis=0, return_inverse=True)
        delete = hide == "delete"
        nothing = self.baseline(self._hide_kind() if hide == "auto" else "auto" if delete else hide)
        kept = torch.from_numpy(features.kept(unique, len(self.tokens))).to(self._root.device)
        found = torch.empty(
            len(self._root_values), len(unique), dtype=torch.float32, device=self._root.device
        )
        if not delete:
            same = (~kept).float().argmax(1).masked_fill(kept.all(1), len(self.tokens))
            order = same.argsort()  # those that differ from the text from the same place on share a batch
            for rows in self._chunks(len(unique), len(self.tokens)):
                part = order[rows]
                changed = torch.where(kept[part, :, None], self.embeddings, nothing)
                found[:, part] = self._changed(changed, int(same[part[0]]))
        else:
            # What cannot leave (a place that an output is read from, generated text) is replaced instead.
            stays = kept | ~self._deletable().to(kept.device)
            lengths = stays.sum(1)
            for length in sorted(set(lengths.tolist())):
                same = torch.nonzero(lengths == length)[:, 0]
                for rows in self._chunks(len(same), max(1, length)):
                    part = same[rows]
                    places = torch.nonzero(stays[part])[:, 1].view(len(part), length)
                    here = torch.where(kept[part, :, None], self.embeddings, nothing)
                    shorter = here.gather(1, places[:, :, None].expand(-1, -1, here.shape[-1]))
                    found[:, part] = self.evaluate(shorter, places)
        return found[:, torch.from_numpy(back.reshape(-1)).to(found.device)]

    @torch.no_grad()
    def baseline(self, kind: str) -> Tensor:
        """An input that says nothing, [inputs, hidden]: every token but the special ones replaced.

        ``kind`` is ``auto``, ``pad``, ``mask``, ``unk``, ``eos`` (that token's embedding), ``mean`` (of the whole vocabulary) or
        ``zero``. Raises ``BadOption`` where the model has no such token, or where the baseline is void: see ``_void``.
        """
        if kind == "auto":
            for index in self.adapter.baseline_ids():
                if not self._void(start := self._without(self._embed_token(index))):
                    return start
            return self.baseline("mean")
        if kind == "mean":
            return self._without(self.adapter.vocabulary().mean(0).expand_as(self.embeddings))
        if kind == "zero":
            start = self._without(torch.zeros_like(self.embeddings))
        else:
            start = self._without(self._embed_token(self.adapter.baseline_id(kind)))
        if self._void(start):
            raise BadOption(
                f"A {kind} baseline is void for this model: it divides embeddings by their size, which is 0 there.",
                "Use 'auto', 'eos' or 'mean'.",
            )
        return start

    def _without(self, nothing: Tensor) -> Tensor:
        return torch.where(self._fixed()[:, None], self.embeddings, nothing)

    def _void(self, start: Tensor) -> bool:
        """Whether f jumps at a baseline of zeros: a model that normalises bare embeddings sees the text's direction at once.

        Such a path begins where the model is already at its end: no number of points integrates it.
        """
        zero = ~start.any(-1) & ~self._fixed()
        if not bool(zero.any()):
            return False
        if not hasattr(self, "_root_values"):
            raise _TooEarly
        at, near = self.evaluate(torch.stack([start, start + JUMP_STEP * (self.embeddings - start)])).unbind(
            1
        )
        return bool(((near - at).abs() > JUMP * (self.values - at).abs().clamp_min(1e-9)).any())

    def _hide_kind(self) -> str:
        """What stands for a hidden feature: the mask token where there is one, for it was made to say that a word is missing."""
        return "mask" if self.adapter.tokenizer.mask_token_id is not None else "auto"

    def _fixed(self) -> Tensor:
        """Inputs that no baseline replaces, [inputs]: the special tokens."""
        return torch.tensor([token.special for token in self.tokens], device=self._root.device)

    def _deletable(self) -> Tensor:
        """Inputs that can be taken out, [inputs]; of a text without special tokens the last one stays, for something has to."""
        found = ~self._fixed().cpu()
        for segment in ("text", "second"):
            places = [i for i, token in enumerate(self.tokens) if token.segment == segment]
            if places and bool(found[places].all()):
                found[places[-1]] = False
        return found

    def _embed_token(self, index: int) -> Tensor:
        """The embedding of one token at every place, [inputs, hidden]."""
        return self.embed(torch.full((1, len(self.tokens)), index, device=self._root.device))[0]

    def embed(self, ids: Tensor) -> Tensor:
        """The embeddings of other tokens in the places of the inputs: ids [rows, inputs] → [rows, inputs, hidden]."""
        return self.adapter.embed(ids)

    def _chunks(self, count: int, width: int) -> Iterator[slice]:
        size = max(1, self.adapter.budget // width)
        for start in range(0, count, size):
            self.deadline.check()
            yield slice(start, min(start + size, count))

    def _values(self, logits: Tensor) -> Tensor:
        """Logits [positions, batch, classes] → the explained numbers [outputs, batch]."""
        numbers = quantify(logits[self._places], self.target.quantity, self.adapter.multi_label)

        def of(ids: Tensor) -> Tensor:
            return numbers.gather(2, ids[:, None, None].expand(-1, numbers.shape[1], 1))[:, :, 0]

        return of(self._ids) if self._against is None else of(self._ids) - of(self._against)

    def _text_places(self, count_of: str = "token") -> list[int]:
        """The inputs that ``target.position`` names; all that are not special where it is None. Raises ``UnknownTarget``."""
        known = [i for i, token in enumerate(self.tokens) if not token.special]
        return [known[p] for p in check_positions(self.target.position, len(known), count_of)]


def check_positions(position: object, count: int, noun: str) -> list[int]:
    """The positions that a target names, checked against how many there are; all for None. Raises ``UnknownTarget``."""
    if position is None:
        return list(range(count))
    if position == "sequence":
        raise UnknownTarget(
            "Only generated text has the position 'sequence'.", "Leave it out, or give numbers."
        )
    wanted = position if isinstance(position, tuple) else (position,)
    for place in wanted:
        if not 0 <= place < count:
            raise UnknownTarget(
                f"There is no {noun} {place}.",
                f"They are numbered from 0 to {count - 1}; leave it empty for all.",
            )
    return list(wanted)


def quantify(logits: Tensor, quantity: str, multi_label: bool = False) -> Tensor:
    """Logits [..., classes] → logits, log-probabilities or probabilities of the same shape."""
    logits = logits.float()
    if quantity == "logit":
        return logits
    logs = torch.nn.functional.logsigmoid(logits) if multi_label else logits.log_softmax(-1)
    return logs if quantity == "log_probability" else logs.exp()
