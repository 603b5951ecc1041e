"""The head of each page: what this is, and the way to the other pages."""

from html import escape
from typing import Any

import gradio as gr

from .pages import list_pages

LEAD = "See which words drive a language model's prediction, as you type."

# What a person typed goes along to the next page; the link itself is right without it.
_ON_LOAD = """
element.querySelectorAll("[data-say]").forEach((node) => (node.textContent = AttributionWords.say(node.dataset.say)));
element.addEventListener("click", (event) => {
  const link = event.target.closest("nav a");
  if (link) link.href = AttributionAddress.onward(link.getAttribute("href"));
});
"""


class Header(gr.HTML):
    """Title and navigation; ``path`` is the page that it stands on."""

    def __init__(self, path: str, **kwargs: Any) -> None:
        links = "".join(
            f'<a href="./{one.path}"{" aria-current=page" if one.path == path else ""} data-say="{escape(one.title)}">'
            f"{escape(one.title)}</a>"
            for one in list_pages()
        )
        super().__init__(
            html_template=f'<header><div><h1>Attribution Visualization Tool</h1><p data-say="{escape(LEAD)}">{escape(LEAD)}</p></div>'
            f"<nav>{links}</nav></header>",
            js_on_load=_ON_LOAD,
            elem_id="head",
            apply_default_css=False,
            **kwargs,
        )
