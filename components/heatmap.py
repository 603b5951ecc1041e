"""The picture on the page: a Gradio component that draws an attribution with D3.

Gradio compiles an HTML template as code, so no value ever enters one: the template is constant, and the script that draws reads
the value as data.
"""

from typing import Any

import gradio as gr

from attribution.export.html import picture_script, picture_style
from attribution.types import Attribution

# A slow answer may arrive after a newer one. The numbers beside the attribution tell: ``sequence`` counts the requests and ``step`` the
# answers to one of them. Only what is newer is drawn; while better numbers follow, the next are asked for.
_ON_LOAD = """
const picture = AttributionHeatmap.mount(element.querySelector(".attribution-mount"), {
  source: props.source || null,
  secondSource: props.second_source || null,
  onSelectOutput: (row) => trigger("select", { output: row, index: row, value: row }),
});
let shown = 0, drawn = -1;
const draw = () => {
  const value = props.value || null;
  if (value && Number.isInteger(value.sequence)) {
    const { sequence, step = 0 } = value;
    if (sequence < shown || (sequence === shown && step <= drawn)) return;
    [shown, drawn] = [sequence, step];
  }
  picture.draw(value);
  if (value?.provisional) trigger("expand", { sequence: value.sequence, step: value.step });
};
watch("value", draw);
draw();
"""


class Heatmap(gr.HTML):
    """An attribution over its text. The event ``select`` carries ``event.output``, the row that a person chose.

    The value is an ``Attribution``, its ``to_dict()`` with or without the integers ``sequence`` and ``step`` beside it, or None.
    Where it is provisional, the event ``expand`` asks for what follows, with the same two numbers. ``source`` is the CSS selector
    of the text box that the picture follows, ``second_source`` that of the other text of a pair: while their texts differ, the
    picture says ``data-current="false"``.
    """

    def __init__(
        self,
        value: Attribution | dict[str, Any] | None = None,
        *,
        source: str | None = None,
        second_source: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.source, self.second_source = source, second_source
        super().__init__(
            value=value,
            html_template='<div class="attribution-mount"></div>',
            js_on_load=_ON_LOAD,
            head=f"<style>{picture_style()}</style><script>{picture_script()}</script>",
            apply_default_css=False,
            source=source,
            second_source=second_source,
            **kwargs,
        )

    def preprocess(self, payload: dict[str, Any] | None) -> dict[str, Any] | None:
        return payload or None

    def postprocess(self, value: Attribution | dict[str, Any] | None) -> dict[str, Any] | None:
        return value.to_dict() if isinstance(value, Attribution) else value

    def api_info(self) -> dict[str, Any]:
        return {
            "type": "object",
            "title": "Attribution",
            "description": "Attribution.to_dict(), with the integers `sequence` and `step` beside it: only larger ones are drawn.",
            "properties": {
                "schema": {"type": "string"},
                "sequence": {"type": "integer"},
                "step": {"type": "integer"},
                "text": {"type": "string"},
            },
            "additionalProperties": True,
        }

    def example_payload(self) -> Any:
        return None

    def example_value(self) -> Any:
        return None
