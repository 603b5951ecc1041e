"""The interface of f, the explained function: all that methods, metrics, studies and costs use of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import NoReturn, Self

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from attribution.errors import Unsupported
from attribution.models.adapter import Adapter
from attribution.models.base_adapter import BaseAdapter
from attribution.models.deadline import Deadline
from attribution.models.encoding import unsegmented
from attribution.models.features import Features
from attribution.request import Target
from attribution.types import Output, Prediction, Quantity, Token


class Perturbable(ABC):
    """f of one text (or pair), model and target: immutable; changes return copies.

    Members that need embeddings raise ``Unsupported`` for a black-box model, whose ``differentiable`` is
    false.

    Attributes
    ----------
    text, second, target : what is explained.
    adapter : the model.
    tokens : the inputs. For a pair the second text follows the first, for generation the generated prefix the
        text.
    outputs : what is explained, with f(x) as values.
    prediction : what the model predicts for the text itself.
    deadline : when to stop.
    companion : another model that the method uses, or None.
    previews : whether intermediate results that a method yields are shown.
    first_pass : f [outputs, rows] and its gradients [outputs, rows, inputs, hidden] at the points that the
        method adds to the first pass (``Method.first``); None where they were not computed.
    """

    differentiable: bool = False
    first_pass: tuple[Tensor, Tensor] | None = None
    deadline: Deadline
    companion: Adapter | None
    previews: bool

    # What is explained.

    @property
    @abstractmethod
    def adapter(self) -> BaseAdapter: ...

    @property
    @abstractmethod
    def text(self) -> str: ...

    @property
    @abstractmethod
    def second(self) -> str | None: ...

    @property
    @abstractmethod
    def target(self) -> Target: ...

    @property
    @abstractmethod
    def tokens(self) -> tuple[Token, ...]: ...

    @property
    @abstractmethod
    def outputs(self) -> tuple[Output, ...]: ...

    @property
    @abstractmethod
    def prediction(self) -> Prediction: ...

    @property
    @abstractmethod
    def quantity(self) -> str:
        """The quantity of f, in words."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about f that the reader of any result should know."""
        return (*self.adapter.notes, *unsegmented((self.text, self.second)))

    @property
    @abstractmethod
    def values(self) -> Tensor:
        """The values f(x), [outputs]."""

    @property
    def visible(self) -> Tensor:
        """Which inputs can matter for which output, bool [outputs, inputs]."""
        return torch.ones(len(self.outputs), len(self.tokens), dtype=torch.bool)

    @property
    def segments(self) -> tuple[slice, ...]:
        """The inputs that pass through the model together: several slices for texts that are read apart."""
        return (slice(0, len(self.tokens)),)

    # Changed texts.

    @abstractmethod
    def evaluate_features(self, features: Features, present: np.ndarray, hide: str = "auto") -> Tensor:
        """Evaluate f where some features are ``present``, bool [rows, features]: [outputs, rows].

        ``hide`` says what stands for a feature that is not: see ``features.Hide``. Equal rows are computed
        once. Raises ``BadOption`` where the model has no such token.
        """

    # Copies.

    @abstractmethod
    def replace(
        self,
        *,
        deadline: Deadline | None = None,
        companion: Adapter | None = None,
        previews: bool | None = None,
    ) -> Self:
        """A copy for another request; arguments that are None stay unchanged."""

    @abstractmethod
    def part(self, rows: Sequence[int]) -> Self:
        """A copy with some of the outputs only."""

    @abstractmethod
    def with_quantity(self, quantity: Quantity) -> Self:
        """A copy in another quantity: logits, log-probabilities or probabilities.

        Raises ``Unsupported`` where the model has no probabilities.
        """

    # Members that need embeddings.

    @property
    def model(self) -> PreTrainedModel:
        """The module tree that computes; never modified. ``models.inside`` observes it."""
        self._refuse()

    @property
    def embeddings(self) -> Tensor:
        """The model's own embeddings of the inputs, [inputs, hidden]."""
        self._refuse()

    def evaluate(self, points: Tensor, places: Tensor | None = None) -> Tensor:
        """Evaluate f at embeddings ``points`` [rows, inputs, hidden]: values [outputs, rows].

        ``places`` [rows, inputs] are the tokens of the columns where some were deleted; None means all of
        them.
        """
        self._refuse()

    def gradients(
        self, points: Tensor, places: Tensor | None = None
    ) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Values and gradients at ``points`` [rows, inputs, hidden], some rows at a time.

        ``places`` as in ``evaluate``.

        Yields (rows of ``points``, values [outputs, rows], gradients [outputs, rows, inputs, hidden]).
        """
        self._refuse()

    def gradient(self) -> Tensor:
        """∂f/∂embeddings at the text itself, [outputs, inputs, hidden]."""
        self._refuse()

    def traced(self) -> tuple[Tensor, Tensor]:
        """A fresh forward pass with its graph: embeddings, a leaf [1, inputs, hidden], and f(x) [outputs]."""
        self._refuse()

    def baseline(self, kind: str) -> Tensor:
        """A baseline [inputs, hidden]: every token but the special ones is replaced.

        ``kind`` is ``auto``, ``pad``, ``mask``, ``unk``, ``eos`` (that token's embedding), ``mean`` (of the
        whole vocabulary) or ``zero``. Raises ``BadOption`` where the model has no such token, or where f
        jumps at that baseline.
        """
        self._refuse()

    def embed(self, ids: Tensor) -> Tensor:
        """Embed other tokens in place of the inputs: ids [rows, inputs] → [rows, inputs, hidden]."""
        self._refuse()

    @property
    def deletable(self) -> Tensor:
        """Inputs that can be deleted, bool [inputs]: not generated, and no output is read from them."""
        self._refuse()

    def on(self, model: PreTrainedModel) -> Self:
        """A copy computed by another module tree, such as one of ``models.inside``."""
        self._refuse()

    def at(self, embeddings: Tensor) -> Self:
        """A copy around other embeddings [inputs, hidden] of the same tokens."""
        self._refuse()

    def with_adapter(self, adapter: Adapter) -> Self:
        """A copy for another model with the same tokenizer and classes."""
        self._refuse()

    def in_this_thread(self) -> AbstractContextManager[None]:
        """Context manager: run computations in the calling thread.

        Needed by anything thread-local, e.g. torch function modes.
        """
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise Unsupported("This model only answers texts, and has no embeddings.")


def check_probabilities(f: Perturbable) -> None:
    """Raise ``Unsupported`` where an output has no probability."""
    if any(output.probability is None for output in f.outputs):
        raise Unsupported("This model gives one number and no probabilities.", "Leave the quantity as it is.")
