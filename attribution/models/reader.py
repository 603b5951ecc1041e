"""Readers: the inputs, the arguments of the model's call and the logits of one prepared text.

A reader defines f up to the points at which it is evaluated. It computes nothing itself, so that the rows of
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
from attribution.models.calls import call
from attribution.models.deadline import Deadline
from attribution.models.encoding import unread, unsegmented
from attribution.models.targets.choice import Choice, check_positions
from attribution.request import Target
from attribution.types import Quantity, Token


class Scorable(Protocol):
    """The interface that ``models.scoring`` needs to compute rows."""

    @property
    def adapter(self) -> Adapter:
        """The model's adapter: its token budget, and whether padding and batched backward passes work."""

    def arguments(self, embeddings: Tensor, places: Tensor | None = None) -> dict[str, Any] | None:
        """The arguments of the model's call: tensors [batch, ...], and flags.

        Rows of other texts may share the call; shorter rows are padded at the end. None where one call is not
        enough, or cannot be shared.
        """

    def logits(self, answer: Any, arguments: dict[str, Any], places: Tensor | None) -> Tensor:
        """Extract the logits [positions, batch, classes] from the model's output for ``arguments``.

        Rows of the output may be padded at the end.
        """

    def forward(self, model: PreTrainedModel, embeddings: Tensor, places: Tensor | None = None) -> Tensor:
        """[batch, inputs, hidden] → logits [positions, batch, classes], in a call of its own.

        ``places`` [batch, inputs] are the tokens of the columns where some were deleted; None means all of
        them.
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
        """Encode the text and, for tasks that generate text, generate it.

        Raises an ``AttributionError``.
        """

    @abstractmethod
    def embeddings(self) -> Tensor:
        """The model's own embeddings of the inputs, [1, inputs, hidden]."""

    @abstractmethod
    def choose(self, logits: Tensor) -> Choice:
        """Resolve the target by the logits [positions, 1, classes] of the text itself.

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
        return self.logits(call(model, **arguments), arguments, places)

    def computing_model(self, model: PreTrainedModel) -> PreTrainedModel:
        """The model to call in place of ``model``, such as a pruned twin."""
        return model

    def quantity_words(self, quantity: Quantity) -> str:
        """The quantity of f, in words."""
        words = quantity.replace("_", " ")
        return f"difference of {words}" if self.target.contrast is not None else words

    @property
    def segments(self) -> tuple[slice, ...]:
        """The inputs that pass through the model together: one slice per separately encoded text."""
        return (slice(0, len(self.tokens)),)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about f that the reader of any result should know."""
        unknown = self.adapter.tokenizer.unk_token_id
        lost = unread(self.tokens, unknown)
        return (*lost, *self.adapter.notes, *unsegmented((self.text, self.second)))

    def visible(self, choice: Choice) -> Tensor:
        """Which inputs can matter for which output, bool [outputs, inputs]."""
        return torch.ones(len(choice.outputs), len(self.tokens), dtype=torch.bool)

    def fixed_inputs(self) -> Tensor:
        """Inputs that no baseline replaces, bool [inputs]: the special tokens."""
        return torch.tensor([token.special for token in self.tokens])

    def deletable(self, choice: Choice) -> Tensor:
        """Inputs that can be deleted, bool [inputs].

        In a text without special tokens the last input stays, so that the text is never empty.
        """
        deletable = ~self.fixed_inputs()
        for segment in ("text", "second"):
            places = [i for i, token in enumerate(self.tokens) if token.segment == segment]
            if places and bool(deletable[places].all()):
                deletable[places[-1]] = False
        return deletable

    def embed(self, ids: Tensor) -> Tensor:
        """Embed other tokens in place of the inputs: ids [rows, inputs] → [rows, inputs, hidden]."""
        return self.adapter.embed(ids)

    def shared_prefix(self, unchanged: int) -> int:
        """How many of the first ``unchanged`` inputs can be computed once for rows that differ after them."""
        return 0

    def remember(self, model: PreTrainedModel, embeddings: Tensor) -> Any:
        """The key-value cache of the text itself, [1, inputs, hidden], for ``suffix``."""
        raise NotImplementedError

    def suffix(self, memory: Any, count: int) -> Scorable:
        """The same logits from the inputs after the first ``count``, which are cached in ``memory``."""
        raise NotImplementedError


def target_places(tokens: Sequence[Token], target: Target, noun: str = "token") -> list[int]:
    """The inputs that ``target.position`` names; all that are not special where it is None.

    Raises ``UnknownTarget``.
    """
    places = [i for i, token in enumerate(tokens) if not token.special]
    return [places[p] for p in check_positions(target.position, len(places), noun)]
