"""The page of attention in a real Chromium, as a visitor uses it."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

Opened = Callable[..., Page]


@pytest.fixture
def opened(page: Page, url: str) -> Opened:
    def opening(**asked: str) -> Page:
        query = "&".join(
            f"{name}={quote(value)}" for name, value in {"__theme": "light", "lang": "en", **asked}.items()
        )
        page.goto(f"{url}attention?{query}")
        expect(page.locator("#heads .field, #heads .message:not(:empty)").first).to_be_visible()
        return page

    return opening


def box(page: Page):
    return page.locator("#text textarea")


def rows(page: Page) -> str:
    return "".join(page.locator("#matrix .sides bdi").all_text_contents())


def expect_rows(page: Page, text: str) -> None:
    page.wait_for_function(
        "(wanted) => [...document.querySelectorAll('#matrix .sides bdi')].map((one) => "
        "one.textContent).join('') === wanted",
        arg=text,
    )


def test_the_page_opens_with_heads_matrix_arcs_sums_and_curves(opened: Opened) -> None:
    page = opened()
    expect_rows(page, "[CLS]Thismovieisabsolutelyfantastic![SEP]")
    expect(page.locator("#matrix .title")).to_have_text("Layer 5, head 0")
    expect(page.locator("#matrix .message")).to_contain_text("Read off: the row of [CLS]")
    expect(page.locator("#arcs .looks bdi")).to_have_count(8)
    expect(page.locator("#heads .message")).to_contain_text("Attention is not explanation")
    expect(page.locator("#curves .plot")).to_have_count(6)
    expect(page.locator("#sums .cell").first).to_be_visible()


def test_the_pictures_follow_the_typing(opened: Opened) -> None:
    page = opened()
    box(page).fill("")
    box(page).press_sequentially("A dull film", delay=30)
    expect_rows(page, "[CLS]Adullfilm[SEP]")
    expect(page.locator("#arcs .seen bdi").nth(2)).to_have_text("dull")


def test_a_head_is_chosen_by_mouse_and_by_keyboard(opened: Opened) -> None:
    page = opened()
    field = page.locator("#heads .field")
    at = field.bounding_box()
    assert at is not None
    page.mouse.click(at["x"] + at["width"] / 24, at["y"] + at["height"] / 12)
    expect(page.locator("#matrix .title")).to_have_text("Layer 0, head 0")
    expect(page.locator("#arcs .title")).to_have_text("Layer 0, head 0")
    field.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#matrix .title")).to_have_text("Layer 1, head 1")
    box(page).fill("A dull film")
    expect_rows(page, "[CLS]Adullfilm[SEP]")
    expect(page.locator("#matrix .title")).to_have_text("Layer 1, head 1")


def test_an_encoder_decoder_offers_its_three_kinds(opened: Opened) -> None:
    page = opened(model="bundled/dates-t5", text="the 3rd of March, 1987")
    expect(page.locator("#heads .segments button")).to_have_count(3)
    page.get_by_role("button", name="Cross-attention").click()
    expect(page.locator("#matrix .title")).to_have_text(re.compile("Cross-attention, layer"))
    assert page.locator("#matrix .heads bdi").count() != page.locator("#matrix .sides bdi").count()
    page.get_by_role("button", name="Decoder", exact=True).click()
    expect(page.locator("#matrix .legend")).to_contain_text("comes later")


def test_another_model_is_chosen(opened: Opened) -> None:
    page = opened(text="To be, or not to be")
    page.get_by_label("Model", exact=True).click()
    page.get_by_role("option", name="bundled/shakespeare-gpt2").click()
    expect(page.locator("#matrix .legend")).to_contain_text("comes later")
    expect(page.locator("#matrix .message")).to_contain_text("for each generated token")


def test_a_link_opens_a_head(opened: Opened) -> None:
    page = opened(text="what a waste", layer="2", head="3")
    expect(page.locator("#matrix .title")).to_have_text("Layer 2, head 3")
    expect_rows(page, "[CLS]whatawaste[SEP]")


@pytest.mark.parametrize(
    "asked",
    [{"layer": "many"}, {"head": "-4"}, {"layer": "9999999999"}, {"kind": "<b>"}, {"model": "no/body"}],
)
def test_a_link_that_asks_for_nonsense_opens_the_page_all_the_same(
    opened: Opened, asked: dict[str, str]
) -> None:
    expect_rows(opened(**asked), "[CLS]Thismovieisabsolutelyfantastic![SEP]")


def test_errors_stand_where_the_heads_would_and_the_text_stays(opened: Opened) -> None:
    page = opened()
    box(page).fill("")
    expect(page.locator("#heads .message")).to_contain_text("no text to explain")
    expect(page.locator("#matrix .field")).to_be_hidden()
    long = "word " * 600
    box(page).fill(long)
    expect(page.locator("#heads .message")).to_contain_text("tokens")
    expect(box(page)).to_have_value(long)
    box(page).fill("A dull film")
    expect_rows(page, "[CLS]Adullfilm[SEP]")


@pytest.mark.parametrize(
    "text", ["<img src=x onerror=window.__pwn=1>", "${window.__pwn=1} {{value}}", "\\u{zz} </script> سيئ"]
)
def test_hostile_text_is_text(opened: Opened, text: str) -> None:
    page = opened(text=text)
    expect(page.locator("#matrix .sides bdi").first).to_have_text("[CLS]")
    letters = "".join(text.split()).replace("سيئ", "[UNK]")  # what the model reads
    assert "".join(rows(page).removeprefix("[CLS]").removesuffix("[SEP]").split()) == letters
    assert page.evaluate("window.__pwn") is None


def test_dark_mode_and_a_phone(opened: Opened, page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    opened(__theme="dark")
    expect(page.locator("#matrix .field")).to_be_visible()
    assert page.evaluate("document.body.classList.contains('dark')")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
