"""What pages offer for a model: examples, methods, targets, contrasts, a second text."""

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from attribution import list_methods
from attribution.engine import Engine
from attribution.errors import AttributionError
from attribution.models.sources import catalogue
from attribution.models.targets.labels import RUNNER_UP
from attribution.models.tasks import Task, list_tasks
from attribution.request import Request
from attribution.settings import DEFAULT_MODEL

from .values import EVERYTHING, ITSELF, NOTHING


def linked_model(engine: Engine, query: Mapping[str, str]) -> str:
    """The model that a link names, where this server takes it; else the default."""
    entry = catalogue.find(query.get("model", ""))
    custom = query.get("model") if engine.store.any_model else None
    return entry.name if entry else custom or DEFAULT_MODEL


def lead(models: Sequence[str]) -> str:
    """The model whose examples, labels and positions a page offers."""
    return models[0] if models else DEFAULT_MODEL


def examples_of(model: str) -> tuple[str, ...]:
    """Texts to start with."""
    entry = catalogue.find(model)
    return (entry.examples if entry else ()) or ("This movie is absolutely fantastic!",)


def samples(model: str) -> list[list[str]]:
    """The examples as the rows of a ``gr.Dataset``."""
    return [[text] for text in examples_of(model)]


def task_of(model: str) -> Task | None:
    """The task of a model, None if only the loaded model shows it."""
    entry = catalogue.find(model)
    return list_tasks().get(entry.task) if entry else None


def method_choices(*models: str) -> list[tuple[str, str]]:
    """The methods that fit the tasks of all models, by default of the default model."""
    tasks = [task for model in models or (DEFAULT_MODEL,) if (task := task_of(model)) is not None]
    return [(m.title, m.name) for m in list_methods().values() if not any(map(m.unsupported_reason, tasks))]


def method_names(*models: str) -> list[str]:
    """The names in ``method_choices``."""
    return [name for _, name in method_choices(*models)]


def method_of(name: str) -> str:
    """The method of a name or an alias, "" where there is none."""
    return next((m.name for m in list_methods().values() if name.strip() in (m.name, *m.aliases)), "")


def method_title(name: str) -> str:
    """The method's display name; the name itself if there is no such method."""
    method = list_methods().get(name)
    return method.title if method else name


def about_method(method: str) -> str:
    """The cost of a method. The text under the picture says what it shows."""
    return f"*Cost: {list_methods()[method].cost}.*"


SLOW = 1.0
"""Seconds from which a page shows the estimated time."""


def cost_of(engine: Engine, request: Request) -> str:
    """How long a request will take on this machine, in words; "" where that is short or unknown.

    Never loads a model: a visitor should not wait for a remark.
    """
    try:
        if engine.store.source(request.model, request.task).name not in engine.store.loaded():
            return ""
        estimate = engine.estimate(request)
    except AttributionError:
        return ""  # the picture will show it
    slow = estimate.seconds_high > SLOW and estimate.middle > SLOW / 2
    return f"*Here: {estimate.describe()}.*" if slow else ""


def guide(model: str) -> str:
    """Every method in Markdown: first those that fit the model, then the others with the reason."""
    task = task_of(model)
    fitting = [m for m in list_methods().values() if task is None or m.unsupported_reason(task) is None]
    others = [m for m in list_methods().values() if m not in fitting]
    lines = [f"**{m.title}.** {m.summary} {m.caveat} *Cost: {m.cost}.*" for m in fitting]
    lines += [f"**{m.title}** does not fit this model: {m.unsupported_reason(task)}" for m in others if task]
    return "\n\n".join(lines)


def targets(model: str) -> list[tuple[str, str]]:
    """The labels available before the model is loaded. In English: Gradio does not translate choices."""
    labels = catalogue.labels(model)
    return [
        ("the model's own prediction", ITSELF),
        *((label, label) for label in labels),
        *([("every label", EVERYTHING)] if len(labels) > 1 else []),
    ]


def contrasts(model: str) -> list[tuple[str, str]]:
    """The labels that an explained label can be contrasted with."""
    labels = catalogue.labels(model)
    return [("no contrast", NOTHING), ("the runner-up", RUNNER_UP), *((label, label) for label in labels)]


def second_of(model: str, text: str) -> Any:
    """The second text of an example; nothing to change for a model without second texts."""
    entry = catalogue.find(model)
    if not entry or not entry.seconds:
        return gr.skip()
    return dict(zip(entry.examples, entry.seconds, strict=True)).get(text, "")


def may_write(model: str) -> bool:
    """Whether a model generates text, or may."""
    task = task_of(model)
    return task is None or task.writes


def first_position(model: str) -> str:
    """The first token that a model writes, as the position to start with; "" for models that do not write."""
    task = task_of(model)
    return "0" if task is not None and task.writes else ""


def first_second(model: str) -> str:
    """The second text of the first example, or ""."""
    entry = catalogue.find(model)
    return entry.seconds[0] if entry and entry.seconds else ""


def takes_second(model: str) -> bool:
    """Whether a model reads two texts, or may."""
    task = task_of(model)
    return task is None or task.second == "required"


def any_takes_second(models: Sequence[str]) -> bool:
    """Whether one of the models reads two texts, or may."""
    return any(map(takes_second, models))


def has_positions(model: str) -> bool:
    """Whether a model's output consists of tokens, or may."""
    task = task_of(model)
    return task is None or task.has_positions
