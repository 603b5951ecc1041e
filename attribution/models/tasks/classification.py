"""One of the model's labels for a whole text, or for a pair of texts."""

from __future__ import annotations

from typing import Any

from attribution.models.tasks import Probe, Task, filler_words
from attribution.request import Target


def _probe(words: int, several: bool, model: Any) -> Probe:
    labels = (0, 1) if several and len(model.info.labels) > 1 else 0
    return Probe(filler_words(words), target=Target(label=labels))


TASK = Task(
    name="classification",
    title="text classification",
    reader="attribution.models.readers.classification:Classification",
    heads=("ForSequenceClassification",),
    second="optional",
    classifies=True,
    has_labels=True,
    alternatives=True,
    word="classification",
    spellings=("text-classification", "sequence-classification", "classify"),
    every="each of the {count} classes",
    probe=_probe,
    example={"text": "The plot is thin, but the acting is wonderful."},
)
