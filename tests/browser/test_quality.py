"""The page of quality in a real Chromium: metrics, a visitor's own marks, and which method to believe."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from attribution import evaluate
from attribution.export.html import picture_script, picture_style
from components.pages.quality import START
from components.pictures.picture import STATIC
from components.pictures.values import evaluation
from tests.browser.test_accessibility import FINE
from tests.browser.test_hostile import HOSTILE

QUICK = "methods=occlusion,saliency&metrics=deletion,sparsity"
TEXT = "A wonderful film, although slow."


def _file(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")


STAND = f"""<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<style>body {{ font-family: sans-serif }} {picture_style()} {_file("chart.css")} {_file("intervals.css")}</style>
<div id="picture"></div><script>{picture_script()}</script><script>{_file("chart.js")}</script><script>{_file("intervals.js")}</script>
<script>window.picture = AttributionIntervals.mount(document.getElementById("picture"));</script>"""

Draw = Callable[[dict[str, Any]], None]


@pytest.fixture
def draw(page: Page) -> Draw:
    """Draws a value in a page that holds nothing but the picture."""
    page.set_content(STAND)
    return lambda value: page.evaluate("(value) => picture.draw(value)", value)


def row(
    name: str, mean: float | None, low: float | None = None, high: float | None = None, place: str = "other"
) -> dict[str, Any]:
    return {
        "name": name,
        "mean": mean,
        "low": low,
        "high": high,
        "count": 9,
        "place": place,
        "reason": "" if mean else "Not here.",
    }


def panel(*rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"title": "Deletion", "better": "lower", "rows": list(rows), **more}


# ------------------------------------------------------------------------------------------------------------ the picture


def test_marks_stand_where_the_numbers_say(page: Page, draw: Draw) -> None:
    draw(
        {
            "panels": [
                panel(
                    row("One", 0.25, 0.125, 0.75, "first"),
                    row("Chance", 0.5, place="control"),
                    range=[0, 1],
                    ceiling=0.875,
                )
            ]
        }
    )
    track = page.locator(".track").first.bounding_box()
    assert track is not None

    def share(part: str) -> tuple[float, float]:
        """Middle and width as shares of the track."""
        box = page.locator(f".row >> nth=0 >> {part}").bounding_box()
        assert box is not None
        return (box["x"] + box["width"] / 2 - track["x"]) / track["width"], box["width"] / track["width"]

    assert share(".dot")[0] == pytest.approx(0.25, abs=0.01)
    assert share(".whisker") == pytest.approx(((0.125 + 0.75) / 2, 0.625), abs=0.01)
    assert share(".line.control")[0] == pytest.approx(0.5, abs=0.01)
    assert share(".line.ceiling")[0] == pytest.approx(0.875, abs=0.01)
    expect(page.locator(".row").first).to_contain_text("0.250 [0.125, 0.750]")
    expect(page.locator(".metric h4")).to_contain_text("lower is better")
    assert page.locator(".key").all_text_contents() == ["ranked first", "random scores", "best attainable"]
    page.locator("summary").click()
    expect(page.locator("tbody tr")).to_have_count(2)
    assert page.locator("table").all_inner_texts() == [
        "Deletion ↓\nOne\t0.250 [0.125, 0.750]\nChance\t0.500".join(["\t", ""])
    ]


def test_what_is_undefined_has_a_reason_and_no_mark(page: Page, draw: Draw) -> None:
    draw({"panels": [panel(row("One", None), row("Two", 0.3))]})
    first = page.locator(".row").first
    expect(first).to_contain_text("undefined")
    expect(first).to_contain_text("Not here.")
    expect(first.locator(".dot")).to_be_hidden()
    # Equal numbers still have a place.
    expect(page.locator(".row").nth(1).locator(".dot")).to_be_visible()
    draw({"panels": [panel(row("One", None))]})
    assert page.locator(".axis span").all_text_contents() == ["0", "1"]


def test_names_are_text(page: Page, draw: Draw) -> None:
    draw(
        {
            "panels": [panel(*(row(text, 0.1 * i) for i, text in enumerate(HOSTILE, 1)), title=HOSTILE[0])],
            "lead": [HOSTILE[1]],
        }
    )
    assert page.locator(".row .name").all_text_contents() == list(HOSTILE)
    page.locator(".row").nth(1).hover()
    expect(page.locator(".tip")).to_contain_text(HOSTILE[1])
    assert page.evaluate("window.__pwn") is None


def test_progress_is_told_until_all_is_done(page: Page, draw: Draw) -> None:
    for progress, said in (
        ({"done": 3, "total": 12, "stopped": False}, "3 of 12 texts"),
        ({"done": 3, "total": 12, "stopped": True}, "Stopped after 3 of 12 texts"),
    ):
        draw({"panels": [panel(row("One", 0.1))], "progress": progress})
        expect(page.locator(".progress .count")).to_have_text(said)
        expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "3")
    draw({"panels": [panel(row("One", 0.1))], "progress": {"done": 12, "total": 12, "stopped": False}})
    expect(page.locator(".progress")).to_be_hidden()


def test_an_axis_goes_no_further_than_its_metric(page: Page, draw: Draw) -> None:
    ends = page.locator(".axis span")
    for bounds, said in (
        ([-1, 1], ["\u22121", "1"]),
        ([None, None], ["\u22121.5", "1.5"]),
        (None, ["\u22121.5", "1.5"]),
    ):
        draw({"panels": [panel(row("One", -1.0), row("Two", 1.0), bounds=bounds)]})
        assert ends.all_text_contents() == said
    draw({"panels": [panel(row("One", 0.31), row("Two", 0.42), bounds=[0, 1])]})
    assert ends.all_text_contents() == ["0.3", "0.45"]


# ------------------------------------------------------------------------------------------------------------ one text


def numbers(picture: Locator) -> list[str]:
    return picture.locator(".row .number").all_text_contents()


def test_the_figures_of_one_text_follow_the_typing(page: Page, url: str) -> None:
    page.goto(f"{url}quality?{QUICK}&text={TEXT}")
    intervals = page.locator("#intervals")
    expect(intervals.locator(".metric")).to_have_count(2)
    wanted = evaluation.intervals(
        evaluate(TEXT, methods=["occlusion", "saliency"], metrics=["deletion", "sparsity"])
    )
    assert numbers(intervals) == [f"{one['mean']:.3f}" for part in wanted["panels"] for one in part["rows"]]
    expect(intervals.locator(".row[data-place=control]")).to_have_text([re.compile("^Random")] * 2)
    expect(page.locator("#curves .plot")).to_have_count(1)  # sparsity draws none
    before = numbers(intervals)
    page.locator("#text textarea").fill("Not a good film at all.")
    expect(page.locator("#marks .cell").first).to_have_text("Not")
    expect(intervals.locator(".row .number").first).not_to_have_text(before[0])
    page.locator("#text textarea").fill(" ")
    expect(page.locator("#marks .message")).to_contain_text("There is no text to explain.")
    expect(intervals.locator(".row")).to_have_count(0)


def test_the_page_begins_with_its_metrics_and_says_what_is_wrong(page: Page, url: str) -> None:
    page.goto(f"{url}quality?metrics=nothing&methods=occlusion")
    expect(page.locator("#intervals .metric")).to_have_count(len(START))
    for remove in reversed(page.locator("#metrics").get_by_role("button", name=re.compile("Remove")).all()):
        remove.click()
    expect(page.locator("#intervals .message")).to_contain_text("There are 0 metrics.")
    expect(page.locator("#marks .cell").first).to_be_visible()


def test_words_are_marked_with_the_mouse(page: Page, url: str) -> None:
    page.goto(f"{url}quality?{QUICK}&text={TEXT}")
    cells = page.locator("#marks .cell")
    expect(cells.first).to_be_visible()
    expect(page.locator("#agreement .metric").first).to_be_hidden()
    start, end = cells.nth(1).bounding_box(), cells.nth(2).bounding_box()
    assert start is not None and end is not None
    page.mouse.move(start["x"] + 4, start["y"] + 8)
    page.mouse.down()
    page.mouse.move(end["x"] + 4, end["y"] + 8, steps=6)
    page.mouse.up()
    chosen = page.locator("#marks [aria-selected=true]")
    expect(chosen).to_have_text(["wonderful", "film"])
    agreement = page.locator("#agreement")
    expect(agreement.locator(".metric")).to_have_count(4)
    expect(agreement.locator(".line.ceiling").first).to_be_visible()
    # The marks go along in a link, and are forgotten with the text.
    page.locator("#copy-link").click()
    expect(page.locator("#shared textarea")).to_have_value(re.compile("marks="))
    page.reload()
    expect(chosen).to_have_text(["wonderful", "film"])
    page.locator("#text textarea").fill("A wonderful film, again.")
    expect(cells.nth(4)).to_have_text("again")
    expect(chosen).to_have_count(0)
    expect(agreement.locator(".metric").first).to_be_hidden()


def test_words_are_marked_with_the_keyboard(page: Page, url: str) -> None:
    page.goto(f"{url}quality?{QUICK}&text={TEXT}")
    cells = page.locator("#marks .cell")
    cells.first.focus()
    for key in ("ArrowRight", " ", "Shift+ArrowRight", "End", "Enter"):
        page.keyboard.press(key)
    chosen = page.locator("#marks [aria-selected=true]")
    expect(chosen).to_have_text(["wonderful", "film", "."])
    expect(page.locator("#agreement .metric")).to_have_count(4)
    page.keyboard.press("Enter")
    expect(chosen).to_have_text(["wonderful", "film"])
    page.get_by_role("button", name="Clear marks").click()
    expect(chosen).to_have_count(0)
    expect(page.locator("#agreement .metric").first).to_be_hidden()


def test_hostile_texts_are_marked_as_they_are(page: Page, url: str) -> None:
    page.goto(f"{url}quality?{QUICK}")
    expect(page.locator("#marks .cell").first).to_be_visible()
    for text in HOSTILE[:3]:
        page.locator("#text textarea").fill(text)
        expect(page.locator("#marks .line")).to_have_text(text, use_inner_text=False)
        page.locator("#marks .cell").first.click()
        expect(page.locator("#marks [aria-selected=true]")).to_have_count(1)
    assert page.evaluate("window.__pwn") is None


# ------------------------------------------------------------------------------------------------------------ many texts


def test_many_texts_are_measured_stopped_and_saved(page: Page, url: str) -> None:
    page.goto(
        f"{url}quality?{QUICK}&lines={'%0A'.join(f'A film of {i} hours, and not a bad one.' for i in range(60))}"
    )
    page.locator("#start").click()
    intervals = page.locator("#many-intervals")
    expect(intervals.locator(".row").first).to_be_visible()
    page.locator("#stop").click()
    expect(intervals.locator(".count")).to_have_text(re.compile(r"Stopped after [1-5]?\d of 60 texts"))
    expect(intervals.locator(".metric")).to_have_count(2)
    page.locator("#lines textarea").fill("\n".join([TEXT, "Not bad at all.", *HOSTILE[:2]]))
    page.locator("#start").click()
    expect(intervals.locator(".progress")).to_be_hidden()
    expect(intervals.locator(".whisker").first).to_be_visible()
    with page.expect_download() as found:
        page.locator("#save").get_by_role("button", name="CSV").click()
    assert found.value.suggested_filename == "quality.csv"
    assert Path(found.value.path()).read_text(encoding="utf-8-sig").startswith("method,metric,better,mean")
    expect(page.locator("#saved textarea, #saved input")).to_have_value("Saved quality.csv")
    serious = [one["id"] for one in Axe().run(page).response["violations"] if one["impact"] not in FINE]
    assert serious == []


def test_a_table_brings_its_marks(page: Page, url: str, tmp_path: Path) -> None:
    page.goto(f"{url}quality?methods=occlusion&metrics=kendall_tau")
    page.get_by_role("tab", name="Many texts").click()
    page.locator("#start").click()
    expect(page.locator("#many-intervals .message")).to_contain_text("There are no texts.")
    page.locator("#upload > button").click()
    path, wrong = tmp_path / "good.csv", tmp_path / "wrong.csv"
    wrong.write_text('text,rationale\nA fine film.,"[[2, 60]]"\n', encoding="utf-8")
    path.write_text('text,rationale\nA fine film.,"[[2, 6]]"\nA bad film.,"[[2, 5]]"\n', encoding="utf-8")
    about = page.locator("#about-table textarea")
    page.locator("#table input[type=file]").set_input_files(wrong)
    expect(about).to_have_value(re.compile(r"Row 1 \(line 2\), column 'rationale': A span ends at 60"))
    page.locator("#table").get_by_role("button", name=re.compile("remove|clear", re.IGNORECASE)).first.click()
    page.locator("#table input[type=file]").set_input_files(path)
    expect(about).to_have_value(re.compile("good.csv: 2 texts, 2 of them with rationales."))
    page.locator("#start").click()
    expect(page.locator("#many-intervals .metric h4")).to_contain_text("higher is better")
    expect(page.locator("#many-intervals .line.ceiling").first).to_be_visible()


# ------------------------------------------------------------------------------------------------------------ which to believe


def test_the_compared_methods_are_judged_at_a_click(page: Page, url: str) -> None:
    page.goto(f"{url}methods?methods=occlusion,saliency&text={TEXT}")
    expect(page.locator("#methods input:checked")).to_have_count(2)
    page.locator("#believe").click()
    verdict = page.locator("#verdict")
    expect(verdict.locator(".lead p")).to_have_count(3)
    expect(verdict.locator(".lead p").first).to_contain_text("is the most faithful here")
    expect(verdict.locator(".row")).to_have_count(2)
    expect(verdict.locator(".band").first).to_be_visible()
    page.locator("#text textarea").fill("Another text.")
    expect(verdict.locator(".outdated")).to_have_count(1)
    page.locator("#text textarea").fill("Good")
    expect(page.locator("#pictures .cell")).to_have_count(2)
    page.locator("#believe").click()
    expect(verdict.locator(".message")).to_contain_text("There is no order to assess")


def test_methods_beside_each_other_are_judged_where_there_are_some(page: Page, url: str) -> None:
    page.goto(f"{url}?method=saliency&text={TEXT}")
    expect(page.locator("#picture .cell").first).to_be_visible()
    expect(page.locator("#believe")).to_be_hidden()
    page.goto(f"{url}?method=saliency&beside=occlusion&text={TEXT}")
    page.locator("#believe").click()
    expect(page.locator("#verdict .lead p")).to_have_count(3)
    assert sorted(page.locator("#verdict .row .name").all_text_contents()) == ["Occlusion", "Saliency"]
