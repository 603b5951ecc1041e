"""What a result says, in plain words: the same sentences on the page and in every exported file."""

from __future__ import annotations

import numpy as np

from attribution.models import tasks
from attribution.types import Attribution, Output, Prediction

ROUGH = 0.05
"""Residual, as a share of the sum of absolute scores, from which on a sentence says that it is large."""
POOR_FIT = 0.5
"""R² below which a fitted model explains less than half of what happened."""
Z = 1.96
"""Standard errors on each side of a score in its 95 % interval (normal distribution)."""
ROUNDING = 1e-6
"""Signed scores below this share of the explained number are no signal.

The models compute in float32, whose unit roundoff is 6e-8;
the roundings of a forward pass add up to some ten of these, so that a smaller difference of two of its
results may be rounding alone. Unsigned scores (norms of gradients, attention weights) do not count in the
unit of that number and are not compared with it."""
WHOLE = -1
"""The id of an output that is a whole generated sequence."""


def method(result: Attribution) -> str:
    """The method's name for people."""
    words = result.method.replace("_", " ")
    return result.title or words[:1].upper() + words[1:]


def number(value: float) -> str:
    """Three significant digits with a true minus sign: ``−0.0123``."""
    return (f"{value:.3g}" if abs(value) > 1e-12 else "0").replace("-", "−")


def named(output: Output) -> str:
    """An output as every file and page calls it: ``positive``, or ``positive rather than negative``."""
    return f"{output.text} rather than {output.contrast}" if output.contrast else output.text


def chance(output: Output) -> str:
    """Its probability, or the explained number itself where the model gives none."""
    if output.probability is None:
        return number(output.value)
    return "<0.1%" if 0 < output.probability < 0.0005 else f"{output.probability:.1%}"


def is_regression(result: Attribution) -> bool:
    """Whether the model is a classifier in form only: one number, without a probability."""
    return tasks.of(result.model.task).classifies and not result.prediction.probabilities


def said(result: Attribution) -> str:
    """What the model said, in one line."""
    prediction = result.prediction
    if is_regression(result):
        return number(prediction.logits[0])
    return tasks.of(result.model.task).summary.format(
        best=_best(prediction),
        text=prediction.text or "",
        outputs=" · ".join(output.text for output in result.outputs),
        number=number(prediction.logits[0]) if prediction.logits else "",
    )


def _best(prediction: Prediction) -> str:
    """The most probable label with its probability; the text of a prediction without probabilities."""
    if not prediction.probabilities:
        return prediction.text or ""
    best = int(np.argmax(prediction.probabilities))
    return f"{prediction.labels[best]} {prediction.probabilities[best]:.1%}"


def aim(result: Attribution) -> str:
    """Which outputs are explained, without their numbers: ``positive``, ``each of the 3 classes``."""
    outputs, task = result.outputs, tasks.of(result.model.task)
    if len(outputs) == 1:
        return "the whole generated text" if task.writes and outputs[0].id == WHOLE else named(outputs[0])
    return task.every.format(count=len(outputs))


def target(result: Attribution) -> str:
    """What is explained: ``the logit of 'positive' rather than 'negative', a difference of 3.21``."""
    quantity, outputs = result.request.quantity.replace("_", "-"), result.outputs
    value = number(outputs[0].value) if outputs else ""
    if measure := tasks.of(result.model.task).measure:
        return f"{measure}, {value}"
    if is_regression(result):
        return f"the number that the model gives, {value}"
    if len(outputs) != 1 or outputs[0].id == WHOLE:
        return f"the {quantity} of {aim(result)}" + (f", {value}" if len(outputs) == 1 else "")
    output = outputs[0]
    if output.contrast:
        return f"the {quantity} of '{output.text}' rather than '{output.contrast}', a difference of {value}"
    return f"the {quantity} of '{output.text}', {value}"


def parts(result: Attribution) -> tuple[str, str] | None:
    """What the two texts of a pair are called, or None where there is one text only."""
    pair = any(token.segment == "second" for token in result.tokens) or bool(result.second)
    return tasks.of(result.model.task).parts if pair else None


def is_unsure(score: float, error: float) -> bool:
    """Whether the 95 % interval of a score holds 0.

    A score without an error (one that was not sampled) is what it is.
    """
    return error > 0 and abs(score) <= Z * error


def interval(score: float, error: float | None) -> str:
    """``0.31 ± 0.05``: the score and half of its 95 % interval; the score alone where there is no error."""
    return number(score) if error is None else f"{number(score)} ± {number(Z * error)}"


def errors(result: Attribution) -> str:
    """What the intervals mean, or "" where the method gives none."""
    if result.errors is None:
        return ""
    return (
        "± is a 95% interval (1.96 standard errors): how far another random sample could differ. "
        "A dotted line marks a score that is not distinguishable from 0."
    )


def fit(result: Attribution) -> str:
    """How well the model that a method fitted describes what happened (for several outputs: the worst of them), or ""."""
    if not result.fit:
        return ""
    worst = min(range(len(result.fit)), key=result.fit.__getitem__)
    value = round(result.fit[worst], 3)
    which = (
        ""
        if len(result.outputs) == 1
        else f" for '{result.outputs[worst].text}', the worst of {len(result.outputs)} outputs"
    )
    text = (
        f"R² {number(value)}{which}: the linear model explains "
        f"{f'{value:.1%}' if value > 0 else 'nothing'} of what happened."
    )
    return f"{text} That is little: do not rely on these scores." if is_poor(result) else text


def is_poor(result: Attribution) -> bool:
    """Whether the fitted model of some output explains less than half of what happened."""
    return bool(result.fit) and min(result.fit) < POOR_FIT  # type: ignore[arg-type]


def silence(result: Attribution, output: int) -> str:
    """Why one output's scores are no signal, or "" where some are."""
    scores = np.abs(result.scores[output])
    if not scores.any():
        return "every score is 0."
    if result.errors is not None and not (scores > Z * result.errors[output]).any():
        return "no score is distinguishable from 0. Use more samples."
    start = 0.0 if result.completeness is None else abs(result.completeness[output].baseline)
    if result.signed and scores.max() < ROUNDING * max(abs(result.outputs[output].value), start):
        return (
            "every score is below one millionth of the explained quantity, which may be rounding error alone."
        )
    return ""


def no_signal(result: Attribution) -> str:
    """A sentence where no output's scores say anything, else ""."""
    reasons = [silence(result, i) for i in range(len(result.outputs))]
    return f"No signal: {reasons[0]}" if reasons and all(reasons) else ""


def residual_share(result: Attribution, output: int) -> float | None:
    """|residual| / Σ|score| of one output; None where the method does not claim to add up or all scores are 0."""
    total = float(np.abs(result.scores[output]).sum())
    return (
        None
        if result.completeness is None or total == 0
        else abs(result.completeness[output].residual) / total
    )


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
        ""
        if len(result.outputs) == 1
        else f" for '{named(result.outputs[output])}', the worst of {len(result.outputs)} outputs,"
    )
    text = (
        f"From the baseline to this text{which} the {result.unit} goes from {number(check.baseline)} to "
        f"{number(check.value)}: a "
        f"difference of {number(check.difference)}. The scores add up to "
        f"{number(check.difference - check.residual)}"
    )
    if share is None:
        return f"{text}."
    small = "less than 0.1%" if share < 0.001 else f"{share:.1%}"
    text += f"; the residual of {number(check.residual)} is {small} of all absolute scores."
    return f"{text} That is a lot: take more steps or another baseline." if is_rough(result) else text
