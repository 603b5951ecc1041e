"""The PDF by a reader of its own: size, text, fonts, colours."""

from __future__ import annotations

import ctypes
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pypdfium2 as pdfium
import pytest
import typst
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pypdfium2 import raw

from attribution import export
from attribution.errors import BadOption, TooLong, Unsupported
from attribution.export import pdf
from attribution.export.drawing import fonts
from attribution.types import Token
from tests.samples import NAMES, TEXTS, attribution, classification, methods, sample

SVG = "{http://www.w3.org/2000/svg}"
# pypdfium2 numbers objects of forms, which an image is; five levels are more than there are.
DEEP = 5


def page(content: bytes) -> pdfium.PdfPage:
    document = pdfium.PdfDocument(content)
    assert len(document) == 1
    return document[0]


def text(content: bytes) -> str:
    return page(content).get_textpage().get_text_bounded()


def embedded(content: bytes) -> Iterator[tuple[str, bool]]:
    """The font of each text object, and whether it is inside the file."""
    for item in page(content).get_objects(filter=[raw.FPDF_PAGEOBJ_TEXT], max_depth=DEEP):
        font = raw.FPDFTextObj_GetFont(item)
        size = raw.FPDFFont_GetBaseFontName(font, None, 0)
        name = ctypes.create_string_buffer(size)
        raw.FPDFFont_GetBaseFontName(font, name, size)
        yield name.value.decode(), bool(raw.FPDFFont_GetIsEmbedded(font))


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("long", "unbroken")])
def test_is_a_page_of_the_cells(name: str) -> None:
    content = export.render(sample(name), "pdf")
    root = ElementTree.fromstring(export.render(sample(name), "svg"))
    width, height = int(root.get("width", 0)), int(root.get("height", 0))
    assert page(content).get_size() == pytest.approx((width * 0.75, height * 0.75))
    pixels = np.asarray(page(content).render(scale=4 / 3).to_pil().convert("RGB")).astype(int)
    assert pixels.shape[:2] == pytest.approx((height, width), abs=1)
    for box in (box for box in root.iter(f"{SVG}rect") if len(box) and float(box.get("width", 0)) >= 8):
        # Just inside the left border, half way down: no letter is there.
        pixel = pixels[int(float(box.get("y", 0))) + 16, int(float(box.get("x", 0))) + 2]
        fill = box.get("fill", "")
        assert pixel == pytest.approx([int(fill[k : k + 2], 16) for k in (1, 3, 5)], abs=2)


HOSTILE = '#import "@preview/x:1.0.0": * #panic("a") \\ $x$ @cite <label> /* */ // *b* _i_ `c` [d] {e}'
READ = {
    name: TEXTS[name]
    for name in (
        "english",
        "russian",
        "hebrew",
        "arabic",
        "chinese",
        "emoji",
        "script",
        "template",
        "formula",
    )
}


@pytest.mark.parametrize("typed", [*READ.values(), HOSTILE], ids=[*READ, "typst"])
def test_text_stays_text(typed: str) -> None:
    content = text(export.render(classification(typed), "pdf"))
    _, heat = content.split("bundled/sst2-minilm\r\n", 1)
    drawn = heat.split("Score in", 1)[0].strip().rpartition("\r\n")[0]  # the last line is the legend's
    assert sorted("".join(drawn.split())) == sorted("".join(typed.split()))


def test_a_token_stays_on_its_line() -> None:
    spread = attribution("a\nb\tc d", (Token("a\nb\tc", 1, 0, 5, word=0), Token("d", 2, 6, 7, word=1)))
    assert "\r\na b c d\r\n" in text(export.render(spread, "pdf"))


@pytest.mark.parametrize("name", ["english", "arabic", "hindi", "thai", "russian"])
def test_letters_stand_where_the_png_has_them(name: str) -> None:
    """Two renderers with two ways of shaping: ink begins and ends in the same places of each word."""
    pixels = Image.open(io.BytesIO(export.render(sample(name), "png", scale=2.0))).convert("L")
    drawn = (
        page(export.render(sample(name), "pdf")).render(scale=8 / 3).to_pil().convert("L").resize(pixels.size)
    )
    root = ElementTree.fromstring(export.render(sample(name), "svg"))
    for box in (box for box in root.iter(f"{SVG}rect") if len(box)):
        x, y, wide = (2 * float(box.get(key, 0)) for key in ("x", "y", "width"))
        ends = []
        for image in (pixels, drawn):
            cell = np.asarray(image.crop((int(x) + 4, int(y) + 8, int(x + wide) - 4, int(y) + 50))).astype(
                int
            )
            ink = np.flatnonzero((abs(cell - cell[0, 0]) > 60).any(axis=0))
            ends.append((ink.min(), ink.max()))
        # One of the two stretches a script whose widths were measured without shaping.
        assert ends[0] == pytest.approx(ends[1], abs=14 if name == "hindi" else 3), box[0].text


