"""What a result says, in plain words: the same sentences on the page and in every exported file."""

from __future__ import annotations

import numpy as np

from attribution.types import Attribution

ROUGH = 0.05
"""Residual, as a share of the sum of absolute scores, from which on a sentence says that it is large."""


def number(value: float) -> str:
    """Three significant digits with a true minus sign: ``−0.0123``."""
    return f"{value:.3g}".replace("-", "−")


def target(result: Attribution) -> str:
    """What is explained: ``the logit of 'positive', 3.21``."""
    quantity = result.request.target.quantity.replace("_", "-")
    if len(result.outputs) > 1:
        return f"the {quantity} of each of the {len(result.outputs)} generated tokens"
    output = result.outputs[0]
    return f"the {quantity} of '{output.text}', {number(output.value)}"


def residual_share(result: Attribution, output: int) -> float | None:
    """|residual| / Σ|score| of one output; None where the method does not claim to add up or all scores are 0."""
    total = float(np.abs(result.scores[output]).sum())
    return None if result.completeness is None or total == 0 else abs(result.completeness[output].residual) / total


def adds_up(result: Attribution, output: int = 0) -> str:
    """How far the scores of one output add up, or that the method does not claim it."""
    if result.completeness is None:
        return "These scores do not claim to add up to the prediction."
    check, share = result.completeness[output], residual_share(result, output)
    text = (
        f"From the baseline to this text, the {result.unit} goes from {number(check.baseline)} to {number(check.value)}: a "
        f"difference of {number(check.difference)}. The scores add up to {number(check.difference - check.residual)}"
    )
    if share is None:
        return f"{text}."
    text += f"; the residual of {number(check.residual)} is {share:.1%} of all absolute scores."
    return f"{text} That is a lot: take more steps or another baseline." if share > ROUGH else text
