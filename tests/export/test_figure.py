"""Several results in one file, in every format: each file is read back."""

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
from attribution.export.drawing.figure import compare_facts, compose_figure
from attribution.export.drawing.heatmap import Look
from attribution.sentences import number
from attribution.settings import VERSION
from attribution.types import Attribution
from tests.samples import NAMES, TEXTS, classification, methods, sample

SVG = "{http://www.w3.org/2000/svg}"
FOUR = methods()
NAMES_OF_FOUR = ("Integrated gradients", "Occlusion", "Saliency", "Attention")
LIGHT = THEMES["light"]


def results_of_two_models(first: list[float], second: list[float]) -> tuple[Attribution, Attribution]:
    """One method over two models."""
    first_result, second_result = (
        classification("good film", scores=first),
        classification("good film", scores=second),
    )
    return first_result, replace(
        second_result, model=replace(second_result.model, name="other/model", revision="0123456789abcdef")
    )


def to_json(result: Attribution) -> object:
    return json.loads(json.dumps(result.to_dict()))


def lines(content: bytes) -> list[str]:
    """The running text of a picture; texts at the same height form a line."""
    heights: dict[str, str] = {}
    for node in ElementTree.fromstring(content).iter(f"{SVG}text"):
        if node.get("text-anchor") == "start":
            height = node.get("y", "")
            heights[height] = heights.get(height, "") + (node.text or "")
    return list(heights.values())


def bold_texts(content: bytes) -> list[tuple[str, str]]:
    """The text and the size of the titles."""
    texts = ElementTree.fromstring(content).iter(f"{SVG}text")
    return [
        (node.text or "", node.get("font-size", "")) for node in texts if node.get("font-weight") == "bold"
    ]


def fills(content: bytes) -> list[str]:
    """The colours of the cells in their order."""
    return [box.get("fill", "") for box in ElementTree.fromstring(content).iter(f"{SVG}rect") if len(box)]


class TestEveryFormat:
    @pytest.mark.parametrize("extension", export.list_formats())
    def test_a_list_of_one_result_equals_that_result(self, extension: str) -> None:
        assert export.render([FOUR[0]], extension) == export.render(FOUR[0], extension)

    @pytest.mark.parametrize("extension", export.list_formats())
    def test_takes_several_of_any_kind(self, extension: str, tmp_path: Path) -> None:
        mixed = tuple(sample(name) for name in NAMES if name not in ("long", "unbroken"))
        path = tmp_path / f"a.{extension}"
        export.save((result for result in mixed), path)
        assert path.read_bytes() == export.render(mixed, extension)
        assert len(path.read_bytes()) > len(export.render(mixed[0], extension))

    def test_refuses_no_results(self, tmp_path: Path) -> None:
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
            export.file_name(results_of_two_models([0, 1, 2, 0], [0, 2, 1, 0]), "pdf")
            == "attribution-integrated_gradients-good-film.pdf"
        )


class TestHeadings:
    def test_separate_common_facts_from_differences(self) -> None:
        common, heads = compare_facts(FOUR)
        assert common == ["positive 93.0%", "target positive (logit 2.5)", "bundled/sst2-minilm"]
        assert heads == [
            (name, "") for name in ("Integrated gradients", "Occlusion", "Saliency", "Attention")
        ]
        common, heads = compare_facts(results_of_two_models([0, 1, 2, 0], [0, 2, 1, 0]))
        assert "Integrated gradients" in common and heads == [
            ("bundled/sst2-minilm", ""),
            ("other/model", ""),
        ]

    def test_name_a_result_by_one_fact_and_list_the_others_beside_it(self) -> None:
        common, heads = compare_facts([FOUR[0], sample("causal")])
        assert common == []
        assert heads[0] == (
            "Integrated gradients",
            "positive 93.0% · target positive (logit 2.5) · bundled/sst2-minilm",
        )
        first_result, second_result = results_of_two_models([0, 1, 2, 0], [0, 2, 1, 0])
        square = [
            first_result,
            second_result,
            *(
                replace(result, request=replace(result.request, method="lime"))
                for result in (first_result, second_result)
            ),
        ]
        assert [head.name for head in compare_facts(square)[1]] == [
            f"{method} · {model}"
            for method in ("Integrated gradients", "Lime")
            for model in ("bundled/sst2-minilm", "other/model")
        ]

    def test_a_single_result_has_only_common_facts(self) -> None:
        common, heads = compare_facts(FOUR[:1])
        assert common == [
            "positive 93.0%",
            "Integrated gradients",
            "target positive (logit 2.5)",
            "bundled/sst2-minilm",
        ]
        assert heads == [("", "")]

    def test_name_the_settings_that_differ(self) -> None:
        first_result = FOUR[0]
        second_result = replace(
            first_result, request=replace(first_result.request, options=(("baseline", "pad"), ("steps", 64)))
        )
        third_result = replace(
            first_result, request=replace(first_result.request, options=(("baseline", "pad"), ("steps", 32)))
        )
        assert compare_facts([second_result, third_result])[1] == [("steps = 64", ""), ("steps = 32", "")]
        assert compare_facts([second_result, FOUR[2]])[1] == [
            ("Integrated gradients", ""),
            ("Saliency", ""),
        ], "no settings of one method alone"

    def test_are_unique(self) -> None:
        assert compare_facts([FOUR[0], FOUR[0]])[1] == [("1", ""), ("2", "")]
        names = [head.name for head in compare_facts([FOUR[0], FOUR[2], FOUR[0]])[1]]
        assert names == ["1 · Integrated gradients", "2 · Saliency", "3 · Integrated gradients"]


