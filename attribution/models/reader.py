"""How a task's numbers are read off a model: the inputs, the call, and the logits of one prepared text.

A reader says everything about f but where it is evaluated. It computes nothing itself, so that the rows of
several readers can share a batch: see ``models.scoring``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import torch
from torch import Tensor
from transformers import PreTrainedModel

from attribution.models.adapter import Adapter
from attribution.models.deadline import Deadline
from attribution.models.targets.choice import Choice, check_positions
from attribution.request import Target
from attribution.types import Quantity, Token


class Scorable(Protocol):
    """What ``models.scoring`` asks of whatever it computes rows for."""

    @property
    def adapter(self) -> Adapter:
        """The model's adapter: its token budget, and whether padding and batched backward passes work."""

    def arguments(self, embeddings: Tensor, places: Tensor | None = None) -> dict[str, Any] | None:
        """The arguments of the model's call: tensors [batch, ...], and flags.

        Rows of other texts may share the call: theirs are padded at the end where they are longer. None where
        one call does not do, or cannot be shared.
        """

    def logits(self, answer: Any, arguments: dict[str, Any], places: Tensor | None) -> Tensor:
        """The model's answer to ``arguments`` → logits [positions, batch, classes].

        Its rows may be padded at the end.
        """

    def forward(self, model: PreTrainedModel, embeddings: Tensor, places: Tensor | None = None) -> Tensor:
        """[batch, inputs, hidden] → logits [positions, batch, classes], in a call of its own.

        ``places`` [batch, inputs] are the tokens that the columns stand for, where some were deleted; None is
        all of them.
        """


@dataclass(frozen=True, eq=False, kw_only=True)
class Reader(ABC):
    """One text (or pair) and target, prepared for one task of a model.

    ``tokens`` are the inputs: for a pair the second text follows the first, for generation the generated
    prefix the text.
    """

    adapter: Adapter
    text: str
    second: str | None
    target: Target
    tokens: tuple[Token, ...]

    @classmethod
    @abstractmethod
    def prepare(
        cls, adapter: Adapter, text: str, target: Target, deadline: Deadline, *, second: str | None = None
    ) -> Self:
        """Encode the text, and let the model write where the task is to write.

        Raises an ``AttributionError``.
        """

    @abstractmethod
    def embeddings(self) -> Tensor:
        """The model's own embeddings of the inputs, [1, inputs, hidden]."""

    @abstractmethod
    def choose(self, logits: Tensor) -> Choice:
        """What is explained, by the logits [positions, 1, classes] of the text itself.

        Raises ``UnknownTarget``, ``BadOption``.
        """

    def arguments(self, embeddings: Tensor, places: Tensor | None = None) -> dict[str, Any] | None:
        """See ``Scorable``."""
        return None

    def logits(self, answer: Any, arguments: dict[str, Any], places: Tensor | None) -> Tensor:
        """See ``Scorable``."""
        raise NotImplementedError

    def forward(self, model: PreTrainedModel, embeddings: Tensor, places: Tensor | None = None) -> Tensor:
        """See ``Scorable``."""
        arguments = self.arguments(embeddings, places)
        assert arguments is not None
        return self.logits(model(**arguments), arguments, places)

    def computing_model(self, model: PreTrainedModel) -> PreTrainedModel:
        """What is called in place of ``model``: perhaps a twin without what no output is read from."""
        return model

    def quantity_words(self, quantity: Quantity) -> str:
        """What f counts in, in words."""
        words = quantity.replace("_", " ")
        return f"difference of {words}" if self.target.contrast is not None else words

    @property
    def segments(self) -> tuple[slice, ...]:
        """The inputs that pass through the model together: several slices for texts that are read apart."""
        return (slice(0, len(self.tokens)),)

    def visible(self, choice: Choice) -> Tensor:
        """Which inputs can matter for which output, bool [outputs, inputs]."""
        return torch.ones(len(choice.outputs), len(self.tokens), dtype=torch.bool)

    def fixed_inputs(self) -> Tensor:
        """Inputs that no baseline replaces, bool [inputs]: the special tokens."""
        return torch.tensor([token.special for token in self.tokens])

    def deletable(self, choice: Choice) -> Tensor:
        """Inputs that can be left out, bool [inputs].

        Of a text without special tokens the last stays: something has to.
        """
        deletable = ~self.fixed_inputs()
        for segment in ("text", "second"):
            places = [i for i, token in enumerate(self.tokens) if token.segment == segment]
            if places and bool(deletable[places].all()):
                deletable[places[-1]] = False
        return deletable

    def embed(self, ids: Tensor) -> Tensor:
        """Embed other tokens in the places of the inputs: ids [rows, inputs] → [rows, inputs, hidden]."""
        return self.adapter.embed(ids)

    def shared_prefix(self, unchanged: int) -> int:
        """How many of the first ``unchanged`` inputs rows that differ behind them can share."""
        return 0

    def remember(self, model: PreTrainedModel, embeddings: Tensor) -> Any:
        """What the model keeps of the text itself, [1, inputs, hidden], for ``continued``."""
        raise NotImplementedError

    def suffix(self, memory: Any, count: int) -> Scorable:
        """The same logits from the inputs behind the first ``count``, which ``memory`` holds."""
        raise NotImplementedError


def target_places(tokens: Sequence[Token], target: Target, noun: str = "token") -> list[int]:
    """The inputs that ``target.position`` names; all that are not special where it is None.

    Raises ``UnknownTarget``.
    """
    places = [i for i, token in enumerate(tokens) if not token.special]
    return [places[p] for p in check_positions(target.position, len(places), noun)]
