"""What the pictures show of attention: all heads, one of them in full, and figures over the layers."""

from dataclasses import replace
from typing import Any

import numpy as np

from attribution.studies.attention import FIGURES, Attentions, Block, Figure

from ..chart import packed

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
AXES = ("attends to", "attended by")

Figures = list[tuple[Figure, np.ndarray]]
"""Each with its values [layers, heads]."""


def choose_head(maps: Attentions, kind: object, layer: object, head: object) -> tuple[Block, tuple[int, int]]:
    """The heads of a kind, and the layer and head to show; numbers below 0 and what is none mean the last.

    Where there is no such kind, layer or head, as a link or another model may have it, the nearest.
    """
    block = maps.block(str(kind) if kind in maps.kinds else None)

    def within(index: object, count: int) -> int:
        index = index if isinstance(index, int) else -1
        return count - 1 if index < 0 else min(index, count - 1)

    return block, (within(layer, block.layers), within(head, block.heads))


def overview(maps: Attentions, block: Block, at: tuple[int, int], figures: Figures) -> dict[str, Any]:
    """The value of ``HeadGrid``."""
    thumbs = thumbnails(block)
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


def thumbnails(block: Block) -> np.ndarray:
    """Thumbnails [layers, heads, rows, columns]: the largest weight of each part, over the head's largest."""
    side = min(THUMB, int((THUMBS / (block.layers * block.heads)) ** 0.5))
    small = block.weights
    for axis in (2, 3):
        count = min(side, small.shape[axis])
        starts = np.arange(count) * small.shape[axis] // count
        small = np.maximum.reduceat(small, starts, axis=axis)
    return small / np.maximum(small.max((2, 3), keepdims=True), np.finfo(np.float32).tiny)


def figure_values(block: Block) -> Figures:
    """The figures that are defined for these heads, each with its values [layers, heads]."""
    figures = [(figure, figure.of(block)) for figure in FIGURES.values()]
    return [(figure, values) for figure, values in figures if not np.isnan(values).all()]


def _plain(values: np.ndarray) -> list[Any]:
    """Rounded numbers for JSON, with None for NaN."""
    rounded = np.round(values, 4)
    return np.where(np.isnan(rounded), None, rounded).tolist()


def one_head(maps: Attentions, block: Block, at: tuple[int, int]) -> tuple[dict[str, Any], dict[str, Any]]:
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
        for figure, [[value]] in figure_values(head_alone)
    ]
    return f"This head: {', '.join(values)}. {maps.where}"


def curves_over_layers(figures: Figures) -> dict[str, Any]:
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
