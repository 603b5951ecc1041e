from __future__ import annotations

from typing import Annotated, Literal

from attribution.methods import Scores, method
from attribution.models.objective import Objective


@method(
    title="Saliency",
    summary="How strongly the prediction reacts to a tiny change of each token's embedding.",
    caveat="It has no sign: a token that speaks against the prediction looks like one that speaks for it. It sees only the "
    "immediate surroundings of this text, so a saturated model shows little.",
    cost="1 forward and 1 backward pass",
    signed=False,
    unit="change of {quantity} per unit of embedding",
    needs="gradients",
    at_text=True,
    aliases=("gradient", "gradients", "vanilla_gradient"),
)
def saliency(f: Objective, *, norm: Annotated[Literal["l2", "l1"], "Norm over the embedding's dimensions."] = "l2") -> Scores:
    """Saliency: the norm of the gradient, s_i = ‖∂f/∂e_i‖ for the embedding e_i of token i.

    Simonyan, Vedaldi & Zisserman 2014, "Deep Inside Convolutional Networks", equation 3, with the L2 norm over the embedding
    (Li et al. 2016, "Visualizing and Understanding Neural Models in NLP").
    """
    return Scores(f.gradient().norm(p=2 if norm == "l2" else 1, dim=-1))
