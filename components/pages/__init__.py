"""The pages: one file and one function each, discovered in this folder.

A page is a function ``(engine, demo) -> None`` under ``@page(...)`` that builds itself inside ``demo``. Other
packages add pages through the entry point group of ``attribution.pages``.
"""

from functools import cache

from attribution.pages import GROUP, Page, page
from attribution.registry import discover

__all__ = ["Page", "list_pages", "page"]


@cache
def list_pages() -> tuple[Page, ...]:
    """Every page, in the order of the navigation."""
    return tuple(sorted(discover(__name__, Page, GROUP).values(), key=lambda entry: entry.order))
