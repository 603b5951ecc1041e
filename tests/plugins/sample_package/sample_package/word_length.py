"""A method."""

import torch

from attribution.methods import Scores, method


@method(
    title="Word length",
    summary="How many characters each token has.",
    caveat="It explains nothing.",
    cost="1 forward pass",
    signed=False,
    unit="characters",
    needs="texts",
)
def word_length(f) -> Scores:
    """s_i = the number of characters of token i."""
    lengths = [0 if token.special else len(token.text) for token in f.tokens]
    return Scores(torch.tensor([lengths] * len(f.outputs), dtype=torch.float64))
