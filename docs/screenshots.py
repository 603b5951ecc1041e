"""The pictures of the app's pages, drawn by a real browser: ``python -m docs --pictures``.

A picture is stale when its page would look different. Pixels differ between machines, so what is compared is
a fingerprint of what the server sends for the page: its components with their labels, and all scripts and
styles. Comments, and refactorings that change nothing on the page, leave it as it is; so do the lists of
models and methods, so that a new method needs no browser.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

if TYPE_CHECKING:
    from playwright.sync_api import Page

DOCS = Path(__file__).resolve().parent
RECORD = DOCS / "pictures" / "pages.json"
"""Picture → fingerprint of its page when it was drawn."""
WIDTH, HEIGHT = 1280, 900
"""Pixels of the window."""
LONGEST = 2100
"""Pixels of a page that a picture shows."""
COLOURS = 256
PATIENCE = 120_000
"""Milliseconds for a page to show what a scene waits for."""
QUIET = 1500
"""Milliseconds without a change after which a page is complete: better pictures follow the first one."""
SETTLED = """() => {
  const text = document.body.innerText, same = text === window.lastText;
  window.lastText = text;
  return same && document.fonts.status === "loaded" && !document.querySelector(".generating, .pending");
}"""
TEXT = "The plot is thin, but the acting is wonderful."
LOOKS = (
    "label",
    "info",
    "placeholder",
    "visible",
    "elem_classes",
    "html_template",
    "css_template",
    "js_on_load",
)
SENTENCES = ("button", "markdown", "tabitem", "accordion")
"""Components whose value is a text of the interface."""


@dataclass(frozen=True)
class Scene:
    """A picture of one page: where it lies, the page's query, and what happens before it is drawn."""

    file: Path
    path: str
    query: dict[str, str]
    prepare: Callable[[Page], None]


def _explain(page: Page) -> None:
    page.locator("#others .cell").last.wait_for()
    page.locator("#picture .text .cell", has_text="wonderful").click()
    page.locator("#without .without-row").nth(1).wait_for()


def _cells(page: Page) -> None:
    page.locator("#pictures .cell").first.wait_for()


def _learn(page: Page) -> None:
    page.locator(".cell").filter(visible=True).first.wait_for()


def _attention(page: Page) -> None:
    page.locator("canvas").filter(visible=True).first.wait_for()
    page.locator("#sums .cell").first.wait_for()


def _batch(page: Page) -> None:
    page.locator("#example").click()
    page.locator("#cost", has_text="attributions: ").wait_for()
    page.locator("#start").click()
    page.locator("#board .files a").first.wait_for()


def _quality(page: Page) -> None:
    page.locator("#intervals .metric").nth(3).wait_for()


SCENES = (
    Scene(
        DOCS / "page.png",
        "",
        {"text": TEXT, "method": "integrated_gradients", "beside": "saliency,occlusion"},
        _explain,
    ),
    Scene(DOCS / "pictures" / "page-methods.png", "methods", {"text": TEXT}, _cells),
    Scene(
        DOCS / "pictures" / "page-models.png", "models", {"text": "To be, or not to be, that is the"}, _cells
    ),
    Scene(DOCS / "pictures" / "page-attention.png", "attention", {"text": TEXT}, _attention),
    Scene(DOCS / "pictures" / "page-batch.png", "batch", {}, _batch),
    Scene(DOCS / "pictures" / "page-quality.png", "quality", {}, _quality),
    Scene(DOCS / "pictures" / "page-learn.png", "learn", {}, _learn),
)


def stale() -> list[Path]:
    """Pictures that are missing, or whose page has changed since they were drawn."""
    record = _record()
    return [
        scene.file
        for scene in SCENES
        if not scene.file.exists() or record.get(scene.file.name) != fingerprints().get(scene.path)
    ]


def _record() -> dict[str, str]:
    record: dict[str, str] = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    return record


@cache
def fingerprints() -> dict[str, str]:
    """Path of a page → a hash of what it looks like."""
    from components.application import build

    return fingerprints_of(build()[0].get_config_file())


def fingerprints_of(config: Mapping[str, Any]) -> dict[str, str]:
    """The same of an app's configuration, as Gradio sends it."""
    parts = {part["id"]: part for part in config["components"]}
    return {
        path: _hash(config["title"], [parts[i] for i in page["components"]])
        for path, page in config["page"].items()
    }


def _hash(title: str, components: list[dict[str, Any]]) -> str:
    looks = [title, *_shared_looks(), *map(_looks, components)]
    return hashlib.sha256(json.dumps(looks, sort_keys=True, default=str).encode()).hexdigest()


def _looks(component: dict[str, Any]) -> dict[str, Any]:
    """What one component of Gradio's configuration shows."""
    properties = component["props"]
    looks = {name: properties.get(name) for name in LOOKS}
    value = properties.get("value") if component["type"] in SENTENCES else None
    return {"type": component["type"], "value": value, **looks}


def _shared_looks() -> list[str]:
    """Scripts, styles and texts of all pages."""
    from attribution.export.html import picture_script, picture_style
    from components.assets import elements
    from components.theme import STYLE

    return [STYLE, elements(picture_script(), picture_style())]


def draw(scenes: Sequence[Scene] = SCENES) -> None:
    """Draw scenes with the app on a free local port, in a window of fixed size and in the light theme."""
    record = _record()
    with _server() as url, _browser() as browser:
        for scene in scenes:
            page = browser.new_page(
                viewport={"width": WIDTH, "height": HEIGHT}, reduced_motion="reduce", color_scheme="light"
            )
            page.set_default_timeout(PATIENCE)
            page.goto(f"{url}{scene.path}?{urlencode({**scene.query, '__theme': 'light', 'lang': 'en'})}")
            scene.prepare(page)
            page.wait_for_function(SETTLED, polling=QUIET)
            scene.file.write_bytes(_small(page.screenshot(full_page=True)))
            page.close()
            record[scene.file.name] = fingerprints()[scene.path]
    RECORD.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", encoding="utf-8")


@contextmanager
def _server() -> Iterator[str]:
    from components.application import build, serve

    demo, engine = build()
    _, url, _ = serve(demo, engine, host="127.0.0.1", block=False, quiet=True)
    try:
        yield url
    finally:
        demo.close()


@contextmanager
def _browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if path is None:
        raise SystemExit(
            "There is no Chromium: install Debian's package, or name one in the variable CHROMIUM."
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def _small(data: bytes) -> bytes:
    """The picture with a palette: a third of the size, and no difference to the eye."""
    from PIL import Image

    buffer = io.BytesIO()
    image = Image.open(io.BytesIO(data)).convert("RGB")
    image.crop((0, 0, image.width, min(image.height, LONGEST))).quantize(
        COLOURS, dither=Image.Dither.NONE
    ).save(buffer, "png", optimize=True)
    return buffer.getvalue()
