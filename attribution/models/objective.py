"""The explained function of a loaded model, which is shared and never modified: see ``models/readers``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from attribution.errors import BadOption, NotFinite, Unsupported
from attribution.models.adapter import Adapter
from attribution.models.baselines import Baselines, FirstPoints, first_points
from attribution.models.deadline import Deadline
from attribution.models.features import Features
from attribution.models.perturbable import Perturbable, check_probabilities
from attribution.models.reader import Reader, Scorable
from attribution.models.scoring.tickets import Job
from attribution.models.scoring.worker import WORKER
from attribution.models.targets.choice import Choice
from attribution.models.twin import is_close
from attribution.request import Target
from attribution.types import Output, Prediction, Quantity, Token

JUMP_STEP, JUMP = 1e-3, 0.3
"""A baseline is void where this first step of the path causes more than this share of the total change of f
(measured: 0.57 and more for void baselines, 0.1 for others)."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Objective(Perturbable):
    """The explained function of one text (or pair), model and target, differentiable from the embeddings.

    Parameters
    ----------
    reader : how f is read from the model.
    choice : what is explained.
    tree : the module tree that computes: the adapter's, or one of ``models.inside``.
    root : the embeddings x around which f is looked at, [inputs, hidden].
    root_values : f(x), [outputs].
    deadline, companion, previews, first_pass : see ``Perturbable``.
    slope : ∂f/∂embeddings at the text itself, [outputs, inputs, hidden], where it is already computed.
    """

    reader: Reader
    choice: Choice
    tree: PreTrainedModel
    root: Tensor
    root_values: Tensor
    deadline: Deadline
    companion: Adapter | None = None
    previews: bool = False
    first_pass: tuple[Tensor, Tensor] | None = None
    slope: Tensor | None = None

    differentiable = True

    @classmethod
    def explain(
        cls,
        reader: Reader,
        deadline: Deadline,
        *,
        gradient: bool = False,
        first: FirstPoints | None = None,
        previews: bool = False,
    ) -> Self:
        """Explain the target of a reader, resolved by the model's logits for the text.

        One pass computes the prediction and, where the method needs them, the gradient at the text
        (``gradient``) and f at its ``first`` points. Raises ``NotFinite``, and what the reader raises for the
        target.
        """
        adapter = reader.adapter
        adapter.check_embeddings()
        text = reader.embeddings().detach()
        points = torch.cat([text, first_points(reader, text, first, previews=previews)])
        model = adapter.model
        job = Job(reader, reader.computing_model(model), points, gradient=gradient, choose=reader.choose)
        deadline.meter.expect(len(points))
        WORKER.run(job, deadline)
        values, slopes = job.values, job.gradients
        if not torch.isfinite(values[:, 0]).all():
            raise NotFinite(
                "The model's own prediction is not finite.",
                "Its weights may be broken, or overflow in half precision.",
            )
        assert job.choice is not None
        return cls(
            reader=reader,
            choice=job.choice.with_values(values[:, 0]),
            tree=model,
            root=text[0],
            root_values=values[:, 0],
            deadline=deadline,
            previews=previews,
            first_pass=None if len(points) == 1 or slopes is None else (values[:, 1:], slopes[:, 1:]),
            slope=None if slopes is None else slopes[:, 0],
        )

    # What is explained.

    @property
    def adapter(self) -> Adapter:
        return self.reader.adapter

    @property
    def text(self) -> str:
        return self.reader.text

    @property
    def second(self) -> str | None:
        return self.reader.second

    @property
    def target(self) -> Target:
        return replace(self.reader.target, quantity=self.choice.quantity)

    @property
    def tokens(self) -> tuple[Token, ...]:
        return self.reader.tokens

    @property
    def outputs(self) -> tuple[Output, ...]:
        return self.choice.outputs

    @property
    def prediction(self) -> Prediction:
        return self.choice.prediction

    @property
    def quantity(self) -> str:
        return self.reader.quantity_words(self.choice.quantity)

    @property
    def notes(self) -> tuple[str, ...]:
        return (*self.reader.notes, *self.choice.notes)

    @property
    def values(self) -> Tensor:
        return self.root_values

    @property
    def model(self) -> PreTrainedModel:
        return self.tree

    @property
    def embeddings(self) -> Tensor:
        return self.root

    @property
    def visible(self) -> Tensor:
        return self.reader.visible(self.choice)

    @property
    def segments(self) -> tuple[slice, ...]:
        return self.reader.segments

    @property
    def deletable(self) -> Tensor:
        return self.reader.deletable(self.choice)

    # Copies.

    def replace(
        self,
        *,
        deadline: Deadline | None = None,
        companion: Adapter | None = None,
        previews: bool | None = None,
    ) -> Self:
        return replace(
            self,
            deadline=self.deadline if deadline is None else deadline,
            companion=self.companion if companion is None else companion,
            previews=self.previews if previews is None else previews,
        )

    def part(self, rows: Sequence[int]) -> Self:
        if len(rows) == len(self.outputs):
            return self
        index = torch.tensor(rows, device=self.root.device)
        return replace(
            self,
            choice=self.choice.part(rows),
            root_values=self.root_values[index],
            slope=None if self.slope is None else self.slope[index],
            first_pass=None
            if self.first_pass is None
            else (self.first_pass[0][index], self.first_pass[1][index]),
        )

    def with_quantity(self, quantity: Quantity) -> Self:
        if quantity == self.choice.quantity:
            return self
        check_probabilities(self)
        return self._recompute(choice=replace(self.choice, quantity=quantity))

    def on(self, model: PreTrainedModel) -> Self:
        return replace(self, tree=model, slope=None, first_pass=None)

    def at(self, embeddings: Tensor) -> Self:
        return self._recompute(root=embeddings.detach())

    def with_adapter(self, adapter: Adapter) -> Self:
        reader = replace(self.reader, adapter=adapter)
        return self._recompute(reader=reader, tree=adapter.model, root=reader.embeddings().detach()[0])

    def _recompute(self, **changes: Any) -> Self:
        """A changed copy with f(x) recomputed."""
        changed = replace(self, slope=None, first_pass=None, **changes)
        values = changed.evaluate(changed.root[None])[:, 0]
        return replace(changed, root_values=values, choice=changed.choice.with_values(values))

    # f and its gradients.

    def gradient(self) -> Tensor:
        if self.slope is None:
            [(_, _, slopes)] = self.gradients(self.root[None])
            object.__setattr__(self, "slope", slopes[:, 0])  # a cache: no observable change
        assert self.slope is not None
        return self.slope

    def in_this_thread(self) -> AbstractContextManager[None]:
        return WORKER.exclusive(self.deadline)

    def traced(self) -> tuple[Tensor, Tensor]:
        with self.in_this_thread(), torch.enable_grad():
            leaf = self.root[None].clone().requires_grad_()
            return leaf, self.choice.read(self.reader.forward(self.tree, leaf))[:, 0]

    def logits(self, points: Tensor) -> Tensor:
        """The logits [positions, rows, classes] at ``points`` [rows, inputs, hidden], without a graph."""
        with torch.no_grad():
            return self.reader.forward(self.tree, points)

    def gradients(
        self, points: Tensor, places: Tensor | None = None
    ) -> Iterator[tuple[slice, Tensor, Tensor]]:
        for rows in self._chunks(len(points), points.shape[1]):
            job = self._compute(self.reader, points, places, rows, gradient=True)
            assert job.gradients is not None
            yield rows, job.values, job.gradients

    def evaluate(self, points: Tensor, places: Tensor | None = None) -> Tensor:
        return self._evaluate(self.reader, points, places)

    def _evaluate(self, scorable: Scorable, points: Tensor, places: Tensor | None = None) -> Tensor:
        chunks = self._chunks(len(points), points.shape[1])
        jobs = [self._compute(scorable, points, places, rows) for rows in chunks]
        return torch.cat([job.values for job in jobs], dim=1)

    def _compute(
        self,
        scorable: Scorable,
        points: Tensor,
        places: Tensor | None,
        rows: slice,
        *,
        gradient: bool = False,
    ) -> Job:
        job = Job(
            scorable,
            self.reader.computing_model(self.tree),
            points[rows],
            None if places is None else places[rows],
            gradient=gradient,
            choice=self.choice,
        )
        return WORKER.run(job, self.deadline)

    def _chunks(self, count: int, width: int) -> Iterator[slice]:
        size = self.adapter.rows_at_once(width)
        self.deadline.meter.expect(count)
        for start in range(0, count, size):
            self.deadline.check()
            yield slice(start, min(start + size, count))

    # Changed texts.

    def evaluate_features(self, features: Features, present: np.ndarray, hide: str = "auto") -> Tensor:
        unique, back = np.unique(np.asarray(present, dtype=bool), axis=0, return_inverse=True)
        present_inputs = torch.from_numpy(features.present_inputs(unique, len(self.tokens))).to(
            self.root.device
        )
        with torch.no_grad():
            if hide == "delete":
                values = self._without_deleted(present_inputs)
            else:
                values = self._with_replaced(present_inputs, self.baseline(self._filler(hide)))
        return values[:, torch.from_numpy(back.reshape(-1)).to(values.device)]

    def _filler(self, hide: str) -> str:
        """The baseline of a hidden feature: for "auto" the mask token where there is one."""
        if hide != "auto":
            return hide
        return "mask" if self.adapter.tokenizer.mask_token_id is not None else "auto"

    def _with_replaced(self, present: Tensor, filler: Tensor) -> Tensor:
        """Values [outputs, rows] with ``filler`` [inputs, hidden] for what is not ``present``."""
        values = self._empty_values(len(present))
        unchanged = (~present).float().argmax(1).masked_fill(present.all(1), len(self.tokens))
        order = unchanged.argsort()  # rows with the same unchanged prefix share a batch
        for rows in self._chunks(len(present), len(self.tokens)):
            part = order[rows]
            points = torch.where(present[part, :, None], self.root, filler)
            values[:, part] = self._evaluate_changed(points, int(unchanged[part[0]]))
        return values

    def _without_deleted(self, present: Tensor) -> Tensor:
        """Evaluate rows [outputs, rows] without the inputs that are not ``present`` [rows, inputs].

        Inputs that cannot be deleted (those that an output is read from, generated text) are replaced
        instead.
        """
        filler, values = self.baseline("auto"), self._empty_values(len(present))
        stays = present | ~self.deletable.to(present.device)
        lengths = stays.sum(1)
        for length in sorted(set(lengths.tolist())):
            same = torch.nonzero(lengths == length)[:, 0]
            for rows in self._chunks(len(same), max(1, length)):
                part = same[rows]
                places = torch.nonzero(stays[part])[:, 1].view(len(part), length)
                points = torch.where(present[part, :, None], self.root, filler)
                shorter = points.gather(1, places[:, :, None].expand(-1, -1, points.shape[-1]))
                values[:, part] = self.evaluate(shorter, places)
        return values

    def _empty_values(self, rows: int) -> Tensor:
        return torch.empty(len(self.root_values), rows, dtype=torch.float32, device=self.root.device)

    def _evaluate_changed(self, points: Tensor, unchanged: int) -> Tensor:
        """``evaluate`` of points whose first ``unchanged`` inputs are those of the text.

        Where the model allows it, the prefix before the first change is computed once: no token of a decoder
        depends on its successors.
        """
        adapter, count = self.adapter, self.reader.shared_prefix(unchanged)
        if not count or adapter.shares_prefix is False or self.tree is not adapter.model:
            return self.evaluate(points)
        ending = self.reader.suffix(self._memory, count)
        try:
            values = self._evaluate(ending, points[:, count:])
        except (Unsupported, RuntimeError, ValueError, TypeError, AttributeError):
            if adapter.shares_prefix:
                raise
            values = None
        if adapter.shares_prefix is None:
            expected = self.evaluate(points)
            adapter.shares_prefix = values is not None and is_close(values, expected, 1e-4)
            # Later requests get the shared values: so does this one, bit for bit.
            return expected if values is None or not adapter.shares_prefix else values
        assert values is not None
        return values

    @cached_property
    def _memory(self) -> Any:
        """The key-value cache of the text itself."""
        return WORKER.call(lambda: self.reader.remember(self.tree, self.root[None]), self.deadline)

    # Baselines.

    def baseline(self, kind: str) -> Tensor:
        with torch.no_grad():
            baselines = Baselines(self.reader, self.root)
            if kind == "auto":
                fitting = (start for start in baselines.candidates() if not self._is_void(start))
                start = next(fitting, None)
                return baselines.named("mean") if start is None else start
            start = baselines.named(kind)
            is_void = kind != "mean" and self._is_void(start)
        if is_void:
            raise BadOption(
                f"A {kind} baseline is void for this model: it divides embeddings by their size, "
                "which is 0 there.",
                "Use 'auto', 'eos' or 'mean'.",
            )
        return start

    def _is_void(self, baseline: Tensor) -> bool:
        """Whether f jumps at a baseline of zeros, as where a model normalises bare embeddings.

        On such a path f reaches its final value within the first step, so that no number of points integrates
        it.
        """
        if not Baselines(self.reader, self.root).has_zeros(baseline):
            return False
        near = baseline + JUMP_STEP * (self.root - baseline)
        start, step = self.evaluate(torch.stack([baseline, near])).unbind(1)
        return bool(((step - start).abs() > JUMP * (self.root_values - start).abs().clamp_min(1e-9)).any())

    def embed(self, ids: Tensor) -> Tensor:
        return self.reader.embed(ids)
