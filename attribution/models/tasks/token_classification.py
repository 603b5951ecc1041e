"""A label for each word of a text, such as the kind of a name."""

from __future__ import annotations

from typing import Any

from attribution.models.tasks import Probe, Task, filler_words
from attribution.request import Target


def _probe(words: int, several: bool, _model: Any) -> Probe:
    return Probe(filler_words(words), target=Target(position=(0, 1) if several else 0))


TASK = Task(
    name="token_classification",
    title="token classification",
    reader="attribution.models.readers.token_classification:TokenClassification",
    heads=("ForTokenClassification",),
    has_labels=True,
    has_positions=True,
    alternatives=True,
    word="entities",
    spellings=("ner", "named-entity-recognition", "token-classification"),
    heading="The model says about “{word}”",
    summary="{outputs}",
    every="each of the {count} labelled tokens",
    table_heading="The labels of the first of them:",
    probe=_probe,
)
