"""Controls that several pages have."""

import json
from collections.abc import Sequence

import gradio as gr

from attribution.engine import Engine
from attribution.models.sources import catalogue

from ..languages import say
from . import choices
from .values import ITSELF, POSITION_HELP

LABELS = {"text": "Text", "second": "Second text"}
LENGTH = 16
"""Tokens that are generated at first, at most."""

# The direction of the text, from its first letter. A browser's own dir="auto" takes seconds for a megabyte.
_DIRECTION = r"""(text) => {
  const first = /\p{L}/u.exec(text.slice(0, 500));
  const rtl = first && /[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u.test(first[0]);
  const box = document.getElementById(%s)?.querySelector("textarea");
  if (box) box.dir = rtl ? "rtl" : "ltr";
}"""


def text_box(name: str, value: str, *, visible: bool = True) -> gr.Textbox:
    """A box that runs in the direction of its text; ``name`` is its id on the page, ``text`` or ``second``."""
    box = gr.Textbox(
        value,
        label=say(LABELS[name]),
        placeholder=say("Type a sentence …"),
        lines=2,
        max_lines=12,
        elem_id=name,
        visible=visible,
        html_attributes=gr.InputHTMLAttributes(spellcheck=False, autocorrect="off", autocapitalize="off"),
    )
    box.change(None, [box], None, js=_DIRECTION % json.dumps(name), api_visibility="private")
    return box


def text_boxes(model: str) -> tuple[gr.Textbox, gr.Textbox]:
    """The first example of a model; the second box is there for a model that reads two texts."""
    return (
        text_box("text", choices.examples_of(model)[0]),
        text_box("second", choices.first_second(model), visible=choices.takes_second(model)),
    )


def model_box(engine: Engine, value: str, names: Sequence[str] = ()) -> gr.Dropdown:
    """One of the catalogue's models, or of these; any other name only where the server takes it."""
    return gr.Dropdown(
        list(names) or [entry.name for entry in catalogue.entries()],
        value=value,
        label=say("Model"),
        elem_id="model",
        allow_custom_value=engine.store.any_model,
    )


def target_box(model: str) -> gr.Dropdown:
    return gr.Dropdown(
        choices.targets(model), value=ITSELF, label=say("Explain"), elem_id="target", allow_custom_value=True
    )


def position_box(value: str = "", *, visible: bool = True) -> gr.Textbox:
    return gr.Textbox(
        value,
        label=say("Position"),
        info=say(POSITION_HELP),
        elem_id="position",
        max_length=200,
        visible=visible,
    )


def length_slider(engine: Engine) -> gr.Slider:
    return gr.Slider(
        1,
        engine.settings.max_new_tokens,
        LENGTH,
        step=1,
        label=say("Maximum generated tokens"),
        visible=False,
        elem_id="length",
    )
