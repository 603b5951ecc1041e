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
from attribution.settings import DEFAULT_MODEL
from attribution.studies.attention import FIGURES, Attentions, Block, Figure, attentions

from ..controls import choices
from ..controls.inputs import LENGTH, length_slider, model_box, text_boxes
from ..controls.links import copy_link
from ..controls.options import given, whole
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
"""The methods that make scores of the whole."""
THUMB = 16
"""Rows and columns of a head's small picture, at most."""
THUMBS = 1 << 16
"""Bytes of all small pictures, at most."""
ARCS = 400
"""Arcs that are sent; how many of them are drawn a person chooses."""
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
    """Which token looks at which."""
    fitting = [e.name for e in catalogue.entries() if list_methods()["attention"].why_not(e.task) is None]
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=320):
            text, second = text_boxes(DEFAULT_MODEL)
            examples = gr.Dataset(
                components=["text"],
                samples=choices.samples(DEFAULT_MODEL),
                label=say("Examples"),
                elem_id="try",
            )
        with gr.Column(scale=1, min_width=280) as side:
            model = model_box(engine, DEFAULT_MODEL, fitting)
            length = length_slider(engine)
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
    kind = gr.Textbox("", visible="hidden")
    layer, head = gr.Number(-1, visible="hidden", precision=0), gr.Number(0, visible="hidden", precision=0)

    controls = {
        "text": text,
        "model": model,
        "second": second,
        "max_new_tokens": length,
        "kind": kind,
        "layer": layer,
        "head": head,
    }
    with side:
        copy_link(controls)

    def opened(request: gr.Request) -> list[Any]:
        return _open(engine, dict(request.query_params))

    draw = drawing(demo, controls, [grid, matrix, arcs, curves, sums], partial(_answers, engine))
    draw_head = drawing(demo, controls, [matrix, arcs], partial(_head, engine))
    gr.on([text.change, second.change, length.change], **draw)
    grid.turn(_turned, None, [kind], **QUIET).then(**draw)
    grid.select(_selected, None, [layer, head], **QUIET).then(**draw_head)
    model.input(_choose_model, [model], [second, length, examples], **QUIET).then(**draw)
    examples.click(choices.chosen_example, [examples, model], [text, second], **QUIET)
    demo.load(opened, None, [*controls.values(), examples], **QUIET).then(**draw)


def _answers(engine: Engine, asked: dict[str, Any], overtaken: Overtaken) -> Drawings:
    """The heads, one of them as a matrix and as arcs, and the curves; then what they add up to, one method after the other."""
    found = _found(engine, asked, overtaken)
    block, at = _chosen(found, asked)
    items: list[dict[str, Any]] = [{"title": list_methods()[name].title} for name in SUMS]
    figures = _figures(block)
    yield (
        _overview(found, block, at, figures),
        *_shown(found, block, at),
        _curves(figures),
        {"items": list(items), "more": True},
    )
    for i, name in enumerate(SUMS):
        items[i] = items[i] | _summed(engine, name, asked, overtaken)
        yield STALE, STALE, STALE, STALE, {"items": list(items), "more": i + 1 < len(SUMS)}


def _head(engine: Engine, asked: dict[str, Any], overtaken: Overtaken) -> Drawings:
    """One head, which a person chose."""
    found = _found(engine, asked, overtaken)
    yield _shown(found, *_chosen(found, asked))


def _given(asked: dict[str, Any]) -> dict[str, Any]:
    return {"second": asked["second"] or None, "max_new_tokens": asked["max_new_tokens"]}


def _found(engine: Engine, asked: dict[str, Any], overtaken: Overtaken) -> Attentions:
    return attentions(engine, asked["text"], asked["model"], **_given(asked), cancelled=overtaken)


def _summed(engine: Engine, method: str, asked: dict[str, Any], overtaken: Overtaken) -> dict[str, Any]:
    """A method's scores; its error stands in its place and does not lose the others."""
    try:
        return {
            "attribution": light(
                engine.attribute(asked["text"], asked["model"], method, **_given(asked), cancelled=overtaken)
            )
        }
    except Cancelled:
        raise
    except AttributionError as error:
        return failed(error)


def _chosen(found: Attentions, asked: dict[str, Any]) -> tuple[Block, tuple[int, int]]:
    """The heads of a kind and the one that is asked for; the nearest there is, for another model may have fewer."""
    block = found.block(asked["kind"] if asked["kind"] in found.kinds else None)

    def within(index: Any, count: int) -> int:
        index = index if isinstance(index, int) else -1
        return count - 1 if index < 0 else min(index, count - 1)

    return block, (within(asked["layer"], block.layers), within(asked["head"], block.heads))


