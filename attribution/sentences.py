"""Sentences that describe an attribution, shared by the pages and all export formats."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from attribution.models import tasks
from attribution.types import Attribution, Output, Prediction

ROUGH = 0.05
"""Residual, as a share of the sum of absolute scores, above which a sentence calls it large."""
POOR_FIT = 0.5
"""R² below which a surrogate model explains less than half of the variance."""
Z = 1.96
"""Standard errors on each side of a score in its 95 % interval (normal distribution)."""
ROUNDING = 1e-6
"""Signed scores below this share of the explained quantity are no signal.

Models compute in float32 with a unit roundoff of 6e-8. A forward pass accumulates about ten of these, so
that a smaller difference of two results may be rounding error. Unsigned scores (norms of gradients, attention
weights) have other units and are not compared with it."""
CANNOT_READ = "The model cannot read most of this text"
"""The beginning of a note that is shown before the picture."""
WHOLE = -1
"""The id of an output that stands for an entire generated sequence."""


def method(result: Attribution) -> str:
    """The display name of the method."""
    words = result.method.replace("_", " ")
    return result.title or words[:1].upper() + words[1:]


def number(value: float) -> str:
    """A number with three significant digits and a typographic minus sign: ``−0.0123``."""
    return (f"{value:.3g}" if abs(value) > 1e-12 else "0").replace("-", "−")


def output_name(output: Output) -> str:
    """The display name of an output: ``positive``, or ``positive rather than negative``."""
    return f"{output.text} rather than {output.contrast}" if output.contrast else output.text


def chance(output: Output) -> str:
    """The probability of an output, or its value if the model gives no probabilities."""
    if output.probability is None:
        return "" if output.value is None else number(output.value)
    return "<0.1%" if 0 < output.probability < 0.0005 else f"{output.probability:.1%}"


def is_regression(result: Attribution) -> bool:
    """Whether the model is a classifier by task but predicts a number without a probability."""
    answer = result.prediction
    return tasks.of(result.model.task).classifies and bool(answer.logits) and not answer.probabilities


def prediction(result: Attribution) -> str:
    """The prediction in one line."""
    answer = result.prediction
    if is_regression(result):
        numbers = [number(value) for value in answer.logits]
        if len(numbers) == 1:
            return numbers[0]
        return " · ".join(f"{label} {value}" for label, value in zip(answer.labels, numbers, strict=True))
    line = tasks.of(result.model.task).summary.format(
        best=_best(answer),
        text=answer.text or "",
        outputs=" · ".join(output.text for output in result.outputs),
        number=number(answer.logits[0]) if answer.logits else "",
    )
    # Another tool may not have said what the model predicts.
    return line or " · ".join(output.text for output in result.outputs)


def _best(answer: Prediction) -> str:
    """The most probable label with its probability; the text of a prediction without probabilities."""
    if not answer.probabilities:
        return answer.text or ""
    best = int(np.argmax(answer.probabilities))
    return f"{answer.labels[best]} {answer.probabilities[best]:.1%}"


def aim(result: Attribution) -> str:
    """The explained outputs, without their values: ``positive``, ``each of the 3 classes``."""
    outputs, task = result.outputs, tasks.of(result.model.task)
    if len(outputs) == 1:
        return (
            "the whole generated text" if task.writes and outputs[0].id == WHOLE else output_name(outputs[0])
        )
    return task.every.format(count=len(outputs))


def target(result: Attribution) -> str:
    """What is explained: ``the logit of 'positive' rather than 'negative', a difference of 3.21``."""
    quantity, outputs = result.request.quantity.replace("_", "-"), result.outputs
    value = chance(replace(outputs[0], probability=None)) if outputs else ""
    task = tasks.of(result.model.task)
    if measure := task.measure:
        if outputs and outputs[0].text != task.word:
            measure = f"the {outputs[0].text} of the two texts"
        return f"{measure}, {value}" if value else measure
    if is_regression(result):
        if len(result.prediction.logits) > 1:
            what = aim(result) if len(outputs) > 1 else f"'{outputs[0].text}', {value}"
            return f"the number that the model gives for {what}"
        return f"the number that the model gives, {value}"
    if len(outputs) != 1 or outputs[0].id == WHOLE:
        return f"the {quantity} of {aim(result)}" + (f", {value}" if len(outputs) == 1 else "")
    output = outputs[0]
    if output.contrast:
        return f"the {quantity} of '{output.text}' rather than '{output.contrast}', a difference of {value}"
    return f"the {quantity} of '{output.text}', {value}"


def parts(result: Attribution) -> tuple[str, str] | None:
    """The display names of the two texts of a pair; None for a single text."""
    pair = any(token.segment == "second" for token in result.tokens) or bool(result.second)
    return tasks.of(result.model.task).parts if pair else None


def is_unsure(score: float, error: float) -> bool:
    """Whether the 95 % interval of a score contains 0; never for a score without an error."""
    return error > 0 and abs(score) <= Z * error


def interval(score: float, error: float | None) -> str:
    """``0.31 ± 0.05``: the score and half of its 95 % interval; without an error, only the score."""
    return number(score) if error is None else f"{number(score)} ± {number(Z * error)}"


def errors(result: Attribution) -> str:
    """What the intervals mean; "" if the method has none."""
    if result.errors is None:
        return ""
    return (
        "± is a 95% interval (1.96 standard errors): how far another random sample could differ. "
        "A dotted line marks a score that is not distinguishable from 0."
    )


def fit(result: Attribution) -> str:
    """The goodness of fit of a surrogate model, for several outputs the worst; "" if there is none."""
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
    """Whether the surrogate model of any output explains less than half of the variance."""
    return bool(result.fit) and min(result.fit) < POOR_FIT  # type: ignore[arg-type]


def silence(result: Attribution, output: int) -> str:
    """Why the scores of an output are no signal; "" if they are."""
    scores = np.abs(result.scores[output])
    if not scores.any():
        return "every score is 0."
    if result.errors is not None and not (scores > Z * result.errors[output]).any():
        return "no score is distinguishable from 0. Use more samples."
    start = 0.0 if result.completeness is None else abs(result.completeness[output].baseline)
    if result.signed and scores.max() < ROUNDING * max(abs(result.outputs[output].value or 0.0), start):
        return (
            "every score is below one millionth of the explained quantity, which may be rounding error alone."
        )
    return ""


def unread(result: Attribution) -> str:
    """A warning if the model cannot read most of the text; else ""."""
    return next((note for note in result.notes if note.startswith(CANNOT_READ)), "")


def no_signal(result: Attribution) -> str:
    """A warning if no output's scores are a signal; else ""."""
    reasons = [silence(result, i) for i in range(len(result.outputs))]
    return f"No signal: {reasons[0]}" if reasons and all(reasons) else ""


def residual_share(result: Attribution, output: int) -> float | None:
    """|residual| / Σ|score| of an output; None if the method is not additive or all scores are 0."""
    total = float(np.abs(result.scores[output]).sum())
    return (
        None
        if result.completeness is None or total == 0
        else abs(result.completeness[output].residual) / total
    )


def worst_output(result: Attribution) -> int:
    """The index of the output with the largest residual share; 0 if there is none."""
    return max(range(len(result.outputs)), key=lambda i: residual_share(result, i) or 0.0)


def is_rough(result: Attribution) -> bool:
    """Whether the residual of any output is large."""
    return (residual_share(result, worst_output(result)) or 0.0) > ROUGH


def adds_up(result: Attribution) -> str:
    """How well the scores add up, for several outputs the worst, or that the method is not additive."""
    if result.completeness is None:
        return "These scores do not claim to add up to the prediction."
    output = worst_output(result)
    check, share = result.completeness[output], residual_share(result, output)
    which = (
        ""
        if len(result.outputs) == 1
        else f" for '{output_name(result.outputs[output])}', the worst of {len(result.outputs)} outputs,"
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
