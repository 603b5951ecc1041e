"""The parts of an attribution: tokens, explained numbers, the model and its prediction.

Frozen, slotted, and importable without torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from attribution.registry import Value

TaskName = Annotated[str, "one of attribution.models.tasks"]
Segment = Literal["text", "second", "generated"]
Option = Value
Need = Literal["gradients", "attentions", "texts"]


@dataclass(frozen=True, slots=True)
class Token:
    """One token of the model's input.

    ``start`` and ``end`` are code points of the text of the ``segment``: the clean text, the second or the
    generated one.
    A span never splits a grapheme, so the pieces of an emoji share one span. A special token (``[CLS]``,
    ``</s>``) is outside the text: its span is empty and ``word`` is None.
    """

    text: str
    id: int
    start: int
    end: int
    special: bool = False
    word: int | None = None
    segment: Segment = "text"


@dataclass(frozen=True, slots=True)
class Output:
    """One explained number: of a class, a token's label, a position in the text, or a generated token.

    ``value`` is f(x) in the unit of ``Target.quantity``; with a ``contrast`` it is the difference from that.
    It is None for scores of another tool that did not say.
    ``probability`` is that of ``text`` alone, None for models without (regression, similarity). ``start`` and
    ``end`` are the span in the generated text. ``position`` is the index of the input for tasks that label
    each token, or the index in the generated text.
    """

    text: str
    id: int
    value: float | None
    probability: float | None
    start: int = 0
    end: int = 0
    position: int | None = None
    contrast: str = ""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The model that computed a result. ``note`` says how a family name became this checkpoint, if it did."""

    name: str
    revision: str | None
    architecture: str
    task: TaskName
    labels: tuple[str, ...] = ()
    parameters: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The model's prediction: all classes, or the generated tokens in order, with the generated ``text``."""

    labels: tuple[str, ...]
    logits: tuple[float, ...]
    probabilities: tuple[float, ...]
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Completeness:
    """How far the scores of one output add up.

    ``value`` is f(x), ``baseline`` is f(x₀), and ``residual`` = f(x) − f(x₀) − Σ scores.
    """

    value: float
    baseline: float
    residual: float

    @property
    def difference(self) -> float:
        """f(x) − f(x₀): the sum that the scores should have."""
        return self.value - self.baseline
