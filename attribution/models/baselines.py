"""Inputs that say nothing: where paths begin, and what stands for a hidden feature."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from attribution.models.reader import Reader


@dataclass(frozen=True, eq=False)
class Baselines:
    """The baselines of a text with ``embeddings`` [inputs, hidden]; each is of that shape."""

    reader: Reader
    embeddings: Tensor

    @cached_property
    def fixed_inputs(self) -> Tensor:
        """Inputs that stay as they are, bool [inputs]."""
        return self.reader.fixed_inputs().to(self.embeddings.device)

    def named(self, kind: str) -> Tensor:
        """The baseline of that kind: a token such as ``"mask"``, ``"mean"`` or ``"zero"``.

        Raises ``BadOption``.
        """
        adapter = self.reader.adapter
        if kind == "mean":
            return self._keep_fixed(adapter.vocabulary().mean(0).expand_as(self.embeddings))
        if kind == "zero":
            return self._keep_fixed(torch.zeros_like(self.embeddings))
        return self._of_token(adapter.baseline_id(kind))

    def candidates(self) -> Iterator[Tensor]:
        """Those of the tokens that can stand for "nothing here", the best first."""
        for token in self.reader.adapter.baseline_ids():
            yield self._of_token(token)

    def has_zeros(self, baseline: Tensor) -> bool:
        """Whether an input became a vector of zeros, which a model that normalises embeddings cannot read."""
        return bool((~baseline.any(-1) & ~self.fixed_inputs).any())

    def _of_token(self, token: int) -> Tensor:
        ids = torch.full((1, len(self.embeddings)), token, device=self.embeddings.device)
        return self._keep_fixed(self.reader.embed(ids)[0])

    def _keep_fixed(self, baseline: Tensor) -> Tensor:
        return torch.where(self.fixed_inputs[:, None], self.embeddings, baseline)


@dataclass(frozen=True, eq=False)
class Outset:
    """What is known of f before its first pass, for a method that names points to compute in that very pass.

    ``embeddings`` [inputs, hidden] are those of the text; ``previews`` says whether the method will be asked
    for previews.
    """

    reader: Reader
    embeddings: Tensor
    previews: bool = False

    def baseline(self, kind: str) -> Tensor | None:
        """What ``Objective.baseline`` will give, [inputs, hidden]; None where only f can tell.

        Raises ``BadOption``.
        """
        baselines = Baselines(self.reader, self.embeddings)
        with torch.no_grad():
            baseline = next(baselines.candidates()) if kind == "auto" else baselines.named(kind)
        return None if kind != "mean" and baselines.has_zeros(baseline) else baseline


FirstPoints = Callable[[Outset], Tensor]
"""The points [rows, inputs, hidden] that a method wants computed together with the prediction."""


def first_points(reader: Reader, text: Tensor, first: FirstPoints | None, *, previews: bool) -> Tensor:
    """The points that a method wants beside ``text`` [1, inputs, hidden]; none where they do not fit."""
    if first is None:
        return text[:0]
    points = first(Outset(reader, text[0], previews))
    return points if 1 + len(points) <= reader.adapter.budget // len(reader.tokens) else text[:0]
