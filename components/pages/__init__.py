"""The pages: one file and one function each, found by themselves.

A page is a function ``(engine, demo) -> None`` under ``@page(...)`` that builds itself inside ``demo``.
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import gradio as gr

from attribution.engine import Engine

Build = Callable[[Engine, gr.Blocks], None]


@dataclass(frozen=True)
class Page:
    """``path`` is its place in the address, "" for the first; ``title`` the key of its name in the navigation."""

    path: str
    title: str
    order: int
    build: Build


def page(*, path: str, title: str, order: int) -> Callable[[Build], Page]:
    """Make a function a ``Page``; ``order`` is its place in the navigation."""
    return lambda build: Page(path, title, order, build)


@cache
def list_pages() -> tuple[Page, ...]:
    """Every page, in the order of the navigation."""
    found = []
    for module in pkgutil.iter_modules(__path__):
        found += [
            v
            for v in vars(importlib.import_module(f"{__name__}.{module.name}")).values()
            if isinstance(v, Page)
        ]
    return tuple(sorted(found, key=lambda one: one.order))
