"""The header of each page: the title of the app and the links to its pages."""

from html import escape
from typing import Any

import gradio as gr

from .pages import list_pages

LEAD = "See which words drive a language model's prediction, as you type."

# The text goes along to the next page; the link is valid without it.
_ON_LOAD = """
const labels = element.querySelectorAll("[data-say]");
for (const node of labels) node.textContent = AttributionWords.say(node.dataset.say);
element.addEventListener("click", (event) => {
  const link = event.target.closest("nav a");
  if (link) link.href = AttributionAddress.onward(link.getAttribute("href"));
});
"""


class Header(gr.HTML):
    """Title and navigation; ``path`` is that of its own page."""

    def __init__(self, path: str, **kwargs: Any) -> None:
        links = "".join(
            f'<a href="./{page.path}"{" aria-current=page" if page.path == path else ""} '
            f'data-say="{escape(page.title)}">{escape(page.title)}</a>'
            for page in list_pages()
        )
        super().__init__(
            html_template="<header><div><h1>Attribution Visualization Tool</h1>"
            f'<p data-say="{escape(LEAD)}">{escape(LEAD)}</p></div><nav>{links}</nav></header>',
            js_on_load=_ON_LOAD,
            elem_id="head",
            apply_default_css=False,
            **kwargs,
        )
