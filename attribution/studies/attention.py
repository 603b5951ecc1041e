"""Attention weights of every head of a model for a text, and figures that distinguish heads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from attribution.errors import BadOption, NotFinite, Unsupported, nearest, quote
from attribution.formats import shorten, show
from attribution.models.inside.attentions import Map, compute_maps, describe_output_rows, output_rows
from attribution.models.objective import Objective
from attribution.request.values import to_python
from attribution.settings import DEFAULT_MODEL
from attribution.types import ModelInfo, Prediction, Token

if TYPE_CHECKING:
    from attribution.engine import Engine, Model

Kind = Literal["self", "encoder", "decoder", "cross", "first", "second"]
"""Type of attention: self-attention of a single stack; the three types of an encoder-decoder; self-attention
in each of two texts that are encoded separately."""


@dataclass(frozen=True, eq=False)
class Block:
    """All heads of one kind of attention.

    Parameters
    ----------
    queries, keys : indices of the attending and the attended tokens in ``Attentions.tokens``.
    weights : float32 [layers, heads, queries, keys], read-only; softmax(QKᵀ/√d) of Vaswani et al. 2017,
        equation 1.
    special : bool [keys], which keys are special tokens.
    causal : whether no token attends to a later one.
    """

    kind: Kind
    queries: range
    keys: range
    weights: np.ndarray
    special: np.ndarray
    causal: bool

    @property
    def layers(self) -> int:
        """Number of layers."""
        return int(self.weights.shape[0])

    @property
    def heads(self) -> int:
        """Number of heads of each layer."""
        return int(self.weights.shape[1])


@dataclass(frozen=True, eq=False, repr=False)
class Attentions:
    """The attention weights of every head for a text.

    Parameters
    ----------
    tokens : the inputs, in reading order; for generation the generated prefix follows the text.
    blocks : one for each kind of attention of the model.
    read : indices of the tokens that the prediction is read from; ``where`` describes them in a sentence.
    """

    text: str
    model: ModelInfo
    tokens: tuple[Token, ...]
    blocks: tuple[Block, ...]
    prediction: Prediction
    read: tuple[int, ...]
    where: str

    KIND: ClassVar[str] = "attentions"

    def __repr__(self) -> str:
        sizes = ", ".join(f"{b.kind} {b.layers} layers × {b.heads} heads" for b in self.blocks)
        return f"<Attentions of {self.model.name} for {shorten(self.text)}: {sizes}>"

    def _repr_html_(self) -> str:
        return show(self, self.KIND)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of attention of the model."""
        return tuple(block.kind for block in self.blocks)

    def block(self, kind: str | None = None) -> Block:
        """The block of a kind, by default the first. Raises ``BadOption``."""
        for block in self.blocks:
            if kind in (block.kind, None):
                return block
        raise BadOption(
            f"This model has no attention of the kind {quote(kind)}.", nearest(kind or "", self.kinds)
        )

    def layers(self, kind: str | None = None) -> int:
        """Number of layers of a kind of attention."""
        return self.block(kind).layers

    def heads(self, kind: str | None = None) -> int:
        """Number of heads of each layer."""
        return self.block(kind).heads

    def weights(self, kind: str | None, layer: int, head: int) -> np.ndarray:
        """The weights of a head, float32 [queries, keys], read-only; each row adds up to 1.

        ``layer`` and ``head`` count from 0, or from the end if negative. Raises ``BadOption``.
        """
        block = self.block(kind)
        layer, head = to_python(layer), to_python(head)
        for name, index, count in (("layer", layer, block.layers), ("head", head, block.heads)):
            if not isinstance(index, int) or not -count <= index < count:
                raise BadOption(
                    f"{name} is {index!r}.", f"This model's {name}s are 0 to {count - 1}; -1 is the last."
                )
        weights: np.ndarray = block.weights[layer, head]
        return weights

    def figure(self, name: str, kind: str | None = None) -> np.ndarray:
        """One of ``FIGURES`` for each head, float64 [layers, heads]; NaN where undefined.

        Raises ``BadOption``.
        """
        if name not in FIGURES:
            raise BadOption(f"There is no figure {quote(name)}.", nearest(name, FIGURES))
        return FIGURES[name].of(self.block(kind))


@dataclass(frozen=True)
class Figure:
    """A number that describes a head.

    ``of`` computes it for all heads of a block, float64 [layers, heads]; ``share`` says whether it lies
    between 0 and 1.
    """

    title: str
    unit: str
    meaning: str
    of: Callable[[Block], np.ndarray]
    share: bool = True


def entropy(block: Block) -> np.ndarray:
    """Normalised entropy: mean over queries i of H_i / ln n_i, with H_i = −Σ_j a_ij ln a_ij in nats.

    n_i is the number of keys visible to i: all of them, in a causal block those up to i itself. Queries with
    a single visible key are excluded. 0: all weight on a single token; 1: uniform weights. NaN if all queries
    are excluded.
    """
    weights = block.weights
    logarithms = np.log(weights, out=np.zeros_like(weights), where=weights > 0)
    entropies = -np.einsum("lhij,lhij->lhi", weights, logarithms)
    queries, keys = weights.shape[-2:]
    visible = np.arange(1, queries + 1) if block.causal else np.full(queries, keys)
    free = visible > 1
    return _mean(entropies[..., free] / np.log(visible[free]))


