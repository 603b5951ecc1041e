"""Several results in one file, in every format: what was written is opened again."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from attribution import export
from attribution.errors import BadFile, EmptyInput
from attribution.export import csv as csv_format
from attribution.export import json as json_format
from attribution.export.drawing import heatmap
from attribution.export.drawing.colour import THEMES
from attribution.export.drawing.figure import figure, headings
from attribution.export.drawing.heatmap import Look
from attribution.sentences import number
from attribution.settings import VERSION
from attribution.types import Attribution
from tests.samples import NAMES, TEXTS, classification, methods, sample

SVG = "{http://www.w3.org/2000/svg}"
FOUR = methods()
NAMES_OF_FOUR = ("Integrated gradients", "Occlusion", "Saliency", "Attention")
LIGHT = THEMES["light"]


def by_models(first: list[float], second: list[float]) -> tuple[Attribution, Attribution]:
    """One method over two models."""
    one, two = classification("good film", scores=first), classification("good film", scores=second)
    return one, replace(two, model=replace(two.model, name="other/model", revision="0123456789abcdef"))


def plain(result: Attribution) -> object:
    return json.loads(json.dumps(result.to_dict()))


def lines(content: bytes) -> list[str]:
    """The running text of a picture; what stands beside each other at one height is one line."""
    heights: dict[str, str] = {}
    for node in ElementTree.fromstring(content).iter(f"{SVG}text"):
        if node.get("text-anchor") == "start":
            height = node.get("y", "")
            heights[height] = heights.get(height, "") + (node.text or "")
    return list(heights.values())


def bold(content: bytes) -> list[tuple[str, str]]:
    """The text and the size of the titles."""
    found = ElementTree.fromstring(content).iter(f"{SVG}text")
    return [
        (node.text or "", node.get("font-size", "")) for node in found if node.get("font-weight") == "bold"
    ]


def fills(content: bytes) -> list[str]:
    """The colours of the cells in their order."""
    return [box.get("fill", "") for box in ElementTree.fromstring(content).iter(f"{SVG}rect") if len(box)]


class TestEveryFormat:
    @pytest.mark.parametrize("format", export.list_formats())
    def test_one_in_a_list_is_one(self, format: str) -> None:
        assert export.render([FOUR[0]], format) == export.render(FOUR[0], format)

    @pytest.mark.parametrize("format", export.list_formats())
    def test_takes_several_of_any_kind(self, format: str, tmp_path: Path) -> None:
        mixed = tuple(sample(name) for name in NAMES if name not in ("long", "unbroken"))
        path = tmp_path / f"a.{format}"
        export.save((result for result in mixed), path)
        assert path.read_bytes() == export.render(mixed, format)
        assert len(path.read_bytes()) > len(export.render(mixed[0], format))

    def test_refuses_none_at_all(self, tmp_path: Path) -> None:
        for call in (
            lambda: export.render([], "svg"),
            lambda: export.save((), tmp_path / "a.svg"),
            lambda: export.file_name(iter(()), "svg"),
        ):
            with pytest.raises(EmptyInput, match="at least one"):
                call()
        assert not list(tmp_path.iterdir())

    def test_a_file_name_counts_the_methods(self) -> None:
        assert export.file_name(FOUR, "pdf") == "attribution-4-methods-this-movie-is.pdf"
        assert (
            export.file_name(by_models([0, 1, 2, 0], [0, 2, 1, 0]), "pdf")
            == "attribution-integrated_gradients-good-film.pdf"
        )


class TestHeadings:
    def test_tell_what_is_the_same_and_what_is_not(self) -> None:
        common, heads = headings(FOUR)
        assert common == ["positive 93.0%", "target positive (logit 2.5)", "bundled/sst2-minilm"]
        assert heads == [
            (name, "") for name in ("Integrated gradients", "Occlusion", "Saliency", "Attention")
        ]
        common, heads = headings(by_models([0, 1, 2, 0], [0, 2, 1, 0]))
        assert "Integrated gradients" in common and heads == [
            ("bundled/sst2-minilm", ""),
            ("other/model", ""),
        ]

    def test_call_a_result_by_one_thing_and_say_the_rest_beside_it(self) -> None:
        common, heads = headings([FOUR[0], sample("causal")])
        assert common == []
        assert heads[0] == (
            "Integrated gradients",
            "positive 93.0% · target positive (logit 2.5) · bundled/sst2-minilm",
        )
        one, two = by_models([0, 1, 2, 0], [0, 2, 1, 0])
        square = [
            one,
            two,
            *(replace(result, request=replace(result.request, method="lime")) for result in (one, two)),
        ]
        assert [head.name for head in headings(square)[1]] == [
            f"{method} · {model}"
            for method in ("Integrated gradients", "Lime")
            for model in ("bundled/sst2-minilm", "other/model")
        ]

    def test_of_one_are_all_the_same(self) -> None:
        common, heads = headings(FOUR[:1])
        assert common == [
            "positive 93.0%",
            "Integrated gradients",
            "target positive (logit 2.5)",
            "bundled/sst2-minilm",
        ]
        assert heads == [("", "")]

    def test_name_the_settings_that_differ(self) -> None:
        one = FOUR[0]
        two = replace(one, request=replace(one.request, options=(("baseline", "pad"), ("steps", 64))))
        three = replace(one, request=replace(one.request, options=(("baseline", "pad"), ("steps", 32))))
        assert headings([two, three])[1] == [("steps = 64", ""), ("steps = 32", "")]
        assert headings([two, FOUR[2]])[1] == [("Integrated gradients", ""), ("Saliency", "")], (
            "no settings of one method alone"
        )

    def test_are_never_the_same_for_two(self) -> None:
        assert headings([FOUR[0], FOUR[0]])[1] == [("1", ""), ("2", "")]
        names = [head.name for head in headings([FOUR[0], FOUR[2], FOUR[0]])[1]]
        assert names == ["1 · Integrated gradients", "2 · Saliency", "3 · Integrated gradients"]


class TestPicture:
    def test_says_once_what_all_share(self) -> None:
        content = export.render(FOUR, "svg")
        said = lines(content)
        assert said[:2] == ["positive 93.0%", "target positive (logit 2.5) · bundled/sst2-minilm"]
        for once in (
            "93.0%",
            "bundled/sst2-minilm @",
            "The baseline is the padding token.",
            f"Tool {VERSION}",
        ):
            assert sum(once in line for line in said) <= 1, once
        assert sum("The baseline is the padding token." in line for line in said) == 1
        assert bold(content) == [("positive 93.0%", "22"), *((name, "15") for name in NAMES_OF_FOUR)]

    def test_says_below_a_picture_what_is_said_of_it_alone(self) -> None:
        said = lines(export.render(FOUR, "svg"))
        places = [said.index(name) for name in NAMES_OF_FOUR]
        [adds_up] = [k for k, line in enumerate(said) if line.startswith("From the baseline")]
        [interval] = [k for k, line in enumerate(said) if line.startswith("± is a 95% interval")]
        assert places[0] < adds_up < places[1] < interval < places[2]

    def test_names_those_that_a_sentence_is_about(self) -> None:
        odd = [replace(result, notes=("It is so.",) * (k != 1)) for k, result in enumerate(FOUR)]
        whole = figure(odd)
        assert "Integrated gradients, Saliency, Attention: It is so." in whole.remarks
        assert not any("It is so." in panel.remarks for panel in whole.panels)

    def test_has_a_legend_for_each_kind_of_scale(self) -> None:
        signed, strength, attention = figure(FOUR).legends
        assert (signed.signed, signed.unit, signed.top) == (True, "logit", None)
        assert signed.names == ("Integrated gradients", "Occlusion")
        assert strength.top == pytest.approx(max(abs(FOUR[2].scores[0, 1:-1])))
        assert attention.names == ("Attention",)
        assert [legend.names for legend in figure(FOUR[:2]).legends] == [()]

    def test_of_two_methods_have_each_the_full_colour_and_say_where(self) -> None:
        low = classification("good film", scores=[0, 0.5, -0.25, 0])
        high = replace(
            classification("good film", scores=[0, -8, 4, 0]),
            request=replace(low.request, method="occlusion"),
        )
        content = export.render([low, high], "svg")
        strong, weak = LIGHT.positive, LIGHT.negative
        assert fills(content) == [strong[-1], weak[2], weak[-1], strong[2]]
        assert [line for line in lines(content) if line.startswith("full colour")] == [
            "full colour at 0.5 logit", "full colour at 8 logit"]  # fmt: skip
        assert "against" in " ".join(lines(content)) and "+8" not in " ".join(lines(content))

    def test_of_one_method_share_a_scale(self) -> None:
        content = export.render(by_models([0, 0.5, -0.25, 0], [0, -1, 0.5, 0]), "svg")
        assert fills(content) == [LIGHT.positive[2], LIGHT.negative[1], LIGHT.negative[-1], LIGHT.positive[2]]
        said = " ".join(lines(content))
        assert "full colour at" not in said and "−1" in said and "+1" in said

    def test_without_a_signal_is_pale_beside_another(self) -> None:
        result = classification("good film", scores=[0, 0.2, -0.1, 0])
        noise = replace(result, errors=np.full((1, 4), 5.0), model=replace(result.model, name="other"))
        for loud, at in ((result, 0.2), (replace(result, scores=result.scores * 10), 2.0)):
            expected = [LIGHT.background(score, max(4 * 0.2, at), True) for score in (0.2, -0.1)]
            assert fills(export.render([loud, noise], "svg"))[2:] == expected

    def test_names_every_model_with_its_revision(self) -> None:
        assert lines(export.render(by_models([0, 1, 2, 0], [0, 2, 1, 0]), "svg"))[-1] == (
            f"Attribution Visualization Tool {VERSION} · bundled/sst2-minilm · other/model @ 0123456789ab"
        )

    @pytest.mark.parametrize("theme", THEMES)
    def test_fits_and_holds_every_text(self, theme: str) -> None:
        mixed = [sample(name) for name in ("pair", "causal", "arabic", "hindi", "labelled", "zero")]
        root = ElementTree.fromstring(export.render(mixed, "svg", theme=theme, width=400))
        width, height = int(root.get("width", 0)), int(root.get("height", 0))
        for box in root.iter(f"{SVG}rect"):
            assert float(box.get("x", 0)) + float(box.get("width", 0)) <= width + 0.1
            assert float(box.get("y", 0)) + float(box.get("height", 0)) <= height
        assert all(float(node.get("y", 0)) < height for node in root.iter(f"{SVG}text"))
        drawn = "".join("".join(node.text or "" for node in root.iter(f"{SVG}text")).split())
        for result in mixed:
            assert "".join(result.text.split()).replace("。", "") in drawn or result.model.name in drawn
        assert all(head.name in (root.get("aria-label") or "") for head in headings(mixed)[1])

    def test_png_is_that_picture(self) -> None:
        from PIL import Image

        drawn = heatmap.draw(FOUR, Look(500, "dark", words=True, special=True))
        opened = Image.open(
            io.BytesIO(export.render(FOUR, "png", width=500, theme="dark", special=True, scale=1.0))
        )
        assert opened.size == (drawn.width, drawn.height)


class TestJson:
    def test_several_are_a_list_and_read_back_equal(self) -> None:
        content = export.render(FOUR, "json")
        assert json.loads(content) == {
            "schema": "attributions/1",
            "attributions": [plain(result) for result in FOUR],
        }
        assert json_format.read(content) == FOUR

    def test_one_is_what_it_was(self) -> None:
        content = export.render(FOUR[0], "json")
        assert json.loads(content) == plain(FOUR[0])
        assert json_format.read(content) == FOUR[:1]

    @pytest.mark.parametrize(
        "content",
        [b"", b"\xff", b"[" * 100_000, b"[]", b"3", b'{"schema": "attributions/1"}', b'{"schema": "attributions/1", "attributions": []}',
         b'{"schema": "attributions/1", "attributions": {}}', b'{"schema": "attributions/1", "attributions": [1]}',
         b'{"schema": "other"}'],
    )  # fmt: skip
    def test_refuses_another_file(self, content: bytes) -> None:
        with pytest.raises(BadFile):
            json_format.read(content)

    def test_a_reader_of_one_says_who_reads_several(self, tmp_path: Path) -> None:
        export.save(FOUR, tmp_path / "a.json")
        with pytest.raises(BadFile, match=r"export\.json\.read"):
            Attribution.load(tmp_path / "a.json")


class TestCsv:
    def test_has_columns_for_method_and_model(self) -> None:
        content = export.render(FOUR, "csv")
        table = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
        assert list(table[0]) == [*csv_format.COLUMNS, "error", "method", "model"]
        for result in FOUR:
            mine = [row for row in table if row["method"] == result.method]
            assert [float(row["score"]) for row in mine] == result.scores.ravel().tolist()
            assert {row["model"] for row in mine} == {result.model.name}
            assert all(bool(row["error"]) == (result.errors is not None) for row in mine)

    def test_reads_back(self) -> None:
        hostile = [replace(FOUR[1], model=replace(FOUR[1].model, name="=cmd")), sample("contrast")]
        content = export.render(hostile, "csv")
        assert "'=cmd" in content.decode()
        rows = csv_format.read(content)
        assert [row.score for row in rows] == np.concatenate(
            [result.scores.ravel() for result in hostile]
        ).tolist()
        assert {(row.method, row.model, row.contrast, row.error is None) for row in rows} == {
            ("occlusion", "=cmd", "", False),
            ("integrated_gradients", "bundled/sst2-minilm", "negative", True),
        }


@pytest.mark.parametrize("name", ["english", "arabic", "chinese", "emoji", "script"])
def test_texts_formats_keep_every_result(name: str) -> None:
    four = methods(TEXTS[name])
    parts = [export.render(result, "tex").decode() for result in four]
    together = export.render(four, "tex").decode()
    assert (
        together.count("\\def\\scored") == 1
        and together.count("\\begingroup") == together.count("\\endgroup") == 1
    )
    for part in parts:
        body = part.split("\\def\\framed", 1)[1].split("\n", 1)[1].removesuffix("\\par\\endgroup\n")
        assert body in together
    document = export.render(four, "md").decode()
    for result, head in zip(four, headings(four)[1], strict=True):
        alone = export.render(result, "md").decode()
        assert alone.split("\n", 1)[1] in document and f": {head.name}\n" in document


def test_numbers_of_a_legend_are_those_of_one_result() -> None:
    said = " ".join(lines(export.render(FOUR, "svg")))
    assert number(float(np.abs(FOUR[2].scores[0, 1:-1]).max())) in said
