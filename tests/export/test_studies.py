"""Comparisons, evaluations and assessments as files: one registry, one way to save, one error."""

from __future__ import annotations

import csv
import dataclasses
import io
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from attribution import Assessment, Comparison, formats
from attribution.errors import AttributionError, BadFile, BadOption, DeadlineExceeded, EmptyInput
from attribution.formats import Format, Savable, list_formats, render
from attribution.studies.assessment import Standing
from attribution.studies.evaluation import Figure
from attribution.types import Attribution
from tests.samples import classification, sample
from tests.studies.test_evaluation import make_evaluation as evaluation_of

EVIL = "<script>alert(1)</script>|&\\end{tabular}$"
KINDS = ("attribution", "comparison", "evaluation", "assessment")


def make_comparison(*scores: list[float], text: str = "not a good film", failed: bool = False) -> Comparison:
    """Attributions of made-up scores, by methods ``m0``, ``m1`` …; the last one failed where asked for."""
    results: list[Attribution | AttributionError] = []
    for k, values in enumerate(scores):
        result = classification(text, k % 2 == 0, [0.0, *values, 0.0])
        results.append(
            dataclasses.replace(result, request=dataclasses.replace(result.request, method=f"m{k}"))
        )
    if failed:
        results.append(DeadlineExceeded("It took too long.", EVIL))
    return Comparison(text, ("a/model",), tuple(f"m{k}" for k in range(len(results))), tuple(results))


def make_assessment(title: str = "Saliency") -> Assessment:
    ranking = (
        Standing(1, "lime", "LIME", 0.9, 0.8, 1.0, 0.75, True),
        Standing(0, "saliency", title, 0.5, 0.3, 0.6, 0.25, False),
    )
    metrics = ("aopc_comprehensiveness", "aopc_sufficiency")
    figures = tuple(
        Figure(method, metric, value, value - 0.1, value + 0.1, 2, 0, (value - 0.1, value + 0.1))
        for method, value in (("saliency", 0.2), ("lime", 0.4))
        for metric in metrics
    )
    sentences = ("LIME is first.", "A random order beats 50 %.", "This is one text.")
    return Assessment(
        "a text",
        "a/model",
        ranking,
        (0.4, 0.5, 0.6),
        ("mask", "pad"),
        figures,
        sentences,
        ((2, "All alike."),),
    )


def make_evaluation() -> Any:
    return evaluation_of([[[0.4, 0.5] * 3], [[0.1, 0.2] * 3]], titles={"m0": EVIL})