def distance(block: Block) -> np.ndarray:
    """Mean attention distance in tokens: mean over queries i of Σ_j a_ij |i − j|.

    NaN for cross-attention, whose queries and keys are different texts.
    """
    index: np.ndarray = np.arange(len(block.keys), dtype=np.float32)
    return _mean_within(
        block, lambda weights: np.einsum("lhij,ij->lhi", weights, abs(index[:, None] - index))
    )


def on_special(block: Block) -> np.ndarray:
    """Attention to special tokens: mean over queries i of Σ_j a_ij [j is special]."""
    return _mean(block.weights[..., block.special].sum(-1))


def on_itself(block: Block) -> np.ndarray:
    """Attention to the token itself: mean over queries i of a_ii. NaN for cross-attention."""
    return _mean_within(block, lambda weights: np.diagonal(weights, 0, 2, 3))


def on_previous(block: Block) -> np.ndarray:
    """Attention to the previous token: mean of a_i,i−1 over the queries i that have one.

    NaN for cross-attention.
    """
    return _mean_within(block, lambda weights: np.diagonal(weights, -1, 2, 3))


def on_next(block: Block) -> np.ndarray:
    """Attention to the next token: mean of a_i,i+1 over the queries i that have one.

    NaN for cross-attention.
    """
    return _mean_within(block, lambda weights: np.diagonal(weights, 1, 2, 3))


FIGURES: dict[str, Figure] = {
    "entropy": Figure(
        "Evenness",
        "share of the maximum entropy",
        "How evenly the head spreads its attention: 0 is a single token, 1 is all tokens equally.",
        entropy,
    ),
    "distance": Figure(
        "Distance", "tokens", "How many tokens away the head looks on average.", distance, share=False
    ),
    "special": Figure(
        "To special tokens",
        "share of attention",
        "How much the head attends to tokens such as [SEP], often a sign that it has nothing to do.",
        on_special,
    ),
    "itself": Figure("To itself", "share of attention", "How much each token attends to itself.", on_itself),
    "previous": Figure(
        "To the previous token",
        "share of attention",
        "How much each token attends to the previous one.",
        on_previous,
    ),
    "next": Figure(
        "To the next token", "share of attention", "How much each token attends to the next one.", on_next
    ),
}
"""All figures by name."""


def _mean_within(block: Block, rows: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The mean over queries of ``rows(weights)`` [layers, heads, queries]; NaN for cross-attention."""
    return (
        _mean(rows(block.weights))
        if block.queries == block.keys
        else np.full(block.weights.shape[:2], np.nan)
    )


def _mean(rows: np.ndarray) -> np.ndarray:
    """The mean over the last axis, float64; NaN if the axis is empty."""
    if not rows.shape[-1]:
        undefined: np.ndarray = np.full(rows.shape[:-1], np.nan)
        return undefined
    means: np.ndarray = rows.mean(-1, dtype=np.float64)
    return means


def attentions(
    engine: Engine,
    text: str,
    model: Model = DEFAULT_MODEL,
    *,
    cancelled: Callable[[], bool] = lambda: False,
    **arguments: Any,
) -> Attentions:
    """The attention weights of every head for a text. Takes the arguments of ``Engine.attribute``.

    Raises ``Unsupported`` for a model without accessible attention weights, ``NotFinite``, and the errors of
    the engine.
    """
    request = engine.request(text, model, "attention", **arguments)
    with engine.lease_function(request, model, cancelled=cancelled) as f:
        assert isinstance(f, Objective)  # the engine rejects functions: they have no attention weights
        return read_attentions(f)


def read_attentions(f: Objective) -> Attentions:
    """The attention weights for the text of ``f``.

    Raises ``Unsupported`` for a model without accessible attention weights, ``NotFinite``.
    """
    groups: dict[Kind, list[Map]] = {}
    all_maps = compute_maps(f)
    for layer_map in all_maps:
        groups.setdefault(_kind(layer_map, all_maps, f), []).append(layer_map)
    positions = output_rows(f).any(0).nonzero()[:, 0].tolist()
    return Attentions(
        text=f.text,
        model=f.adapter.info,
        tokens=f.tokens,
        blocks=tuple(_block(kind, group, f.tokens) for kind, group in groups.items()),
        prediction=f.prediction,
        read=tuple(positions),
        where=describe_output_rows(f),
    )


def _kind(layer_map: Map, all_maps: Sequence[Map], f: Objective) -> Kind:
    first = layer_map.queries.start == 0
    if getattr(f.adapter.config, "is_encoder_decoder", False):
        return "cross" if layer_map.kind == "cross" else "encoder" if first else "decoder"
    alone = all(other.queries == layer_map.queries for other in all_maps)
    return "self" if alone else "first" if first else "second"


def _block(kind: Kind, group: Sequence[Map], tokens: Sequence[Token]) -> Block:
    if len({len(layer_map.weights) for layer_map in group}) > 1:
        raise Unsupported(
            "The layers of this model have different numbers of heads.",
            "Use the method 'attention', layer by layer.",
        )
    weights = np.stack([layer_map.weights.cpu().numpy() for layer_map in group])
    if not np.isfinite(weights).all():
        raise NotFinite(
            "This model's attention is not finite for this text.", "Try another text or a float32 model."
        )
    weights.flags.writeable = False
    queries, keys = (range(span.start, span.stop) for span in (group[0].queries, group[0].keys))
    later = np.triu(np.ones(weights.shape[-2:], dtype=bool), 1)
    return Block(
        kind=kind,
        queries=queries,
        keys=keys,
        weights=weights,
        special=np.array([tokens[key].special for key in keys]),
        causal=queries == keys and not weights[..., later].any(),
    )
