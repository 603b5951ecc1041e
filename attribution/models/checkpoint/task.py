"""Which task a model is for, by its class."""

from __future__ import annotations

from transformers import PreTrainedModel

from attribution.errors import Unsupported
from attribution.models import tasks
from attribution.models.tasks import Task


def resolve_task(task: Task | str | None, model: PreTrainedModel) -> Task:
    """The task that a caller names, by default that of the model's class or of one that it derives from.

    Raises ``BadOption``, ``Unsupported``.
    """
    if task is None or task == "":
        return task_of(model)
    return task if isinstance(task, Task) else tasks.find(task)


def task_of(model: PreTrainedModel) -> Task:
    """The task of a model's class. Raises ``Unsupported`` where there is none."""
    for kind in type(model).__mro__:
        for task in tasks.list_tasks().values():
            if task.serves_class(kind.__name__, model.config):
                return task
    raise Unsupported(
        f"{type(model).__name__} is not a model for classification, masked or generated text, "
        "question answering or similarity.",
        f"If it works like one of them, name the task: load(model, tokenizer, task=...) with one of "
        f"{', '.join(tasks.list_tasks())}.",
    )


def check_one_sided(model: PreTrainedModel) -> None:
    """Raise ``Unsupported`` for a classifier with an encoder and a decoder: its head needs ids."""
    if getattr(model.config, "is_encoder_decoder", False):
        raise Unsupported(
            f"{type(model).__name__} classifies with an encoder and a decoder, and takes no embeddings.",
            "Load it as a function of texts: load() does so for a folder or a name.",
        )