RESULTS: dict[str, Savable] = {
    "attribution": sample("english"),
    "comparison": make_comparison([0.1, -0.4, 0.9, 0.3], [0.5, 0.2, 0.7, 0.1], failed=True),
    "evaluation": make_evaluation(),
    "assessment": make_assessment(EVIL),
}
EVERY = [(kind, extension) for kind in KINDS for extension in list_formats(kind)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_result_has_the_usual_formats(kind: str) -> None:
    assert {"json", "csv", "md", "html", "tex", "svg", "png", "pdf"} <= list_formats(kind).keys()


@pytest.mark.parametrize(("kind", "extension"), EVERY)
def test_all_formats_writes_what_it_lists(kind: str, extension: str, tmp_path: Path) -> None:
    result = RESULTS[kind]
    result.save(tmp_path / f"a.{extension}")
    content = (tmp_path / f"a.{extension}").read_bytes()
    assert content == render(result, extension)
    starts = {"png": b"\x89PNG", "pdf": b"%PDF", "html": b"<!doctype html>", "svg": b"<svg"}
    assert content.startswith(starts.get(extension, b"")) and len(content) > 100
    assert [path.name for path in tmp_path.iterdir()] == [f"a.{extension}"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_ending_is_the_same_error_for_all(kind: str, tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=f"There is no file type 'docx' for an? {kind}.*csv.*json"):
        RESULTS[kind].save(tmp_path / "a.docx")
    with pytest.raises(BadFile, match="Did you mean 'html'"):
        RESULTS[kind].save(tmp_path / "a.htm")
    with pytest.raises(BadFile):
        RESULTS[kind].save(tmp_path / "a")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", KINDS)
def test_json_is_read_back_equal(kind: str, tmp_path: Path) -> None:
    result = RESULTS[kind]
    result.save(tmp_path / "a.json")
    # Errors are equal only to themselves.
    assert type(result).load(tmp_path / "a.json").to_dict() == result.to_dict()
    (tmp_path / "b.json").write_text("[")
    with pytest.raises(BadFile, match="not JSON"):
        type(result).load(tmp_path / "b.json")


@pytest.mark.parametrize("kind", KINDS)
def test_options_are_checked(kind: str) -> None:
    for options in ({"theme": "blue"}, {"width": 10}, {"width": "900"}, {"them": "dark"}):
        with pytest.raises(BadOption):
            render(RESULTS[kind], "svg", **options)


@pytest.mark.parametrize("kind", KINDS)
def test_a_notebook_shows_it_without_scripts(kind: str) -> None:
    fragment = RESULTS[kind]._repr_html_()
    assert "<table" in fragment or "<span" in fragment
    assert "<script" not in fragment


@pytest.mark.parametrize("kind", KINDS[1:])
def test_hostile_texts_stay_text(kind: str) -> None:
    for extension in ("svg", "md"):
        assert b"<script" not in render(RESULTS[kind], extension), extension
    assert b"<script>alert" not in render(RESULTS[kind], "html")
    ElementTree.fromstring(render(RESULTS[kind], "svg"))
    lines = render(RESULTS[kind], "tex").decode().splitlines()
    body = "\n".join(line for line in lines if not line.startswith("%"))
    assert body.count(r"\begin{tabular}") == body.count(r"\end{tabular}")


def test_only_attributions_share_a_file() -> None:
    with pytest.raises(BadFile, match="holds one evaluation, not 2"):
        render([make_evaluation(), make_evaluation()], "csv")
    with pytest.raises(BadFile, match="several kinds: attribution, evaluation"):
        render([sample("one"), make_evaluation()], "csv")


class TestComparison:
    def test_csv_has_a_row_for_each_word_of_each_attribution(self) -> None:
        comparison = make_comparison([0.1, -0.4, 0.9, 0.3], [0.5, 0.2, 0.7, 0.1])
        rows = list(csv.DictReader(io.StringIO(render(comparison, "csv").decode("utf-8-sig"))))
        assert [(row["method"], row["word"]) for row in rows] == [
            (method, word) for method in ("m0", "m1") for word in ["not", "a", "good", "film"]
        ]
        shares = comparison.alignment.shares.ravel()
        assert [float(row["share"]) for row in rows] == pytest.approx(shares.tolist())
        assert [int(row["rank"]) for row in rows] == [4, 2, 1, 3, 2, 3, 1, 4]

    def test_texts_say_agreement_disagreements_and_failures(self) -> None:
        comparison = make_comparison(
            [0.9, -0.4, 0.1, 0.3], [-0.1, 0.2, 0.7, 0.1], [-0.9, 0.4, 0.1, 0.2], failed=True
        )
        tau = comparison.agreement().values[0][1]
        assert tau is not None and comparison.disagreements()
        for extension in ("md", "tex", "html"):
            text = render(comparison, extension).decode()
            assert "It took too long." in text, extension
            assert f"{tau:.3f}".replace("-", "")[1:] in text, extension
            assert "rank 1 of 4" in text, extension

    def test_pictures_hold_every_finished_attribution_and_the_agreement(self) -> None:
        comparison = make_comparison([0.1, -0.4, 0.9, 0.3], [0.5, 0.2, 0.7, 0.1], failed=True)
        texts = [node.text for node in ElementTree.fromstring(render(comparison, "svg")).iter() if node.text]
        assert texts.count("film") == 2
        assert any("Kendall" in text for text in texts)

    def test_the_page_has_no_style_that_its_own_policy_forbids(self) -> None:
        page = render(make_comparison([0.1, -0.4, 0.9, 0.3], [0.5, 0.2, 0.7, 0.1]), "html").decode()
        body = page[page.index("<main>") : page.index("</main>")]
        assert "<table>" in body and "style=" not in body

    @pytest.mark.parametrize("extension", ["svg", "html", "png", "pdf"])
    def test_nothing_to_draw(self, extension: str) -> None:
        comparison = Comparison("a", ("m",), ("lime",), (DeadlineExceeded("Too late."),))
        with pytest.raises(EmptyInput, match="no attribution to draw"):
            render(comparison, extension)
        assert "Too late." in render(comparison, "md").decode()

    def test_an_unfinished_one_is_saved_too(self) -> None:
        comparison = Comparison(
            "not a good film", ("m",), ("m0", "lime"), (make_comparison([1.0, 2, 3, 4]).results[0], None)
        )
        for extension in list_formats("comparison"):
            assert render(comparison, extension)


class TestAssessment:
    def test_csv_is_the_ranking(self) -> None:
        rows = list(csv.DictReader(io.StringIO(render(make_assessment(), "csv").decode("utf-8-sig"))))
        assert [(row["rank"], row["place"], row["method"]) for row in rows] == [
            ("1", "1", "lime"),
            ("2", "0", "saliency"),
        ]
        assert [row["convincing"] for row in rows] == ["1", "0"]

    def test_figures_stand_beside_their_own_explanation(self) -> None:
        lines = render(make_assessment(), "md").decode().splitlines()
        assert "| LIME | 0.400 \\[0.300, 0.500\\] | 0.400 \\[0.300, 0.500\\] |" in lines
        assert "- Explanation 3 is left out: All alike." in lines


class TestRegistry:
    def test_a_format_states_its_kinds_options_and_media_type(self) -> None:
        entry = Format("txt", "text/plain")

        @entry.writes("comparison", "evaluation")
        def write(result: Savable, *, words: bool = True) -> bytes:
            return f"{result.KIND} {words}".encode()

        assert [option.name for option in entry.options("comparison")] == ["words"]
        assert entry.write(make_evaluation(), words=False) == b"evaluation False"
        assert not entry.is_binary and Format("bin", "application/octet-stream").is_binary
        with pytest.raises(BadFile, match="no file type 'txt' for an attribution"):
            entry.write(sample("one"))

    def test_is_found_by_extension_in_any_case_and_by_alias(self) -> None:
        assert formats.find(".TEX") is formats.find("latex") is list_formats()["tex"]
        for name in ("", ".", None, "exe"):
            with pytest.raises(BadFile):
                formats.find(name)
