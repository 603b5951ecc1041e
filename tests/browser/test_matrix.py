"""The pictures of numbers in a real browser, each by itself."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from attribution.export.html import picture_script, picture_style
from components.pictures.arcs import Arcs
from components.pictures.chart import Chart, packed
from components.pictures.curves import Curves
from components.pictures.head_grid import HeadGrid
from components.pictures.matrix import Matrix
from components.pictures.picture import STATIC

HOSTILE = [
    "<img src=x onerror=window.__pwn=1>",
    "${window.__pwn=1}",
    "סרט",
    "世界",
    "</script><script>window.__pwn=1</script>",
]
GROUND = "body { font-family: sans-serif; margin: 8px }"

Opened = Callable[..., Page]


@pytest.fixture
def opened(page: Page) -> Opened:
    """A page that holds nothing but one picture, with its value drawn."""

    def opening(kind: type[Chart], value: dict[str, Any] | None, dark: bool = False) -> Page:
        def asset(name: str) -> str:
            return (STATIC / name).read_text(encoding="utf-8")

        style = GROUND + picture_style() + "".join(asset(f"{name}.css") for name in kind.assets)
        scripts = "".join(
            f"<script>{text}</script>"
            for text in (picture_script(), *(asset(f"{name}.js") for name in kind.assets))
        )
        page.set_content(
            f'<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width"><style>{style}</style>'
            f'<body class="{"dark" if dark else ""}"><button>before</button><div id="picture"></div>{scripts}<script>'
            "window.events = [];"
            f"window.picture = {kind.mounts}.mount(document.getElementById('picture'), "
            "{ trigger: (name, data) => events.push([name, data]) });</script>"
        )
        page.evaluate("(value) => picture.draw(value)", value)
        return page

    return opening


def events(page: Page) -> list[Any]:
    return page.evaluate("events")


def pixel(page: Page, x: int, y: int) -> list[int]:
    """Red, green, blue and opacity of one pixel of the canvas itself."""
    return page.evaluate(
        "([x, y]) => [...document.querySelector('canvas').getContext('2d').getImageData(x, y, 1, 1).data]",
        [x, y],
    )


def luminance(rgb: list[int]) -> float:
    return float(np.dot(rgb[:3], [0.2126, 0.7152, 0.0722]))


SMALL = {
    "rows": ["LIME", "attention", "saliency"],
    "columns": ["LIME", "attention", "saliency"],
    "values": [[1, -0.5, None], [-0.5, 1, 0], [None, 0, 1]],
    "signed": True,
    "scale": 1,
    "unit": "Kendall's τ-b",
    "title": "Agreement",
    "numbers": True,
    "marks": [[0, 1]],
}


def large(size: int = 128) -> tuple[dict[str, Any], np.ndarray]:
    weights = np.random.default_rng(0).random((size, size)) ** 4
    labels = [f"word{i}" for i in range(size)]
    value = {
        "rows": labels,
        "columns": labels,
        "weights": packed(weights),
        "scale": 1,
        "unit": "attention weight",
        "title": "A head",
    }
    return value, weights


# The matrix.


def test_a_small_matrix_writes_its_numbers(opened: Opened) -> None:
    page = opened(Matrix, SMALL)
    assert page.locator(".cells span").all_text_contents() == [
        "+1",
        "−0.5",
        "–",
        "−0.5",
        "+1",
        "0",
        "–",
        "0",
        "+1",
    ]
    assert page.locator(".cells span").nth(2).get_attribute("data-sign") == "undefined"
    expect(page.locator(".legend")).to_contain_text("undefined")
    expect(page.locator(".mark")).to_have_count(1)
    colours = page.evaluate(
        "[...document.querySelectorAll('.cells span')].map((cell) => getComputedStyle(cell).backgroundColor)"
    )
    assert colours[0] != colours[1] != colours[5]


def test_the_pointer_and_a_click_name_the_cell(opened: Opened) -> None:
    page = opened(Matrix, SMALL)
    page.locator(".cells span").nth(1).hover(force=True)
    tip = page.locator(".tip")
    expect(tip).to_contain_text("LIME")
    expect(tip).to_contain_text("attention")
    expect(tip).to_contain_text("−0.5")
    page.locator(".cells span").nth(2).hover(force=True)
    expect(tip).to_contain_text("undefined")
    page.locator(".cells span").nth(5).click(force=True)
    assert events(page) == [["select", {"row": 1, "column": 2}]]


def test_the_keyboard_moves_says_and_chooses(opened: Opened) -> None:
    page = opened(Matrix, SMALL)
    page.locator("button", has_text="before").focus()
    page.keyboard.press("Tab")
    expect(page.locator("[aria-live]")).to_have_text("LIME, LIME: +1 Kendall's τ-b")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    expect(page.locator("[aria-live]")).to_have_text("attention, saliency: 0 Kendall's τ-b")
    page.keyboard.press("Enter")
    assert events(page) == [["select", {"row": 1, "column": 2}]]
    page.keyboard.press("Escape")
    expect(page.locator(".tip")).to_be_hidden()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"


def test_a_large_matrix_is_a_canvas_with_the_very_values(opened: Opened) -> None:
    value, weights = large()
    page = opened(Matrix, value)
    assert page.locator(".cells span").count() == 0
    assert page.evaluate(
        "[document.querySelector('canvas').width, document.querySelector('canvas').height]"
    ) == [128, 128]
    strong, weak = np.unravel_index([weights.argmax(), weights.argmin()], weights.shape)[::-1]
    assert luminance(pixel(page, int(strong[0]), int(weak[0]))) < luminance(
        pixel(page, int(strong[1]), int(weak[1]))
    )
    box = page.locator(".field").bounding_box()
    assert box is not None
    cell = box["width"] / 128
    page.mouse.move(box["x"] + 6.5 * cell, box["y"] + 3.5 * cell)
    expect(page.locator(".tip")).to_contain_text("word3")
    expect(page.locator(".tip")).to_contain_text("word6")
    expect(page.locator(".tip .score")).to_have_text(re.compile(rf"^{weights[3, 6]:.2}".replace(".", r"\.")))


def test_a_canvas_follows_the_theme(opened: Opened) -> None:
    value, weights = large(30)
    row, column = (int(place) for place in np.unravel_index(weights.argmax(), weights.shape))
    page = opened(Matrix, value)
    assert luminance(pixel(page, column, row)) < 128
    page.evaluate("document.body.classList.add('dark')")
    page.wait_for_function(
        f"() => document.querySelector('canvas').getContext('2d').getImageData({column}, {row}, 1, 1).data[1] > 128"
    )


def test_the_sign_is_seen_without_colour(opened: Opened) -> None:
    labels = [str(i) for i in range(21)]
    values = [[-1 if (row + column) % 2 else 1 for column in range(21)] for row in range(21)]
    page = opened(
        Matrix, {"rows": labels, "columns": labels, "values": values, "signed": True, "scale": 1, "unit": ""}
    )
    assert pixel(page, 2, 2) == pixel(page, 0, 0), "a cell for is even"
    assert pixel(page, 7, 2) != pixel(page, 5, 0), "a bar lies across a cell against"


def test_what_comes_later_is_left_empty_and_said(opened: Opened) -> None:
    value, _ = large(30)
    page = opened(Matrix, {**value, "causal": True})
    assert pixel(page, 5, 2)[3] == 0
    assert pixel(page, 2, 5)[3] == 255
    expect(page.locator(".legend")).to_contain_text("comes later")


def test_tables_hold_all_of_a_small_matrix_and_the_strongest_of_a_large_one(opened: Opened) -> None:
    page = opened(Matrix, SMALL)
    page.locator("summary").click()
    expect(page.locator("tbody tr")).to_have_count(3)
    expect(page.locator("tbody tr").first.locator("td").nth(3)).to_have_text("undefined")
    value, weights = large()
    page.evaluate("(value) => picture.draw(value)", value)
    expect(page.locator("tbody tr")).to_have_count(50)
    row, column = np.unravel_index(weights.argmax(), weights.shape)
    strongest = page.locator("tbody tr").first.locator("td")
    expect(strongest.nth(0)).to_have_text(f"word{row}")
    expect(strongest.nth(1)).to_have_text(f"word{column}")


def test_errors_and_notes_are_words(opened: Opened) -> None:
    page = opened(Matrix, {"error": {"message": "There is no text.", "hint": "Type one."}})
    expect(page.locator(".message")).to_have_text("There is no text. Type one.")
    expect(page.locator(".field")).to_be_hidden()
    page.evaluate("(value) => picture.draw(value)", {**SMALL, "note": "As it is."})
    expect(page.locator(".message")).to_have_text("As it is.")
    page.evaluate("picture.draw(null)")
    expect(page.locator(".field")).to_be_hidden()


# The network.

NETWORK = {
    "rows": ["the", *HOSTILE],
    "columns": ["the", *HOSTILE],
    "arcs": [[0, 1, 0.9], [2, 1, 0.5], [1, 0, 0.3], [3, 3, 0.2], [0, 2, 0.1]],
    "scale": 0.9,
    "unit": "attention weight",
    "axes": ["attends to", "attended by"],
    "shown": 3,
}


def test_the_strongest_arcs_are_the_thickest_and_a_slider_shows_more(opened: Opened) -> None:
    page = opened(Arcs, NETWORK)
    widths = page.evaluate(
        "[...document.querySelectorAll('path')].map((path) => parseFloat(path.style.strokeWidth))"
    )
    assert len(widths) == 3
    assert widths == sorted(widths)
    page.locator("input[type=range]").focus()
    page.keyboard.press("End")
    expect(page.locator("path")).to_have_count(5)
    expect(page.locator(".controls")).to_contain_text("5")


def test_a_token_shows_its_own_arcs_alone(opened: Opened) -> None:
    page = opened(Arcs, NETWORK)
    page.locator(".looks bdi").first.hover()
    expect(page.locator("path")).to_have_count(2)
    expect(page.locator(".tip")).to_contain_text("0.9")
    page.mouse.move(900, 700)
    expect(page.locator("path")).to_have_count(3)
    page.locator("input[type=range]").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    expect(page.locator("path")).to_have_count(2)
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith(
        f"{HOSTILE[0]}, attended by: the 0.9"
    )
    page.keyboard.press("Escape")
    expect(page.locator("path")).to_have_count(3)


# The heads.


def heads(layers: int = 3, count: int = 4, side: int = 8) -> dict[str, Any]:
    thumbs = np.random.default_rng(1).random((layers, count, side, side))
    values = [[layer + head / 10 for head in range(count)] for layer in range(layers)]
    return {
        "layers": layers,
        "heads": count,
        "side": [side, side],
        "thumbs": packed(thumbs, 8),
        "figures": [
            {"title": "Distance", "unit": "tokens", "meaning": "How far.", "scale": 2.3, "values": values}
        ],
        "kinds": [{"kind": "encoder", "title": "Encoder"}, {"kind": "cross", "title": "Cross-attention"}],
        "kind": "encoder",
        "chosen": [2, 0],
    }


def test_heads_are_chosen_by_mouse_and_by_keyboard(opened: Opened) -> None:
    page = opened(HeadGrid, heads())
    box = page.locator(".field").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.5)
    expect(page.locator(".tip")).to_contain_text("Layer 1, head 2")
    page.locator(".field").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("[aria-live]")).to_contain_text("Layer 2, head 1")
    page.keyboard.press(" ")
    assert events(page) == [["select", {"layer": 1, "head": 2}], ["select", {"layer": 2, "head": 1}]]


def test_a_figure_colours_the_heads(opened: Opened) -> None:
    page = opened(HeadGrid, heads())
    page.locator("select").select_option(label="Distance")
    expect(page.locator(".meaning")).to_have_text("How far.")
    expect(page.locator(".legend")).to_contain_text("tokens")
    assert luminance(pixel(page, 4, 4)) > luminance(pixel(page, 4, 24)), "the farther, the darker"
    assert pixel(page, 1, 1) == pixel(page, 6, 6)


def test_another_kind_is_asked_for(opened: Opened) -> None:
    page = opened(HeadGrid, heads())
    page.get_by_role("button", name="Cross-attention").click()
    assert events(page) == [["turn", {"kind": "cross"}]]


def test_packed_bytes_are_what_the_canvas_shows(opened: Opened) -> None:
    value = heads(1, 1, 2)
    value |= {"thumbs": base64.b64encode(bytes([0, 255, 255, 0])).decode(), "chosen": [0, 0], "figures": []}
    page = opened(HeadGrid, value)
    assert pixel(page, 0, 0)[3] == 0, "a clear edge"
    assert pixel(page, 1, 1) == pixel(page, 2, 2) != pixel(page, 2, 1) == pixel(page, 1, 2)


# The curves.


def test_curves_leave_a_gap_where_they_are_undefined(opened: Opened) -> None:
    lines = [{"name": "LIME", "values": [1, 0.5, None, 0.25]}, {"name": "attention", "values": [1, 1, 1, 0]}]
    page = opened(
        Curves,
        {"lines": lines, "title": "Falls", "x": "words removed", "y": "probability", "range": [0, 1]},
    )
    assert page.locator("path.line").first.get_attribute("d").count("M") == 2
    assert page.locator("path.line").nth(1).get_attribute("d").count("M") == 1
    expect(page.locator(".names")).to_contain_text("LIME")
    page.locator(".field").focus()
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("[aria-live]")).to_have_text("words removed 2: LIME undefined, attention 1")


def test_several_charts_have_one_tab_stop(opened: Opened) -> None:
    chart = {
        "x": "layer",
        "y": "share",
        "lines": [{"name": "mean", "values": [0.1, 0.2], "dots": [[0, 0.2], [0.1, None]]}],
    }
    page = opened(
        Curves, {"title": "By layer", "charts": [{**chart, "title": "One"}, {**chart, "title": "Two"}]}
    )
    assert page.evaluate("[...document.querySelectorAll('.field')].map((field) => field.tabIndex)") == [0, -1]
    assert page.locator("path.dots").first.get_attribute("d").count("M") == 3
    page.locator(".field").first.focus()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("Two")


# All of them.

EVERY: list[tuple[type[Chart], dict[str, Any]]] = [
    (Matrix, {**SMALL, "rows": HOSTILE[:3], "columns": HOSTILE[2:], "title": HOSTILE[0], "unit": HOSTILE[1]}),
    (Matrix, large()[0]),
    (Arcs, {**NETWORK, "title": HOSTILE[0]}),
    (HeadGrid, heads(12, 12, 16)),
    (
        Curves,
        {"title": HOSTILE[1], "x": HOSTILE[0], "y": "y", "lines": [{"name": HOSTILE[4], "values": [0, 1]}]},
    ),
]


@pytest.mark.parametrize(("kind", "value"), EVERY)
def test_hostile_words_and_a_phone(
    opened: Opened, page: Page, kind: type[Chart], value: dict[str, Any]
) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    opened(kind, value, dark=True)
    page.locator("summary").click()
    assert page.evaluate("window.__pwn") is None
    assert page.locator("img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
