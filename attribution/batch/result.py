"""The results of a run, one for each row, model and method, and its progress."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from attribution.models import tasks
from attribution.types import Attribution


@dataclass(frozen=True)
class Result:
    """The attribution of one row by one method and model, or the error instead.

    ``place`` counts the rows from 0, ``line`` is the line in the file (0: none), ``row`` has the cells by
    column. Either ``attribution`` or ``error`` (see ``AttributionError.to_dict``) is set. ``text`` and
    ``second`` are the row's texts; ``label`` is its gold label, spelled as the model's where they match;
    ``rationale`` are people's marks.
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
        """The most probable label, or the generated text; None for tasks without either."""
        if self.attribution is None:
            return None
        prediction = self.attribution.prediction
        if prediction.text is not None or self._best is None:
            return prediction.text
        return prediction.labels[self._best]

    @property
    def probability(self) -> float | None:
        """The probability of the predicted label; None where the model has no labels."""
        best = self._best
        return (
            None
            if self.attribution is None or best is None
            else self.attribution.prediction.probabilities[best]
        )

    @property
    def correct(self) -> bool | None:
        """Whether the predicted label is the gold label; None where the model does not have that label."""
        if self.attribution is None or self.label is None or self._best is None:
            return None
        labels = self.attribution.prediction.labels
        return labels[self._best] == self.label if self.label in labels else None

    @property
    def _best(self) -> int | None:
        if self.attribution is None or not tasks.of(self.attribution.model.task).classifies:
            return None
        probabilities = self.attribution.prediction.probabilities
        return max(range(len(probabilities)), key=probabilities.__getitem__) if probabilities else None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, with the complete attribution."""
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
    """How far a run is, in attributions (rows × models × methods); ``done`` does not include ``failed``.

    ``rate`` is the attributions per second over the last half minute, ``seconds_left`` the remaining time at
    that rate; both are None at the start. ``newest`` are the results stored since the last progress.
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


def label_of(gold: str | int | None, labels: tuple[str, ...]) -> str | None:
    """The gold label as spelled by the model: matched by name in any case or by number, else unchanged."""
    if gold is None:
        return None
    name = str(gold).strip()
    match = next((label for label in labels if label == name), None)
    match = match or next((label for label in labels if label.casefold() == name.casefold()), None)
    if match is None and name.isascii() and name.isdigit() and int(name) < len(labels):
        match = labels[int(name)]
    return match or name
