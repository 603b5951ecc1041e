"""The pages: one file and one function each, found by themselves.

A page is a function ``(engine, demo) -> None`` under ``@page(...)`` that builds itself inside ``demo``.
Packages outside this one add pages through the entry point group ``attribution.pages``: see
``attribution.pages``.
"""

from functools import cache

from attribution.pages import GROUP, Page, page
from attribution.registry import discover

__all__ = ["Page", "list_pages", "page"]


@cache
def list_pages() -> tuple[Page, ...]:
    """Every page, in the order of the navigation."""
    return tuple(sorted(discover(__name__, Page, GROUP).values(), key=lambda entry: entry.order))
