"""What a bi-encoder does before and after its transformer: prompt, pooling, further layers, similarity."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from attribution.models.bi_encoder.pooling import Mode, pool, pooling_weights

SimilarityName = Literal["cosine", "dot", "euclidean", "manhattan"]
SIMILARITIES: tuple[str, ...] = get_args(SimilarityName)
MEASURES: dict[SimilarityName, str] = {
    "cosine": "cosine similarity",
    "dot": "dot product",
    "euclidean": "negative Euclidean distance",
    "manhattan": "negative Manhattan distance",
}
BY_MEAN = (
    "The embedding of each text is the mean of its last states, as nothing says how this model pools them: "
    "load(model, tokenizer, pooling=...) does."
)
"""The note on a model that came without the files of sentence-transformers."""


@dataclass(frozen=True, eq=False, kw_only=True)
class BiEncoder:
    """How a text becomes a vector, and two vectors a number, as sentence-transformers computes them.

    Parameters
    ----------
    pooling : how token states become one vector; the vectors of several modes are concatenated.
    token_layers : applied to the states [batch, inputs, hidden] before pooling.
    layers : applied to the pooled vectors [batch, hidden].
    dimensions : how many of the first entries of a vector are kept; None: all.
    similarity : the number that two vectors are compared by.
    prompt : a text in front of each text.
    pools_prompt : whether pooling includes the states of the prompt.
    max_tokens : the length that the checkpoint was made for; None where it does not say.
    lower_case : whether texts are read in lower case.
    notes : sentences for the reader of a result.
    """

    pooling: tuple[Mode, ...] = ("mean",)
    token_layers: tuple[nn.Module, ...] = ()
    layers: tuple[nn.Module, ...] = ()
    dimensions: int | None = None
    similarity: SimilarityName = "cosine"
    prompt: str = ""
    pools_prompt: bool = True
    max_tokens: int | None = None
    lower_case: bool = False
    notes: tuple[str, ...] = ()

    @property
    def measure(self) -> str:
        """The number of two texts, in words."""
        return MEASURES[self.similarity]

    @property
    def is_usual(self) -> bool:
        """Whether it compares by the cosine."""
        return self.similarity == "cosine"

    def embed(self, states: Tensor, skipped: int = 0) -> Tensor:
        """The vectors [batch, hidden] of texts with last states [batch, inputs, hidden].

        Pooling leaves out the first ``skipped`` inputs.
        """
        pooled = pool(_apply(self.token_layers, states), self.pooling, skipped)
        return _apply(self.layers, pooled)[:, : self.dimensions]

    def weights(self, inputs: int, skipped: int = 0) -> Tensor:
        """How much of each input's state the vector of a text holds, [inputs], summing to 1."""
        return pooling_weights(self.pooling, inputs, skipped)

    def compare(self, a: Tensor, b: Tensor) -> Tensor:
        """The similarity of vectors [batch, hidden], [batch]; distances are negative."""
        if self.similarity == "cosine":
            return torch.nn.functional.cosine_similarity(a, b, dim=-1)
        if self.similarity == "dot":
            return (a * b).sum(-1)
        difference = a - b
        if self.similarity == "manhattan":
            return -difference.abs().sum(-1)
        square = (difference * difference).sum(-1)
        # x / √x: the rules of LRP need a product, and equal texts have distance 0, where √x has no gradient.
        return -square * torch.rsqrt(square.clamp_min(1e-24))


def with_pooling(bi_encoder: BiEncoder | None, modes: tuple[Mode, ...]) -> BiEncoder:
    """A bi-encoder that pools by ``modes``; where they are empty as it says itself, or by the mean."""
    if modes:
        return replace(bi_encoder or BiEncoder(), pooling=modes)
    return bi_encoder or BiEncoder(notes=(BY_MEAN,))


def _apply(layers: tuple[nn.Module, ...], x: Tensor) -> Tensor:
    """The layers in their own precision and on the device of ``x``."""
    for layer in layers:
        weight = next(layer.parameters(), None)
        if weight is not None and weight.device != x.device:
            layer.to(x.device)
        x = layer(x if weight is None else x.to(weight.dtype))
    return x
