"""Controls for the methods' options, made from their signatures, and their values in a link."""

import json
from typing import Any

import gradio as gr

from attribution import list_methods
from attribution.errors import AttributionError
from attribution.registry import Option


def option_controls(*shown: str, titled: bool = False) -> tuple[dict[str, gr.Group], dict[str, Any]]:
    """For each method a group of controls, built from its signature, those of ``shown`` to be seen; controls are named ``method.option``.

    ``titled`` groups begin with the method's name, where several may be seen.
    """
    groups: dict[str, gr.Group] = {}
    controls: dict[str, Any] = {}
    for name, method in list_methods().items():
        with gr.Group(visible=name in shown) as groups[name]:
            if titled:
                gr.Markdown(
                    f"**{method.title}**" + ("" if method.options else ": no options"), elem_classes="owner"
                )
            controls |= {f"{name}.{option.name}": _control(option) for option in method.options}
    return groups, controls


def _control(option: Option) -> Any:
    label, about = option.name.replace("_", " ").capitalize(), option.help or None
    if option.kind == "choice":
        return gr.Dropdown(list(option.choices), value=option.default, label=label, info=about)
    if option.kind == "bool":
        return gr.Checkbox(value=bool(option.default), label=label, info=about)
    if option.kind == "text":
        return gr.Textbox(str(option.default), label=label, info=about, max_length=int(option.maximum or 0))
    whole = option.kind == "int"
    return gr.Number(
        option.default,
        label=label,
        info=about,
        minimum=option.minimum,
        maximum=option.maximum,
        precision=0 if whole else None,
    )


def given(asked: dict[str, str], name: str, longest: int) -> dict[str, str]:
    """A text of a link as the value of its control; nothing where the link does not name it, since a value set is a change."""
    return {"value": asked[name][:longest]} if name in asked else {}


def whole(asked: dict[str, str], name: str, otherwise: int) -> int:
    """A whole number of a link; ``otherwise`` for what is none or has more than nine digits."""
    written = asked.get(name, "")
    return int(written) if written.isdecimal() and len(written) < 10 else otherwise


def from_link(asked: dict[str, str], key: str, method: str) -> Any:
    """The value of one option in a link, if it is there, belongs to the method and is allowed."""
    owner, name = key.split(".")
    if owner != method or name not in asked:
        return gr.skip()
    option = next(o for o in list_methods()[owner].options if o.name == name)
    try:
        return option.check(asked[name] if option.kind in ("choice", "text") else json.loads(asked[name]))
    except (AttributionError, ValueError):
        return gr.skip()
