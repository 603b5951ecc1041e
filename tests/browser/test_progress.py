"""The live page while better numbers follow: previews first, the finished picture last."""

from __future__ import annotations

import dataclasses
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from attribution.errors import Cancelled, DeadlineExceeded
from attribution.settings import DEFAULTS
from attribution.types import Attribution
from components.application import build, serve
from tests.waiting import eventually

OPENED = "This movie is absolutely fantastic!"
CELLS = "() => [...document.querySelectorAll('#picture .text .cell')].map((cell) => cell.textContent).join('').replace(/\\s/g, '')"


class Steps:
    """Stands in for ``Engine.progress``: its real numbers, disturbed at first, each step on a sign."""

    def __init__(self, attribute: Callable[..., Attribution]) -> None:
        self.attribute = attribute
        self.sign = threading.Semaphore(0)
        self.pause: float | None = None
        self.fails = False
        self.stopped: list[str] = []

    def __call__(
        self, text: str, *asked: Any, cancelled: Callable[[], bool], **more: Any
    ) -> Iterator[Attribution]:
        result = self.attribute(text, *asked, **more, cancelled=cancelled)
        total = len(result.outputs)
        try:
            for part in (1, 2, 3):
                rows = slice(0, max(1, total * part // 4))
                yield cut(result, rows, part)
                self.wait(cancelled)
                if self.fails:
                    raise DeadlineExceeded(
                        "The computation took longer than 1 seconds.", "Use a shorter text."
                    )
            yield result
        except (GeneratorExit, Cancelled):
            self.stopped.append(getattr(text, "text", text))
            raise

    def wait(self, cancelled: Callable[[], bool]) -> None:
        until = time.monotonic() + (60 if self.pause is None else self.pause)
        while not self.sign.acquire(timeout=0.005):
            if cancelled():
                raise Cancelled("The request was cancelled.")
            if time.monotonic() > until:
                return

    def go(self) -> None:
        self.sign.release()


def cut(result: Attribution, rows: slice, part: int) -> Attribution:
    """The first rows, with numbers that are off."""
    off = np.linspace(-1, 1, len(result.tokens)) * np.abs(result.scores).max() / (part + 1)
    return dataclasses.replace(
        result,
        outputs=result.outputs[rows],
        scores=result.scores[rows] + off,
        completeness=None if result.completeness is None else result.completeness[rows],
        provisional=True,
    )


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[str, Any]]:
    demo, engine = build(dataclasses.replace(DEFAULTS, request_burst=10_000, requests_per_second=1_000.0))
    _, address, _ = serve(demo, engine, host="127.0.0.1", block=False, quiet=True)
    yield address, engine
    demo.close()


@pytest.fixture
def steps(served: tuple[str, Any], monkeypatch: pytest.MonkeyPatch) -> Steps:
    engine = served[1]
    steps = Steps(engine.attribute)
    monkeypatch.setattr(engine, "progress", steps)
    return steps


@pytest.fixture
def opened(page: Page, served: tuple[str, Any]) -> Callable[..., Page]:
    def opening(**asked: str) -> Page:
        page.goto(f"{served[0]}?{urlencode({'__theme': 'light', **asked})}")
        return page

    return opening


def picture(page: Page) -> Locator:
    return page.locator("#picture .attribution-picture")


def expect_preview(page: Page, preview: bool) -> None:
    """That the picture says whether it is one."""
    for name in ("data-provisional", "aria-busy"):
        if preview:
            expect(picture(page)).to_have_attribute(name, "true")
        else:
            expect(picture(page)).not_to_have_attribute(name, re.compile(".*"))


def drawn(page: Page) -> list[str]:
    return page.evaluate(
        "() => [...document.querySelectorAll('#picture .text .cell')].map((cell) => "
        "cell.style.getPropertyValue('--size'))"
    )


def test_previews_come_first_and_the_finished_picture_last(opened: Callable[..., Page], steps: Steps) -> None:
    page = opened()
    expect_preview(page, True)
    expect(page.locator("#picture .hint")).to_have_text("First estimate, refining …")
    expect(page.locator("#words .panel-label").first).to_contain_text("positive")
    expect(page.locator("#words")).not_to_contain_text("The scores add up to")
    top = page.locator("#picture .text").bounding_box()
    seen = [drawn(page)]
    for _ in range(3):
        steps.go()
        page.wait_for_function(
            "(before) => JSON.stringify([...document.querySelectorAll('#picture .text .cell')]"
            ".map((cell) => cell.style.getPropertyValue('--size'))) !== before",
            arg=json.dumps(seen[-1], separators=(",", ":")),
        )
        seen.append(drawn(page))
    expect_preview(page, False)
    expect(page.locator("#picture .hint")).to_have_text("")
    expect(page.locator("#words")).to_contain_text("The scores add up to")
    assert page.locator("#picture .text").bounding_box() == top, "the text stays where it is"
    page.reload()
    for _ in range(3):
        steps.go()
    expect(page.locator("#words")).to_contain_text("The scores add up to")
    expect_preview(page, False)
    assert drawn(page) == seen[-1]


def test_rows_of_a_long_answer_grow_and_the_chosen_one_stays(
    opened: Callable[..., Page], steps: Steps
) -> None:
    page = opened(
        model="bundled/shakespeare-gpt2", text="To be, or not", method="input_x_gradient", max_new_tokens="8"
    )
    expect(page.locator("#picture .hint")).to_have_text("2 of 8 outputs so far, more follow …")
    page.locator("#picture .choice").nth(1).click()
    for count in (4, 6, 8):
        steps.go()
        expect(page.locator("#picture .choice")).to_have_count(count)
        expect(page.locator("#picture .choice").nth(1)).to_have_attribute("aria-checked", "true")
    expect_preview(page, False)


def test_the_picture_keeps_its_elements_and_the_focus(opened: Callable[..., Page], steps: Steps) -> None:
    page = opened()
    expect_preview(page, True)
    page.locator("#picture .text .cell").nth(2).focus()
    page.evaluate(
        "() => (window.kept = [...document.querySelectorAll('#picture .cell, #words .panel-label')])"
    )
    for _ in range(3):
        steps.go()
    expect_preview(page, False)
    assert page.evaluate("() => kept.every((element) => element.isConnected)")
    expect(page.locator("#picture .text .cell").nth(2)).to_be_focused()


def test_typing_goes_on_during_a_preview(opened: Callable[..., Page], steps: Steps) -> None:
    page = opened()
    expect_preview(page, True)
    page.locator("#text textarea").fill("A dull film")
    page.wait_for_function(f"() => ({CELLS})() === 'Adullfilm'")
    expect_preview(page, True)
    eventually(lambda: steps.stopped == [OPENED])
    for _ in range(3):
        steps.go()
    expect_preview(page, False)
    assert page.evaluate(CELLS) == "Adullfilm"


@pytest.mark.parametrize("delay", [5, 120])
def test_fast_typing_never_ends_with_an_older_picture(
    opened: Callable[..., Page], steps: Steps, delay: int
) -> None:
    steps.pause = 0.05
    page = opened()
    expect(page.locator("#words")).to_contain_text("The scores add up to")
    text = "The plot is thin, but the acting is wonderful."
    box = page.locator("#text textarea")
    box.fill("")
    box.press_sequentially(text, delay=delay)
    plain = text.replace(" ", "")
    page.wait_for_function(
        f"(wanted) => ({CELLS})() === wanted && !document.querySelector('#picture [data-provisional]')",
        arg=plain,
    )
    page.wait_for_timeout(1000)
    assert page.evaluate(CELLS) == plain
    expect_preview(page, False)
    expect(picture(page)).to_have_attribute("data-current", "true")
    expect(page.locator("#words")).to_contain_text("The scores add up to")


def test_an_error_after_a_preview_is_told(opened: Callable[..., Page], steps: Steps) -> None:
    page = opened()
    expect_preview(page, True)
    steps.fails = True
    steps.go()
    expect(page.locator("#words .panel-error")).to_contain_text("took longer")
    expect_preview(page, False)
    steps.fails, steps.pause = False, 0.01
    page.locator("#text textarea").fill("A dull film")
    page.wait_for_function(f"() => ({CELLS})() === 'Adullfilm'")
    expect_preview(page, False)


def test_a_file_is_never_of_a_preview(opened: Callable[..., Page], steps: Steps) -> None:
    page = opened()
    expect_preview(page, True)
    page.locator("#share button").first.click()
    with page.expect_download() as saved:
        page.get_by_role("button", name="JSON", exact=True).click()
    assert not Attribution.load(saved.value.path()).provisional
    expect_preview(page, True)


def test_two_visitors_see_their_own(
    opened: Callable[..., Page], steps: Steps, served: tuple[str, Any], page: Page
) -> None:
    other = page.context.new_page()
    steps.pause = 0.3
    other.goto(f"{served[0]}?text=what%20a%20waste")
    opened()
    page.wait_for_function(f"(wanted) => ({CELLS})() === wanted", arg=OPENED.replace(" ", ""))
    other.wait_for_function(f"() => ({CELLS})() === 'whatawaste'")
    for one in (page, other):
        expect_preview(one, False)
    assert [page.evaluate(CELLS), other.evaluate(CELLS)] == [OPENED.replace(" ", ""), "whatawaste"]


def test_who_closes_the_page_needs_no_better_numbers(opened: Callable[..., Page], steps: Steps) -> None:
    page = opened()
    expect_preview(page, True)
    page.goto("about:blank")
    eventually(lambda: steps.stopped == [OPENED])
