"""A page."""

import gradio as gr

from attribution.pages import page

not_a_page = "no page"


@page(path="hello", title="Hello", order=99)
def hello(engine, demo) -> None:
    """One line that names the methods of this server."""
    gr.Markdown("Hello from a plug-in", elem_id="hello")
