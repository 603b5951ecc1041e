"""The answer to a question, as a span of a second text."""

from __future__ import annotations

from typing import Any

from attribution.models.tasks import Probe, Task, filler_pair
from attribution.request import Target


def _probe(words: int, several: bool, _model: Any) -> Probe:
    return Probe(*filler_pair(words), Target(label=None if several else "start"))


TASK = Task(
    name="question_answering",
    title="question answering",
    reader="attribution.models.readers.question_answering:QuestionAnswering",
    heads=("ForQuestionAnswering",),
    second="required",
    second_hint="A question needs the text that answers it: give it as second.",
    parts=("Question", "Text"),
    word="answers",
    spellings=("question-answering", "qa", "extractive-question-answering"),
    summary="Answer: {text}",
    every="the start and the end of the answer",
    probe=_probe,
)
