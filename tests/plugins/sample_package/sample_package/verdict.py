"""A task: a classifier whose classes end with ``ForVerdict``."""

from attribution.models.tasks import Task

TASK = Task(
    name="verdict",
    title="verdicts",
    reader="attribution.models.readers.classification:Classification",
    heads=("ForVerdict",),
    classifies=True,
    has_labels=True,
    alternatives=True,
    word="verdict",
    heading="The verdict",
)
