"""Links, embedding and code: what one visitor copies works for another, also on another origin."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.waiting import eventually

OTHER_PAGE = '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">'
COURSE = Path(__file__).resolve().parents[2] / "docs" / "course"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A static server of another origin, and its folder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://localhost:{server.server_port}/", tmp_path
    server.shutdown()
    thread.join()
    server.server_close()


def opened(page: Page, address: str) -> Page:
    page.goto(address)
    expect(page.locator("#words .panel-label, #words .panel-written").first).to_be_visible()
    return page


def shared(page: Page) -> str:
    return page.locator("#shared textarea, #shared input").first.input_value()


def press(page: Page, name: str) -> str:
    """Press a button below *Export and share*; what it showed."""
    if not page.get_by_role("button", name=name).is_visible():
        page.locator("#share button").first.click()
    before = shared(page) if page.locator("#shared").is_visible() else ""
    page.get_by_role("button", name=name).click()
    expect(page.locator("#shared textarea, #shared input").first).not_to_have_value(before)
    return shared(page)


def test_a_link_holds_all_that_is_seen(page: Page, url: str, browser: Browser) -> None:
    opened(
        page,
        f"{url}?text=It is not good.&method=lime&samples=60&beside=saliency,occlusion&target=positive&quantity=probability",
    )
    page.locator("#picture [data-name=bars]").click()
    page.locator("#picture [data-name=tokens]").click()
    expect(page.locator("#others .rows > .row")).to_have_count(2)
    link = press(page, "Copy link")
    expect(page).to_have_url(link)  # the address bar says it too
    other = browser.new_context().new_page()
    opened(other, link)
    expect(other.locator("#text textarea")).to_have_value("It is not good.")
    expect(other.locator("#words")).to_contain_text("the probability of 'positive'")
    expect(other.locator("#words")).to_contain_text("R²")
    expect(other.locator("#picture .attribution-picture")).to_have_attribute("data-view", "bars")
    expect(other.locator("#picture .attribution-picture")).to_have_attribute("data-unit", "tokens")
    expect(other.locator("#others .rows > .row")).to_have_count(2)
    other.locator("#options button").first.click()
    expect(other.get_by_label("Samples")).to_have_value("60")
    other.context.close()


def test_a_hostile_text_survives_the_link_and_the_embed_code(
    page: Page, url: str, elsewhere: tuple[str, Path]
) -> None:
    text = "\"'><img src=x onerror=alert(1)> &amp; ${1} </iframe><script>alert(2)</script> naïve 世界"
    opened(page, url)
    page.locator("#text textarea").fill(text)
    expect(page.locator("#picture .attribution-picture")).to_have_attribute("data-current", "true")
    code = press(page, "Copy embed code")
    address, folder = elsewhere
    (folder / "page.html").write_text(f"{OTHER_PAGE}<h1>A lesson</h1>{code}", encoding="utf-8")
    page.goto(f"{address}page.html")
    inside = page.frame_locator("iframe")
    expect(inside.locator("#text textarea")).to_have_value(text)
    expect(inside.locator("#picture .cell").first).to_be_visible()


def test_the_embedded_view_is_the_picture_and_its_text_box(
    page: Page, url: str, elsewhere: tuple[str, Path]
) -> None:
    opened(page, f"{url}?text=What a waste.&method=occlusion")
    code = press(page, "Copy embed code")
    address, folder = elsewhere
    (folder / "page.html").write_text(f"{OTHER_PAGE}{code}", encoding="utf-8")
    page.goto(f"{address}page.html")
    inside = page.frame_locator("iframe")
    expect(inside.locator("#picture .cell", has_text="waste")).to_be_visible()
    for hidden in ("#head", "#controls", "#words", "footer"):
        expect(inside.locator(hidden).first).to_be_hidden()
    inside.locator("#text textarea").fill(
        "What a wonderful surprise this was, after all those years of waiting!"
    )
    expect(inside.locator("#picture .cell", has_text="surprise")).to_be_visible()
    # As high as its content: nothing is cut off, and there is no empty page below.

    def fits() -> bool:
        frame = page.locator("iframe").bounding_box()
        picture = inside.locator("#picture").bounding_box()
        assert frame and picture
        return 0 <= frame["y"] + frame["height"] - picture["y"] - picture["height"] < 120

    eventually(fits)
    inside.locator("#text textarea").fill(" ")
    expect(inside.locator("#words .panel-error")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_theme_is_a_parameter(page: Page, url: str, theme: str) -> None:
    opened(page, f"{url}?view=embed&theme={theme}".replace("embed", "bars"))
    assert page.evaluate("document.body.classList.contains('dark')") == (theme == "dark")


def test_the_course_page_from_another_origin(page: Page, url: str, elsewhere: tuple[str, Path]) -> None:
    address, folder = elsewhere
    shutil.copytree(COURSE, folder, dirs_exist_ok=True)
    page.goto(f"{address}index.html?app={url}")
    live, fixed, file = (page.frame_locator("iframe").nth(i) for i in range(3))
    expect(live.locator("#picture .cell", has_text="wonderful")).to_be_visible()
    live.locator("#text textarea").fill("A masterpiece")
    expect(live.locator("#picture .cell", has_text="masterpiece")).to_be_visible()
    expect(fixed.locator("#picture .cell", has_text="wonderful")).to_be_visible()
    expect(fixed.locator("#text textarea")).to_be_hidden()
    expect(fixed.locator("#picture .attribution-picture")).to_have_attribute("data-view", "bars")
    expect(file.get_by_text("wonderful").first).to_be_visible()
    assert page.get_by_role("link", name="Next").get_attribute("href") == f"{url}learn?lesson=3&theme=light"


LONG = "The acting is wonderful, and the plot is thin. " * 12
HEIGHTS = """(frame) => new Promise((done) => {
  const heights = [];
  const look = () => (heights.push(frame.getBoundingClientRect().height) < 60 ? requestAnimationFrame(look) : done(heights));
  requestAnimationFrame(look);
})"""
"""The height of a frame during 60 animation frames."""


@pytest.mark.parametrize("source", ["course", "code"])
def test_a_frame_follows_its_content_both_ways_and_rests(
    page: Page, url: str, elsewhere: tuple[str, Path], source: str
) -> None:
    address, folder = elsewhere
    if source == "course":
        shutil.copytree(COURSE, folder, dirs_exist_ok=True)
        page.goto(f"{address}index.html?app={url}")
    else:
        code = press(opened(page, f"{url}?text=Good&method=occlusion"), "Copy embed code")
        (folder / "page.html").write_text(f"{OTHER_PAGE}{code}", encoding="utf-8")
        page.goto(f"{address}page.html")
    frame, inside = page.locator("iframe").first, page.frame_locator("iframe").first

    def height_with(text: str, word: str) -> float:
        inside.locator("#text textarea").fill(text)
        expect(inside.locator("#picture .text")).to_contain_text(word)
        expect(inside.locator("#picture .attribution-picture")).to_have_attribute("data-current", "true")
        resting: list[float] = []

        def rests() -> bool:
            resting[:] = frame.evaluate(HEIGHTS)
            return len(set(resting)) == 1

        eventually(rests)
        # As high as the content: nothing is cut off, and there is no empty page below.
        content = inside.locator("#picture").evaluate("(node) => node.getBoundingClientRect().bottom")
        assert 0 <= resting[0] - content < 80
        return resting[0]

    expect(inside.locator("#picture .cell").first).to_be_visible()
    low = height_with("Fine", "Fine")
    high = height_with(LONG, "plot")
    assert high > low + 100
    assert height_with("Dull", "Dull") == low


AS_JSON = "import json\nprint(json.dumps(result))\n"


def strongest_word(entries: list[dict[str, Any]], text: str) -> str:
    """The word with the largest score, a sum over its tokens."""
    scores: dict[int, float] = defaultdict(float)
    for entry in entries:
        if not entry["special"]:
            scores[entry["word"]] += entry["score"]
    best = max(scores, key=lambda word: abs(scores[word]))
    places = [entry for entry in entries if entry["word"] == best]
    return text[places[0]["start"] : places[-1]["end"]]


@pytest.mark.parametrize("name", ["Python", "REST", "curl"])
def test_the_code_gives_what_the_page_shows(page: Page, url: str, name: str, tmp_path: Path) -> None:
    """The code is run, in a process of its own, against the running server where it needs one."""
    text = 'It isn\'t "good" ${HOME} `id`; naïve 世界'
    opened(page, url)
    page.locator("#text textarea").fill(text)
    page.get_by_label("Method", exact=True).click()
    page.get_by_role("option", name="Saliency", exact=True).click()
    expect(page.locator("#words")).to_contain_text("Saliency")
    code = press(page, "Copy as code")
    assert "from attribution import attribute" in code
    if name != "Python":
        before = code
        page.locator("#code-language").get_by_text(name, exact=True).click()
        page.wait_for_function(
            "(before) => document.querySelector('#shared textarea').value !== before", arg=before
        )
        code = shared(page)
    strongest = page.evaluate("""() => {
      const cells = [...document.querySelectorAll('#picture .text .cell[role]')];
      return cells.sort((a, b) => b.style.getPropertyValue('--size') - a.style.getPropertyValue('--size'))[0].textContent;
    }""")
    if name == "curl":
        assert url.rstrip("/") in code
        command = ["sh", "-c", code]
    elif name == "REST":
        command = [
            sys.executable,
            "-c",
            code.replace("import requests\n", "import httpx as requests\n") + AS_JSON,
        ]
    else:
        command = [
            sys.executable,
            "-c",
            code
            + "\nfrom components.api.documents import describe_attribution\nresult = describe_attribution(result)\n"
            + AS_JSON,
        ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert strongest_word(json.loads(done.stdout)["attributions"], text) == strongest


def copied(page: Page) -> str:
    """The link of a page without *Export and share*."""
    page.get_by_role("button", name="Copy link").click()
    expect(page.locator("#shared textarea, #shared input").first).not_to_have_value("")
    expect(page.locator("#shared")).to_be_visible()
    expect(page).to_have_url(shared(page))  # the address bar says it too
    return page.url


@pytest.fixture
def other(browser: Browser) -> Iterator[Page]:
    """Another visitor."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()


