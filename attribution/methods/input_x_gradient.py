"""Input × gradient."""

from __future__ import annotations

from attribution.methods import Scores, method
from attribution.models.objective import Objective


@method(
    title="Input × gradient",
    summary="Each token's embedding times the gradient there: its share of the prediction, if the model "
    "were linear.",
    caveat="A transformer is not linear, and a layer normalisation follows the embeddings: the signs are "
    "often no better than chance. It does not add up to the prediction.",
    cost="1 forward and 1 backward pass",
    signed=True,
    unit="{quantity}",
    needs="gradients",
    at_text=True,
    aliases=("gradient_x_input", "inputxgradient", "grad_x_input"),
)
def input_x_gradient(f: Objective) -> Scores:
    """Input × gradient: s_i = e_i · ∂f/∂e_i for the embedding e_i of token i.

    Shrikumar et al. 2016, "Not Just a Black Box", section 2.3; exact for a linear f.
    """
    return Scores((f.gradient() * f.embeddings).sum(-1))
