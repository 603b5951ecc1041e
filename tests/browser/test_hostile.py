"""Hostile strings in every field and every parameter of every page: they are text, and the page goes on."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from components.pages import pages

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
    "max_new_tokens", "view", "theme", "lang", "lesson", "layer", "head", "steps", "samples", "a", "b",
)  # fmt: skip
# A picture, or what is wrong with a parameter.
ANSWER = ".attribution-picture .cell, .attribution-picture .message, [role=alert]"
PATHS = [one.path for one in pages()]


def alive(page: Page, text: str) -> None:
    """The page still answers what is typed."""
    page.locator("#text textarea").fill(text)
    expect(page.locator(".attribution-picture .cell", has_text=text.split()[-1].strip(".")).first).to_be_visible()
    assert page.evaluate("window.__pwn") is None


@pytest.mark.parametrize("path", PATHS)
def test_parameters(page: Page, url: str, path: str) -> None:
    # Each parameter gets another string each time; over the pages and times every string is met many times.
    for turn in range(3):
        strings = [HOSTILE[(place + turn + PATHS.index(path)) % len(HOSTILE)] for place in range(len(PARAMETERS))]
        query = "&".join(f"{name}={quote(text)}" for name, text in zip(PARAMETERS, strings, strict=True))
        page.goto(f"{url}{path}?{query}")
        expect(page.locator(ANSWER).filter(visible=True, has_text=re.compile(r"\S")).first).to_be_visible()
        assert page.evaluate("window.__pwn") is None
    page.goto(f"{url}{path}")
    expect(page.locator(".attribution-picture .cell").first).to_be_visible()
    alive(page, "Still alive and well.")


@pytest.mark.parametrize("path", PATHS)
def test_fields(page: Page, url: str, path: str) -> None:
    page.goto(f"{url}{path}")
    expect(page.locator(".attribution-picture .cell").first).to_be_visible()
    for opener in page.locator("#options > button, #share > button").all():
        opener.click()
    fields = page.locator("textarea:not([disabled]):not([readonly]), input[type=text]:not([disabled]):not([readonly])")
    for number in range(fields.count()):
        field = fields.nth(number)
        if not field.is_visible() or not field.is_editable():
            continue
        before = field.input_value()
        for text in HOSTILE:
            field.fill(text)
            page.wait_for_timeout(120)
        field.press("Escape")
        field.fill(before)
        field.blur()
    assert page.evaluate("window.__pwn") is None
    alive(page, "Still alive and well.")
