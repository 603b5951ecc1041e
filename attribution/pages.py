"""Pages of the interface: how another package adds a page, and how the interface is imported.

A page is a function that builds itself inside Gradio's blocks::

    from attribution.pages import load_interface, page

    @page(path="sentences", title="Sentences", order=80)
    def sentences(engine, demo):
        heatmap = load_interface("pictures.heatmap")
        ...

registered under the entry point group ``attribution.pages``. The interface is the package ``components`` in a
checkout, and has another name in site-packages, to avoid collisions: import it by ``load_interface`` only.
This module does not need gradio.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from attribution.errors import NotInstalled
from attribution.extras import INSTALL, needs_app

GROUP = "attribution.pages"
"""The entry point group of pages."""
INSTALLED = "attribution_visualization_tool"
"""The interface's package in site-packages: see ``setup.py``."""
CHECKOUT = "components"
"""The interface's package in the repository."""

Build = Callable[[Any, Any], None]
"""``(engine: attribution.engine.Engine, demo: gradio.Blocks) -> None``."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page. ``path`` is its path in the URL, "" for the first page.

    ``title`` is its name in the navigation, or the key of its translations; ``order`` its position there.
    """

    path: str
    title: str
    order: int
    build: Build

    @property
    def name(self) -> str:
        """The unique name of the page."""
        return self.path


def page(*, path: str, title: str, order: int = 80) -> Callable[[Build], Page]:
    """Decorator: make a function a ``Page``. ``order`` is its position in the navigation, by default late."""
    return lambda build: Page(path, title, order, build)


def load_interface(module: str = "") -> ModuleType:
    """Import the interface, or a module of it such as ``pictures.heatmap``. Raises ``NotInstalled``."""
    package = CHECKOUT if _in_checkout() else INSTALLED
    if importlib.util.find_spec(package) is None:
        raise NotInstalled("The app is not installed here.", INSTALL)
    with needs_app():
        return importlib.import_module(f"{package}.{module}" if module else package)


def _in_checkout() -> bool:
    """Whether ``components`` is the folder next to this package, and not another package of that name."""
    folder = Path(__file__).parents[1] / CHECKOUT
    if not (folder / "application.py").is_file():
        return False
    spec = importlib.util.find_spec(CHECKOUT)
    return spec is not None and spec.origin is not None and Path(spec.origin).parent == folder
