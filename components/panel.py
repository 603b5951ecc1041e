"""The words beside the picture: prediction, target, what the method means, how far it adds up, or what went wrong."""

from pathlib import Path
from typing import Any

import gradio as gr

from attribution import methods, sentences
from attribution.errors import AttributionError
from attribution.types import Attribution

STATIC = Path(__file__).with_name("static")

_ON_LOAD = """
const panel = AttributionPanel.mount(element.querySelector(".panel-mount"), {
  onSelect: (label) => trigger("select", { value: label, index: 0 }),
});
let shown = -Infinity;
const draw = () => {
  const value = props.value || null;
  if (value && value.sequence <= shown) return;
  if (value) shown = value.sequence;
  panel.draw(value);
};
watch("value", draw);
draw();
"""


class Panel(gr.HTML):
    """Draws what ``answer`` or ``failure`` gave; the event ``select`` carries the label that a person clicked."""

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


def answer(result: Attribution, sequence: int) -> dict[str, Any]:
    """The value for a finished attribution."""
    method = methods()[result.method]
    return {
        "sequence": sequence,
        "prediction": {
            "labels": list(result.prediction.labels) if result.prediction.text is None else [],
            "probabilities": list(result.prediction.probabilities),
            "text": result.prediction.text,
        },
        "target": result.outputs[0].id,
        "explained": sentences.target(result),
        "method": {"title": method.title, "summary": method.summary, "caveat": method.caveat},
        "adds_up": sentences.adds_up(result),
        "rough": sentences.is_rough(result),
        "notes": list(result.notes),
        "model_note": result.model.note,
    }


def failure(error: AttributionError, sequence: int) -> dict[str, Any]:
    """The value for a request that could not be answered."""
    return {"sequence": sequence, "error": {"message": error.message, "hint": error.hint}}
