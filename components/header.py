"""The header of each page: the title of the app, the links to its pages, and the scripts that all share."""

from collections.abc import Sequence
from functools import cache
from html import escape
from typing import Any

import gradio as gr

from . import languages
from .assets import STATIC, asset
from .pages import Page
from .pictures import picture

LEAD = "See which words drive a language model's prediction, as you type."

# The text goes along to the next page; the link is valid without it.
_ON_LOAD = """
const labels = element.querySelectorAll("[data-say]");
for (const node of labels) node.textContent = AttributionWords.say(node.dataset.say);
const links = [...element.querySelectorAll("nav a")];
const paths = links.map((link) => link.getAttribute("href"));
const renew = () => links.forEach((link, i) => { link.href = AttributionAddress.onward(paths[i]); });
if (!AttributionAddress.own) {
  for (const link of links) Object.assign(link, { target: "_blank", rel: "noopener" });
  renew();
}
element.addEventListener("click", renew);
"""


@cache
def page_scripts() -> str:
    """The script elements of the page's language and of its address."""
    return languages.script() + f"<script>{asset(STATIC / 'address.js')}</script>"


class Header(gr.HTML):
    """Title and navigation; ``path`` is that of its own page.

    As the first component of a page it brings the scripts that all pictures share, D3 included. A page of
    others that holds the app as ``<gradio-app>`` gets neither ``launch(head=...)`` nor ``Preload``.
    """

    def __init__(self, path: str, pages: Sequence[Page], **kwargs: Any) -> None:
        links = "".join(
            f'<a href="./{page.path}"{" aria-current=page" if page.path == path else ""} '
            f'data-say="{escape(page.title)}">{escape(page.title)}</a>'
            for page in pages
        )
        super().__init__(
            html_template=f'<header data-page="{escape(path)}">'
            "<div><h1>Attribution Visualization Tool</h1>"
            f'<p data-say="{escape(LEAD)}">{escape(LEAD)}</p></div><nav>{links}</nav></header>',
            js_on_load=_ON_LOAD,
            elem_id="head",
            head=page_scripts() + picture.head(),
            apply_default_css=False,
            **kwargs,
        )
