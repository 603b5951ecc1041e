"""The words under the picture: prediction, target, what the method shows, how well it adds up, errors."""

import re
from itertools import zip_longest
from typing import Any

from attribution import list_methods, sentences
from attribution.models import tasks
from attribution.models.tasks import Task
from attribution.types import Attribution

from .picture import Picture


class Panel(Picture):
    """Draws the value of ``answer``, or an error; the event ``select`` carries the clicked label."""

    mounts = "AttributionPanel"
    assets = ("panel",)
    emits = ("select",)


_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
REFINING = "These numbers are preliminary; better ones, or more of them, follow."


def answer(result: Attribution) -> dict[str, Any]:
    """The value for an attribution. What tells how good its numbers are waits for the finished one."""
    method = list_methods()[result.method]
    prediction, task = result.prediction, tasks.of(result.model.task)
    return {
        "prediction": {
            "heading": _heading(result, task),
            "word": "" if result.outputs[0].position is None else _word(result, result.outputs[0].position),
            "labels": list(prediction.labels) if prediction.probabilities and task.alternatives else [],
            "probabilities": list(prediction.probabilities),
            "text": prediction.text if task.writes else None,
            "said": sentences.prediction(result)
            if not prediction.probabilities or not (task.alternatives or task.writes)
            else "",
        },
        "targets": _targets(result, task),
        "explained": sentences.target(result),
        "method": {"title": method.title, "summary": method.summary, "caveat": method.caveat},
        "model_note": result.model.note,
        "provisional": result.provisional,
        **({"adds_up": REFINING, "notes": []} if result.provisional else _trust(result)),
    }


def _trust(result: Attribution) -> dict[str, Any]:
    return {
        "adds_up": sentences.adds_up(result),
        "rough": sentences.is_rough(result),
        "no_signal": sentences.no_signal(result),
        "errors": sentences.errors(result),
        "fit": sentences.fit(result),
        "poor": sentences.is_poor(result),
        "notes": _together(result.notes),
    }


def _together(notes: tuple[str, ...]) -> list[str]:
    """The notes; those that differ only in their numbers become one with the ranges."""
    alike: dict[tuple[str, ...], list[list[str]]] = {}
    for note in notes:
        alike.setdefault(tuple(_NUMBER.split(note)), []).append(_NUMBER.findall(note))
    return [
        "".join(word + number for word, number in zip_longest(words, map(_range, *numbers), fillvalue=""))
        for words, numbers in alike.items()
    ]


def _range(*numbers: str) -> str:
    ends = [end(numbers, key=lambda number: float(number.replace(",", ""))) for end in (min, max)]
    return " to ".join(dict.fromkeys(ends))


def _heading(result: Attribution, task: Task) -> str:
    """What stands above the prediction, as the table of languages has it.

    Labels belong to one place of the text where each has some.
    """
    several = len({output.position for output in result.outputs}) > 1
    return task.heading_several if several and task.heading_several else task.heading


def _word(result: Attribution, position: int) -> str:
    return result.tokens[position].text if position < len(result.tokens) else ""


def _targets(result: Attribution, task: Task) -> list[int]:
    """Which of the prediction's labels are explained, in the place that they belong to."""
    labels, outputs = result.prediction.labels, result.outputs
    here = [output for output in outputs if output.position == outputs[0].position]
    if task.has_vocabulary:
        return [labels.index(output.text) for output in here if output.text in labels]
    return [output.id for output in here if 0 <= output.id < len(labels)]
