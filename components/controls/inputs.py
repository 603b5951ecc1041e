"""Fields that several pages have."""

import json
from collections.abc import Sequence
from typing import Any

import gradio as gr

from attribution.engine import Engine
from attribution.models.sources import catalogue
from attribution.settings import DEFAULT_MODEL

from ..languages import say
from . import choices
from .fields import Field, Link
from .values import ITSELF, POSITION_HELP

LABELS = {"text": "Text", "second": "Second text"}
LENGTH = 16
"""Generated tokens at first, at most."""
POSITION_CHARACTERS = 200

# The direction of the text, from its first letter. A browser's own dir="auto" takes seconds for a megabyte.
_DIRECTION = r"""(text) => {
  const first = /\p{L}/u.exec(text.slice(0, 500));
  const rtl = /[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u;
  const box = document.getElementById(%s)?.querySelector("textarea");
  if (box) box.dir = first && rtl.test(first[0]) ? "rtl" : "ltr";
}"""


def text_box(name: str, value: str, *, visible: bool = True) -> gr.Textbox:
    """A box that runs in the direction of its text; ``name`` is its id, ``text`` or ``second``."""
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


def text_fields(model: str = DEFAULT_MODEL) -> tuple[Field, Field]:
    """The text and the second text, which only some models read; at first those of the first example."""

    def second_of_link(link: Link) -> gr.Textbox:
        update = link.update("second", default=choices.first_second(link.model))
        return gr.Textbox(**update, visible=choices.any_takes_second(link.models))

    text = Field(
        text_box("text", choices.examples_of(model)[0]),
        "text",
        from_link=lambda link: link.text("text", choices.examples_of(link.model)[0]),
    )
    second = Field(
        text_box("second", choices.first_second(model), visible=choices.takes_second(model)),
        "second",
        from_link=second_of_link,
        on_model=lambda models, _: gr.Textbox(
            value=choices.first_second(choices.lead(models)), visible=choices.any_takes_second(models)
        ),
    )
    return text, second


def model_field(engine: Engine, names: Sequence[str] = ()) -> Field:
    """One of the catalogue's models, or of ``names``; any other name only where the server takes it."""
    box = gr.Dropdown(
        list(names) or [entry.name for entry in catalogue.entries()],
        value=DEFAULT_MODEL,
        label=say("Model"),
        elem_id="model",
        allow_custom_value=engine.store.any_model,
    )
    return Field(box, "model", from_link=lambda link: link.model, redraws=False)


def models_field(engine: Engine, value: list[str]) -> Field:
    """Several models."""
    box = gr.Dropdown(
        [entry.name for entry in catalogue.entries()],
        value=value,
        label=say("Models"),
        multiselect=True,
        max_choices=engine.settings.compared_models,
        elem_id="models",
        allow_custom_value=engine.store.any_model,
    )
    return Field(box, "models", from_link=lambda link: list(link.models), redraws=False)


def methods_field(defaults: Sequence[str]) -> Field:
    """Methods to compare: those that were chosen and fit the model, else those of ``defaults`` that do."""

    def update(models: Sequence[str], wanted: Sequence[str]) -> gr.CheckboxGroup:
        return gr.CheckboxGroup(choices.method_choices(*models), value=fitting(models, wanted))

    def fitting(models: Sequence[str], wanted: Sequence[str]) -> list[str]:
        names = choices.method_names(*models)
        return [name for name in wanted if name in names] or [name for name in defaults if name in names]

    def from_link(link: Link) -> gr.CheckboxGroup:
        named = [link.query.get("method", ""), *link.names("methods")]
        return update(link.models, list(dict.fromkeys(filter(None, map(choices.method_of, named)))))

    box = gr.CheckboxGroup(
        choices.method_choices(DEFAULT_MODEL),
        value=fitting([DEFAULT_MODEL], []),
        label=say("Methods"),
        elem_id="methods",
    )
    return Field(
        box, "methods", from_link, lambda models, values: update(models, values.get("methods") or [])
    )


def target_field(model: str = DEFAULT_MODEL) -> Field:
    """What is explained: a label, or the model's own prediction."""
    box = gr.Dropdown(
        choices.targets(model), value=ITSELF, label=say("Explain"), elem_id="target", allow_custom_value=True
    )
    return Field(
        box,
        "target",
        from_link=lambda link: gr.Dropdown(
            choices.targets(link.model), value=link.query.get("target") or ITSELF
        ),
        on_model=lambda models, _: gr.Dropdown(choices.targets(choices.lead(models)), value=ITSELF),
    )


def position_box(value: str = "", *, visible: bool = True) -> gr.Textbox:
    """Which tokens of the output are explained."""
    return gr.Textbox(
        value,
        label=say("Position"),
        info=say(POSITION_HELP),
        elem_id="position",
        max_length=POSITION_CHARACTERS,
        visible=visible,
    )


def first_position_field() -> Field:
    """A position for pages that show one output: at first the first token that a model writes."""

    def update(model: str, written: dict[str, Any]) -> gr.Textbox:
        value = {"value": choices.first_position(model), **written}
        return gr.Textbox(**value, visible=choices.has_positions(model))

    return Field(
        position_box(visible=choices.has_positions(DEFAULT_MODEL)),
        "position",
        from_link=lambda link: update(link.model, link.update("position", POSITION_CHARACTERS)),
        on_model=lambda models, _: update(choices.lead(models), {}),
    )


def length_field(engine: Engine) -> Field:
    """How many tokens a model may generate."""
    most = engine.settings.max_new_tokens
    slider = gr.Slider(
        1, most, LENGTH, step=1, label=say("Maximum generated tokens"), visible=False, elem_id="length"
    )
    return Field(
        slider,
        "max_new_tokens",
        from_link=lambda link: gr.Slider(
            value=min(link.number("max_new_tokens", LENGTH) or LENGTH, most),
            visible=choices.may_write(link.model),
        ),
        on_model=lambda models, _: gr.Slider(visible=choices.may_write(choices.lead(models))),
    )


def examples_field(model: str = DEFAULT_MODEL, **kwargs: Any) -> Field:
    """The examples of a model, to be clicked."""
    box = gr.Dataset(
        components=["text"],
        samples=choices.samples(model),
        **{"label": say("Examples"), **kwargs},
    )
    return Field(box, on_model=lambda models, _: gr.Dataset(samples=choices.samples(choices.lead(models))))
