"""What a result says, in plain words: the same sentences on the page and in every exported file."""

from __future__ import annotations

import numpy as np

from attribution.types import Attribution

ROUGH = 0.05
"""Residual, as a share of the sum of absolute scores, from which on a sentence says that it is large."""


def number(value: float) -> str:
    """Three significant digits with a true minus sign: ``−0.0123``."""
    return (f"{value:.3g}" if abs(value) > 1e-12 else "0").replace("-", "−")


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


def worst_output(result: Attribution) -> int:
    """The output with the largest residual share, 0 where there is none."""
    return max(range(len(result.outputs)), key=lambda i: residual_share(result, i) or 0.0)


def is_rough(result: Attribution) -> bool:
    """Whether some output's scores are far from adding up."""
    return (residual_share(result, worst_output(result)) or 0.0) > ROUGH


def adds_up(result: Attribution) -> str:
    """How far the scores add up (for several outputs: the worst of them), or that the method does not claim it."""
    if result.completeness is None:
        return "These scores do not claim to add up to the prediction."
    output = worst_output(result)
    check, share = result.completeness[output], residual_share(result, output)
    which = (
        "" if len(result.outputs) == 1 else f" for '{result.outputs[output].text}', the worst of {len(result.outputs)} outputs,"
    )
    text = (
        f"From the baseline to this text{which} the {result.unit} goes from {number(check.baseline)} to {number(check.value)}: a "
        f"difference of {number(check.difference)}. The scores add up to {number(check.difference - check.residual)}"
    )
    if share is None:
        return f"{text}."
    small = "less than 0.1%" if share < 0.001 else f"{share:.1%}"
    text += f"; the residual of {number(check.residual)} is {small} of all absolute scores."
    return f"{text} That is a lot: take more steps or another baseline." if is_rough(result) else text