def test_every_font_is_inside() -> None:
    for name in ("english", "arabic", "chinese", "emoji", "hindi"):
        is_embedded = dict(embedded(export.render(sample(name), "pdf")))
        assert len(is_embedded) > 1 and all(is_embedded.values()), is_embedded


def test_it_is_drawn_with_shapes_not_with_pixels() -> None:
    kinds = {item.type for item in page(export.render(methods(), "pdf")).get_objects(max_depth=DEEP)}
    assert kinds == {raw.FPDF_PAGEOBJ_TEXT, raw.FPDF_PAGEOBJ_PATH}


def test_arabic_letters_join() -> None:
    """A word must look different from its letters separated by non-joiners."""
    ink = []
    for word in ("شاهدته", "\u200c".join("شاهدته")):
        pixels = np.asarray(
            page(export.render(classification(word, scores=[0, 0, 0]), "pdf"))
            .render(scale=4)
            .to_pil()
            .convert("L")
        )
        columns = (pixels[240:400] < 110).any(axis=0)
        ink.append(int((np.diff(columns.astype(int)) == 1).sum()))
    assert ink[0] < ink[1], "fewer separate strokes"


def test_several_are_one_page_in_their_theme() -> None:
    content = export.render(methods(), "pdf", theme="dark", width=500)
    assert page(content).render(scale=1).to_pil().getpixel((2, 2)) == (0x11, 0x15, 0x1C)
    page_text = text(content)
    assert [
        page_text.count(f"\r\n{name}\r\n")
        for name in ("Integrated gradients", "Occlusion", "Saliency", "Attention")
    ] == [
        1,
        1,
        1,
        1,
    ]


def test_is_the_same_for_equal_input_at_another_time_and_place() -> None:
    script = """
import hashlib, sys
from attribution import export
from tests.samples import methods
sys.stdout.write(hashlib.sha256(export.render(methods(), "pdf")).hexdigest())
"""
    root = Path(__file__).resolve().parents[2]
    digests = {
        subprocess.run(
            [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True, timeout=120,
            env={**os.environ, "TZ": zone, "SOURCE_DATE_EPOCH": epoch},
        ).stdout
        for zone, epoch in (("UTC", "1"), ("Asia/Tokyo", "1000000000"))
    }  # fmt: skip
    assert len(digests) == 1
    metadata = pdfium.PdfDocument(export.render(sample("one"), "pdf")).get_metadata_dict(skip_empty=True)
    assert set(metadata) == {"Title", "Creator"}


def test_the_title_says_what_it_shows_whatever_the_label() -> None:
    label = 'x" #panic() \\ \ud800'
    result = sample("one")
    prediction = replace(result.prediction, labels=("a", label))
    title = pdfium.PdfDocument(
        export.render(replace(result, prediction=prediction), "pdf")
    ).get_metadata_dict()["Title"]
    assert title.startswith('x" #panic() \\ \ufffd 93.0%. Integrated gradients')


@settings(deadline=None, max_examples=50)
@given(st.text(min_size=1, max_size=40).filter(str.strip))
def test_any_text_is_a_page(typed: str) -> None:
    assert page(export.render(classification(typed), "pdf", special=True)).get_size()[0] == 675


def test_needs_no_system_font(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fonts.dejavu_files(), "matplotlib brings DejaVu Sans along"
    alone = typst.Fonts(
        include_system_fonts=False, include_embedded_fonts=False, font_paths=[fonts.dejavu_files()[0].parent]
    )
    monkeypatch.setattr(pdf, "_find_fonts", lambda: alone)
    content = export.render(sample("english"), "pdf")
    assert {name.partition("+")[2] for name, _ in embedded(content)} == {"DejaVuSans", "DejaVuSans-Bold"}
    assert "absolutely" in text(content)


def test_a_picture_longer_than_a_page_is_refused_with_advice() -> None:
    with pytest.raises(TooLong, match=r"14,400.*\.svg"):
        export.render(classification("word " * 8000), "pdf", width=320)


def test_refuses_a_bad_option() -> None:
    for options in ({"width": 1}, {"scale": 2.0}, {"theme": "red"}):
        with pytest.raises(BadOption):
            export.render(sample("one"), "pdf", **options)


def test_says_which_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "typst", None)
    with pytest.raises(Unsupported, match="pip install typst"):
        pdf.write(sample("one"))
