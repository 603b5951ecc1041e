"""The guided tour: every lesson opens by its own address and answers what is typed."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from components.lessons import LESSONS


@pytest.mark.parametrize("number", range(1, len(LESSONS) + 1))
def test_a_lesson(page: Page, url: str, number: int) -> None:
    lesson = LESSONS[number - 1]
    page.goto(f"{url}learn?lesson={number}")
    expect(page.get_by_role("heading", name=lesson.title)).to_be_visible()
    expect(page.locator("#lessons a[aria-current]")).to_have_text(lesson.title)
    expect(page.locator("#text textarea")).to_have_value(lesson.text)
    for view in lesson.views:
        expect(page.locator("#pictures")).to_contain_text(view.caption)
    expect(page.locator("#pictures .cell").first).to_be_visible()
    expect(page.locator("#pictures [aria-busy=true], #pictures .waiting")).to_have_count(0)
    assert page.locator("#pictures .error, #pictures [role=alert]").count() == 0
    page.locator("#text textarea").fill("An unforgettable evening.")
    expect(page.locator("#pictures .cell", has_text="unforgettable")).to_have_count(len(lesson.views))
    if lesson.removes:
        expect(page.locator("#curves")).to_contain_text("Random")


def test_the_links_lead_from_lesson_to_lesson(page: Page, url: str) -> None:
    page.goto(f"{url}learn")
    page.get_by_role("link", name=LESSONS[3].title).click()
    expect(page.get_by_role("heading", name=LESSONS[3].title)).to_be_visible()
    assert "lesson=4" in page.url


@pytest.mark.parametrize("asked", ["lesson=99", "lesson=x", "lesson=-1", "lesson="])
def test_nonsense_opens_the_first(page: Page, url: str, asked: str) -> None:
    page.goto(f"{url}learn?{asked}")
    expect(page.get_by_role("heading", name=LESSONS[0].title)).to_be_visible()


def test_a_text_in_the_link_and_an_empty_one(page: Page, url: str) -> None:
    page.goto(f"{url}learn?lesson=2&text=Hardly a masterpiece")
    expect(page.locator("#pictures .cell", has_text="masterpiece").first).to_be_visible()
    page.locator("#text textarea").fill("")
    expect(page.locator("#pictures")).to_contain_text("There is no text to explain.")