def test_a_link_to_compared_methods(page: Page, url: str, other: Page) -> None:
    page.goto(f"{url}methods?text=It is not good.&methods=saliency,occlusion&target=positive")
    expect(page.locator("#pictures .rows > .row")).to_have_count(2)
    page.get_by_label("Spearman’s ρ").check()
    expect(page.locator("#agreement")).to_contain_text("Spearman’s ρ")
    page.locator("#pictures button.title", has_text="Occlusion").click()
    expect(page.locator("#words")).to_contain_text("What it shows: Occlusion")
    page.locator("#pictures [data-name=bars]").click()
    other.goto(copied(page))
    expect(other.locator("#text textarea")).to_have_value("It is not good.")
    expect(other.locator("#pictures button.title")).to_have_text(["Saliency", "Occlusion"])
    expect(other.locator("#agreement")).to_contain_text("Spearman’s ρ")
    expect(other.locator("#words")).to_contain_text("What it shows: Occlusion")
    expect(other.locator("#words")).to_contain_text("the logit of 'positive'")
    expect(other.locator("#pictures .attribution-picture")).to_have_attribute("data-view", "bars")


def test_a_link_to_compared_models(page: Page, url: str, other: Page) -> None:
    asked = "text=Dec. 25th 1999&models=bundled/dates-t5,bundled/shakespeare-gpt2&method=saliency&position=1"
    page.goto(f"{url}models?{asked}")
    expect(page.locator("#pictures .row", has_text="−").locator(".cell").first).to_be_visible()
    title = page.locator("#pictures button.title", has_text="shakespeare-gpt2").first
    title.click()
    expect(title).to_have_attribute("aria-pressed", "true")
    other.goto(copied(page))
    expect(other.locator("#text textarea")).to_have_value("Dec. 25th 1999")
    titles = ["dates-t5", "shakespeare-gpt2", "dates-t5 − shakespeare-gpt2"]
    expect(other.locator("#pictures button.title")).to_have_text(titles)
    expect(other.locator("#pictures button.title").nth(1)).to_have_attribute("aria-pressed", "true")
    expect(other.locator("#words")).to_contain_text("What it shows: Saliency")
    expect(other.get_by_label("Position")).to_have_value("1")


