"""Small multiples by themselves, and the two pages of comparisons, in a real Chromium."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from attribution import compare
from attribution.export.html import picture_script, picture_style
from attribution.models.sources import catalogue
from attribution.settings import DEFAULTS
from attribution.types import Attribution, Token
from components.pictures.picture import STATIC
from tests.browser.test_heatmap import HOSTILE
from tests.samples import TEXTS, classification, generation, sample
from tests.tiny import FAMILIES

STAND = f"""<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<style>body {{ font-family: sans-serif }} {picture_style()} {(STATIC / "multiples.css").read_text(encoding="utf-8")}</style>
<div id="picture"></div><script>{picture_script()}</script><script>{(STATIC / "multiples.js").read_text(encoding="utf-8")}</script>
<script>
window.told = [];
window.picture = AttributionMultiples.mount(document.getElementById("picture"), {{ trigger: (name, data) => told.push([name, data]) }});
</script>"""

Draw = Callable[..., None]


@pytest.fixture
def draw(page: Page) -> Draw:
    """Draws items in a page that holds nothing but the small multiples; an attribution alone is an item."""
    page.set_content(STAND)

    def drawing(*items: Attribution | dict[str, Any], **more: Any) -> None:
        plain = [
            {"title": f"Row {i}", "attribution": item.to_dict()} if isinstance(item, Attribution) else item
            for i, item in enumerate(items)
        ]
        page.evaluate("(value) => picture.draw(value)", {"items": plain, **more})

    return drawing


def rows(page: Page) -> Locator:
    return page.locator(".rows > .row")


def cell(page: Page, row: int, text: str) -> Locator:
    return rows(page).nth(row).locator(".cell[role=listitem]").filter(has_text=text).first


def pieces(text: str) -> Attribution:
    """A token for each letter, the score of a word on its first."""
    whole = classification(text)
    tokens, scores = [], []
    for token, score in zip(whole.tokens[1:-1], whole.scores[0, 1:-1], strict=True):
        for k in range(token.start, token.end):
            tokens.append(Token(text[k], 7, k, k + 1, word=token.word))
            scores.append(score if k == token.start else 0.0)
    return replace(whole, tokens=tuple(tokens), scores=np.array([scores]))


# ------------------------------------------------------------------------------------------------------ the small multiples


def test_every_text_stays_as_it_was_typed_in_every_row(page: Page, draw: Draw) -> None:
    for text in (*TEXTS.values(), *HOSTILE):
        draw(classification(text), classification(text, signed=False))
        for unit in ("tokens", "words"):
            page.locator(f"button[data-name={unit}]").click()
            for row in range(2):
                found = (
                    rows(page)
                    .nth(row)
                    .locator(".text .line")
                    .evaluate_all("(lines) => lines.map((l) => l.textContent).join('')")
                )
                assert found == text
    assert page.evaluate("window.__pwn") is None


def test_nothing_in_a_value_becomes_an_element(page: Page, draw: Draw) -> None:
    evil = "<img src=x onerror=window.__pwn=1>"
    draw(
        {"title": evil, "subtitle": evil, "attribution": classification(f"a {evil} b").to_dict()},
        {"title": evil, "error": {"message": evil, "hint": evil}},
        findings=[{"title": evil, "lines": [evil]}],
    )
    page.locator("summary").click()
    cell(page, 0, "img").hover()
    assert page.locator("img").count() == 0 and page.evaluate("window.__pwn") is None
    expect(page.locator(".findings li")).to_have_text(evil)


def test_a_word_is_marked_in_every_row_whatever_its_tokens(page: Page, draw: Draw) -> None:
    text = "This movie is fine"
    draw(classification(text), pieces(text), classification("This other film"), {"title": "later"})
    cell(page, 0, "movie").hover()
    expect(rows(page).nth(0).locator(".same")).to_have_text("movie")
    expect(rows(page).nth(1).locator(".same")).to_have_text("movie")
    expect(rows(page).nth(2).locator(".same")).to_have_count(0)
    page.locator("button[data-name=tokens]").click()
    cell(page, 0, "movie").hover()
    expect(rows(page).nth(1).locator(".same")).to_have_count(5)
    cell(page, 0, "This").hover()
    expect(rows(page).nth(2).locator(".same")).to_have_text("This")  # the same word at the same place
    page.mouse.move(0, 0)
    expect(page.locator(".same")).to_have_count(0)


def test_the_tooltip_says_score_share_and_rank_here_and_the_ranks_elsewhere(page: Page, draw: Draw) -> None:
    first = classification("not a good film", scores=[0, 4, -3, 2, 1, 0])
    draw(first, classification("not a good film", signed=False, scores=[0, 1, 2, 3, 4, 0]))
    cell(page, 0, "not").hover()
    tip = page.locator(".tip")
    expect(tip.locator(".score")).to_have_text("+4")
    expect(tip.locator(".share")).to_have_text("40 % of all absolute scores · rank 1 of 4")
    expect(tip.locator(".pieces bdi")).to_have_text(["Row 1", "1", "rank 4 of 4"])
    cell(page, 1, "film").hover()
    expect(tip.locator(".score")).to_have_text("4")
    expect(tip.locator(".pieces bdi")).to_have_text(["Row 0", "+1", "rank 4 of 4"])


def test_each_row_has_its_own_scale_and_the_legend_says_so(page: Page, draw: Draw) -> None:
    draw(
        classification("so good", scores=[0, 1, 2, 0]),
        classification("so good", signed=False, scores=[0, 50, 100, 0]),
    )
    sizes = page.evaluate(
        "() => [...document.querySelectorAll('.cell')].map((c) => c.style.getPropertyValue('--size'))"
    )
    assert sizes == ["0.500", "1.000", "0.500", "1.000"]
    expect(page.locator(".ramp")).to_have_count(2)
    expect(page.locator(".legend")).to_contain_text("Each row has its own colour scale")
    expect(rows(page).nth(1).locator(".strongest")).to_contain_text("100")
    draw(classification("so good", signed=False))
    expect(page.locator(".ramp")).to_have_count(1)
    expect(page.locator(".ramp .high")).to_have_text("strength")


def test_what_is_not_there_yet_and_what_failed_say_so(page: Page, draw: Draw) -> None:
    early = replace(classification("so good"), provisional=True)
    draw(
        early,
        {"title": "later"},
        {"title": "broken", "error": {"message": "No such thing.", "hint": "Try another."}},
    )
    expect(rows(page).nth(0).locator(".state")).to_have_text("Preliminary numbers, refining …")
    expect(rows(page).nth(1).locator(".state")).to_have_text("Computing …")
    expect(rows(page).nth(2).locator(".message")).to_have_text("No such thing. Try another.")
    expect(page.locator(".attribution-multiples")).to_have_attribute("aria-busy", "true")
    draw(classification("so good"), sample("zero"))
    expect(rows(page).nth(0).locator(".state")).to_be_empty()
    expect(rows(page).nth(1).locator(".message")).to_contain_text("No signal")
    assert page.locator(".attribution-multiples").get_attribute("aria-busy") is None


def test_the_keyboard_goes_through_titles_and_words_from_one_tab_stop(page: Page, draw: Draw) -> None:
    draw(classification("so good"), classification("so good"))
    assert page.locator(".rows [tabindex='0']").count() == 1
    page.locator(".rows [tabindex='0']").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.textContent") == "good"
    expect(rows(page).nth(1).locator(".same")).to_have_text("good")
    page.keyboard.press("ArrowDown")
    assert (
        page.evaluate(
            "[...document.querySelectorAll('.rows > .row')].findIndex((r) => "
            "r.contains(document.activeElement))"
        )
        == 1
    )
    page.keyboard.press("Escape")
    expect(page.locator(".tip")).to_be_hidden()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    assert page.evaluate("told") == [["select", {"item": 0, "index": 0, "value": "Row 0"}]]
    expect(page.locator(".title").first).to_have_attribute("aria-pressed", "true")
    assert page.locator(".rows [tabindex='0']").count() == 1


def test_the_row_of_an_output_is_drawn(page: Page, draw: Draw) -> None:
    result = generation("to be", [" or", " not"], "causal")
    draw(result, row=1)
    expect(page.locator(".generated .cell")).to_have_count(2)  # " or" and, pale, what comes later
    draw(result, row=0)
    assert cell(page, 0, "to").get_attribute("aria-label").startswith("to, +1 ")  # cos 0


def test_the_table_has_a_line_a_word_and_a_column_a_row(page: Page, draw: Draw) -> None:
    draw(
        classification("so good", scores=[0, 1, 2, 0]),
        classification("so bad", signed=False, scores=[0, 3, 4, 0]),
        {"title": "x"},
    )
    page.locator("summary").click()
    expect(page.locator("tbody tr")).to_have_count(3)
    lines = page.locator("tbody tr").evaluate_all(
        "(rows) => rows.map((row) => [...row.cells].map((c) => c.textContent))"
    )
    assert lines == [["so", "+1", "3", "–"], ["bad", "–", "4", "–"], ["good", "+2", "–", "–"]]


@pytest.mark.parametrize("text", [TEXTS["unbroken"], TEXTS["arabic"], TEXTS["english"]])
def test_a_phone_needs_no_scrolling_sideways(page: Page, draw: Draw, text: str) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    draw(
        {"title": "A long title of a method " * 2, "attribution": classification(text).to_dict()},
        classification(text),
    )
    for view in ("bars", "heat"):
        page.locator(f"button[data-name={view}]").click()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


# --------------------------------------------------------------------------------------------------------------- the pages


Opened = Callable[..., Page]


def opening(page: Page, address: str) -> Opened:
    def to(path: str, **asked: str) -> Page:
        query = "&".join(f"{name}={quote(value)}" for name, value in {"__theme": "light", **asked}.items())
        page.goto(f"{address}{path}?{query}")
        finished(page)
        return page

    return to


@pytest.fixture
def opened(page: Page, url: str) -> Opened:
    return opening(page, url)


def finished(page: Page) -> None:
    expect(page.locator("#pictures .attribution-multiples .row").first).to_be_visible()
    expect(page.locator("#pictures .attribution-multiples")).not_to_have_attribute("aria-busy", "true")


def titles(page: Page) -> Locator:
    return page.locator("#pictures .title")


def test_the_methods_are_shown_below_each_other_with_their_agreement(opened: Opened) -> None:
    page = opened("methods")
    expect(titles(page)).to_have_text(
        ["Integrated gradients", "Saliency", "Attention × gradient", "Occlusion", "LIME"]
    )
    expect(rows(page).nth(4).locator(".subtitle")).to_have_text("samples: 200")
    expect(page.locator("#agreement")).to_contain_text("Kendall")
    expect(page.locator("#pictures .findings")).to_contain_text("Where they disagree")
    expect(page.locator("#words .panel-label").first).to_contain_text("positive")


def test_the_rows_follow_the_typing_and_end_with_the_last_text(opened: Opened) -> None:
    page = opened("methods", methods="saliency,occlusion")
    expect(titles(page)).to_have_text(["Saliency", "Occlusion"])
    page.locator("#text textarea").fill("")
    page.locator("#text textarea").press_sequentially("a dull and lifeless film", delay=15)
    for row in range(2):
        expect(rows(page).nth(row).locator(".text .line")).to_have_text("a dull and lifeless film")
    finished(page)
    here = compare("a dull and lifeless film", methods=["saliency", "occlusion"])
    expect(page.locator("#words .panel-label").first).to_contain_text("negative")
    value = f"{here.agreement('kendall').values[0][1]:.2f}".replace("-", "−").rstrip("0")
    expect(page.locator("#agreement")).to_contain_text(value)


def test_a_link_chooses_text_methods_target_and_measure(opened: Opened) -> None:
    page = opened("methods", text="so <b>good</b>", methods="lime, ig", target="negative", measure="overlap")
    expect(titles(page)).to_have_text(["LIME", "Integrated gradients"])
    expect(page.locator("#words")).to_contain_text("'negative'")
    expect(page.locator("#agreement")).to_contain_text("Overlap")
    assert page.locator("#pictures b").count() == 0


def test_a_title_shows_what_its_method_means(opened: Opened) -> None:
    page = opened("methods", methods="saliency,occlusion")
    expect(page.locator("#words")).to_contain_text("What it shows: Saliency")
    page.locator("#pictures .title", has_text="Occlusion").click()
    expect(page.locator("#words")).to_contain_text("What it shows: Occlusion")


def test_too_many_methods_and_no_text_are_said_in_words(opened: Opened) -> None:
    page = opened("methods")
    for box in page.locator("#methods input:not(:checked)").all()[:2]:
        box.check()
    expect(page.locator("#pictures .message").first).to_contain_text("There are 7 methods.")
    page.locator("#methods input:checked").first.uncheck()
    expect(rows(page)).to_have_count(6)
    page.locator("#text textarea").fill("")
    expect(page.locator("#pictures .message").first).to_contain_text("There is no text to explain.")
    page.locator("#text textarea").fill("good again")
    expect(rows(page).nth(5).locator(".text .line")).to_have_text("good again")


def test_a_model_that_writes_offers_its_own_methods_and_a_position(opened: Opened) -> None:
    page = opened("methods", model="bundled/shakespeare-gpt2", methods="saliency,input_x_gradient")
    expect(page.locator("#position input, #position textarea")).to_have_value("0")
    expect(rows(page)).to_have_count(2)
    expect(page.locator("#words")).to_contain_text("The model writes")


# ------------------------------------------------------------------------------------------------------------------ models


def test_two_bundled_models_that_write_are_compared(opened: Opened) -> None:
    page = opened("models", text="the 3rd of March, 1987")
    expect(titles(page)).to_have_text(["shakespeare-gpt2", "dates-t5", "shakespeare-gpt2 − dates-t5"])
    expect(rows(page).nth(1).locator(".subtitle")).to_contain_text("1987-03-03")
    expect(page.locator("#pictures .findings")).to_contain_text("Different answers are explained")
    cell(page, 0, "March").hover()
    for row in range(3):
        expect(rows(page).nth(row).locator(".text .same")).to_have_text("March")


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with two more classifiers, whose tokenizers differ, beside the bundled models."""
    from components.application import build, serve

    shelf = tmp_path_factory.mktemp("bundled")
    shutil.copytree(catalogue.BUNDLED, shelf, dirs_exist_ok=True)
    for name in ("bert", "gpt2-classifier"):
        model, tokenizer = FAMILIES[name]()
        if name == "gpt2-classifier":
            model.config.id2label = {0: "negative", 1: "positive"}
        model.save_pretrained(shelf / f"tiny-{name}")
        tokenizer.save_pretrained(shelf / f"tiny-{name}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogue, "BUNDLED", shelf)
        demo, engine = build(dataclasses.replace(DEFAULTS, request_burst=10_000, requests_per_second=1_000.0))
        _, address, _ = serve(demo, engine, host="127.0.0.1", block=False, quiet=True)
        yield address
        demo.close()


def test_classifiers_with_different_tokenizers_are_compared_word_by_word(page: Page, several: str) -> None:
    page = opening(page, several)(
        "models", text="the plot was not good", method="occlusion", target="positive"
    )
    expect(titles(page)).to_have_text(
        ["sst2-minilm", "tiny-bert", "tiny-gpt2-classifier", "sst2-minilm − tiny-bert"]
    )
    expect(page.locator("#predictions")).to_contain_text("What the models say")
    cell(page, 0, "not").hover()
    for row in range(4):
        expect(rows(page).nth(row).locator(".same")).to_have_text("not")
    page.locator("button[data-name=tokens]").click()
    cell(page, 0, "not").hover()
    expect(rows(page).nth(2).locator(".same")).to_have_count(3)  # a byte is a token there


def test_a_link_chooses_models_and_the_pair_that_is_subtracted(page: Page, several: str) -> None:
    models = "bundled/tiny-gpt2-classifier,bundled/sst2-minilm"
    page = opening(page, several)(
        "models", text="so good", models=models, method="saliency", first="bundled/sst2-minilm"
    )
    expect(titles(page).nth(0)).to_have_text("tiny-gpt2-classifier")
    expect(titles(page).nth(1)).to_have_text("sst2-minilm")
    expect(page.locator("#words")).to_contain_text("What it shows: Saliency")


def test_a_model_that_cannot_be_had_leaves_the_others(page: Page, several: str) -> None:
    models = "bundled/sst2-minilm,openai-community/gpt2"
    page = opening(page, several)("models", text="so good", models=models, method="saliency")
    expect(rows(page)).to_have_count(3)
    expect(rows(page).nth(0).locator(".text .line")).to_have_text("so good")
    expect(rows(page).nth(1).locator(".message")).to_contain_text("openai-community/gpt2")
