"""Baselines: uninformative inputs, where paths start and which replace hidden features."""

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
        """Inputs that no baseline replaces, bool [inputs]."""
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
        """The baselines of all possible baseline tokens, the best first."""
        for token in self.reader.adapter.baseline_ids():
            yield self._of_token(token)

    def has_zeros(self, baseline: Tensor) -> bool:
        """Whether an input is a zero vector, which a model that normalises embeddings cannot process."""
        return bool((~baseline.any(-1) & ~self.fixed_inputs).any())

    def _of_token(self, token: int) -> Tensor:
        ids = torch.full((1, len(self.embeddings)), token, device=self.embeddings.device)
        return self._keep_fixed(self.reader.embed(ids)[0])

    def _keep_fixed(self, baseline: Tensor) -> Tensor:
        return torch.where(self.fixed_inputs[:, None], self.embeddings, baseline)


@dataclass(frozen=True, eq=False)
class Outset:
    """The state before f's first pass, for methods that add points to that pass.

    ``embeddings`` [inputs, hidden] are those of the text; ``previews`` tells whether previews will be shown.
    """

    reader: Reader
    embeddings: Tensor
    previews: bool = False

    def baseline(self, kind: str) -> Tensor | None:
        """What ``Objective.baseline`` will return, [inputs, hidden]; None where that depends on f.

        Raises ``BadOption``.
        """
        baselines = Baselines(self.reader, self.embeddings)
        with torch.no_grad():
            baseline = next(baselines.candidates()) if kind == "auto" else baselines.named(kind)
        return None if kind != "mean" and baselines.has_zeros(baseline) else baseline


FirstPoints = Callable[[Outset], Tensor]
"""Points [rows, inputs, hidden] that a method evaluates in the same pass as the prediction."""


def first_points(reader: Reader, text: Tensor, first: FirstPoints | None, *, previews: bool) -> Tensor:
    """A method's points for the pass of ``text`` [1, inputs, hidden]; none beyond the token budget."""
    if first is None:
        return text[:0]
    points = first(Outset(reader, text[0], previews))
    return points if 1 + len(points) <= reader.adapter.budget // len(reader.tokens) else text[:0]
