"""Hostile strings in every field and every parameter of every page: they are text, and the page goes on."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from components.pages import list_pages

HOSTILE = (
    "${window.__pwn=1}`${'",
    "<img src=x onerror=window.__pwn=1>",
    "</script><script>window.__pwn=1</script>",
    "{{value}} {{#each value}} \\u{zz}",
    "'\"><svg onload=window.__pwn=1>",
    '__i18n__{"key": "Text"}',
    "\u202e\u2066\u200b abc \U0001f600\u200d\U0001f308",
)
PARAMETERS = (
    "text", "second", "model", "models", "method", "methods", "beside", "target", "contrast", "position", "continuation", "quantity",
    "max_new_tokens", "view", "theme", "lang", "lesson", "layer", "head", "metrics", "marks", "steps", "samples", "a", "b",
)  # fmt: skip
# A picture, or what is wrong with a parameter.
ANSWER = ".attribution-picture .cell, .attribution-picture .message, [role=alert]"
PATHS = [one.path for one in list_pages()]
ON_DEMAND = ("batch", "quality")
"""Pages that answer only when a button is pressed."""


def ready(page: Page, path: str) -> None:
    """A page that was opened without parameters is there."""
    expect(
        page.locator("button" if path in ON_DEMAND else ".attribution-picture .cell")
        .filter(visible=True)
        .first
    ).to_be_visible()


def alive(page: Page, path: str, text: str) -> None:
    """The page still answers what is typed, or still opens."""
    if path in ON_DEMAND:
        page.reload()
        ready(page, path)
        return
    page.locator("#text textarea").fill(text)
    expect(
        page.locator(".attribution-picture .cell", has_text=text.split()[-1].strip(".")).first
    ).to_be_visible()
    assert page.evaluate("window.__pwn") is None


def typed(page: Page, number: int) -> None:
    """Every string at once in every field of the page, and each of them alone in one."""
    for opener in page.locator("#options > button, #share > button").all():
        opener.click()
    fields = page.locator(
        "textarea:not([disabled]):not([readonly]), input[type=text]:not([disabled]):not([readonly])"
    )
    for place in range(fields.count()):
        field = fields.nth(place)
        if not field.is_visible() or not field.is_editable():
            continue
        before = field.input_value()
        for text in (HOSTILE[(place + number) % len(HOSTILE)], "\n".join(HOSTILE)):
            field.fill(text)
            page.wait_for_timeout(120)
        field.press("Escape")
        field.fill(before)
        field.blur()
    assert page.evaluate("window.__pwn") is None


@pytest.mark.parametrize("path", PATHS)
def test_parameters_and_fields(page: Page, url: str, path: str) -> None:
    # Each parameter gets another string each time; over the pages and times every parameter meets every string.
    number = PATHS.index(path)
    for turn in range(2):
        strings = [
            HOSTILE[(place + turn * len(PATHS) + number) % len(HOSTILE)] for place in range(len(PARAMETERS))
        ]
        query = "&".join(f"{name}={quote(text)}" for name, text in zip(PARAMETERS, strings, strict=True))
        page.goto(f"{url}{path}?{query}")
        answer = "button" if path in ON_DEMAND else ANSWER
        expect(page.locator(answer).filter(visible=True, has_text=re.compile(r"\S")).first).to_be_visible()
        assert page.evaluate("window.__pwn") is None
    page.goto(f"{url}{path}")
    ready(page, path)
    typed(page, number)
    alive(page, path, "Still alive and well.")


def test_every_parameter_meets_every_string() -> None:
    assert len(PATHS) * 2 >= len(HOSTILE)
