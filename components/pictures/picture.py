"""What every picture of the page has in common: a Gradio component that a script of ours draws.

Gradio compiles an HTML template as code, so no value ever enters one: the template is constant, and the script reads the value as data.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import gradio as gr

from attribution.export.html import picture_script, picture_style

STATIC = Path(__file__).with_name("static")

# A slow answer may arrive after a newer one. The numbers beside a value tell: ``sequence`` counts the requests and ``step`` the answers to
# one of them. Only what is newer is drawn; while ``more`` follows, it is asked for.
_ON_LOAD = """
const picture = %s.mount(element.querySelector(".mount"), { trigger, props });
let shown = 0, drawn = -1;
const draw = () => {
  const value = props.value || null;
  if (value && Number.isInteger(value.sequence)) {
    const { sequence, step = 0 } = value;
    if (sequence < shown || (sequence === shown && step <= drawn)) return;
    [shown, drawn] = [sequence, step];
  }
  picture.draw(value);
  if (value?.more) trigger(%s, { sequence: value.sequence, step: value.step });
};
watch("value", draw);
draw();
"""


class Picture(gr.HTML):
    """A value drawn by a script. A subclass names its ``assets``, and the global that their scripts define.

    That global has ``mount(element, {trigger, props}) -> {draw(value)}``, and finds what ``head`` brings; ``trigger(event, data)``
    reaches Python as ``gr.EventData``. The value is a JSON object or None. Integers ``sequence`` and ``step`` in it order the values: an
    older one is not drawn. With a true ``more`` the event ``expand`` asks for what follows, with the same two numbers.
    """

    mounts: ClassVar[str]
    assets: ClassVar[tuple[str, ...]]
    """Files of ``static/`` in the order in which they are needed: of each ``NAME.js``, and ``NAME.css`` where there is one."""
    tells: ClassVar[tuple[str, ...]] = ()
    """Events beside ``expand`` that the script triggers. (Gradio finds an event by its quoted name in the script.)"""

    def __init__(self, value: dict[str, Any] | None = None, **kwargs: Any) -> None:
        named = "".join(f"// {json.dumps(event)}\n" for event in self.tells)
        super().__init__(
            value=value,
            html_template='<div class="mount"></div>',
            js_on_load=named + _ON_LOAD % (self.mounts, '"expand"'),
            head=self.drawn_by(),
            apply_default_css=False,
            **kwargs,
        )

    @classmethod
    def drawn_by(cls) -> str:
        """The scripts and style sheets that draw it, for the ``<head>`` of the page."""
        return "".join(scripts(asset(f"{name}.js"), _sheet(name)) for name in cls.assets)

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
    """What all pictures share, D3 included, for the ``<head>`` of a page that has any: ``launch(head=head())``."""
    return scripts(picture_script(), picture_style())


def scripts(script: str, style: str) -> str:
    """As script elements, of which Gradio adds equal ones once; it would add a style element for each picture."""
    sheet = f"document.head.append(Object.assign(document.createElement('style'), {{ textContent: {json.dumps(style)} }}));"
    return "".join(f"<script>{text}</script>" for text in (sheet if style else "", script) if text)


@cache
def asset(name: str, folder: Path = STATIC) -> str:
    """A file of ``static/``. A browser ends a script element at "</script" wherever it stands, so it says that another way."""
    return (folder / name).read_text(encoding="utf-8").replace("</script", "<\\/script")


def _sheet(name: str) -> str:
    return asset(f"{name}.css") if (STATIC / f"{name}.css").exists() else ""
