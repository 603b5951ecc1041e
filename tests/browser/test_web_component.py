"""The app inside of a page of another origin as ``<gradio-app>``, by the web component that it serves itself."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.test_share import elsewhere, press  # noqa: F401

Elsewhere = tuple[str, Path]
PICTURES = {
    "": 5,
    "methods": 4,
    "models": 3,
    "attention": 5,
    "batch": 1,
    "quality": 4,
    "learn": 2,
}
"""How many pictures each page has."""


@pytest.fixture
def embed(url: str, elsewhere: Elsewhere) -> Callable[..., str]:  # noqa: F811
    """Write a page that holds the app; returns its address."""
    address, folder = elsewhere
    # Chromium lets localhost ask 127.0.0.1, but the app answers other origins at localhost only.
    app = url.replace("127.0.0.1", "localhost")
    index = urllib.request.urlopen(url).read().decode()
    [script] = set(re.findall(r"assets/index-[\w-]+\.js", index))

    def write(path: str = "", theme: str = "light") -> str:
        (folder / "page.html").write_text(
            f'<!doctype html><html lang="fr"><meta charset="utf-8"><link rel="icon" href="data:,">'
            f'<script type="module" crossorigin src="{app}{script}"></script>'
            f'<h1>Une leçon</h1><gradio-app src="{app}{path}" theme_mode="{theme}"></gradio-app>',
            encoding="utf-8",
        )
        return f"{address}page.html"

    return write


@pytest.mark.parametrize("path", PICTURES)
def test_every_picture_of_every_page_is_mounted(page: Page, embed: Callable[..., str], path: str) -> None:
    page.goto(embed(path))
    expect(page.locator("gradio-app .mount > *")).to_have_count(PICTURES[path])
    expect(page.locator("gradio-app #head a[aria-current]")).to_have_count(1)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_picture_follows_the_typing(page: Page, embed: Callable[..., str], theme: str) -> None:
    page.goto(embed(theme=theme))
    expect(page.locator("#picture .cell", has_text="fantastic")).to_be_visible()
    page.locator("#text textarea").fill("What a dull waste")
    expect(page.locator("#picture .cell", has_text="waste")).to_be_visible()
    expect(page.locator("#picture .attribution-picture")).to_have_attribute("data-current", "true")
    expect(page.locator("#words .panel-label").first).to_contain_text("negative")
    scheme = page.locator("#picture .attribution-picture").evaluate(
        "(node) => getComputedStyle(node).colorScheme"
    )
    assert scheme == theme
    # Styled: words are coloured, and the tables for screen readers are not in the way.
    fill = page.locator("#picture .cell", has_text="waste").evaluate(
        "(node) => getComputedStyle(node).backgroundColor"
    )
    assert fill not in ("rgba(0, 0, 0, 0)", "transparent")


def test_the_page_around_keeps_its_address_and_links_lead_to_the_app(
    page: Page,
    embed: Callable[..., str],
    url: str,
    browser: Browser,
) -> None:
    address = embed()
    page.goto(address)
    expect(page.locator("#picture .cell", has_text="fantastic")).to_be_visible()
    page.locator("#text textarea").fill("What a dull waste")
    expect(page.locator("#picture .cell", has_text="waste")).to_be_visible()
    link = press(page, "Copy link")
    app = url.replace("127.0.0.1", "localhost")
    assert link.startswith(f"{app}?text=What+a+dull+waste")
    assert page.url == address
    expect(page.locator("#head nav a").nth(1)).to_have_attribute("href", re.compile(f"^{app}methods"))
    context = browser.new_context()
    other = context.new_page()
    other.goto(link)
    expect(other.locator("#picture .cell", has_text="waste")).to_be_visible()
    context.close()
