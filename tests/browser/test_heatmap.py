"""The picture in a real browser: by itself, as an exported file, and as a Gradio component."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from attribution.export.drawing.browser import picture_data
from attribution.export.html import picture_script, picture_style, write
from attribution.sentences import CANNOT_READ, silence
from attribution.types import Attribution, Token
from components.header import page_scripts
from components.pictures.heatmap import Heatmap
from components.pictures.panel import answer
from components.pictures.picture import STATIC, head
from tests.samples import NAMES, TEXTS, classification, sample

HOSTILE = (
    "A ${window.__pwn=1} film",
    "<img src=x onerror=window.__pwn=1>",
    "</script><script>window.__pwn=1</script>",
    "{{value}} {{#each value}} \\u{zz} `${`",
    "'\"><svg onload=window.__pwn=1>",
)

STAND = f"""<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<style>body {{ font-family: sans-serif }} {picture_style()}</style>
<textarea id="source"></textarea><div id="picture"></div><script>{picture_script()}</script>
<script>
window.chosen = [];
window.picture = AttributionHeatmap.mount(document.getElementById("picture"), {{ onSelectOutput: (row) => chosen.push(row) }});
</script>"""

Draw = Callable[[Attribution | None], None]


@pytest.fixture
def draw(page: Page) -> Draw:
    """Draws an attribution in a page that holds nothing but the picture."""
    page.set_content(STAND)
    return lambda attribution: page.evaluate(
        "(data) => picture.draw(data)", attribution and picture_data(attribution)
    )


def cells(page: Page) -> Locator:
    return page.locator(".cell[role=listitem]")


def labels(page: Page) -> list[str]:
    return page.evaluate(
        "() => [...document.querySelectorAll('.cell[role=listitem]')].map((c) => "
        "c.getAttribute('aria-label'))"
    )


def press(page: Page, name: str) -> None:
    page.locator(f"button[data-name={name}]").click()


def written(page: Page, block: str = "text") -> str:
    return page.evaluate(
        f"() => [...document.querySelectorAll('.{block} .line')].map((l) => l.textContent).join('')"
    )


# -------------------------------------------------------------------------------------------------------------------- the text


def test_every_text_stays_as_it_was_typed(page: Page, draw: Draw) -> None:
    for text in (*TEXTS.values(), *HOSTILE):
        draw(classification(text))
        for unit in ("tokens", "words"):
            press(page, unit)
            assert written(page) == text
    assert page.evaluate("window.__pwn") is None


def test_no_text_becomes_an_element(page: Page, draw: Draw) -> None:
    draw(classification("word"))
    known = page.evaluate(
        "() => [...new Set([...document.querySelectorAll('*')].map((e) => e.tagName))].sort()"
    )
    for text in HOSTILE:
        draw(classification(text))
        found = page.evaluate(
            "() => [...new Set([...document.querySelectorAll('*')].map((e) => e.tagName))].sort()"
        )
        assert found == known


def test_words_merge_pieces_and_what_shares_a_span_is_one_cell(page: Page, draw: Draw) -> None:
    draw(sample("pieces"))
    expect(cells(page)).to_have_text(["unbelievably", "مرحبا", "👩‍👩‍👧‍👦", "!"])
    assert labels(page)[0] == "unbelievably, +0.4 logit"
    # The token without a span joins the cell after it; the last one the cell before it.
    assert labels(page)[2:] == ["👩‍👩‍👧‍👦, +1 logit", f"!, {chr(0x2212)}0.75 logit"]
    press(page, "tokens")
    expect(cells(page)).to_have_text(["un", "believ", "ably", "مر", "حبا", "👩‍👩‍👧‍👦", "!"])


def test_pieces_of_an_arabic_word_still_join(page: Page, draw: Draw) -> None:
    draw(sample("pieces"))
    whole = cells(page).nth(1).bounding_box()
    press(page, "tokens")
    first, second = cells(page).nth(3).bounding_box(), cells(page).nth(4).bounding_box()
    assert whole and first and second
    assert first["width"] + second["width"] == pytest.approx(whole["width"], abs=1)


def test_special_tokens_are_hidden_with_their_share_and_can_be_shown(page: Page, draw: Draw) -> None:
    draw(classification("a b", scores=[1.0, 2.0, 3.0, -4.0]))
    switch = page.locator("button[data-name=specials]")
    expect(switch).to_have_text("Special tokens 50 %")
    expect(cells(page)).to_have_text(["a", "b"])
    switch.click()
    expect(cells(page)).to_have_text(["[CLS]", "a", "b", "[SEP]"])
    expect(page.locator(".legend")).to_contain_text("+4")


def test_a_chip_does_not_turn_an_arabic_line(page: Page, draw: Draw) -> None:
    draw(classification(TEXTS["arabic"]))
    press(page, "specials")
    assert page.locator(".text .line").first.evaluate("(line) => getComputedStyle(line).direction") == "rtl"


def test_what_cannot_be_seen_has_a_mark(page: Page, draw: Draw) -> None:
    draw(classification("a\u200b\u202eb x"))
    assert page.evaluate(
        "() => [...document.querySelectorAll('.text [data-mark]')].map((e) => e.dataset.mark)"
    ) == [
        "ZWSP",
        "RLO",
    ]


def test_no_signal_is_said_and_nothing_is_coloured(page: Page, draw: Draw) -> None:
    draw(sample("zero"))
    expect(page.locator(".message")).to_contain_text("No signal")
    assert page.locator(".cell:not([data-sign=none])").count() == 0


def test_nothing_at_all_keeps_the_height(page: Page, draw: Draw) -> None:
    draw(sample("lines"))
    height = page.locator("#picture").evaluate("(e) => e.offsetHeight")
    draw(None)
    expect(page.locator(".message")).to_be_visible()
    assert page.locator("#picture").evaluate("(e) => e.offsetHeight") >= height
    draw(sample("one"))
    expect(cells(page)).to_have_text(["Great"])


# ------------------------------------------------------------------------------------------------------------------ the colours

CONTRAST = """(theme) => {
  document.body.classList.toggle("dark", theme === "dark");
  const page = theme === "dark" ? "#0b0f19" : "#ffffff";
  return [...document.querySelectorAll(".cell")].map((cell) => {
    const style = getComputedStyle(cell);
    const fill = style.backgroundColor === "rgba(0, 0, 0, 0)" ? page : style.backgroundColor;
    return AttributionHeatmap.contrast(style.color, fill);
  });
}"""


@pytest.mark.parametrize("signed", [True, False])
def test_every_cell_can_be_read(page: Page, draw: Draw, signed: bool) -> None:
    scores = [k / 100 * (-1) ** k for k in range(103)]
    draw(classification(" ".join(f"w{k}" for k in range(101)), signed, scores))
    for view in ("heat", "bars"):
        press(page, view)
        for theme in ("light", "dark"):
            assert min(page.evaluate(CONTRAST, theme)) >= 4.5


def test_direction_is_shown_without_colour(page: Page, draw: Draw) -> None:
    draw(classification("a b", scores=[0.0, 1.0, -1.0, 0.0]))
    images = page.evaluate(
        "() => [...document.querySelectorAll('.cell')].map((c) => getComputedStyle(c).backgroundImage)"
    )
    assert images[0].startswith("linear-gradient")
    assert images[1].startswith("repeating-linear-gradient")


def test_the_legend_has_numbers_unit_and_target(page: Page, draw: Draw) -> None:
    draw(classification("a b", scores=[0.0, 1.23456, -0.5, 0.0]))
    expect(page.locator(".legend .low")).to_have_text(f"against{chr(0x2212)}1.23")
    expect(page.locator(".legend .high")).to_have_text("+1.23forpositive")
    expect(page.locator(".legend .unit")).to_have_text("logit")


# ----------------------------------------------------------------------------------------------------------- keyboard and pointer


def test_keyboard_walk(page: Page, draw: Draw) -> None:
    draw(classification("one two three"))
    page.locator("button[data-name=specials]").focus()
    page.keyboard.press("Tab")
    expect(cells(page).first).to_be_focused()
    tip = page.locator(".tip")
    expect(tip).to_be_visible()
    assert cells(page).first.get_attribute("aria-describedby") == tip.get_attribute("id")
    for key, place in (("ArrowRight", 1), ("End", 2), ("ArrowRight", 2), ("ArrowLeft", 1), ("Home", 0)):
        page.keyboard.press(key)
        expect(cells(page).nth(place)).to_be_focused()
        expect(tip.locator(".token")).to_have_text(["one", "two", "three"][place])
    page.keyboard.press("Escape")
    expect(tip).to_be_hidden()
    # One tab stop: the next one is the table.
    page.keyboard.press("Tab")
    expect(page.locator("summary")).to_be_focused()


def test_arrows_follow_the_eye_in_arabic_and_over_rows(page: Page, draw: Draw) -> None:
    draw(classification(TEXTS["arabic"]))
    cells(page).first.focus()
    page.keyboard.press("ArrowLeft")
    expect(cells(page).nth(1)).to_be_focused()
    draw(classification("one two\nthree four"))
    cells(page).nth(1).focus()
    page.keyboard.press("ArrowDown")
    expect(cells(page).nth(3)).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(cells(page).nth(1)).to_be_focused()


def test_tooltip_says_score_share_rank_and_pieces(page: Page, draw: Draw) -> None:
    draw(sample("pieces"))
    cells(page).first.hover()
    tip = page.locator(".tip")
    expect(tip.locator(".token")).to_have_text("unbelievably")
    expect(tip.locator(".score")).to_have_text("+0.4")
    expect(tip.locator(".unit")).to_have_text("logit")
    # 0.4 of 0.1 + 0.4 + 0.3 + 1 + 0.75, the special token included.
    expect(tip.locator(".share")).to_have_text("15.7 % of all absolute scores · rank 3 of 4")
    expect(tip.locator(".pieces bdi")).to_have_text(
        ["un", "token 1", "+0.2", "believ", "token 2", "+0.5", "ably", "token 3", f"{chr(0x2212)}0.3"]
    )
    page.locator(".legend").hover()
    expect(tip).to_be_hidden()


def test_tooltip_stays_in_the_window(page: Page, draw: Draw) -> None:
    page.set_viewport_size({"width": 360, "height": 640})
    draw(sample("long"))
    for place in (0, 3, 200, 399):
        cells(page).nth(place).focus()
        box = page.locator(".tip").bounding_box()
        assert box and box["x"] >= 0 and box["y"] >= 0
        assert box["x"] + box["width"] <= 360 and box["y"] + box["height"] <= 640


def test_the_table_says_the_same(page: Page, draw: Draw) -> None:
    draw(classification("a b", scores=[0.0, 1.0, -3.0, 0.0]))
    page.locator("summary").click()
    expect(page.locator("tbody td")).to_have_text(
        ["a", "+1", "25 %", "2", "b", f"{chr(0x2212)}3", "75 %", "1"]
    )


# ------------------------------------------------------------------------------------------------------------------- generation


@pytest.mark.parametrize("name", ["causal", "seq2seq"])
def test_each_generated_token_shows_its_own_row(page: Page, draw: Draw, name: str) -> None:
    attribution = sample(name)
    draw(attribution)
    choices = page.get_by_role("radio")
    assert choices.count() == len(attribution.outputs)
    expect(choices.first).to_have_attribute("aria-checked", "true")
    inputs = sum(token.segment == "text" for token in attribution.tokens)
    for row in range(len(attribution.outputs)):
        choices.nth(row).click()
        assert page.locator(".cell.later").count() == len(attribution.outputs) - 1 - row
        shown = [label for label in labels(page) if not label.endswith("after this output")]
        assert len(shown) == inputs + row
        assert page.locator(".cell.later:not([data-sign=none])").count() == 0
    assert page.evaluate("chosen") == list(range(1, len(attribution.outputs)))


def test_arrow_keys_choose_and_the_choice_is_kept_while_it_is_valid(page: Page, draw: Draw) -> None:
    draw(sample("causal"))
    page.get_by_role("radio").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio").nth(2)).to_be_focused()
    draw(sample("seq2seq"))
    expect(page.get_by_role("radio").nth(2)).to_have_attribute("aria-checked", "true")
    page.keyboard.press("End")
    expect(page.get_by_role("radio").last).to_have_attribute("aria-checked", "true")
    draw(sample("english"))
    assert page.get_by_role("radio").count() == 0
    draw(sample("causal"))
    expect(page.get_by_role("radio").first).to_have_attribute("aria-checked", "true")


def test_a_part_of_the_generated_tokens_stands_in_the_whole_text(page: Page, draw: Draw) -> None:
    whole = sample("causal")
    part = replace(whole, outputs=(whole.outputs[1], whole.outputs[3]), scores=whole.scores[[1, 3]])
    draw(part)
    expect(page.get_by_role("radio")).to_have_text([" be", " that"])
    assert written(page, "choices") == " to be, that is"
    # What is not explained is seen nevertheless.
    assert page.locator(".choices .line").inner_text().strip() == "to be, that is"
    assert page.locator(".cell.later").count() == 4
    page.get_by_role("radio").nth(1).click()
    assert page.locator(".cell.later").count() == 2


def test_a_whole_sequence_is_one_choice_and_sees_everything(page: Page, draw: Draw) -> None:
    draw(sample("sequence"))
    expect(page.get_by_role("radio")).to_have_count(1)
    assert page.locator(".cell.later").count() == 0


# ------------------------------------------------------------------------------------------------- pairs, several outputs, contrasts


def test_a_pair_is_two_blocks_that_stay_as_they_were_typed(page: Page, draw: Draw) -> None:
    result = sample("pair")
    draw(result)
    for unit in ("tokens", "words"):
        press(page, unit)
        assert (written(page), written(page, "second")) == (result.text, result.second)
    expect(page.locator(".label:visible")).to_have_text(["First text", "Second text"])
    assert [
        line.evaluate("(line) => getComputedStyle(line).direction")
        for line in page.locator(".second .line").all()
    ] == [
        "rtl",
        "ltr",
    ]
    second = page.locator(".second .cell[role=listitem]")
    # One scale for both: the largest score of the picture is in the first or in the second.
    sizes = page.evaluate(
        "() => [...document.querySelectorAll('.cell')].map((c) => Number(c.style.getPropertyValue('--size')))"
    )
    assert max(sizes) == 1
    second.nth(1).hover()
    expect(page.locator(".tip .token")).to_have_text("الفيلم")
    # The arrow keys walk from one text into the other.
    page.locator(".text .cell[role=listitem]").last.focus()
    page.keyboard.press("ArrowRight")
    expect(second.first).to_be_focused()
    page.locator("summary").click()
    expect(page.locator("thead th")).to_have_text(["Token", "Text", "Score (logit)", "Share", "Rank"])
    draw(sample("english"))
    expect(page.locator(".label:visible")).to_have_count(0)


def test_both_texts_of_a_pair_are_followed(page: Page, draw: Draw) -> None:
    page.evaluate(
        """() => {
          document.body.append(Object.assign(document.createElement("textarea"), { id: "other" }));
          document.getElementById("picture").replaceChildren();
          const options = { source: "#source", secondSource: "#other" };
          window.picture = AttributionHeatmap.mount(document.getElementById("picture"), options);
        }"""
    )
    result = sample("pair")
    picture = page.locator(".attribution-picture")
    page.fill("#source", result.text)
    page.fill("#other", result.second)
    draw(result)
    expect(picture).to_have_attribute("data-current", "true")
    page.fill("#other", "something else")
    expect(picture).to_have_attribute("data-current", "false")
    # A model of one text does not look at the other box.
    draw(classification(result.text))
    expect(picture).to_have_attribute("data-current", "true")


def test_the_second_text_is_harmless(page: Page, draw: Draw) -> None:
    result = sample("pair")
    for text in HOSTILE:
        draw(
            replace(
                result,
                request=replace(result.request, second=text),
                tokens=result.tokens[:-5],
                scores=result.scores[:, :-5],
            )
        )
        assert written(page, "second") == text
    assert page.evaluate("window.__pwn") is None


def test_several_classes_are_chosen_by_name(page: Page, draw: Draw) -> None:
    result = sample("classes")
    draw(result)
    choices = page.get_by_role("radio")
    expect(choices).to_have_text(["joy", "anger", "fear"])
    assert [choice.get_attribute("data-share") for choice in choices.all()] == ["40 %", "89 %", "45 %"]
    expect(page.locator(".generated")).to_be_hidden()
    before = labels(page)
    choices.nth(1).click()
    assert labels(page) != before
    expect(page.locator(".legend .target")).to_have_text("anger")
    assert page.evaluate("chosen") == [1]


def explained(page: Page) -> list[str | None]:
    return [cell.text_content() for cell in page.locator(".cell.explained").all()]


def test_the_explained_token_is_marked(page: Page, draw: Draw) -> None:
    draw(sample("labelled"))
    assert explained(page) == ["This"]
    assert labels(page)[0].endswith(", explained here")
    page.get_by_role("radio").nth(1).click()
    assert explained(page) == ["movie"]
    press(page, "tokens")
    assert explained(page) == ["movie"]
    shadow = page.locator(".cell.explained").evaluate("(cell) => getComputedStyle(cell).boxShadow")
    assert "2px" in shadow
    # It is drawn also where special tokens are not.
    draw(sample("masked"))
    assert explained(page) == ["<mask>"]
    assert page.locator(".cell.outside").count() == 1


def test_an_answer_is_no_generated_text(page: Page, draw: Draw) -> None:
    draw(sample("question"))
    expect(page.locator(".label:visible")).to_have_text(["Output", "Question", "Text"])
    expect(page.get_by_role("radio")).to_have_text(["start: film", "end: film"])
    expect(page.locator(".generated")).to_be_hidden()
    assert explained(page) == ["film"]
    assert page.locator(".second .explained").count() == 1
    assert page.locator(".cell.later").count() == 0


def test_a_contrast_is_named(page: Page, draw: Draw) -> None:
    draw(sample("contrast"))
    expect(page.locator(".legend .target")).to_have_text("positive rather than negative")
    both = sample("classes")
    draw(replace(both, outputs=tuple(replace(output, contrast="calm") for output in both.outputs)))
    expect(page.get_by_role("radio").first).to_have_text("joy rather than calm")
    expect(page.get_by_role("radio").first).to_have_attribute("title", re.compile("difference of logit"))


@pytest.mark.parametrize("name", ["regression", "similarity"])
def test_no_number_is_missing(page: Page, draw: Draw, name: str) -> None:
    result = sample(name)
    draw(result)
    assert page.get_by_role("radio").count() == 0
    # Two numbers without a probability: the chooser shows the numbers themselves.
    draw(
        replace(result, outputs=result.outputs * 2, scores=result.scores.repeat(2, axis=0), completeness=None)
    )
    assert page.get_by_role("radio").first.get_attribute("data-share") == f"+{result.outputs[0].value:g}"
    cells(page).first.hover()
    assert not re.search("nan|null|undefined", page.locator("#picture").inner_html(), re.IGNORECASE)


# ---------------------------------------------------------------------------------------------------------------- standard errors


def with_errors(*pairs: tuple[float, float]) -> Attribution:
    result = classification(
        " ".join(f"w{k}" for k in range(len(pairs))), scores=[0.0, *(score for score, _ in pairs), 0.0]
    )
    return replace(result, errors=np.array([[0.0, *(error for _, error in pairs), 0.0]]), completeness=None)


def test_an_interval_is_said_and_what_is_unsure_is_dotted(page: Page, draw: Draw) -> None:
    draw(with_errors((0.5, 0.1), (-0.2, 0.2)))
    minus = chr(0x2212)
    assert labels(page) == [
        "w0, +0.5 ± 0.196 logit",
        f"w1, {minus}0.2 ± 0.392 logit, not distinguishable from 0",
    ]
    cells(page).first.hover()
    expect(page.locator(".tip .score")).to_have_text("+0.5 ± 0.196 (95 %)")
    lines = [
        cell.evaluate("(c) => [getComputedStyle(c).textDecorationStyle, getComputedStyle(c).backgroundImage]")
        for cell in cells(page).all()
    ]
    assert lines[0][0] == "solid" and lines[0][1] != "none"
    assert lines[1] == ["dotted", "none"]
    expect(page.locator(".legend .hints")).to_have_text("not distinguishable from 0")
    draw(classification("a b"))
    expect(page.locator(".legend .hints")).to_have_count(0)
    assert page.locator(".unsure").count() == 0


def test_bars_have_whiskers_of_the_right_length(page: Page, draw: Draw) -> None:
    draw(with_errors((0.5, 0.1), (-0.2, 0.2), (0.3, 0.0)))
    assert page.locator("[data-whisker]").count() == 0
    press(page, "bars")
    assert page.locator("[data-whisker]").count() == 2, "a score without an error has none"
    read = "(c) => ['--size', '--up-from', '--up-to', '--down-from', '--down-to'].map((n) => Number(c.style.getPropertyValue(n)))"
    scale = 0.5 + 1.96 * 0.1
    assert cells(page).nth(0).evaluate(read) == pytest.approx(
        [0.5 / scale, 0.304 / scale, 1.0, 0, 0], abs=1e-3
    )
    # −0.2 ± 0.392 crosses the text: a part above, a part below.
    assert cells(page).nth(1).evaluate(read) == pytest.approx(
        [0.2 / scale, 0, 0.192 / scale, 0, 0.592 / scale], abs=1e-3
    )
    expect(page.locator(".legend .high .number")).to_have_text("+0.696")
    images = cells(page).nth(1).evaluate("(c) => getComputedStyle(c).backgroundImage")
    assert images.count("linear-gradient") == 5
    expect(page.locator(".legend .whiskers")).to_be_visible()
    press(page, "heat")
    assert page.locator("[data-whisker]").count() == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_whisker_stands_out_from_page_and_bar(page: Page, draw: Draw, theme: str) -> None:
    """Its own colour on the page; on the bar the halo beside it."""
    draw(with_errors((0.5, 0.1), (-0.5, 0.1)))
    press(page, "bars")
    page.evaluate("(dark) => document.body.classList.toggle('dark', dark)", theme == "dark")
    found = page.evaluate(
        """() => [...document.querySelectorAll(".cell")].map((cell) => {
          const probe = document.createElement("i");
          cell.closest(".attribution-picture").append(probe);
          const colour = (name) => { probe.style.color = getComputedStyle(cell).getPropertyValue(name); return getComputedStyle(probe).color; };
          const [ink, halo] = ["--ink", "--raised"].map(colour);
          const ratio = AttributionHeatmap.contrast(ink, halo);
          probe.remove();
          return ratio;
        })"""
    )
    assert min(found) >= 4.5


def test_words_add_up_errors_as_python_does(page: Page, draw: Draw) -> None:
    result = replace(sample("pieces"), errors=np.abs(sample("pieces").scores) / 4)
    draw(result)
    merged = result.words()
    assert merged.errors is not None
    place = next(i for i, token in enumerate(merged.tokens) if token.text == "unbelievably")
    page.locator("summary").click()
    expect(page.locator("thead th").nth(2)).to_have_text("Standard error")
    expect(page.locator("tbody tr").first.locator("td").nth(2)).to_have_text(f"{merged.errors[0, place]:g}")


def test_noise_is_pale_and_said(page: Page, draw: Draw) -> None:
    draw(sample("noise"))
    expect(page.locator(".message")).to_have_text(
        "No signal: no score is distinguishable from 0. Use more samples."
    )
    sizes = page.evaluate(
        "() => [...document.querySelectorAll('.cell')].map((c) => Number(c.style.getPropertyValue('--size')))"
    )
    assert max(sizes) == 0.25
    draw(sample("sampled"))
    expect(page.locator(".message")).to_have_text("")


def test_rounding_is_no_signal(page: Page, draw: Draw) -> None:
    """The same bound as in ``sentences.silence``: one millionth of the explained quantity."""
    for value, signed in ((2.4e-6, True), (2.6e-6, True), (2.4e-6, False)):
        result = replace(classification("a b", signed, [0.0, value, 0.0, 0.0]), completeness=None)
        draw(result)
        said = page.locator(".message").text_content() or ""
        assert ("rounding" in said) == bool(silence(result, 0)) == (signed and value < 2.5e-6)


# ------------------------------------------------------------------------------------------------------------------ drawing again


def test_typing_on_keeps_the_elements_and_the_view(page: Page, draw: Draw) -> None:
    draw(classification("one two"))
    press(page, "bars")
    press(page, "tokens")
    page.evaluate("() => (window.kept = [...document.querySelectorAll('.text .line > span')])")
    draw(classification("one two three"))
    assert page.evaluate(
        "() => kept.every((e, i) => e === document.querySelectorAll('.text .line > span')[i])"
    )
    expect(page.locator(".attribution-picture")).to_have_attribute("data-view", "bars")
    expect(page.locator("button[data-name=tokens]")).to_have_attribute("aria-pressed", "true")


def test_512_tokens_need_few_elements_and_keep_them(page: Page, draw: Draw) -> None:
    """What the time of a long text depends on; the time itself is measured by ``benchmarks.draw``."""
    count = "document.querySelectorAll('#picture *').length"
    draw(classification("a"))
    ground = page.evaluate(count)
    draw(classification(" ".join(f"a{k}" for k in range(510))))
    expect(cells(page)).to_have_count(510)
    assert page.evaluate(count) - ground < 3 * 510
    page.evaluate("() => (window.kept = [...document.querySelectorAll('.text .line > span')])")
    draw(classification(" ".join(f"b{k}" for k in range(510))))
    expect(cells(page).last).to_have_text("b509")
    assert page.evaluate("kept.length") >= 510
    assert page.evaluate(
        "() => kept.every((e, i) => e === document.querySelectorAll('.text .line > span')[i])"
    )


def test_phone_width_never_scrolls_sideways(page: Page, draw: Draw) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    for name in NAMES:
        draw(sample(name))
        for view in ("heat", "bars"):
            press(page, view)
            assert page.evaluate("document.documentElement.scrollWidth") <= 360, (name, view)


# -------------------------------------------------------------------------------------------------------------- the exported file


@pytest.mark.parametrize("text", [TEXTS["english"], *HOSTILE])
def test_an_exported_file_opens_from_disk(page: Page, tmp_path: Path, text: str) -> None:
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    file = tmp_path / "picture.html"
    file.write_bytes(write(classification(text)))
    page.goto(file.as_uri())
    expect(cells(page).first).to_be_visible()
    assert written(page) == text
    assert page.evaluate("window.__pwn") is None
    assert requests == [file.as_uri()]


def test_an_exported_file_runs_no_other_script(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "picture.html"
    file.write_bytes(write(sample("english")))
    page = browser.new_page()
    try:
        page.goto(file.as_uri())
        page.evaluate(
            """() => {
              const script = document.createElement("script");
              script.textContent = "window.__pwn = 1";
              document.body.append(script);
              document.body.setAttribute("onclick", "window.__pwn = 2");
              document.body.click();
            }"""
        )
        assert page.evaluate("window.__pwn") is None
    finally:
        page.close()


def test_an_exported_file_switches_between_light_and_dark(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "picture.html"
    file.write_bytes(write(sample("english")))
    page.emulate_media(color_scheme="dark")
    page.goto(file.as_uri())
    background = "() => getComputedStyle(document.documentElement).backgroundColor"
    assert page.evaluate(background) == "rgb(17, 21, 28)"
    page.get_by_role("button", name="Light").click()
    assert page.evaluate(background) == "rgb(255, 255, 255)"


def test_an_exported_file_says_everything_without_scripts(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "picture.html"
    file.write_bytes(write(sample("english")))
    context = browser.new_context(java_script_enabled=False)
    try:
        page = context.new_page()
        page.goto(file.as_uri())
        expect(page.locator("noscript table")).to_be_visible()
        expect(page.locator("noscript .typed")).to_have_text(TEXTS["english"])
    finally:
        context.close()


# ------------------------------------------------------------------------------------------------------------ words struck out


def test_what_the_model_cannot_read_is_said_before_the_picture(page: Page, draw: Draw) -> None:
    result = classification("电影 bad", scores=[0, 1.0, 2.0, 0])
    lost = replace(result.tokens[1], text="[UNK]")
    note = f"{CANNOT_READ}: 1 of its 2 tokens"
    draw(replace(result, tokens=(result.tokens[0], lost, *result.tokens[2:]), notes=(note,)))
    warning = page.locator(".warning")
    expect(warning).to_have_text(note)
    assert warning.evaluate("(p) => p.compareDocumentPosition(document.querySelector('.cell'))") & 4, (
        "before it"
    )
    expect(cells(page)).to_have_text(["电影", "bad"])
    page.get_by_role("button", name="Tokens", exact=True).click()
    expect(cells(page)).to_have_text(["[UNK]", "bad"])
    draw(classification("good bad", scores=[0, 1.0, 2.0, 0]))
    expect(warning).to_be_hidden()


def test_white_space_that_is_a_token_is_drawn_with_the_word_after_it(page: Page, draw: Draw) -> None:
    result = classification("good  bad", scores=[0, 1.0, 2.0, 0])
    space = Token(" ", 7, 4, 5, word=1)
    tokens = (*result.tokens[:2], space, *result.tokens[2:])
    draw(replace(result, tokens=tokens, scores=np.array([[0, 1.0, 0.5, 2.0, 0]])))
    expect(cells(page)).to_have_text(["good", "bad"])


@pytest.fixture
def striking(page: Page) -> Draw:
    """Draws an attribution whose words can be struck out; ``struck`` holds what was told."""
    page.set_content(STAND)
    page.evaluate("""() => {
      window.struck = [];
      const element = document.getElementById("picture");
      picture.destroy();
      window.picture = AttributionHeatmap.mount(element, { onStrike: (spans) => struck.push(spans) });
    }""")
    return lambda attribution: page.evaluate(
        "(data) => picture.draw(data)", attribution and picture_data(attribution)
    )


def test_words_are_struck_out_by_mouse_and_keyboard_and_put_back(page: Page, striking: Draw) -> None:
    striking(classification("This 😀 film is fun"))
    options = page.get_by_role("option")
    options.nth(2).click()
    expect(options.nth(2)).to_have_attribute("aria-selected", "true")
    options.nth(2).press("ArrowRight")
    page.keyboard.press("Enter")
    page.keyboard.press("Space")
    options.nth(2).click()
    film = {"segment": "text", "start": 7, "end": 11}
    told = page.evaluate("struck")
    assert told[0] == [film]
    assert told[1] == [film, {"segment": "text", "start": 12, "end": 14}]
    assert told[2:] == [[film], []]


def test_another_text_forgets_what_was_struck_out(page: Page, striking: Draw) -> None:
    striking(classification("This film is fun"))
    page.get_by_role("option").nth(1).click()
    striking(classification("This film is fun"))
    expect(page.locator("[aria-selected=true]")).to_have_count(1)
    striking(classification("This book is fun"))
    expect(page.locator("[aria-selected=true]")).to_have_count(0)
    assert page.evaluate("struck.at(-1)") == []


def test_a_special_token_cannot_be_struck_out(page: Page, striking: Draw) -> None:
    striking(sample("english"))
    press(page, "specials")
    page.locator(".cell.outside").first.click()
    assert page.evaluate("struck") == []


# ----------------------------------------------------------------------------------------------------- the words beside the picture

PANEL = f"""<!doctype html><meta charset="utf-8"><div id="panel"></div>
<script>{picture_script()}</script><script>{(STATIC / "panel.js").read_text(encoding="utf-8")}</script>
<script>
window.chosen = [];
const trigger = (event, {{ value }}) => chosen.push(value);
window.panel = AttributionPanel.mount(document.getElementById("panel"), {{ trigger }});
</script>"""


@pytest.fixture
def tell(page: Page) -> Draw:
    """Fills a page that holds nothing but the words."""
    page.set_content(PANEL)
    return lambda attribution: page.evaluate(
        "(data) => panel.draw(data)", attribution and answer(attribution)
    )


@pytest.mark.parametrize(
    ("name", "written", "radios", "checked"),
    [
        ("english", [], 2, ["positive"]),
        ("contrast", [], 2, ["positive"]),
        ("regression", ["0.83"], 0, []),
        ("similarity", ["Similarity 0.725"], 0, []),
        ("question", ["Answer: film"], 0, []),
        ("masked", [], 2, ["film"]),
        ("causal", ["to be, that is"], 0, []),
    ],
)
def test_the_words_say_what_the_model_said(
    page: Page, tell: Draw, name: str, written: list[str], radios: int, checked: list[str]
) -> None:
    tell(sample(name))
    assert [node.text_content() for node in page.locator(".panel-written").all()] == written
    expect(page.get_by_role("radio")).to_have_count(radios)
    expect(page.locator("[aria-checked=true] .panel-name")).to_have_text(checked)
    assert not re.search(r"nan|null|undefined", page.locator("#panel").inner_text(), re.IGNORECASE)


def test_the_words_mark_every_explained_class(page: Page, tell: Draw) -> None:
    tell(sample("classes"))
    expect(page.get_by_role("checkbox", checked=True)).to_have_count(3)
    page.get_by_role("checkbox").first.click()
    assert page.evaluate("chosen") == ["anger"]


def test_the_words_say_how_sure_it_is(page: Page, tell: Draw) -> None:
    tell(sample("sampled"))
    assert "R² 0.83" in page.locator("#panel").inner_text() and page.locator(".panel-warn").count() == 0
    tell(sample("noise"))
    expect(page.locator(".panel-warn")).to_have_text([re.compile("^No signal"), re.compile("^R² 0.2:")])
    tell(sample("contrast"))
    expect(page.locator("#panel")).to_contain_text("'positive' rather than 'negative'")


# ------------------------------------------------------------------------------------------------------------ the Gradio component


@pytest.fixture(scope="module")
def app() -> Iterator[str]:
    """A small page: a text box that the picture follows, and buttons for further values."""
    sequence = iter(range(1, 1_000_000))

    def attribute(text: str) -> dict[str, Any] | None:
        return {**classification(text).to_dict(), "sequence": next(sequence)} if text.strip() else None

    def disorder() -> Iterator[dict[str, Any]]:
        newer, older = next(sequence) + 1_000_000, 1
        yield {**classification("the newer answer").to_dict(), "sequence": newer}
        yield {**classification("an older answer").to_dict(), "sequence": older}

    def chosen(event: gr.EventData) -> str:
        return f"row {event.output}"

    with gr.Blocks(analytics_enabled=False) as demo:
        gr.HTML(head=page_scripts() + head())
        box = gr.Textbox("This film is fun", elem_id="text", lines=3)
        picture = Heatmap(classification("This film is fun"), source="#text", elem_id="picture")
        generated = Heatmap(sample("causal"), elem_id="generated")
        answer = gr.Textbox(elem_id="answer")
        none = gr.Button("none")
        order = gr.Button("order")
        box.change(attribute, box, picture, show_progress="hidden", queue=False)
        generated.select(chosen, None, answer, show_progress="hidden", queue=False)
        none.click(lambda: None, None, picture, show_progress="hidden", queue=False)
        order.click(disorder, None, picture, show_progress="hidden")
    _, url, _ = demo.launch(
        prevent_thread_lock=True,
        ssr_mode=False,
        run_history=False,
        quiet=True,
        server_name="127.0.0.1",
    )
    yield url
    demo.close()


gradio_warns = pytest.mark.filterwarnings("default")


@gradio_warns
def test_the_component_follows_typing_with_hostile_text(page: Page, app: str) -> None:
    page.goto(app)
    picture = page.locator("#picture .attribution-picture")
    expect(picture.locator(".cell").first).to_be_visible()
    box = page.locator("#text textarea")
    box.fill("")
    box.press_sequentially("so good", delay=20)
    expect(picture.locator(".cell")).to_have_text(["so", "good"])
    for text in HOSTILE:
        box.fill(text)
        expect(picture.locator(".text .lines")).to_have_text(text, use_inner_text=False)
        expect(picture).to_have_attribute("data-current", "true")
    assert page.evaluate("window.__pwn") is None
    assert page.locator("#picture img, #picture svg, #picture script").count() == 0


@gradio_warns
def test_the_component_says_when_it_is_behind_the_text(page: Page, app: str) -> None:
    page.goto(app)
    picture = page.locator("#picture .attribution-picture")
    expect(page.locator("#text textarea")).to_have_value("This film is fun")
    expect(picture).to_have_attribute("data-current", "true")
    # Set by a program, without an event: no answer will come.
    page.evaluate("() => (document.querySelector('#text textarea').value = 'another text')")
    expect(picture).to_have_attribute("data-current", "false")
    page.evaluate("() => (document.querySelector('#text textarea').value = 'This film is fun')")
    expect(picture).to_have_attribute("data-current", "true")


@gradio_warns
def test_the_component_drops_late_answers_and_survives_none(page: Page, app: str) -> None:
    page.goto(app)
    picture = page.locator("#picture .attribution-picture")
    page.get_by_role("button", name="order").click()
    expect(picture.locator(".text .lines")).to_have_text("the newer answer")
    page.wait_for_timeout(1500)
    expect(picture.locator(".text .lines")).to_have_text("the newer answer")
    page.get_by_role("button", name="none").click()
    expect(picture).to_have_class(re.compile("empty"))


@gradio_warns
def test_the_component_tells_python_which_output_was_chosen(page: Page, app: str) -> None:
    page.goto(app)
    page.locator("#generated").get_by_role("radio").nth(2).click()
    expect(page.locator("#answer textarea")).to_have_value("row 2")


@gradio_warns
def test_the_component_is_dark_where_gradio_is(page: Page, app: str) -> None:
    page.goto(f"{app}?__theme=dark")
    picture = page.locator("#picture .attribution-picture")
    expect(picture.locator(".cell").first).to_be_visible()
    assert picture.evaluate("(e) => getComputedStyle(e).colorScheme") == "dark"
