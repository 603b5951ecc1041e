"""Who looks at whom: every attention head of a model on one text, and figures that tell heads apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from attribution.errors import BadOption, NotFinite, Unsupported, nearest, quote
from attribution.models.inside.attentions import Map, compute_maps, describe_output_rows, output_rows
from attribution.models.objective import Objective
from attribution.settings import DEFAULT_MODEL
from attribution.types import ModelInfo, Prediction, Token

if TYPE_CHECKING:
    from attribution.engine import Engine, Model

Kind = Literal["self", "encoder", "decoder", "cross", "first", "second"]
"""Type of attention: of a model's tokens to one another; an encoder-decoder's three; that of the first and the second of two texts
which go through the model one after another."""


@dataclass(frozen=True, eq=False)
class Block:
    """All heads of one kind.

    Parameters ---------- queries, keys : the places of the tokens that look and that are looked at, among
    ``Attentions.tokens``. weights : float32 [layers, heads, queries, keys], read-only; softmax(QKᵀ/√d) of
    Vaswani et al. 2017, equation 1. special : bool [keys], which of them are special tokens. causal : whether
    no token looks at a later one.
    """

    kind: Kind
    queries: range
    keys: range
    weights: np.ndarray
    special: np.ndarray
    causal: bool

    @property
    def layers(self) -> int:
        return self.weights.shape[0]

    @property
    def heads(self) -> int:
        return self.weights.shape[1]


@dataclass(frozen=True, eq=False)
class Attentions:
    """Every head's attention weights for one text.

    Parameters
    ----------
    tokens : the inputs, in reading order; for generation the generated prefix follows the text.
    blocks : one for each kind of attention that the model has.
    read : the places among ``tokens`` that the prediction is read from; ``where`` says so in a sentence.
    """

    text: str
    model: ModelInfo
    tokens: tuple[Token, ...]
    blocks: tuple[Block, ...]
    prediction: Prediction
    read: tuple[int, ...]
    where: str

    @property
    def kinds(self) -> tuple[Kind, ...]:
        return tuple(block.kind for block in self.blocks)

    def block(self, kind: str | None = None) -> Block:
        """The heads of a kind; None is the first there is. Raises ``BadOption``."""
        for block in self.blocks:
            if kind in (block.kind, None):
                return block
        raise BadOption(
            f"This model has no attention of the kind {quote(kind)}.", nearest(kind or "", self.kinds)
        )

    def layers(self, kind: str | None = None) -> int:
        return self.block(kind).layers

    def heads(self, kind: str | None = None) -> int:
        """How many heads each layer has."""
        return self.block(kind).heads

    def weights(self, kind: str | None, layer: int, head: int) -> np.ndarray:
        """One head's weights: float32 [queries, keys], read-only; a row adds up to 1. -1 is the last.

        Raises ``BadOption``.
        """
        block = self.block(kind)
        for name, index, count in (("layer", layer, block.layers), ("head", head, block.heads)):
            if not isinstance(index, int) or not -count <= index < count:
                raise BadOption(
                    f"{name} is {index!r}.", f"This model's {name}s are 0 to {count - 1}; -1 is the last."
                )
        return block.weights[layer, head]

    def figure(self, name: str, kind: str | None = None) -> np.ndarray:
        """One of ``FIGURES`` for each head: float64 [layers, heads], NaN where it is undefined.

        Raises ``BadOption``.
        """
        if name not in FIGURES:
            raise BadOption(f"There is no figure {quote(name)}.", nearest(name, FIGURES))
        return FIGURES[name].of(self.block(kind))


@dataclass(frozen=True)
class Figure:
    """A number for each head.

    ``of`` gives it as [layers, heads]; ``share`` says whether it lies between 0 and 1.
    """

    title: str
    unit: str
    meaning: str
    of: Callable[[Block], np.ndarray]
    share: bool = True


def entropy(block: Block) -> np.ndarray:
    """How evenly a head spreads its weights: mean over queries i of H_i / ln n_i, with H_i = −Σ_j a_ij ln a_ij in nats.

    n_i is the number of tokens that i may look at: all keys, in a causal block those up to i itself. A query
    with one such token is left out. 0: one token has all; 1: all have the same. NaN where no query has a
    choice.
    """
    weights = block.weights
    logarithms = np.log(weights, out=np.zeros_like(weights), where=weights > 0)
    found = -np.einsum("lhij,lhij->lhi", weights, logarithms)
    queries, keys = weights.shape[-2:]
    seen = np.arange(1, queries + 1) if block.causal else np.full(queries, keys)
    free = seen > 1
    return _mean(found[..., free] / np.log(seen[free]))


def distance(block: Block) -> np.ndarray:
    """How far a head looks: mean over queries i of Σ_j a_ij |i − j|, in tokens.

    NaN for cross-attention, whose texts differ.
    """
    places: np.ndarray = np.arange(len(block.keys), dtype=np.float32)
    return _within(block, lambda weights: np.einsum("lhij,ij->lhi", weights, abs(places[:, None] - places)))


def on_special(block: Block) -> np.ndarray:
    """The share of the weights on special tokens: mean over queries i of Σ_j a_ij [j is special]."""
    return _mean(block.weights[..., block.special].sum(-1))


def on_itself(block: Block) -> np.ndarray:
    """The share on the token itself: mean over queries i of a_ii. NaN for cross-attention."""
    return _within(block, lambda weights: np.diagonal(weights, 0, 2, 3))


def on_previous(block: Block) -> np.ndarray:
    """The share on the token before: mean of a_i,i−1 over the queries i that have one.

    NaN for cross-attention.
    """
    return _within(block, lambda weights: np.diagonal(weights, -1, 2, 3))


def on_next(block: Block) -> np.ndarray:
    """The share on the token after: mean of a_i,i+1 over the queries i that have one.

    NaN for cross-attention.
    """
    return _within(block, lambda weights: np.diagonal(weights, 1, 2, 3))


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
"""The figures of heads, by name."""


def _within(block: Block, rows: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The mean of ``rows(weights)`` [layers, heads, queries], where queries and keys are the same tokens; else NaN."""
    return (
        _mean(rows(block.weights))
        if block.queries == block.keys
        else np.full(block.weights.shape[:2], np.nan)
    )