def _overview(found: Attentions, block: Block, at: tuple[int, int], figures: Figures) -> dict[str, Any]:
    """The value of ``HeadGrid``."""
    thumbs = _thumbs(block)
    return {
        "layers": block.layers,
        "heads": block.heads,
        "side": thumbs.shape[2:],
        "thumbs": packed(thumbs, 8),
        "figures": [
            {
                "title": one.title,
                "unit": one.unit,
                "meaning": one.meaning,
                "scale": float(np.nanmax(values)) or 1.0,
                "values": _plain(values),
            }
            for one, values in figures
        ],
        "kinds": [{"kind": kind, "title": KINDS[kind]} for kind in found.kinds],
        "kind": block.kind,
        "chosen": at,
        "note": CAVEAT,
    }


def _thumbs(block: Block) -> np.ndarray:
    """Small pictures [layers, heads, rows, columns]: the largest weight of each part of the map, over the largest of the head."""
    side = min(THUMB, int((THUMBS / (block.layers * block.heads)) ** 0.5))
    small = block.weights
    for axis in (2, 3):
        count = min(side, small.shape[axis])
        starts = np.arange(count) * small.shape[axis] // count
        small = np.maximum.reduceat(small, starts, axis=axis)
    return small / np.maximum(small.max((2, 3), keepdims=True), np.finfo(np.float32).tiny)


def _figures(block: Block) -> Figures:
    """The figures that are defined for these heads, each with its values [layers, heads]."""
    found = [(one, one.of(block)) for one in FIGURES.values()]
    return [(one, values) for one, values in found if not np.isnan(values).all()]


def _plain(values: np.ndarray) -> list[Any]:
    """Rounded numbers for JSON, with None for NaN."""
    rounded = np.round(values, 4)
    return np.where(np.isnan(rounded), None, rounded).tolist()


def _shown(found: Attentions, block: Block, at: tuple[int, int]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The values of ``Matrix`` and ``Arcs`` for one head."""
    weights = block.weights[at]
    labels = [token.text for token in found.tokens]
    rows, columns = (
        labels[block.queries.start : block.queries.stop],
        labels[block.keys.start : block.keys.stop],
    )
    same = {
        "title": f"{f'{KINDS[block.kind]}, layer' if len(found.blocks) > 1 else 'Layer'} {at[0]}, head {at[1]}",
        "rows": rows,
        "columns": columns,
        "scale": float(weights.max()),
        "unit": "attention weight",
        "axes": AXES,
    }
    matrix = {**same, "weights": packed(weights), "causal": block.causal, "note": _sentence(found, block, at)}
    strongest = np.argsort(-weights, axis=None, kind="stable")[:ARCS]
    places = [np.unravel_index(place, weights.shape) for place in strongest if weights.flat[place] > 0]
    network = [[int(query), int(key), round(float(weights[query, key]), 5)] for query, key in places]
    return matrix, {**same, "arcs": network, "shown": DRAWN}


def _sentence(found: Attentions, block: Block, at: tuple[int, int]) -> str:
    """The figures of one head, and where the prediction is read."""
    layer, head = at
    alone = replace(block, weights=block.weights[layer : layer + 1, head : head + 1])
    values = [
        f"{one.title.lower()} {float(value):.2g}{'' if one.share else ' tokens'}"
        for one, [[value]] in _figures(alone)
    ]
    return f"This head: {', '.join(values)}. {found.where}"


def _curves(figures: Figures) -> dict[str, Any]:
    """The value of ``Curves``: each figure over the layers, the mean over heads and the heads themselves."""
    charts = [
        {
            "title": one.title,
            "y": one.unit,
            "x": "layer",
            "lines": [{"name": "mean over heads", "values": _plain(values.mean(1)), "dots": _plain(values)}],
            **({"range": [0, 1]} if one.share else {}),
        }
        for one, values in figures
    ]
    return {"title": "From layer to layer: the mean over heads, and each head as a dot", "charts": charts}


def _turned(event: gr.EventData) -> str:
    return str(said(event).get("kind", ""))


def _selected(event: gr.EventData) -> list[Any]:
    return [said(event).get(name, 0) for name in ("layer", "head")]


def _choose_model(model: str) -> tuple[Any, ...]:
    return (
        gr.Textbox(value=choices.first_second(model), visible=choices.takes_second(model)),
        choices.length_slider(model),
        gr.Dataset(samples=choices.samples(model)),
    )


def _open(engine: Engine, asked: dict[str, str]) -> list[Any]:
    """The controls as a link asks for them, ``?text=...&model=...&kind=...&layer=...&head=...``."""
    model = choices.model_of(engine, asked)
    longest = engine.settings.max_characters + 1
    first = choices.first_second(model)
    second = given(asked, "second", longest) or ({"value": first} if first else {})
    length = min(whole(asked, "max_new_tokens", LENGTH) or LENGTH, engine.settings.max_new_tokens)
    return [
        asked.get("text", choices.examples_of(model)[0])[:longest],
        model,
        gr.Textbox(**second, visible=choices.takes_second(model)),
        choices.length_slider(model, value=length),
        asked.get("kind", ""),
        whole(asked, "layer", -1),
        whole(asked, "head", 0),
        gr.Dataset(samples=choices.samples(model)),
    ]
