"""The live page with models of other tasks: pairs, answers, token labels, masks; contrasts and positions."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from attribution.models.sources import catalogue
from attribution.settings import DEFAULTS
from components.application import build, serve
from tests import families

ADDED = {
    "answers": "bert-question",
    "names": "bert-tokens",
    "masks": "bert-masked",
    "several": "bert-multi-label",
}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of the app with tiny models beside the bundled ones, as somebody would add a folder."""
    folder = tmp_path_factory.mktemp("bundled")
    shutil.copytree(catalogue.BUNDLED / "sst2-minilm", folder / "sst2-minilm")
    shutil.copytree(catalogue.BUNDLED / "shakespeare-gpt2", folder / "shakespeare-gpt2")
    for name, family in ADDED.items():
        for part in families.FAMILIES[family].build():
            part.save_pretrained(folder / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogue, "BUNDLED", Path(folder))
        settings = dataclasses.replace(DEFAULTS, request_burst=10_000, requests_per_second=1_000.0)
        demo, engine = build(settings)
        _, found, _ = serve(demo, engine, host="127.0.0.1", block=False, quiet=True)
        yield found
        demo.close()


def ask(page: Page, address: str, **asked: str) -> None:
    page.goto(address)
    query = page.evaluate("(asked) => new URLSearchParams(asked).toString()", {"__theme": "light", **asked})
    page.goto(f"{address}?{query}")
    expect(
        page.locator("#words .panel-label, #words .panel-written, #words .panel-error").first
    ).to_be_visible()
    expect(page.locator("#picture .attribution-picture")).to_have_attribute("data-current", "true")


def test_a_question_and_its_text(page: Page, address: str) -> None:
    ask(
        page,
        address,
        model="bundled/answers",
        text="was it good?",
        second="the film is very good",
        method="saliency",
    )
    expect(page.locator("#second textarea")).to_have_value("the film is very good")
    expect(page.locator("#words")).to_contain_text("Answer")
    expect(page.locator("#picture")).to_contain_text("Question")
    expect(page.locator("#picture .choice")).to_have_count(2)
    page.locator("#second textarea").fill("a plot so awful and bad")
    expect(page.locator("#picture .attribution-picture")).to_have_attribute("data-current", "true")
    expect(page.locator("#picture")).to_contain_text("awful")
    page.locator("#second textarea").fill("")
    expect(page.locator("#words .panel-error")).to_contain_text("no second text")


def test_one_text_shows_no_box_for_a_second(page: Page, address: str) -> None:
    ask(page, address, model="bundled/sst2-minilm")
    expect(page.locator("#second")).to_be_hidden()
    expect(page.locator("#position")).to_be_hidden()


def test_the_labels_of_chosen_tokens(page: Page, address: str) -> None:
    ask(
        page,
        address,
        model="bundled/names",
        text="the actor was great",
        position="1, 3",
        method="input_x_gradient",
    )
    expect(page.locator("#picture .choice")).to_have_count(2)
    expect(page.locator("#picture .choice").first).to_contain_text("actor")


def test_a_mask_and_what_is_wrong_without_one(page: Page, address: str) -> None:
    ask(
        page,
        address,
        model="bundled/masks",
        text="the film was [MASK]",
        method="saliency",
        target="good",
        contrast="bad",
    )
    expect(page.locator("#words")).to_contain_text("good")
    expect(page.locator("#words")).to_contain_text("rather than")
    page.locator("#text textarea").fill("the film was good")
    expect(page.locator("#words .panel-error")).to_contain_text("Write [MASK]")


def test_every_label_at_once(page: Page, address: str) -> None:
    ask(page, address, model="bundled/several", text="the film was good", method="saliency", target="*")
    labels = page.locator("#words .panel-label").count()
    assert labels >= 3
    expect(page.locator("#picture .choice")).to_have_count(labels)


def test_a_contrast_is_chosen_in_the_list(page: Page, address: str) -> None:
    ask(page, address, model="bundled/sst2-minilm", text="A fine film.", method="input_x_gradient")
    page.get_by_label("rather than", exact=True).click()
    page.get_by_role("option", name="runner-up").click()
    expect(page.locator("#words")).to_contain_text("rather than 'negative'")


def test_a_method_that_samples_shows_its_intervals_and_fit(page: Page, address: str) -> None:
    ask(page, address, model="bundled/sst2-minilm", text="A fine film.", method="lime", samples="100")
    expect(page.locator("#words")).to_contain_text("R²")
    page.get_by_role("radio", name="Bars").or_(page.get_by_role("button", name="Bars")).first.click()
    expect(page.locator("#picture [data-whisker]").first).to_be_attached()


def test_a_given_continuation_is_explained_instead_of_a_written_one(page: Page, address: str) -> None:
    ask(
        page,
        address,
        model="bundled/shakespeare-gpt2",
        text="To be, or not to",
        continuation=" be",
        position="sequence",
        method="input_x_gradient",
    )
    expect(page.locator("#words .panel-written")).to_contain_text("be")
    expect(page.locator("#picture")).to_contain_text("To")


def test_the_methods_that_do_not_fit_say_why(page: Page, address: str) -> None:
    ask(page, address, model="bundled/sst2-minilm")
    page.get_by_text("All methods", exact=True).click()
    expect(page.locator("#methods")).to_contain_text(
        "does not fit this model: ReAGent explains text generation"
    )
    page.get_by_label("Method", exact=True).click()
    expect(page.get_by_role("option", name="ReAGent")).to_have_count(0)
