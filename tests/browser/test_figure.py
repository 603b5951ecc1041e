"""An HTML file of several results in a real browser: the switch, and what follows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from attribution import sentences
from attribution.export.drawing.figure import compare_facts
from attribution.export.html import write
from attribution.types import Attribution
from tests.samples import TEXTS, methods

NAMES = [head.name for head in compare_facts(methods())[1]]
Show = Callable[..., None]


@pytest.fixture
def show(page: Page, tmp_path: Path) -> Show:
    """Opens the file of some results from the disk."""

    def show(*results: Attribution) -> None:
        file = tmp_path / "figure.html"
        file.write_bytes(write(*results))
        page.goto(file.as_uri())

    return show


def choice(page: Page, name: str) -> Locator:
    return page.get_by_role("group", name="Results").get_by_role("radio", name=name, exact=True)


def shown(page: Page) -> list[str]:
    return page.evaluate(
        "() => [...document.querySelectorAll('.cell[role=listitem]')].map((c) => "
        "c.getAttribute('aria-label'))"
    )


def facts(page: Page) -> str:
    """What is said of the result that is chosen: one article is visible."""
    expect(page.locator("article:visible")).to_have_count(1)
    return page.locator("article:visible").inner_text()


def test_each_result_can_be_chosen_with_its_facts(page: Page, show: Show) -> None:
    show(*methods())
    expect(page.get_by_role("heading", level=1)).to_have_text("positive 93.0%")
    expect(choice(page, NAMES[0])).to_be_checked()
    for result, name in zip(methods(), NAMES, strict=True):
        page.get_by_text(name, exact=True).first.click()
        expect(choice(page, name)).to_be_checked()
        strongest, score = result.top(1)[0]
        said = next(label for label in shown(page) if label.startswith(f"{strongest.text}, "))
        assert f"{abs(score):.3g}" in said and result.unit in said
        assert f"Method\n{sentences.method(result)}" in facts(page) and sentences.adds_up(result) in facts(
            page
        )


def test_the_keyboard_moves_among_the_results(page: Page, show: Show) -> None:
    show(*methods())
    page.keyboard.press("Tab")  # the button for light and dark
    page.keyboard.press("Tab")
    expect(choice(page, NAMES[0])).to_be_focused()
    assert (
        page.locator("label:has(:focus-visible)").evaluate("(label) => getComputedStyle(label).outlineStyle")
        == "solid"
    )
    for key, place in (
        ("ArrowRight", 1),
        ("ArrowDown", 2),
        ("ArrowLeft", 1),
        ("ArrowUp", 0),
        ("ArrowLeft", 3),
    ):
        page.keyboard.press(key)
        expect(choice(page, NAMES[place])).to_be_focused()
        assert f"Method\n{NAMES[place]}" in facts(page)
    page.keyboard.press("Tab")
    expect(page.locator("button[data-name=heat]")).to_be_focused()


def test_what_was_chosen_in_the_picture_stays(page: Page, show: Show) -> None:
    show(*methods())
    for name in ("bars", "tokens", "specials"):
        page.locator(f"button[data-name={name}]").click()
    page.get_by_text("Scores as a table").click()
    page.get_by_text("Occlusion", exact=True).first.click()
    for name in ("bars", "tokens", "specials"):
        expect(page.locator(f"button[data-name={name}]")).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".attribution-picture table thead")).to_contain_text("Standard error")
    page.get_by_text("Saliency", exact=True).first.click()
    expect(page.locator(".attribution-picture table thead")).not_to_contain_text("Standard error")
    page.locator(".cell[role=listitem]").nth(2).hover()
    expect(page.locator(".tip.open .unit")).to_have_text("logit per unit of embedding")


@pytest.mark.parametrize("text", ["arabic", "chinese", "emoji", "script", "template"])
def test_texts_stay_as_they_were_typed(page: Page, show: Show, text: str) -> None:
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    other = replace(methods("word")[1], title=TEXTS[text])
    show(methods(TEXTS[text])[0], other)
    written = "() => [...document.querySelectorAll('.text .line')].map((l) => l.textContent).join('')"
    assert page.evaluate(written) == TEXTS[text]
    page.locator("#results label").nth(1).click()
    assert page.evaluate(written) == "word"
    assert page.locator("#results label").nth(1).inner_text() == TEXTS[text]
    assert len(requests) == 1


def test_a_reload_shows_what_the_switch_says(page: Page, show: Show) -> None:
    show(*methods())
    page.get_by_text("Saliency", exact=True).first.click()
    page.reload()
    expect(choice(page, NAMES[0])).to_be_checked()
    assert f"Method\n{NAMES[0]}" in facts(page)


def test_one_result_has_no_switch(page: Page, show: Show) -> None:
    show(methods()[0])
    expect(page.locator("article:visible")).to_have_count(1)
    assert page.get_by_role("radio").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_fits_a_phone(page: Page, show: Show, scheme: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    show(
        *methods(),
        *(
            replace(result, model=replace(result.model, name=f"someone/a-long-name-{i}"))
            for i, result in enumerate(methods())
        ),
    )
    for label in page.locator("#results label").all():
        label.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        box = label.bounding_box()
        assert box and box["height"] >= 24, "a finger can hit it"


def test_without_scripts_every_result_is_a_table(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "figure.html"
    file.write_bytes(write(*methods()))
    context = browser.new_context(java_script_enabled=False)
    try:
        page = context.new_page()
        page.goto(file.as_uri())
        expect(page.locator("noscript table")).to_have_count(4)
        expect(page.locator("noscript .result")).to_have_text(NAMES)
        for place in range(4):
            expect(page.locator("noscript table").nth(place)).to_be_visible()
            expect(page.locator("article").nth(place)).to_contain_text(NAMES[place])
        expect(page.locator("#results")).to_be_hidden()
    finally:
        context.close()
