"""Attention rollout: the product of the attention maps of all layers."""

from __future__ import annotations

from typing import Annotated, Literal

from attribution.methods import Scores, method
from attribution.methods.common.rollout import mix_residual
from attribution.models.inside.attentions import compute_maps, describe_output_rows, output_rows, roll_out
from attribution.models.objective import Objective
from attribution.registry import Between


@method(
    title="Attention rollout",
    summary="Attention followed through all layers, from where the prediction is read down to the tokens.",
    caveat="It takes attention for the only way information moves, the same in strength for every layer, "
    "and knows nothing of the value vectors or of which class is explained.",
    cost="2 forward passes",
    signed=False,
    unit="share of rolled-out attention",
    needs="attentions",
    aliases=("rollout",),
)
def attention_rollout(
    f: Objective,
    *,
    residual: Annotated[float, Between(0.0, 0.99), "Share of the residual connection in each layer."] = 0.5,
    heads: Annotated[
        Literal["mean", "max"], "How the heads of a layer become one map. max: rows are divided by their sum."
    ] = "mean",
) -> Scores:
    """Attention rollout: a row of Ã = Ā_L ⋯ Ā_1, with Ā = 0.5 W + 0.5 I for each layer.

    The row is the one that the prediction is read from.

    Abnar & Zuidema 2020, "Quantifying Attention Flow in Transformers", equation 1 (the recursion) and section
    3 (the residual connection); W is the mean over heads. Encoder-decoder: the product runs over all modules
    in the order in which they are called, in one index space of source and decoder tokens; each module has
    its own residual connection, so cross-attention carries (1 − residual) to the source and leaves the rest
    at the decoder's token. A row adds up to 1.
    """
    rows = output_rows(f)
    attention_maps = compute_maps(f)
    return Scores(
        roll_out(rows, mix_residual(attention_maps, len(f.tokens), residual, heads)),
        notes=(describe_output_rows(f),),
    )
