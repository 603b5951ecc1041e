"""The page of attention: every head of a model, one of them in full, and what the heads add up to."""

from dataclasses import replace
from functools import partial
from typing import Any

import gradio as gr
import numpy as np

from attribution import list_methods
from attribution.engine import Engine
from attribution.errors import AttributionError, Cancelled
from attribution.models.sources import catalogue
from attribution.studies.attention import FIGURES, Attentions, Block, Figure, attentions

from ..controls.fields import Field, Form, Values
from ..controls.inputs import examples_field, length_field, model_field, text_fields
from ..controls.links import copy_link
from ..languages import say
from ..live.answers import QUIET, STALE, failed, light, said
from ..live.drawing import Drawings, drawing
from ..live.latest import Overtaken
from ..pictures.arcs import Arcs
from ..pictures.chart import packed
from ..pictures.curves import Curves
from ..pictures.head_grid import HeadGrid
from ..pictures.matrix import Matrix
from ..pictures.multiples import Multiples
from . import page

SUMS = ("attention", "attention_rollout", "attention_flow")
"""The methods that combine all heads."""
THUMB = 16
"""Rows and columns of a thumbnail of a head, at most."""
THUMBS = 1 << 16
"""Bytes of all thumbnails, at most."""
ARCS = 400
"""Arcs that are sent; the visitor chooses how many of them are drawn."""
DRAWN = 40
"""Arcs that are drawn at first."""

KINDS = {
    "self": "Attention",
    "encoder": "Encoder",
    "decoder": "Decoder",
    "cross": "Cross-attention",
    "first": "First text",
    "second": "Second text",
}
CAVEAT = (
    "Attention is not explanation: it shows where a head looks, not what the model does with it "
    "(Jain & Wallace 2019); what it can and cannot show is debated (Wiegreffe & Pinter 2019)."
)
AXES = ("attends", "attended to")

Figures = list[tuple[Figure, np.ndarray]]
"""Each with its values [layers, heads]."""


@page(path="attention", title="Attention", order=30)
def attention(engine: Engine, demo: gr.Blocks) -> None:
    """Which token attends to which."""
    fitting = [e.name for e in catalogue.entries() if list_methods()["attention"].why_not(e.task) is None]
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

    draw = drawing(demo, form.controls, [grid, matrix, arcs, curves, sums], partial(_answers, engine))
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


def _answers(engine: Engine, values: Values, superseded: Overtaken) -> Drawings:
    """The heads, one of them as a matrix and as arcs, and the curves; then all heads combined, one method after the other."""
    maps = _maps(engine, values, superseded)
    block, at = _chosen(maps, values)
    items: list[dict[str, Any]] = [{"title": list_methods()[name].title} for name in SUMS]
    figures = _figures(block)
    yield (
        _overview(maps, block, at, figures),
        *_one_head(maps, block, at),
        _curves(figures),
        {"items": list(items), "more": True},
    )
    for i, name in enumerate(SUMS):
        items[i] = items[i] | _combine(engine, name, values, superseded)
        yield STALE, STALE, STALE, STALE, {"items": list(items), "more": i + 1 < len(SUMS)}


def _head(engine: Engine, values: Values, superseded: Overtaken) -> Drawings:
    """The head that a visitor chose."""
    maps = _maps(engine, values, superseded)
    yield _one_head(maps, *_chosen(maps, values))


def _arguments(values: Values) -> dict[str, Any]:
    return {"second": values["second"] or None, "max_new_tokens": values["max_new_tokens"]}


def _maps(engine: Engine, values: Values, superseded: Overtaken) -> Attentions:
    return attentions(engine, values["text"], values["model"], **_arguments(values), cancelled=superseded)


def _combine(engine: Engine, method: str, values: Values, superseded: Overtaken) -> dict[str, Any]:
    """A method's scores, or its error, which does not lose the others."""
    try:
        result = engine.attribute(
            values["text"], values["model"], method, **_arguments(values), cancelled=superseded
        )
        return {"attribution": light(result)}
    except Cancelled:
        raise
    except AttributionError as error:
        return failed(error)


def _chosen(maps: Attentions, values: Values) -> tuple[Block, tuple[int, int]]:
    """The heads of a kind, and the layer and head to show: the nearest existing ones, for another model may have fewer."""
    block = maps.block(values["kind"] if values["kind"] in maps.kinds else None)

    def within(index: Any, count: int) -> int:
        index = index if isinstance(index, int) else -1
        return count - 1 if index < 0 else min(index, count - 1)

    return block, (within(values["layer"], block.layers), within(values["head"], block.heads))


