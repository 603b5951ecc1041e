"""Attention flow: a maximum flow through the attention graph."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_flow

from attribution.methods import Scores, method
from attribution.methods.common.rollout import mix_residual
from attribution.models.inside.attentions import Step, compute_maps, describe_output_rows, output_rows
from attribution.models.objective import Objective
from attribution.registry import Between

UNIT = 2**29
"""Capacities are multiples of 1/UNIT; the largest power of 2 with room for reverse edges in 32 bits."""


@method(
    title="Attention flow",
    summary="How much could flow from each token through the layers to where the prediction is read, if "
    "attention were pipes.",
    caveat="Each token's flow is the most that could come from it alone, so the scores do not add up; "
    "with many layers many tokens reach the same ceiling. Like rollout it knows nothing of the value "
    "vectors or of which class is explained.",
    cost="2 forward passes, and one maximum flow for each token and output",
    signed=False,
    unit="share of attention flow",
    needs="attentions",
    aliases=("flow",),
)
def attention_flow(
    f: Objective,
    *,
    residual: Annotated[float, Between(0.0, 0.99), "Share of the residual connection in each layer."] = 0.5,
) -> Scores:
    """Attention flow: the maximum flow from the position of the prediction to each input token.

    Abnar & Zuidema 2020, "Quantifying Attention Flow in Transformers", section 3. The graph has a node for
    each token and layer; the capacity from token i of layer l to token j of layer l − 1 is Ā_ij = 0.5 W_ij +
    0.5 I_ij, W the mean over heads. Encoder-decoder: a level for each attention module in the order in which
    they are called; a token that a module does not change keeps an edge of capacity 1. Where several rows are
    read, their flows are averaged. Capacities are rounded to 2⁻²⁹, so a flow is off by at most 2⁻³⁰ times the
    edges of its smallest cut.
    """
    rows = output_rows(f).cpu().numpy()
    inputs = len(f.tokens)
    steps = list(mix_residual(compute_maps(f), inputs, residual))
    graph = build_graph(steps, inputs)
    reached = find_reachable(steps, inputs)
    scores = np.zeros(rows.shape)
    for row in np.flatnonzero(rows.any(0)):
        flows = np.zeros(inputs)
        for token in np.flatnonzero(reached[row]):
            f.deadline.check()
            flows[token] = maximum_flow(graph, len(steps) * inputs + int(row), int(token)).flow_value / UNIT
        scores += rows[:, row, None] * flows
    return Scores(torch.from_numpy(scores), notes=(describe_output_rows(f),))


def build_graph(steps: list[Step], inputs: int) -> csr_array:
    """The graph of capacities, in 1/UNIT.

    Node ``level · inputs + i`` is token i of a level; level 0 holds the inputs.
    """
    starts, ends, capacities = [], [], []
    for level, step in enumerate(steps):
        matrix = np.eye(inputs)
        matrix[step.queries] = step.matrix.cpu().numpy()
        capacity = np.rint(matrix * UNIT).astype(np.int32)
        i, j = capacity.nonzero()
        starts.append((level + 1) * inputs + i)
        ends.append(level * inputs + j)
        capacities.append(capacity[i, j])
    nodes = (len(steps) + 1) * inputs
    return csr_array(
        (np.concatenate(capacities), (np.concatenate(starts), np.concatenate(ends))), shape=(nodes, nodes)
    )


def find_reachable(steps: list[Step], inputs: int) -> np.ndarray:
    """Whether anything can flow from row i at the top to token j, bool [inputs, inputs]."""
    reached: np.ndarray = np.eye(inputs, dtype=bool)
    for step in steps:
        reached[step.queries] = (step.matrix.cpu().numpy() > 0).astype(np.float32) @ reached.astype(
            np.float32
        ) > 0
    return reached
