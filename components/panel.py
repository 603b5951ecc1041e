"""The words beside the picture: prediction, target, what the method means, how far it adds up, or what went wrong."""

from pathlib import Path
from typing import Any

import gradio as gr

from attribution import methods, sentences
from attribution.errors import AttributionError
from attribution.types import WRITERS, Attribution

STATIC = Path(__file__).with_name("static")

_ON_LOAD = """
const panel = AttributionPanel.mount(element.querySelector(".panel-mount"), {
  onSelect: (label) => trigger("select", { value: label, index: 0 }),
});
let shown = 0, drawn = -1;
const draw = () => {
  const value = props.value || null;
  if (value && Number.isInteger(value.sequence)) {
    const { sequence, step = 0 } = value;
    if (sequence < shown || (sequence === shown && step <= drawn)) return;
    [shown, drawn] = [sequence, step];
  }
  panel.draw(value);
};
watch("value", draw);
draw();
"""


class Panel(gr.HTML):
    """Draws what ``answer`` or ``failure`` gave; the event ``select`` carries the label that a person clicked.

    An integer ``sequence`` beside it orders the values: an older one is not drawn.
    """

    def __init__(self, value: dict[str, Any] | None = None, **kwargs: Any) -> None:
        script, style = ((STATIC / f"panel.{kind}").read_text(encoding="utf-8") for kind in ("js", "css"))
        super().__init__(
            value=value,
            html_template='<div class="panel-mount"></div>',
            js_on_load=_ON_LOAD,
            head=f"<style>{style}</style><script>{script}</script>",
            apply_default_css=False,
            **kwargs,
        )

    def api_info(self) -> dict[str, Any]:
        return {"type": "object", "title": "Words", "additionalProperties": True}

    def example_payload(self) -> Any:
        return None

    def example_value(self) -> Any:
        return None


REFINING = "These are first numbers. Better ones, or more of them, follow."


def answer(result: Attribution) -> dict[str, Any]:
    """The value for an attribution. What tells how good its numbers are waits for the finished one."""
    method = methods()[result.method]
    prediction, task = result.prediction, result.model.task
    return {
        "prediction": {
            "heading": _heading(result),
            "labels": list(prediction.labels)
            if prediction.probabilities and task not in (*WRITERS, "question_answering")
            else [],
            "probabilities": list(prediction.probabilities),
            "text": prediction.text if task in WRITERS else None,
            "said": sentences.said(result) if task == "question_answering" or not prediction.probabilities else "",
        },
        "targets": _targets(result),
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
        "notes": list(result.notes),
    }


def _heading(result: Attribution) -> str:
    """What stands above the prediction. Labels belong to one place of the text, where the model has some for each."""
    outputs, task = result.outputs, result.model.task
    if task == "token_classification" and outputs and outputs[0].position is not None:
        return f"The model says of “{result.tokens[outputs[0].position].text}”"
    if task == "masked":
        several = len({output.position for output in outputs}) > 1
        return "The model puts in place of the first mask" if several else "The model puts in place of the mask"
    return "The model writes" if task in WRITERS else "The model says"


def _targets(result: Attribution) -> list[int]:
    """Which of the prediction's labels are explained, in the place that they belong to."""
    labels, outputs = result.prediction.labels, result.outputs
    here = [output for output in outputs if output.position == outputs[0].position]
    if result.model.task == "masked":
        return [labels.index(output.text) for output in here if output.text in labels]
    return [output.id for output in here if 0 <= output.id < len(labels)]


def failure(error: AttributionError) -> dict[str, Any]:
    """The value for a request that could not be answered."""
    return {"error": {"message": error.message, "hint": error.hint}}
