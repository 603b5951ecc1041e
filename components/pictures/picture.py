"""What all pictures of a page share: a Gradio component that a script of the project draws.

Gradio compiles an HTML template as code, so no value ever enters one: the template is constant, and the
script reads the value as data.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import gradio as gr

from attribution.export.html import picture_script, picture_style

from ..assets import OPEN_SHARED, SHARED, asset, elements, elements_after_shared

STATIC = Path(__file__).with_name("static")

# A slow answer may arrive after a newer one. Two numbers order the values: ``sequence`` counts the requests,
# ``step`` the answers to one of them. Only a newer value is drawn; while ``more`` follow, the script asks for
# the next.
_ON_LOAD = """
attributionShared.then(() => {
  const picture = %s.mount(element.querySelector(".mount"), { trigger, props });
  let newest = 0, drawn = -1;
  const draw = () => {
    const value = props.value || null;
    if (value && Number.isInteger(value.sequence)) {
      const { sequence, step = 0 } = value;
      if (sequence < newest || (sequence === newest && step <= drawn)) return;
      [newest, drawn] = [sequence, step];
    }
    picture.draw(value);
    if (value?.more) trigger(%s, { sequence: value.sequence, step: value.step });
  };
  watch("value", draw);
  draw();
});
"""


class Picture(gr.HTML):
    """A value drawn by a script.

    A subclass names its ``assets`` and the global object that their scripts define.

    That object has ``mount(element, {trigger, props}) -> {draw(value)}`` and may use the scripts of
    ``head``; ``trigger(event, data)`` reaches Python as ``gr.EventData``. The value is a JSON
    object or None. The integers ``sequence`` and ``step`` in it order the values: an older one is not drawn.
    With a true ``more`` the event ``expand`` asks for the next value, with the same two numbers.
    """

    mounts: ClassVar[str]
    """The global object of its scripts."""
    assets: ClassVar[tuple[str, ...]]
    """Files of ``static/`` in loading order: ``NAME.js`` of each, and ``NAME.css`` where it exists."""
    emits: ClassVar[tuple[str, ...]] = ()
    """Events beside ``expand`` that the script triggers.

    (Gradio finds an event by its quoted name in the script.)
    """

    def __init__(self, value: dict[str, Any] | None = None, **kwargs: Any) -> None:
        events = "".join(f"// {json.dumps(event)}\n" for event in self.emits)
        super().__init__(
            value=value,
            html_template='<div class="mount"></div>',
            js_on_load=events + _ON_LOAD % (self.mounts, '"expand"'),
            head=self.script_elements(),
            apply_default_css=False,
            **kwargs,
        )

    @classmethod
    def script_elements(cls) -> str:
        """The scripts and style sheets that draw it, for the ``<head>`` of the page."""
        return "".join(
            elements_after_shared(asset(STATIC / f"{name}.js"), _style(name)) for name in cls.assets
        )

    def preprocess(self, payload: dict[str, Any] | None) -> dict[str, Any] | None:
        return payload or None

    def postprocess(self, value: dict[str, Any] | None) -> dict[str, Any] | None:
        return value

    def api_info(self) -> dict[str, Any]:
        return {"type": "object", "title": type(self).__name__, "additionalProperties": True}

    def example_payload(self) -> Any:
        return None

    def example_value(self) -> Any:
        return None


@cache
def head() -> str:
    """What all pictures share, D3 included, for the ``<head>`` of a page; their scripts wait for it."""
    return SHARED + elements(picture_script(), picture_style()) + OPEN_SHARED


def _style(name: str) -> str:
    path = STATIC / f"{name}.css"
    return asset(path) if path.exists() else ""