def _mean(rows: np.ndarray) -> np.ndarray:
    """Over the last axis, as float64; NaN where there is nothing."""
    return rows.mean(-1, dtype=np.float64) if rows.shape[-1] else np.full(rows.shape[:-1], np.nan)


def attentions(
    engine: Engine,
    text: str,
    model: Model = DEFAULT_MODEL,
    *,
    cancelled: Callable[[], bool] = lambda: False,
    **arguments: Any,
) -> Attentions:
    """Every head's attention weights for a text. Takes the arguments of ``Engine.attribute``.

    Raises ``Unsupported`` where the model does not give its attention weights, ``NotFinite``, and what the
    engine raises.
    """
    request = engine.request(text, model, "attention", **arguments)
    with engine.lease_function(request, model, cancelled=cancelled) as f:
        assert isinstance(f, Objective)  # a function has no attention weights: the engine refuses it
        return read_attentions(f)


def read_attentions(f: Objective) -> Attentions:
    """The attention of the text of ``f``.

    Raises ``Unsupported`` where the model does not hand it out, ``NotFinite``.
    """
    groups: dict[Kind, list[Map]] = {}
    found = compute_maps(f)
    for one in found:
        groups.setdefault(_kind(one, found, f), []).append(one)
    places = output_rows(f).any(0).nonzero()[:, 0].tolist()
    return Attentions(
        text=f.text,
        model=f.adapter.info,
        tokens=f.tokens,
        blocks=tuple(_block(kind, group, f.tokens) for kind, group in groups.items()),
        prediction=f.prediction,
        read=tuple(places),
        where=describe_output_rows(f),
    )


def _kind(one: Map, found: Sequence[Map], f: Objective) -> Kind:
    first = one.queries.start == 0
    if getattr(f.adapter.config, "is_encoder_decoder", False):
        return "cross" if one.kind == "cross" else "encoder" if first else "decoder"
    alone = all(other.queries == one.queries for other in found)
    return "self" if alone else "first" if first else "second"


def _block(kind: Kind, group: Sequence[Map], tokens: Sequence[Token]) -> Block:
    if len({len(one.weights) for one in group}) > 1:
        raise Unsupported(
            "The layers of this model have different numbers of heads.",
            "Use the method 'attention', layer by layer.",
        )
    weights = np.stack([one.weights.cpu().numpy() for one in group])
    if not np.isfinite(weights).all():
        raise NotFinite(
            "This model's attention is not finite for this text.", "Try another text or a float32 model."
        )
    weights.flags.writeable = False
    queries, keys = (range(part.start, part.stop) for part in (group[0].queries, group[0].keys))
    later = np.triu(np.ones(weights.shape[-2:], dtype=bool), 1)
    return Block(
        kind=kind,
        queries=queries,
        keys=keys,
        weights=weights,
        special=np.array([tokens[place].special for place in keys]),
        causal=queries == keys and not weights[..., later].any(),
    )
