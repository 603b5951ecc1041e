"""One text, several models: what they predict, which words drive each, and how two of them differ."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any

import gradio as gr

from attribution.engine import Engine
from attribution.models.sources import catalogue, hub
from attribution.models.tasks import list_tasks
from attribution.settings import DEFAULT_METHOD, DEFAULT_MODEL
from attribution.studies.comparison import Comparison

from ..api.comparison import compare_within_limits
from ..controls import choices
from ..controls.fields import Field, Form, Values
from ..controls.inputs import (
    POSITION_CHARACTERS,
    examples_field,
    models_field,
    position_box,
    target_field,
    text_fields,
)
from ..controls.links import copy_link
from ..controls.values import target_arguments
from ..languages import say
from ..live.answers import QUIET
from ..live.drawing import Drawings, drawing
from ..live.latest import Superseded
from ..pictures.matrix import Matrix
from ..pictures.multiples import Multiples
from ..pictures.panel import Panel
from ..pictures.values import comparison
from . import page
from .compare_methods import picked_field


@page(path="models", title="Compare models", order=20)
def compare_models(engine: Engine, demo: gr.Blocks) -> None:
    """One text and one method, several models."""
    start = models_at_hand(engine)
    with gr.Row(elem_id="compare", equal_height=False):
        with gr.Column(scale=3, min_width=320):
            text, second = text_fields(start[0])
            predictions = Matrix(elem_id="predictions", label=say("Predictions"))
            pictures = Multiples(elem_id="pictures", label=say("Models"))
            words = Panel(elem_id="words", label=say("Prediction and method"))
        with gr.Column(scale=1, min_width=280, elem_id="controls"):
            models, method = models_field(engine, start), _method_field(start)
            target, position = target_field(start[0]), _position_field(start[0])
            first, other = _pair_fields(start)
            examples = examples_field(start[0])
            picked = picked_field()
            fields = [text, second, models, method, target, position, first, other, picked, examples]
            form = Form(engine, fields, models=_linked_models)
            copy_link(form.controls)
    draw = drawing(demo, form.controls, [pictures, predictions, words], partial(_draw, engine))
    form.on_change(**draw)
    pictures.select(comparison.picked, None, [picked.control], **QUIET).then(**draw)
    form.on_model().then(**draw)
    form.offer(examples.control)
    form.on_open(demo).then(**draw)


def models_at_hand(engine: Engine) -> list[str]:
    """Models to start with: local ones for the default model's task, else local ones that write."""
    local = [entry for entry in catalogue.entries() if entry.name in hub.available_offline()]
    writers = [name for name, task in list_tasks().items() if task.writes]
    for tasks in ([entry.task for entry in local if entry.name == DEFAULT_MODEL], writers):
        names = [entry.name for entry in local if entry.task in tasks]
        if len(names) > 1:
            return names[: engine.settings.compared_models]
    return [DEFAULT_MODEL]


def _linked_models(engine: Engine, query: Mapping[str, str]) -> list[str]:
    """The ``models`` of a link; ``model``, which another page names, is the first of several."""
    named = [name.strip() for name in query.get("models", "").split(",") if name.strip()]
    models = [choices.linked_model(engine, {"model": name}) for name in named]
    if not models:
        models = _with_others(engine, query) if "model" in query else models_at_hand(engine)
    return list(dict.fromkeys(models))[: engine.settings.compared_models]


def _with_others(engine: Engine, query: Mapping[str, str]) -> list[str]:
    """A model with those at hand for its task."""
    model, local = choices.linked_model(engine, query), hub.available_offline()
    task = choices.task_of(model)
    return [
        model,
        *(e.name for e in catalogue.entries() if e.name in local and list_tasks().get(e.task) == task),
    ]


def _method_field(start: Sequence[str]) -> Field:
    """A method that was chosen stays where it fits all models."""

    def update(models: Sequence[str], method: str) -> gr.Dropdown:
        fits = method in choices.method_names(*models)
        return gr.Dropdown(choices.method_choices(*models), value=method if fits else DEFAULT_METHOD)

    box = gr.Dropdown(
        choices.method_choices(*start), value=DEFAULT_METHOD, label=say("Method"), elem_id="method"
    )
    return Field(
        box,
        "method",
        lambda link: update(link.models, choices.method_of(link.query.get("method", ""))),
        lambda models, values: update(models, values["method"]),
    )


def _position_field(start: str) -> Field:
    """A position that was chosen stays where one of the models writes."""

    def update(models: Sequence[str], written: str) -> gr.Textbox:
        writes = any(map(choices.has_positions, models))
        position = written or choices.first_position(choices.lead(models))
        return gr.Textbox(value=position if writes else "", visible=writes)

    return Field(
        position_box(choices.first_position(start)),
        "position",
        lambda link: update(link.models, link.query.get("position", "")[:POSITION_CHARACTERS]),
        lambda models, values: update(models, values["position"]),
    )


def _pair_fields(start: Sequence[str]) -> tuple[Field, Field]:
    """The two models whose difference is shown; one that was chosen stays while it is among the models."""

    def field(name: str, label: str, place: int) -> Field:
        def update(models: Sequence[str], chosen: str) -> gr.Dropdown:
            default = models[min(place, len(models) - 1)] if models else None
            return gr.Dropdown(list(models), value=chosen if chosen in models else default)

        box = gr.Dropdown(
            list(start), value=start[min(place, len(start) - 1)], label=say(label), elem_id=name
        )
        return Field(
            box,
            name,
            lambda link: update(link.models, link.query.get(name, "")),
            lambda models, values: update(models, values[name]),
        )

    return field("first", "Difference of", 0), field("other", "and", 1)


def _draw(engine: Engine, values: Values, superseded: Superseded) -> Drawings:
    """The rows, a matrix and the words of one attribution, as a comparison grows."""
    steps = compare_within_limits(
        engine,
        values["text"],
        values["models"],
        [values["method"]],
        cancelled=superseded,
        **target_arguments(values),
    )
    with closing(steps):
        for result in steps:
            yield _parts(values, result)


def _parts(values: Values, result: Comparison) -> tuple[dict[str, Any], ...]:
    pair = [result.models.index(name) for name in (values["first"], values["other"]) if name in result.models]
    both = len(set(pair)) == 2 and all(result.attributions[i] is not None for i in pair)
    difference = [comparison.difference(result, *pair)] if both else []
    row = values["picked"] or 0
    return (
        comparison.pictures(result, row, difference),
        comparison.predictions(result),
        comparison.words(result, row),
    )