def test_a_link_to_one_attention_head(page: Page, url: str, other: Page) -> None:
    page.goto(f"{url}attention?model=bundled/dates-t5&text=Dec. 25th 1999")
    expect(page.locator("#heads .field")).to_be_visible()
    page.get_by_role("button", name="Cross-attention").click()
    expect(page.locator("#matrix .title")).to_contain_text("Cross-attention")
    page.locator("#heads .field").click(position={"x": 4, "y": 4})
    expect(page.locator("#matrix .title")).to_have_text("Cross-attention, layer 0, head 0")
    other.goto(copied(page))
    expect(other.locator("#text textarea")).to_have_value("Dec. 25th 1999")
    expect(other.locator("#matrix .title")).to_have_text("Cross-attention, layer 0, head 0")
    expect(other.locator("#arcs .title")).to_have_text("Cross-attention, layer 0, head 0")


def test_a_link_to_a_lesson(page: Page, url: str, other: Page) -> None:
    page.goto(f"{url}learn?lesson=3")
    expect(page.locator("#pictures .cell").first).to_be_visible()
    page.locator("#text textarea").fill("Hardly a masterpiece")
    expect(page.locator("#pictures .cell", has_text="masterpiece").first).to_be_visible()
    other.goto(copied(page))
    expect(other.locator("#lessons a[aria-current]")).to_have_text("Attention is not explanation")
    expect(other.locator("#text textarea")).to_have_value("Hardly a masterpiece")
    expect(other.locator("#pictures .cell", has_text="masterpiece").first).to_be_visible()
