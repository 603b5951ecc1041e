"""Which of a model's classes a target names."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from attribution.errors import BadOption, UnknownTarget, nearest, quote
from attribution.types import Label

EVERY = "*"
"""The label that selects all classes."""
RUNNER_UP = "runner-up"


def class_index(names: Sequence[str], label: Label) -> int:
    """The class that ``label`` names: its exact name, its name in any case, or its index.

    Raises ``UnknownTarget``, also for a name that several classes have.
    """
    if isinstance(label, int):
        if 0 <= label < len(names):
            return label
        raise UnknownTarget(
            f"This model has no label {label}.", f"Labels are numbered from 0 to {len(names) - 1}."
        )
    exact = [i for i, name in enumerate(names) if name == label]
    matches = exact or [i for i, name in enumerate(names) if name.casefold() == label.casefold()]
    if len(matches) > 1:
        choices = ", ".join(f"{i} ({quote(names[i])})" for i in matches)
        differ = "" if exact else " that differ only in case"
        raise UnknownTarget(
            f"{quote(label)} is the name of {len(matches)} labels{differ}.",
            f"Give the number of one of them: {choices}.",
        )
    if matches:
        return matches[0]
    if label.isdecimal() and int(label) < len(names):
        return int(label)
    raise UnknownTarget(f"This model has no label {quote(label)}.", nearest(label, names))


def classes(names: Sequence[str], wanted: Label | tuple[Label, ...] | None, logits: Tensor) -> list[int]:
    """The classes that a target names: None is the most probable by ``logits`` [classes], ``"*"`` is all."""
    if wanted is None:
        return [int(logits.argmax())]
    if wanted == EVERY and EVERY not in names:
        return list(range(len(names)))
    return [class_index(names, label) for label in (wanted if isinstance(wanted, tuple) else (wanted,))]


def contrasts(
    names: Sequence[str], contrast: Label | None, logits: Sequence[Tensor], chosen: Sequence[int]
) -> list[int] | None:
    """The class that each chosen class is contrasted with: the same for all, or its runner-up.

    Raises ``BadOption`` where a class would be contrasted with itself.
    """
    if contrast is None:
        return None
    others = [
        runner_up(row, c)
        if contrast == RUNNER_UP and RUNNER_UP not in names
        else class_index(names, contrast)
        for row, c in zip(logits, chosen, strict=True)
    ]
    for a, b in zip(chosen, others, strict=True):
        if a == b:
            raise BadOption(
                f"The contrast is the explained label itself, {quote(names[a])}.",
                "Choose another one, or 'runner-up'.",
            )
    return others


def runner_up(logits: Tensor, chosen: int) -> int:
    """The most probable class but ``chosen``."""
    others = logits.clone()
    others[chosen] = -float("inf")
    return int(others.argmax())
