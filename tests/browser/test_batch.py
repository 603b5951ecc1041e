"""The report and the batch page in a real Chromium: from a table to its files, and hostile cells."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from attribution.batch.debugging import link_to
from attribution.batch.plan import Plan
from attribution.batch.report import report
from attribution.batch.result import Result
from attribution.settings import DEFAULTS
from attribution.tables import Columns
from attribution.types import Request
from components.application import build, serve
from tests.batch.test_words import result
from tests.browser.test_heatmap import HOSTILE
from tests.samples import NAMES, TEXTS, sample
from tests.trackers.test_mlflow import runs

PLAN = Plan(
    "reviews.csv",
    Columns("text"),
    ("m",),
    ("lime",),
    options={"lime": {"samples": 50}},
    count=3,
    made="2026-01-02",
)

SETTLED = 1000
"""Milliseconds after which Gradio has closed the stream of a run that is over: it reports one that a new
page cuts off."""

Opened = Callable[..., Page]


@pytest.fixture
def opened(page: Page, tmp_path: Path) -> Opened:
    """Opens the report of these results from disk."""

    def opening(rows: list[Result], plan: Plan = PLAN, **more: Any) -> Page:
        file = tmp_path / "report.html"
        file.write_bytes(b"".join(report(rows, plan, **more)))
        page.goto(file.as_uri())
        return page

    return opening


def some(count: int = 60) -> list[Result]:
    """Every tenth is wrong."""
    found = []
    for i in range(count):
        label = "negative" if i % 10 == 9 else "positive"
        found.append(result(f"film number{i} is fine", [0.1, 0.2, 0.3, 1.0 + i / 100], place=i, label=label))
    return found


def failed(place: int, message: str) -> Result:
    return Result(
        place,
        0,
        {},
        "m",
        "lime",
        message,
        error={"error": "EmptyInput", "message": message, "hint": "Fill it in."},
    )


def rows(page: Page) -> Locator:
    return page.locator(".rows > .row")


class TestReport:
    def test_errors_stand_first_and_every_row_has_its_heatmap(self, opened: Opened) -> None:
        page = opened([*some(), failed(60, "There is no text.")])
        expect(rows(page)).to_have_count(25)
        expect(rows(page).nth(0)).to_contain_text("There is no text.")
        expect(rows(page).nth(1)).to_contain_text("wrong")
        expect(rows(page).nth(7)).to_contain_text("Row 1")
        expect(rows(page).nth(7).locator(".cell", has_text="fine")).to_have_attribute("data-sign", "for")
        expect(page.locator(".summary")).to_contain_text("54 / 60")
        expect(page.locator(".failures")).to_contain_text("EmptyInput")

    def test_search_filter_order_and_pages(self, opened: Opened) -> None:
        page = opened(some())
        page.get_by_role("button", name="Next").click()
        expect(page.locator(".pages")).to_contain_text("2 / 3")
        page.get_by_role("searchbox").fill("NUMBER12")
        expect(rows(page)).to_have_count(1)
        expect(rows(page)).to_contain_text("Row 13")
        page.get_by_role("searchbox").fill("no such thing")
        expect(page.get_by_text("No row matches.")).to_be_visible()
        page.get_by_role("searchbox").fill("")
        page.get_by_label("Show").select_option("wrong")
        expect(rows(page)).to_have_count(6)
        page.get_by_label("Show").select_option("all")
        page.get_by_label("Order").select_option("order")
        expect(rows(page).first).to_contain_text("Row 1")

    def test_a_row_opens_by_the_keyboard(self, opened: Opened) -> None:
        page = opened(some(3))
        toggle = rows(page).first.locator("button.open")
        toggle.focus()
        page.keyboard.press("Enter")
        expect(toggle).to_have_attribute("aria-expanded", "true")
        expect(rows(page).first.locator(".opened .legend")).to_contain_text("positive")
        page.keyboard.press("Enter")
        expect(rows(page).first.locator(".opened")).to_have_count(0)

    def test_words_have_bars_and_lead_to_their_rows(self, opened: Opened) -> None:
        page = opened(some())
        page.get_by_role("button", name="Words across all rows").click()
        first = page.locator(".bars li").first
        expect(first).to_contain_text("fine")
        expect(first).to_contain_text("60")
        expect(first.locator(".whisker")).to_have_count(1)
        first.locator(".word").click()
        expect(page.get_by_role("searchbox")).to_have_value("fine")
        expect(rows(page)).to_have_count(25)

    def test_where_it_goes_wrong_leads_to_the_row(self, opened: Opened) -> None:
        page = opened(some())
        page.get_by_role("button", name="Where it goes wrong").click()
        expect(page.get_by_text("6 of 60 rows with a known label are wrong.")).to_be_visible()
        place = page.locator(".drivers .place").first
        number = place.inner_text()
        place.click()
        row = page.locator(f'.row[data-place="{int(number) - 1}"]')
        expect(row).to_be_in_viewport()
        expect(row.locator(".opened")).to_be_visible()

    def test_a_link_asks_for_the_same_as_that_of_the_library(self, opened: Opened) -> None:
        plan = replace(PLAN, arguments={"target": "negative", "contrast": "runner-up"})
        page = opened([result("a & b #1?", [1.0] * 5)], plan, base="https://host/app")
        address = page.get_by_role("link", name="Open on the live page").get_attribute("href")
        found = {name: value[0] for name, value in parse_qs(urlsplit(address).query).items()}
        base = Request("a & b #1?", "m", "lime", options=(("samples", 50),))
        request = replace(base, target="negative", contrast="runner-up")
        expected = {
            name: value[0]
            for name, value in parse_qs(urlsplit(link_to("https://host/app/", request)).query).items()
        }
        assert address.startswith("https://host/app/?")
        assert found.items() <= expected.items()
        assert set(expected) - set(found) <= {"quantity", "max_new_tokens"}

    @pytest.mark.parametrize("width", [390, 1280])
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_it_fits_and_has_its_colours(self, opened: Opened, page: Page, width: int, scheme: str) -> None:
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        opened(some(30))
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        background = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(17, 21, 28)"}[scheme]

    def test_every_kind_of_result_is_drawn(self, opened: Opened) -> None:
        made = [(sample(name), i) for i, name in enumerate(NAMES)]
        page = opened(
            [Result(i, 0, {}, "m", "lime", one.text, one.second or None, attribution=one) for one, i in made]
        )
        drawn = 0
        while True:
            toggles = rows(page).locator("button.open")
            drawn += toggles.count()
            for toggle in toggles.all():
                toggle.click()
            assert page.locator(".opened .attribution-picture .cell").count() >= toggles.count()
            if (
                page.get_by_role("button", name="Next").count() == 0
                or page.get_by_role("button", name="Next").is_disabled()
            ):
                break
            page.get_by_role("button", name="Next").click()
        assert drawn == len(NAMES)

    def test_hostile_cells_stay_text(self, opened: Opened) -> None:
        hostile = [
            *HOSTILE,
            *TEXTS.values(),
            "</script><script>alert(1)</script>",
            "=cmd|'/c calc'!A0",
            "nul \0",
            "\u202eright",
        ]
        found = [
            replace(result("word", [1.0], place=i, label=text), text=text) for i, text in enumerate(hostile)
        ]
        found += [replace(failed(len(hostile) + i, text), text=text) for i, text in enumerate(hostile)]
        page = opened(found, replace(PLAN, table="<img src=x onerror=alert(1)>.csv"))
        page.get_by_label("Order").select_option("order")
        expect(rows(page)).to_have_count(25)
        assert page.locator("#report img, #report script").count() == 0

    def test_a_thousand_rows_stay_smooth(self, opened: Opened) -> None:
        page = opened(some(1000))
        expect(rows(page)).to_have_count(25)
        assert page.evaluate("document.querySelectorAll('*').length") < 2000
        page.get_by_role("searchbox").fill("number567")
        expect(rows(page)).to_have_count(1)
        page.get_by_role("searchbox").fill("")
        expect(rows(page)).to_have_count(25)


class TestPage:
    def test_from_the_example_to_the_files(self, page: Page, url: str, tmp_path: Path) -> None:
        page.goto(f"{url}batch")
        expect(page.locator("#board")).to_contain_text("Upload a table")
        page.locator("#pasted textarea").fill(
            "text,label\nA wonderful film.,positive\nDull and long.,positive\n,negative\n"
        )
        page.locator("#pasted textarea").blur()
        expect(page.locator("#board")).to_contain_text("3 rows")
        expect(page.locator("#column-label input")).to_have_value("label")
        expect(page.locator("#cost")).to_contain_text("3 attributions: ")
        page.locator("#start").click()
        expect(page.locator("#board .files a").first).to_be_visible()
        expect(rows(page)).to_have_count(3)
        expect(page.locator("#board .summary")).to_contain_text("1 / 2")
        expect(page.locator("#board .progress")).to_contain_text("finished · 3 / 3 · 1 failed")
        with page.expect_download() as download:
            page.locator("#board .files a", has_text="results.zip").click()
        download.value.save_as(tmp_path / "results.zip")
        with zipfile.ZipFile(tmp_path / "results.zip") as packed:
            assert {"results.jsonl", "summary.csv", "report.html", "plan.json"} <= set(packed.namelist())
            lines = [json.loads(line) for line in packed.read("results.jsonl").splitlines()]
        assert [line["predicted"] for line in lines] == ["positive", "negative", None]
        # The address is that of the run: it opens again.
        address = page.url
        assert "run=" in address
        href = page.get_by_role("link", name="Open on the live page").first.get_attribute("href")
        page.wait_for_timeout(SETTLED)
        page.goto(address)
        expect(rows(page)).to_have_count(3)
        page.wait_for_timeout(SETTLED)
        page.goto(f"{url}{href.removeprefix('./')}")
        expect(page.locator("#picture .cell").first).to_be_visible()
        expect(page.locator("#text textarea")).not_to_have_value("")

    def test_an_uploaded_table_of_hostile_cells(self, page: Page, url: str, tmp_path: Path) -> None:
        file = tmp_path / "rows.jsonl"
        texts = [
            "<img src=x onerror=alert(1)>",
            "</script><script>alert(1)</script>",
            "=1+1",
            "nul \0 here",
            "\u202ertl \U0001f469\u200d\U0001f467",
        ]
        file.write_text(
            "\n".join(json.dumps({"sentence": text, "<b>": text}) for text in texts), encoding="utf-8"
        )
        page.goto(f"{url}batch")
        page.locator("#table input[type=file]").set_input_files(file)
        expect(page.locator("#board")).to_contain_text("5 rows")
        expect(page.locator("#column-text input")).to_have_value("sentence")
        page.locator("#start").click()
        expect(page.locator("#board .files a").first).to_be_visible()
        expect(rows(page)).to_have_count(5)
        assert page.locator("#board img, #board script").count() == 0

    def test_what_is_no_table_is_said(self, page: Page, url: str, tmp_path: Path) -> None:
        page.goto(f"{url}batch")
        page.locator("#start").click()
        expect(page.locator("#board")).to_contain_text("There is no table.")
        page.locator("#run input, #run textarea").first.fill("no-such-run")
        page.locator("#resume").click()
        expect(page.locator("#board")).to_contain_text("There is no run of that name here.")

    def test_several_models_and_methods_with_their_options(self, page: Page, url: str) -> None:
        page.goto(f"{url}batch")
        expect(page.locator("#record")).to_have_count(0)
        page.locator("#pasted textarea").fill("To be, or not\nWhat a piece of work\n")
        page.locator("#pasted textarea").blur()
        page.get_by_label("Models").click()
        page.get_by_role("option", name="bundled/shakespeare-gpt2").click()
        page.keyboard.press("Escape")
        page.get_by_label("Methods").click()
        page.get_by_role("option", name="Random", exact=True).click()
        page.keyboard.press("Escape")
        page.locator("#options > button").click()
        expect(page.locator("#options .block.owner", has_text="Random")).to_be_visible()
        expect(page.locator("#options .block.owner", has_text="LIME")).to_be_hidden()
        page.locator("#options").get_by_label("Seed", exact=True).locator("visible=true").fill("7")
        page.locator("#options").get_by_label("Seed", exact=True).locator("visible=true").blur()
        page.locator("#start").click()
        expect(page.locator("#board .progress")).to_contain_text("finished · 8 / 8")
        expect(page.locator("#board .summary tbody tr")).to_have_count(4)
        expect(page.locator("#board .summary")).to_contain_text("bundled/shakespeare-gpt2")
        address = page.locator("#board .files a", has_text="results.zip").get_attribute("href")
        answer = page.request.get(f"{url}{address.removeprefix('./')}")
        with zipfile.ZipFile(io.BytesIO(answer.body())) as packed:
            made = json.loads(packed.read("plan.json"))
            assert {"wrong.csv", "words.csv"} <= set(packed.namelist())
        assert made["models"] == ["bundled/sst2-minilm", "bundled/shakespeare-gpt2"]
        assert made["options"]["random"]["seed"] == 7 and made["methods"] == ["deeplift", "random"]
        page.wait_for_timeout(SETTLED)


def test_what_a_visitor_records_arrives(
    page: Page, mlflow: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATTRIBUTION_SPOOL", str(tmp_path))
    settings = replace(DEFAULTS, track=f"mlflow uri={mlflow} experiment=browser", tracker_finish_seconds=60.0)
    demo, engine = build(settings)
    _, url, _ = serve(demo, engine, host="127.0.0.1", block=False, quiet=True)
    try:
        page.goto(f"{url}batch")
        page.locator("#pasted textarea").fill("A wonderful film.\nDull and long.\n")
        page.locator("#pasted textarea").blur()
        expect(page.locator("#board")).to_contain_text("2 rows")
        expect(page.locator("#record")).to_contain_text("MLflow, browser. Your texts are sent there too.")
        page.get_by_label("Record this run").check()
        page.locator("#start").click()
        expect(page.locator("#board .progress")).to_contain_text("Recorded with MLflow.")
        explain = page.context.new_page()  # to leave a page while it listens is an error in its console
        explain.goto(url)
        expect(explain.locator("#picture .cell").first).to_be_visible()
        explain.locator("#share > button").click()
        expect(explain.locator("#where")).to_have_text("MLflow, browser. Your texts are sent there too.")
        explain.locator("#record").click()
        expect(explain.locator("#shared textarea")).to_have_value("Recorded with MLflow.")
    finally:
        page.wait_for_timeout(SETTLED)
        page.goto("about:blank")  # or it misses its server
        demo.close()
    assert sorted(run["info"]["run_name"] for run in runs(mlflow, "browser")) == [
        "This movie is absolutely fantastic!",
        "the pasted texts",
    ]