def _overview(maps: Attentions, block: Block, at: tuple[int, int], figures: Figures) -> dict[str, Any]:
    """The value of ``HeadGrid``."""
    thumbs = _thumbs(block)
    return {
        "layers": block.layers,
        "heads": block.heads,
        "side": thumbs.shape[2:],
        "thumbs": packed(thumbs, 8),
        "figures": [
            {
                "title": figure.title,
                "unit": figure.unit,
                "meaning": figure.meaning,
                "scale": float(np.nanmax(values)) or 1.0,
                "values": _plain(values),
            }
            for figure, values in figures
        ],
        "kinds": [{"kind": kind, "title": KINDS[kind]} for kind in maps.kinds],
        "kind": block.kind,
        "chosen": at,
        "note": CAVEAT,
    }


def _thumbs(block: Block) -> np.ndarray:
    """Thumbnails [layers, heads, rows, columns]: the largest weight of each part of the map, over the head's largest."""
    side = min(THUMB, int((THUMBS / (block.layers * block.heads)) ** 0.5))
    small = block.weights
    for axis in (2, 3):
        count = min(side, small.shape[axis])
        starts = np.arange(count) * small.shape[axis] // count
        small = np.maximum.reduceat(small, starts, axis=axis)
    return small / np.maximum(small.max((2, 3), keepdims=True), np.finfo(np.float32).tiny)


def _figures(block: Block) -> Figures:
    """The figures that are defined for these heads, each with its values [layers, heads]."""
    figures = [(figure, figure.of(block)) for figure in FIGURES.values()]
    return [(figure, values) for figure, values in figures if not np.isnan(values).all()]


def _plain(values: np.ndarray) -> list[Any]:
    """Rounded numbers for JSON, with None for NaN."""
    rounded = np.round(values, 4)
    return np.where(np.isnan(rounded), None, rounded).tolist()


def _one_head(maps: Attentions, block: Block, at: tuple[int, int]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The values of ``Matrix`` and ``Arcs`` for one head."""
    weights = block.weights[at]
    labels = [token.text for token in maps.tokens]
    rows, columns = (
        labels[block.queries.start : block.queries.stop],
        labels[block.keys.start : block.keys.stop],
    )
    layer = f"{KINDS[block.kind]}, layer" if len(maps.blocks) > 1 else "Layer"
    common = {
        "title": f"{layer} {at[0]}, head {at[1]}",
        "rows": rows,
        "columns": columns,
        "scale": float(weights.max()),
        "unit": "attention weight",
        "axes": AXES,
    }
    note = _sentence(maps, block, at)
    matrix = {**common, "weights": packed(weights), "causal": block.causal, "note": note}
    strongest = np.argsort(-weights, axis=None, kind="stable")[:ARCS]
    places = [np.unravel_index(place, weights.shape) for place in strongest if weights.flat[place] > 0]
    network = [[int(query), int(key), round(float(weights[query, key]), 5)] for query, key in places]
    return matrix, {**common, "arcs": network, "shown": DRAWN}


def _sentence(maps: Attentions, block: Block, at: tuple[int, int]) -> str:
    """The figures of one head, and where the prediction is read."""
    layer, head = at
    head_alone = replace(block, weights=block.weights[layer : layer + 1, head : head + 1])
    values = [
        f"{figure.title.lower()} {float(value):.2g}{'' if figure.share else ' tokens'}"
        for figure, [[value]] in _figures(head_alone)
    ]
    return f"This head: {', '.join(values)}. {maps.where}"


def _curves(figures: Figures) -> dict[str, Any]:
    """The value of ``Curves``: each figure over the layers, the mean over heads and the heads themselves."""
    charts = [
        {
            "title": figure.title,
            "y": figure.unit,
            "x": "layer",
            "lines": [{"name": "mean over heads", "values": _plain(values.mean(1)), "dots": _plain(values)}],
            **({"range": [0, 1]} if figure.share else {}),
        }
        for figure, values in figures
    ]
    return {"title": "From layer to layer: the mean over heads, and each head as a dot", "charts": charts}


def _turned_kind(event: gr.EventData) -> str:
    return str(said(event).get("kind", ""))


def _selected_head(event: gr.EventData) -> list[Any]:
    return [said(event).get(name, 0) for name in ("layer", "head")]
