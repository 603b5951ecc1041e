"""Controls for the methods' options, built from their signatures."""

import json
from typing import Any

import gradio as gr

from attribution import list_methods
from attribution.errors import AttributionError
from attribution.registry import Option

from .fields import Field, Link
from .recommendation import chosen_method


def option_fields(*visible: str, titled: bool = False) -> tuple[dict[str, gr.Group], list[Field]]:
    """A group of controls for each method, shown for those in ``visible``, and their fields.

    Fields are named ``method.option``. ``titled`` groups begin with the method's name, for pages that show
    several of them.
    """
    groups: dict[str, gr.Group] = {}
    fields: list[Field] = []
    for name, method in list_methods().items():
        with gr.Group(visible=name in visible) as groups[name]:
            if titled:
                title = f"**{method.title}**" + ("" if method.options else ": no options")
                gr.Markdown(title, elem_classes="owner")
            fields += [_field(name, option) for option in method.options]
    return groups, fields


def show_groups(*visible: str) -> list[gr.Group]:
    """Updates for the groups: those of these methods are shown."""
    return [gr.Group(visible=name in visible) for name in list_methods()]


def _field(method: str, option: Option) -> Field:
    def from_link(link: Link) -> Any:
        """The value in the link, where the link is about this method and the value is allowed."""
        if option.name not in link.query or chosen_method(link.model, link.query) != method:
            return gr.skip()
        text = link.query[option.name]
        try:
            return option.check(text if option.kind in ("choice", "text") else json.loads(text))
        except (AttributionError, ValueError):
            return gr.skip()

    return Field(_control(option), f"{method}.{option.name}", from_link)


def _control(option: Option) -> Any:
    label, info = option.name.replace("_", " ").capitalize(), option.help or None
    if option.kind == "choice":
        return gr.Dropdown(list(option.choices), value=option.default, label=label, info=info)
    if option.kind == "bool":
        return gr.Checkbox(value=bool(option.default), label=label, info=info)
    if option.kind == "text":
        return gr.Textbox(str(option.default), label=label, info=info, max_length=int(option.maximum or 0))
    return gr.Number(
        option.default,
        label=label,
        info=info,
        minimum=option.minimum,
        maximum=option.maximum,
        precision=0 if option.kind == "int" else None,
    )
