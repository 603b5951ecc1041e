"""The pages: one file and one function each, discovered in this folder.

A page is a function ``(engine, demo) -> None`` under ``@page(...)`` that builds itself inside ``demo``. Other
packages add pages through the entry point group of ``attribution.pages``. One that cannot be shown is left
out, with a line in the log: it must not keep the app from starting.
"""

import logging
import re
from functools import cache

import gradio as gr

from attribution.engine import Engine
from attribution.pages import GROUP, Page, page
from attribution.registry import discover

__all__ = ["Page", "leave_out_broken", "list_pages", "page"]

logger = logging.getLogger(__name__)
PATH = re.compile(r"[a-z0-9][a-z0-9_-]*")
RESERVED = frozenset({"api", "assets", "config", "docs", "gradio_api", "openapi", "static", "theme"})
"""Paths of the server."""


@cache
def list_pages() -> tuple[Page, ...]:
    """Every page that can be shown, in the order of the navigation."""
    pages = discover(__name__, Page, GROUP).values()
    return tuple(sorted(filter(_can_be_shown, pages), key=lambda entry: (entry.order, entry.path)))


def _can_be_shown(entry: Page) -> bool:
    if _is_own(entry):
        return True
    problem = ""
    if not isinstance(entry.path, str) or not PATH.fullmatch(entry.path) or entry.path in RESERVED:
        problem = f"its path {entry.path!r} is not one of small letters, digits, - and _, or is taken"
    elif not isinstance(entry.title, str) or not entry.title.strip():
        problem = "it has no title"
    elif isinstance(entry.order, bool) or not isinstance(entry.order, int | float):
        problem = f"its order {entry.order!r} is not a number"
    elif not callable(entry.build):
        problem = "it is not built by a function"
    if problem:
        logger.warning("Left out the page %r: %s.", entry.title, problem)
    return not problem


def _is_own(entry: Page) -> bool:
    """Whether a page is one of this folder, which the tests build."""
    return getattr(entry.build, "__module__", "").startswith(f"{__name__}.")


def leave_out_broken(engine: Engine) -> tuple[Page, ...]:
    """The pages that can be built; other packages' pages are built once on trial.

    The navigation of each page lists all others, and Gradio cannot undo half a page.
    """
    return tuple(entry for entry in list_pages() if _is_own(entry) or _builds(entry, engine))


def _builds(entry: Page, engine: Engine) -> bool:
    try:
        trial = gr.Blocks(analytics_enabled=False)
        with trial.route(entry.title, entry.path):
            entry.build(engine, trial)
    except (Exception, SystemExit) as error:
        logger.warning("Left out the page %r: %s: %s", entry.title, type(error).__name__, error)
        return False
    return True
