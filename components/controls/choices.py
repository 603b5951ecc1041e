"""What the live page offers for a model: examples, methods, targets, contrasts, a second text."""

from collections.abc import Mapping
from typing import Any

import gradio as gr

from attribution import list_methods
from attribution.engine import Engine
from attribution.errors import AttributionError
from attribution.models.labels import RUNNER_UP
from attribution.models.sources import catalogue
from attribution.settings import DEFAULT_MODEL
from attribution.types import WRITERS, Task

from .values import EVERYTHING, ITSELF, NOTHING


def model_of(engine: Engine, asked: Mapping[str, str]) -> str:
    """The model that a link names, where this server takes it; else the default."""
    wanted = catalogue.find(asked.get("model", ""))
    free = asked.get("model") if engine.store.any_model else None
    return wanted.name if wanted else free or DEFAULT_MODEL


def examples_of(model: str) -> tuple[str, ...]:
    entry = catalogue.find(model)
    return (entry.examples if entry else ()) or ("This movie is absolutely fantastic!",)


def samples(model: str) -> list[list[str]]:
    """The examples as the rows of a ``gr.Dataset``."""
    return [[text] for text in examples_of(model)]


def task_of(model: str) -> Task | None:
    """What the model is for, or None where that shows only once it is loaded."""
    entry = catalogue.find(model)
    return entry.task if entry else None


def method_choices(*models: str) -> list[tuple[str, str]]:
    """The methods that fit the task of every one of the models; without any, of the default model."""
    tasks = {task for model in models or (DEFAULT_MODEL,) if (task := task_of(model)) is not None}
    return [(m.title, m.name) for m in list_methods().values() if not any(map(m.why_not, tasks))]


def about_method(method: str) -> str:
    """What a method costs, under its name; what it shows stands beside the picture."""
    return f"*Cost: {list_methods()[method].cost}.*"


SLOW = 1.0
"""Seconds from which on a person is told before they wait."""


def cost_of(engine: Engine, model: str, method: str, text: str, **arguments: Any) -> str:
    """What a method will take for this text on this machine, as a sentence; "" where that is quick or cannot be told.

    ``arguments`` as for ``Engine.attribute``. Never loads a model: who opens a page should not wait for a remark.
    """
    try:
        if engine.store.source(model, arguments.get("task")).name not in engine.store.loaded():
            return ""
        found = engine.estimate(text, model, method, **arguments)
    except AttributionError:
        return ""  # the answer itself will say it
    return f"*Here: {found.said()}.*" if found.seconds_high > SLOW and found.middle > SLOW / 2 else ""


def guide(model: str) -> str:
    """Every method: first those that fit the model, then the others with the reason."""
    task = task_of(model)
    fitting = [m for m in list_methods().values() if task is None or m.why_not(task) is None]
    others = [m for m in list_methods().values() if m not in fitting]
    lines = [f"**{m.title}.** {m.summary} {m.caveat} *Cost: {m.cost}.*" for m in fitting]
    lines += [f"**{m.title}** does not fit this model: {m.why_not(task)}" for m in others if task]
    return "\n\n".join(lines)


def targets(model: str) -> list[tuple[str, str]]:
    """The labels to choose from, where they are known before the model is loaded. (Gradio does not translate choices.)"""
    labels = catalogue.labels(model)
    named = [(label, label) for label in labels]
    return [
        ("the model's own prediction", ITSELF),
        *named,
        *([("every label", EVERYTHING)] if len(labels) > 1 else []),
    ]


def contrasts(model: str) -> list[tuple[str, str]]:
    named = [(label, label) for label in catalogue.labels(model)]
    return [("no contrast", NOTHING), ("the runner-up", RUNNER_UP), *named]


def second_of(model: str, text: str) -> Any:
    """The second text that belongs to an example."""
    entry = catalogue.find(model)
    return (
        dict(zip(entry.examples, entry.seconds, strict=True)).get(text, "")
        if entry and entry.seconds
        else gr.skip()
    )


def chosen_example(sample: list[str], model: str) -> tuple[str, Any]:
    """The text and the second text of an example that a person clicked."""
    return sample[0], second_of(model, sample[0])


def length_slider(model: str, **more: Any) -> gr.Slider:
    return gr.Slider(visible=task_of(model) in (*WRITERS, None), **more)


def first_second(model: str) -> str:
    """The second text that a pair begins with."""
    entry = catalogue.find(model)
    return entry.seconds[0] if entry and entry.seconds else ""


def takes_second(model: str) -> bool:
    """Whether a model reads two texts, or may."""
    return task_of(model) in ("question_answering", "similarity", None)


def has_positions(model: str) -> bool:
    """Whether a model's answer consists of tokens, or may."""
    return task_of(model) not in ("classification", "question_answering", "similarity")
