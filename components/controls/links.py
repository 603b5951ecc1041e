"""A button that copies the address of what a page shows."""

from collections.abc import Mapping
from typing import Any

import gradio as gr

from ..languages import say
from .values import in_browser


def copy_link(controls: Mapping[str, Any]) -> None:
    """Copy, and show, a link that sets these controls again, by their names in the query string."""
    with gr.Column(min_width=0, elem_classes="sharing"):
        button = gr.Button(say("Copy link"), size="sm", elem_id="copy-link")
        link = gr.Textbox(
            show_label=False,
            placeholder=say("The link"),
            interactive=False,
            buttons=["copy"],
            elem_id="shared",
        )
    script = in_browser("copyLink", list(controls))
    button.click(None, list(controls.values()), [link], js=script, api_visibility="private")
