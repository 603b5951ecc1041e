"""Scores beside what people marked, word by word."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attribution.errors import Unsupported, quote
from attribution.metrics.common.case import Case

THRESHOLD_HELP = "The weight from which a word counts as marked; 0.5: by half of the people or more."
K_HELP = "How many words are taken; 0: as many as people marked."
ALIKE = "People marked all words alike, so there is nothing to agree with."


@dataclass(frozen=True)
class Compared:
    """``scores`` and ``marks`` of the words that people said something about, float64 [words] each.

    Both are in one direction. With signs on both sides the larger, the more a word speaks for what is
    explained; else marks are their size.
    """

    scores: np.ndarray
    marks: np.ndarray

    def marked(self, threshold: float) -> np.ndarray:
        """Which words people marked, bool [words].

        Raises ``Unsupported`` where that is none or all of them.
        """
        found: np.ndarray = self.marks >= threshold
        if not found.any() or found.all():
            raise Unsupported(f"People marked {'all' if found.all() else 'none'} of the {len(found)} words.")
        return found

    def taken(self, k: int) -> np.ndarray:
        """The ``k`` words with the highest scores, bool [words]; ties in reading order."""
        found: np.ndarray = np.zeros(len(self.scores), dtype=bool)
        found[np.argsort(-self.scores, kind="stable")[:k]] = True
        return found


def compared(case: Case) -> Compared:
    """A case's scores and marks.

    Raises ``Unsupported`` where the marks speak for another label than the one that is explained.

    Marks for the other of two labels are turned. A method without signs is compared with the size of signed
    marks.
    """
    assert case.marks is not None and case.rationale is not None
    known = ~np.isnan(case.rationale)
    scores, marks = case.scores[known], case.rationale[known]
    if not len(marks):
        raise Unsupported("People's marks say nothing about these words.")
    if case.marks.signed and not case.signed:
        return Compared(scores, np.abs(marks))
    turn = _direction(case)
    return (
        Compared(scores, turn * marks)
        if case.marks.signed
        else Compared(turn * scores if case.signed else scores, marks)
    )


def _direction(case: Case) -> float:
    """1 where marks speak for the explained label, −1 where for the other of two."""
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
