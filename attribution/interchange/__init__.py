"""Results of other tools: one file for each tool, read without importing it.

A tool is one module of this package that defines a ``Tool``; other packages add theirs through the entry
point group ``attribution.interchange``. A result becomes ``Parts``, from which ``Attribution.of`` makes an
attribution.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

import numpy as np

from attribution.errors import InputError
from attribution.registry import discover
from attribution.request import Quantity


@dataclass(frozen=True)
class Parts:
    """What is known of an attribution that was computed elsewhere.

    Parameters
    ----------
    tokens : as the other tool names them, markers such as ``##``, ``Ġ`` and ``▁`` included.
    scores : float64 [outputs, inputs].
    text : the text; None where only its tokens are known.
    targets : a name for each output.
    unnamed : whether those names are invented.
    values, baselines : f(x) and f(x₀) of each output, None where they are unknown.
    chances : the probability of each output.
    errors : standard errors, like ``scores``.
    prediction : the probabilities of the labels.
    written : how many of the last tokens, and whether all outputs, belong to a generated text.
    encoder_decoder : whether the generated text is one of its own, and no continuation.
    ids : of the tokens in the vocabulary, where they are known.
    """

    tokens: Sequence[Any]
    scores: np.ndarray
    text: str | None = None
    targets: Sequence[str] = ()
    values: Sequence[float | None] = ()
    baselines: Sequence[float] = ()
    chances: Sequence[float | None] = ()
    errors: np.ndarray | None = None
    prediction: Mapping[str, float] = field(default_factory=dict)
    unnamed: bool = False
    written: int | None = None
    encoder_decoder: bool = False
    ids: Sequence[int] = ()
    second: str | None = None
    method: str = ""
    title: str = ""
    model: Any = ""
    quantity: Quantity | Literal[""] = ""
    unit: str = "score"
    signed: bool | None = None
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Tool:
    """Another tool. ``name`` is its import name; ``read`` takes results of the classes in ``kinds``."""

    name: str
    title: str
    kinds: tuple[str, ...]
    read: Callable[[Any], Parts]

    def made(self, result: object) -> bool:
        """Whether a result is one of this tool's classes, or of a subclass."""
        return any(
            base.__name__ in self.kinds and base.__module__.partition(".")[0] == self.name
            for base in type(result).__mro__
        )


@cache
def list_tools() -> Mapping[str, Tool]:
    """Every tool whose results can be read, by import name."""
    return discover(__name__, Tool, "attribution.interchange")


def read(result: object) -> Parts:
    """The parts of another tool's result. Raises ``InputError`` for anything else."""
    for tool in list_tools().values():
        if tool.made(result):
            return tool.read(result)
    kinds = ", ".join(f"{tool.name}'s {kind}" for tool in list_tools().values() for kind in tool.kinds)
    raise InputError(
        f"scores are missing, and a {type(result).__name__} is not the result of a tool that can be read.",
        f"Give tokens and scores, or one of: {kinds}.",
    )


def array(values: Any) -> np.ndarray:
    """Numbers of a list, an array or a tensor on any device, as float64.

    Raises ``InputError`` for anything that is not numeric, or ragged.
    """
    if hasattr(values, "detach"):
        values = values.detach().cpu().double().numpy()
    try:
        numbers: np.ndarray = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"The scores are not numbers ({str(error)[:100]}).", "Give a list, an array or a tensor."
        ) from error
    return numbers
