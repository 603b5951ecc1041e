"""Sphinx's configuration of the web site.

``docs/site.py`` stages the documents and runs it; nothing comes from other hosts.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from docs.site import HOME, contents

project = "Attribution Visualization Tool"
extensions = ["myst_parser"]
root_doc = HOME
html_theme = "furo"
html_title = project
html_favicon = "favicon.svg"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
myst_heading_anchors = 4
# Blocks of the README are Python, even where their lexer stumbles over an ellipsis.
highlight_language = "text"


def setup(app: Sphinx) -> None:
    """Append the navigation to the home page: on the forge its tables are enough."""
    app.connect("source-read", _append_navigation)


def _append_navigation(_app: Sphinx, document: str, source: list[str]) -> None:
    if document in (trees := contents()):
        source[0] += "".join(
            f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n"
            + "\n".join(f"/{page}" for page in pages)
            + "\n```\n"
            for caption, pages in trees[document].items()
        )
