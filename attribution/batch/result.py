"""What comes out of a run: one result a row, model and method, and how far it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from attribution.models import tasks
from attribution.types import Attribution


@dataclass(frozen=True)
class Result:
    """What one method says about one model's answer to one row, or why it says nothing.

    ``place`` counts the rows from 0, ``line`` is where the row stands in the file (0: nowhere), ``row`` has
    its cells by column. ``attribution`` or else ``error`` (see ``AttributionError.to_dict``) is there.
    ``text`` and ``second`` are what the row gives to read, ``label`` is its gold label, as the model calls it
    where the two can be matched, ``rationale`` whatever people marked.
    """

    place: int
    line: int
    row: Mapping[str, Any] = field(repr=False)
    model: str
    method: str
    text: str = ""
    second: str | None = None
    label: str | None = None
    attribution: Attribution | None = field(default=None, repr=False)
    error: Mapping[str, str] | None = None
    rationale: Any = field(default=None, repr=False)

    @property
    def predicted(self) -> str | None:
        """The label that the model finds most probable, or what it wrote; None for tasks without either."""
        if self.attribution is None:
            return None
        said = self.attribution.prediction
        if said.text is not None or self._best is None:
            return said.text
        return said.labels[self._best]

    @property
    def probability(self) -> float | None:
        """That of the predicted label, None where the model gives none."""
        best = self._best
        return (
            None
            if self.attribution is None or best is None
            else self.attribution.prediction.probabilities[best]
        )

    @property
    def correct(self) -> bool | None:
        """Whether the predicted label is the gold one; None without a gold label that the model knows."""
        if self.attribution is None or self.label is None or self._best is None:
            return None
        labels = self.attribution.prediction.labels
        return labels[self._best] == self.label if self.label in labels else None

    @property
    def _best(self) -> int | None:
        if self.attribution is None or not tasks.of(self.attribution.model.task).classifies:
            return None
        chances = self.attribution.prediction.probabilities
        return max(range(len(chances)), key=chances.__getitem__) if chances else None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, the whole attribution too."""
        return {
            "place": self.place,
            "line": self.line,
            "row": dict(self.row),
            "model": self.model,
            "method": self.method,
            "text": self.text,
            "second": self.second,
            "label": self.label,
            "predicted": self.predicted,
            "probability": self.probability,
            "correct": self.correct,
            "rationale": self.rationale,
            "error": None if self.error is None else dict(self.error),
            "attribution": None if self.attribution is None else self.attribution.to_dict(),
        }


@dataclass(frozen=True)
class Progress:
    """How far a run is, counted in attributions: rows × models × methods. ``failed`` are not among ``done``.

    ``rate`` is how many a second over the last half minute, ``seconds_left`` at that rate; None before there
    is one. ``newest`` are the results that were kept since the last progress.
    """

    done: int
    failed: int
    total: int
    rate: float | None = None
    seconds_left: float | None = None
    newest: tuple[Result, ...] = ()

    @property
    def finished(self) -> bool:
        return self.done + self.failed >= self.total


def label_of(given: str | int | None, labels: tuple[str, ...]) -> str | None:
    """The gold label as the model calls it: by name in any case, or by number; else as it stands."""
    if given is None:
        return None
    name = str(given).strip()
    match = next((label for label in labels if label == name), None)
    match = match or next((label for label in labels if label.casefold() == name.casefold()), None)
    if match is None and name.isascii() and name.isdigit() and int(name) < len(labels):
        match = labels[int(name)]
    return match or name
