"""Scores and human marks, word by word."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attribution.errors import Unsupported, quote
from attribution.metrics.common.case import Case

THRESHOLD_HELP = "The weight from which a word counts as marked; 0.5: by at least half of the people."
K_HELP = "How many words are compared; 0: as many as people marked."
ALIKE = "People marked all words alike, so there is nothing to agree with."


@dataclass(frozen=True)
class ScoresAndMarks:
    """``scores`` and ``marks`` of the words that people judged, float64 [words] each, in the same direction.

    With signs on both sides, larger means that a word speaks more for the explained output; otherwise marks
    are absolute.
    """

    scores: np.ndarray
    marks: np.ndarray

    def mask_marked(self, threshold: float) -> np.ndarray:
        """Which words people marked, bool [words].

        Raises ``Unsupported`` where that is none or all of them.
        """
        marked: np.ndarray = self.marks >= threshold
        if not marked.any() or marked.all():
            raise Unsupported(
                f"People marked {'all' if marked.all() else 'none'} of the {len(marked)} words."
            )
        return marked

    def mask_top(self, k: int) -> np.ndarray:
        """The ``k`` words with the highest scores, bool [words]; ties in reading order."""
        top: np.ndarray = np.zeros(len(self.scores), dtype=bool)
        top[np.argsort(-self.scores, kind="stable")[:k]] = True
        return top


def compare_with_marks(case: Case) -> ScoresAndMarks:
    """A case's scores and marks, in the same direction.

    Marks for the other of two labels change sign. Scores without signs are compared with absolute marks.
    Raises ``Unsupported`` where the marks speak for a label that is not the explained one.
    """
    assert case.marks is not None and case.rationale is not None
    marked = ~np.isnan(case.rationale)
    scores, marks = case.scores[marked], case.rationale[marked]
    if not len(marks):
        raise Unsupported("People's marks say nothing about these words.")
    if case.marks.signed and not case.signed:
        return ScoresAndMarks(scores, np.abs(marks))
    direction = _direction(case)
    return (
        ScoresAndMarks(scores, direction * marks)
        if case.marks.signed
        else ScoresAndMarks(direction * scores if case.signed else scores, marks)
    )


def _direction(case: Case) -> float:
    """1 where marks speak for the explained label, −1 where they speak for the other of two."""
    assert case.marks is not None
    label, explained = case.marks.label, case.attribution.outputs[case.row].text
    labels = case.attribution.model.labels
    if label is None or label == explained:
        return 1.0
    if len(labels) == 2 and label in labels:
        return -1.0
    raise Unsupported(
        f"The marks speak for {quote(label)}, and {quote(explained)} is explained.", "Explain that label."
    )