class TestPicture:
    def test_states_shared_facts_once(self) -> None:
        content = export.render(FOUR, "svg")
        shown = lines(content)
        assert shown[:2] == ["positive 93.0%", "target positive (logit 2.5) · bundled/sst2-minilm"]
        for sentence in (
            "93.0%",
            "bundled/sst2-minilm @",
            "The baseline is the padding token.",
            f"Tool {VERSION}",
        ):
            assert sum(sentence in line for line in shown) <= 1, sentence
        assert sum("The baseline is the padding token." in line for line in shown) == 1
        assert bold_texts(content) == [("positive 93.0%", "22"), *((name, "15") for name in NAMES_OF_FOUR)]

    def test_puts_remarks_on_a_single_result_below_its_picture(self) -> None:
        shown = lines(export.render(FOUR, "svg"))
        places = [shown.index(name) for name in NAMES_OF_FOUR]
        [adds_up] = [k for k, line in enumerate(shown) if line.startswith("From the baseline")]
        [interval] = [k for k, line in enumerate(shown) if line.startswith("± is a 95% interval")]
        assert places[0] < adds_up < places[1] < interval < places[2]

    def test_names_the_results_that_share_a_remark(self) -> None:
        odd = [replace(result, notes=("It is so.",) * (k != 1)) for k, result in enumerate(FOUR)]
        composed = compose_figure(odd)
        assert "Integrated gradients, Saliency, Attention: It is so." in composed.remarks
        assert not any("It is so." in panel.remarks for panel in composed.panels)

    def test_has_a_legend_for_each_kind_of_scale(self) -> None:
        signed, strength, attention = compose_figure(FOUR).legends
        assert (signed.signed, signed.unit, signed.top) == (True, "logit", None)
        assert signed.names == ("Integrated gradients", "Occlusion")
        assert strength.top == pytest.approx(max(abs(FOUR[2].scores[0, 1:-1])))
        assert attention.names == ("Attention",)
        assert [legend.names for legend in compose_figure(FOUR[:2]).legends] == [()]

    def test_two_methods_have_their_own_scales_and_state_them(self) -> None:
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

    def test_results_of_one_method_share_a_scale(self) -> None:
        content = export.render(results_of_two_models([0, 0.5, -0.25, 0], [0, -1, 0.5, 0]), "svg")
        assert fills(content) == [LIGHT.positive[2], LIGHT.negative[1], LIGHT.negative[-1], LIGHT.positive[2]]
        shown = " ".join(lines(content))
        assert "full colour at" not in shown and "−1" in shown and "+1" in shown

    def test_without_a_signal_is_pale_beside_another(self) -> None:
        result = classification("good film", scores=[0, 0.2, -0.1, 0])
        noise = replace(result, errors=np.full((1, 4), 5.0), model=replace(result.model, name="other"))
        for loud, at in ((result, 0.2), (replace(result, scores=result.scores * 10), 2.0)):
            expected = [LIGHT.background(score, max(4 * 0.2, at), True) for score in (0.2, -0.1)]
            assert fills(export.render([loud, noise], "svg"))[2:] == expected

    def test_names_every_model_with_its_revision(self) -> None:
        assert lines(export.render(results_of_two_models([0, 1, 2, 0], [0, 2, 1, 0]), "svg"))[-1] == (
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
        assert all(head.name in (root.get("aria-label") or "") for head in compare_facts(mixed)[1])

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
            "attributions": [to_json(result) for result in FOUR],
        }
        assert json_format.read(content) == FOUR

    def test_a_single_result_is_its_own_dictionary(self) -> None:
        content = export.render(FOUR[0], "json")
        assert json.loads(content) == to_json(FOUR[0])
        assert json_format.read(content) == FOUR[:1]

    @pytest.mark.parametrize(
        "content",
        [b"", b"\xff", b"[" * 100_000, b"[]", b"3", b'{"schema": "attributions/1"}',
         b'{"schema": "attributions/1", "attributions": []}',
         b'{"schema": "attributions/1", "attributions": {}}',
         b'{"schema": "attributions/1", "attributions": [1]}',
         b'{"schema": "other"}'],
    )  # fmt: skip
    def test_refuses_another_file(self, content: bytes) -> None:
        with pytest.raises(BadFile):
            json_format.read(content)

    def test_load_names_the_reader_of_several_results(self, tmp_path: Path) -> None:
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
    for result, head in zip(four, compare_facts(four)[1], strict=True):
        alone = export.render(result, "md").decode()
        assert alone.split("\n", 1)[1] in document and f": {head.name}\n" in document


def test_numbers_of_a_legend_are_those_of_one_result() -> None:
    shown = " ".join(lines(export.render(FOUR, "svg")))
    assert number(float(np.abs(FOUR[2].scores[0, 1:-1]).max())) in shown
