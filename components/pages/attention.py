"""The page of attention: every head of a model, one of them in full, and what the heads add up to."""

from functools import partial
from typing import Any

import gradio as gr

from attribution import list_methods
from attribution.engine import Engine
from attribution.errors import AttributionError, Cancelled
from attribution.models.sources import catalogue
from attribution.studies.attention import Attentions, attentions

from ..controls.fields import Field, Form, Values
from ..controls.inputs import examples_field, length_field, model_field, text_fields
from ..controls.links import copy_link
from ..languages import say
from ..live.answers import QUIET, STALE, attribution_value, error_value, event_data
from ..live.drawing import Drawings, drawing
from ..live.latest import Superseded
from ..pictures.arcs import Arcs
from ..pictures.curves import Curves
from ..pictures.head_grid import HeadGrid
from ..pictures.matrix import Matrix
from ..pictures.multiples import Multiples
from ..pictures.values import attention as pictured
from . import page

SUMS = ("attention", "attention_rollout", "attention_flow")
"""The methods that combine all heads."""


@page(path="attention", title="Attention", order=30)
def attention(engine: Engine, demo: gr.Blocks) -> None:
    """Which token attends to which."""
    fitting = [
        e.name for e in catalogue.entries() if list_methods()["attention"].unsupported_reason(e.task) is None
    ]
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=320):
            text, second = text_fields()
            examples = examples_field(elem_id="try")
        with gr.Column(scale=1, min_width=280):
            model, length = model_field(engine, fitting), length_field(engine)
            kind, layer, head = _head_fields()
            form = Form(engine, [text, model, second, length, kind, layer, head, examples])
            copy_link(form.controls)
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=320):
            grid = HeadGrid(elem_id="heads", label=say("All heads"))
        with gr.Column(scale=1, min_width=320):
            matrix = Matrix(elem_id="matrix", label=say("One head as a matrix"))
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=320):
            arcs = Arcs(elem_id="arcs", label=say("One head as a network"))
        with gr.Column(scale=1, min_width=320):
            sums = Multiples(elem_id="sums", label=say("All heads combined"))
    curves = Curves(elem_id="curves", label=say("From layer to layer"))

    draw = drawing(demo, form.controls, [grid, matrix, arcs, curves, sums], partial(draw_heads, engine))
    draw_head = drawing(demo, form.controls, [matrix, arcs], partial(_head, engine))
    form.on_change(**draw)
    grid.turn(_turned_kind, None, [kind.control], **QUIET).then(**draw)
    grid.select(_selected_head, None, [layer.control, head.control], **QUIET).then(**draw_head)
    form.on_model().then(**draw)
    form.offer(examples.control)
    form.on_open(demo).then(**draw)


def _head_fields() -> tuple[Field, Field, Field]:
    """The kind of attention, and the layer and the number of the head that is shown; layer -1 is the last."""
    kind = gr.Textbox("", visible="hidden")
    layer, head = (gr.Number(start, visible="hidden", precision=0) for start in (-1, 0))
    return (
        Field(kind, "kind", lambda link: link.query.get("kind", ""), redraws=False),
        Field(layer, "layer", lambda link: link.number("layer", -1), redraws=False),
        Field(head, "head", lambda link: link.number("head", 0), redraws=False),
    )


def draw_heads(engine: Engine, values: Values, superseded: Superseded) -> Drawings:
    """All heads, one of them in full, and the curves; then all heads combined, method by method."""
    maps = _maps(engine, values, superseded)
    block, at = pictured.choose_head(maps, values["kind"], values["layer"], values["head"])
    items: list[dict[str, Any]] = [{"title": list_methods()[name].title} for name in SUMS]
    figures = pictured.figure_values(block)
    yield (
        pictured.overview(maps, block, at, figures),
        *pictured.one_head(maps, block, at),
        pictured.curves_over_layers(figures),
        {"items": list(items), "more": True},
    )
    for i, name in enumerate(SUMS):
        items[i] = items[i] | _combine(engine, name, values, superseded)
        yield STALE, STALE, STALE, STALE, {"items": list(items), "more": i + 1 < len(SUMS)}


def _head(engine: Engine, values: Values, superseded: Superseded) -> Drawings:
    """The head that a visitor chose."""
    maps = _maps(engine, values, superseded)
    yield pictured.one_head(
        maps, *pictured.choose_head(maps, values["kind"], values["layer"], values["head"])
    )


def _arguments(values: Values) -> dict[str, Any]:
    return {"second": values["second"] or None, "max_new_tokens": values["max_new_tokens"]}


def _maps(engine: Engine, values: Values, superseded: Superseded) -> Attentions:
    return attentions(engine, values["text"], values["model"], **_arguments(values), cancelled=superseded)


def _combine(engine: Engine, method: str, values: Values, superseded: Superseded) -> dict[str, Any]:
    """A method's scores, or its error, which does not lose the others."""
    try:
        result = engine.attribute(
            values["text"], values["model"], method, **_arguments(values), cancelled=superseded
        )
        return {"attribution": attribution_value(result)}
    except Cancelled:
        raise
    except AttributionError as error:
        return error_value(error)


def _turned_kind(event: gr.EventData) -> str:
    return str(event_data(event).get("kind", ""))


def _selected_head(event: gr.EventData) -> list[Any]:
    return [event_data(event).get(name, 0) for name in ("layer", "head")]
