"""The live page in a real Chromium, as a visitor uses it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from attribution import Attribution
from attribution.export.json import read

# The words of the picture, as drawn: one string for each cell.
CELLS = "() => [...document.querySelectorAll('#picture .text .cell')].map((cell) => cell.textContent)"
Opened = Callable[..., Page]


@pytest.fixture
def opened(page: Page, url: str) -> Opened:
    def opening(**asked: str) -> Page:
        query = "&".join(f"{name}={quote(value)}" for name, value in {"__theme": "light", **asked}.items())
        page.goto(f"{url}?{query}")
        expect(
            page.locator("#words .panel-label, #words .panel-written, #words .panel-error").first
        ).to_be_visible()
        current(page)
        return page

    return opening


def box(page: Page):
    return page.locator("#text textarea")


def current(page: Page) -> None:
    """Wait until the picture shows the text in the box."""
    expect(page.locator("#picture .attribution-picture")).to_have_attribute("data-current", "true")


def shown(page: Page) -> str:
    """The text of the picture without white space."""
    page.wait_for_timeout(50)
    return "".join("".join(page.evaluate(CELLS)).split())


def expect_shown(page: Page, text: str) -> None:
    page.wait_for_function(
        f"(wanted) => (({CELLS})().join('').replace(/\\s/g, '') === wanted)",
        arg="".join(text.split()),
        timeout=30_000,
    )


def test_the_page_opens_with_a_picture_of_an_example(opened: Opened) -> None:
    page = opened()
    expect_shown(page, "This movie is absolutely fantastic!")
    expect(page.locator(".panel-label").first).to_contain_text("positive")
    expect(page.locator("#words")).to_contain_text("The scores add up to")


def test_typing_deleting_pasting_and_undoing_all_redraw(opened: Opened) -> None:
    page = opened()
    box(page).fill("")
    box(page).press_sequentially("A dull film", delay=40)
    expect_shown(page, "A dull film")
    expect(page.locator(".panel-label").first).to_contain_text("negative")
    for _ in range(5):
        box(page).press("Backspace")
    expect_shown(page, "A dull")
    page.keyboard.insert_text(" 电影")
    expect_shown(page, "A dull 电影")
    box(page).press("Control+a")
    box(page).press("Control+x")
    expect(page.locator("#words .panel-error")).to_contain_text("no text to explain")
    box(page).press("Control+v")
    expect_shown(page, "A dull 电影")
    box(page).press("Control+z")
    expect(page.locator("#words .panel-error")).to_be_visible()


def test_an_input_method_composes_without_disturbing_the_text(opened: Opened) -> None:
    page = opened()
    box(page).fill("")
    session = page.context.new_cdp_session(page)
    for interim in ("s", "sh", "shi", "shij"):
        session.send(
            "Input.imeSetComposition",
            {"text": interim, "selectionStart": len(interim), "selectionEnd": len(interim)},
        )
        page.wait_for_timeout(60)
    session.send("Input.insertText", {"text": "世界"})
    expect(box(page)).to_have_value("世界")
    expect_shown(page, "世界")


def test_the_box_follows_the_direction_of_its_text(opened: Opened) -> None:
    page = opened()
    for text, direction in (("סרט נפלא", "rtl"), ("A fine film", "ltr"), ("1. فيلم رائع", "rtl")):
        box(page).fill(text)
        expect(box(page)).to_have_attribute("dir", direction)
        expect_shown(page, text)


def test_fast_typing_ends_with_the_last_text(opened: Opened) -> None:
    page = opened(method="lime")
    box(page).fill("")
    text = "The plot is thin, but the acting is wonderful."
    box(page).press_sequentially(text, delay=15)
    expect(box(page)).to_have_value(text)
    expect_shown(page, text)
    page.wait_for_timeout(1500)
    expect_shown(page, text)
    current(page)


@pytest.mark.parametrize(
    "text",
    [
        "${window.__pwn=1}",
        "<img src=x onerror=window.__pwn=1>",
        "</script><script>window.__pwn=1</script>",
        "{{value}} {{#each}}",
        "\\u{zz} ${",
    ],
)
def test_hostile_text_is_text(opened: Opened, text: str) -> None:
    page = opened(text=text)
    expect_shown(page, text)
    box(page).fill("Still alive, and well.")
    expect_shown(page, "Still alive, and well.")
    assert page.evaluate("window.__pwn") is None


def test_a_megabyte_of_text_is_told_its_length_and_kept(opened: Opened) -> None:
    page = opened()
    page.evaluate(
        """() => {
          const box = document.querySelector("#text textarea");
          box.value = "word ".repeat(200_000);
          box.dispatchEvent(new Event("input", { bubbles: true }));
        }"""
    )
    expect(page.locator("#words .panel-error")).to_contain_text("1,000,000 characters; the limit is 20,000")
    assert page.evaluate("document.querySelector('#text textarea').value.length") == 1_000_000


def test_a_label_can_be_chosen(opened: Opened) -> None:
    page = opened()
    expect_shown(page, "This movie is absolutely fantastic!")
    before = page.evaluate(CELLS)
    page.locator(".panel-label", has_text="negative").click()
    expect(page.locator("#words")).to_contain_text("the logit of 'negative'")
    expect(page.locator(".panel-label", has_text="negative")).to_have_attribute("aria-checked", "true")
    assert page.evaluate(CELLS) == before


def test_methods_and_their_options(opened: Opened) -> None:
    page = opened()
    page.get_by_label("Method", exact=True).click()
    page.get_by_role("option", name="Attention", exact=True).click()
    expect(page.locator("#words")).to_contain_text("Attention is not explanation")
    expect(page.locator("#words")).to_contain_text("do not claim to add up")
    page.locator("#options button").first.click()
    expect(page.get_by_label("Layer")).to_be_visible()
    expect(page.get_by_label("Steps")).to_be_hidden()
    page.get_by_label("Layer").fill("99")
    expect(page.locator("#words .panel-error")).to_contain_text("layers are 0 to 5")
    expect(box(page)).to_have_value("This movie is absolutely fantastic!")


def test_a_generating_model_shows_its_tokens(opened: Opened) -> None:
    page = opened()
    page.get_by_label("Model", exact=True).click()
    page.get_by_role("option", name="bundled/dates-t5").click()
    box(page).fill("the 3rd of March, 1987")
    expect(page.locator(".panel-written")).to_have_text("1987-03-03")
    current(page)
    expect(page.locator("#picture .choice")).to_have_count(10)
    expect(page.locator("#picture .generated")).to_have_text("Output so far1987-03-0")
    page.locator("#picture .choice").nth(3).click()
    expect(page.locator("#picture .text .cell", has_text="1987")).to_have_attribute(
        "aria-label", re.compile("1987")
    )
    expect(page.locator("#picture .choice").nth(3)).to_have_attribute("aria-checked", "true")


def test_an_example_can_be_clicked(opened: Opened) -> None:
    page = opened()
    page.get_by_text("The plot is thin, but the acting is wonderful.").click()
    expect(box(page)).to_have_value("The plot is thin, but the acting is wonderful.")
    expect_shown(page, "The plot is thin, but the acting is wonderful.")


def test_a_link_opens_text_model_and_method(opened: Opened) -> None:
    page = opened(text="what a waste", method="gradient", target="positive")
    expect(box(page)).to_have_value("what a waste")
    expect(page.locator("#words")).to_contain_text("Saliency")
    expect(page.locator("#words")).to_contain_text("the logit of 'positive'")
    expect_shown(page, "what a waste")


def test_a_course_page_embeds_the_app(page: Page, url: str) -> None:
    address = f"{url}?text=what%20a%20waste&method=lime"
    page.set_content(f'<h1>Lesson</h1><iframe src="{address}" width="1000" height="900"></iframe>')
    inside = page.frame_locator("iframe")
    expect(inside.locator("#text textarea")).to_have_value("what a waste")
    expect(inside.locator("#words")).to_contain_text("R²")
    expect(inside.locator("#picture .text")).to_contain_text("waste")


@pytest.mark.parametrize(
    "asked", [{"model": "nobody/nothing"}, {"method": "magic"}, {"steps": "many"}, {"max_new_tokens": "-4"}]
)
def test_a_link_that_asks_for_nonsense_opens_the_page_all_the_same(
    opened: Opened, asked: dict[str, str]
) -> None:
    expect_shown(opened(**asked), "This movie is absolutely fantastic!")


@pytest.mark.parametrize("kind", ["PNG", "HTML", "JSON", "CSV", "SVG", "PDF", "TEX", "MD"])
def test_files_from_the_page(opened: Opened, tmp_path: Path, kind: str) -> None:
    page = opened(text="what a waste")
    page.locator("#share button").first.click()
    with page.expect_download() as saved:
        page.get_by_role("button", name=kind, exact=True).click()
    path = tmp_path / saved.value.suggested_filename
    saved.value.save_as(path)
    assert path.suffix == f".{kind.lower()}"
    assert path.stat().st_size > 200
    if kind == "JSON":
        assert Attribution.load(path).text == "what a waste"
    if kind == "HTML":
        page.goto(path.as_uri())
        expect(page.get_by_text("waste").first).to_be_visible()


def test_a_file_holds_the_methods_beside(opened: Opened, tmp_path: Path) -> None:
    page = opened(text="what a waste", method="saliency", beside="occlusion,input_x_gradient")
    page.locator("#share button").first.click()
    with page.expect_download() as saved:
        page.get_by_role("button", name="JSON", exact=True).click()
    found = read(Path(saved.value.path()).read_bytes())
    assert [one.method for one in found] == ["saliency", "occlusion", "input_x_gradient"]


def test_methods_stand_beside_each_other_and_follow_the_text(opened: Opened) -> None:
    page = opened(beside="saliency,occlusion")
    others = page.locator("#others")
    expect(others.locator(".cell", has_text="fantastic")).to_have_count(2)
    box(page).fill("A dull film")
    expect(others.locator(".cell", has_text="dull")).to_have_count(2)
    page.get_by_label("Compare with").click()
    page.get_by_role("option", name="Attention", exact=True).click()
    expect(others.locator(".cell", has_text="dull")).to_have_count(3)


def test_what_the_model_says_without_a_word(opened: Opened) -> None:
    page = opened(text="It is not good.")
    without = page.locator("#without")
    expect(without).to_contain_text("Click words in the picture")
    page.locator("#picture .text .cell", has_text="not").click()
    expect(without).to_contain_text("Without “not”")
    expect(without).to_contain_text("It is good.")
    expect(without.locator(".without-row")).to_have_count(2)
    box(page).fill("It is bad.")
    expect(without).to_contain_text("Click words in the picture")
    for word in ("It", "is", "bad", "."):
        page.locator("#picture .text .cell", has_text=re.compile(f"^{re.escape(word)}$")).click()
    expect(without).to_contain_text("There is no text to explain.")


def test_a_language_of_the_interface(opened: Opened) -> None:
    page = opened(lang="de")
    expect(page.get_by_label("Modell", exact=True)).to_be_visible()
    expect(page.locator("#picture")).to_contain_text("Balken")
    expect(page.locator("#head nav")).to_contain_text("Erklären")
    page = opened(lang="ar")
    assert page.evaluate("document.documentElement.dir") == "rtl"
    expect(page.locator("#words")).to_contain_text("يقول النموذج")
    page = opened(lang="xx")
    expect(page.get_by_label("Model", exact=True)).to_be_visible()


def test_the_keyboard_reaches_every_word(opened: Opened) -> None:
    page = opened()
    first = page.locator("#picture .cell[tabindex='0']").first
    first.focus()
    words = [page.evaluate("document.activeElement.textContent").strip()]
    for _ in range(3):
        page.keyboard.press("ArrowRight")
        words.append(page.evaluate("document.activeElement.textContent").strip())
    assert words == ["This", "movie", "is", "absolutely"]
    assert page.evaluate("document.activeElement.getAttribute('aria-label')")


def test_dark_mode_and_a_phone(opened: Opened, page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    opened(__theme="dark")
    assert page.evaluate("document.body.classList.contains('dark')")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_nothing_a_visitor_types_is_kept_in_the_browser(opened: Opened) -> None:
    page = opened(text="a secret diary")
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
    assert "secret" not in kept


def choose(page: Page, label: str, option: str) -> None:
    page.get_by_label(label, exact=True).click()
    page.get_by_role("option", name=option, exact=True).click()


def chosen_method(page: Page):
    return page.locator("#method input")


def test_the_method_of_the_study_is_first_until_a_person_chooses(opened: Opened) -> None:
    page = opened()
    expect(chosen_method(page)).to_have_value("DeepLift")
    choose(page, "Model", "bundled/shakespeare-gpt2")
    expect(chosen_method(page)).to_have_value("Integrated gradients")
    choose(page, "Model", "bundled/sst2-minilm")
    expect(chosen_method(page)).to_have_value("DeepLift")
    choose(page, "Method", "Saliency")
    choose(page, "Model", "bundled/shakespeare-gpt2")
    expect(chosen_method(page)).to_have_value("Saliency")


def test_the_method_of_a_link_stays(opened: Opened) -> None:
    page = opened(method="saliency")
    choose(page, "Model", "bundled/shakespeare-gpt2")
    expect(chosen_method(page)).to_have_value("Saliency")


def test_the_evidence_is_a_link_away(opened: Opened) -> None:
    page = opened()
    page.locator("#first button").click()
    expect(page.locator("#first")).to_contain_text("Recommended for this model: DeepLift")
    with page.context.expect_page() as other:
        page.get_by_role("link", name="How this was measured").click()
    study = other.value
    expect(study.locator("#people")).to_contain_text("pairs of words that people ranked differently")
    assert study.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    study.close()
