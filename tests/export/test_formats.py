"""Every file format on hand-made attributions: each file is read back."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from attribution import export
from attribution.errors import BadFile, BadOption, NotFinite, TooLong, Unsupported
from attribution.export import csv as csv_format
from attribution.export import png, svg
from attribution.export.drawing import canvas, fonts, layout
from attribution.export.drawing.cells import blocks, build_cells, remarks, scales
from attribution.export.drawing.colour import THEMES, contrast_ratio, text_on
from attribution.sentences import number
from attribution.settings import DEFAULTS
from attribution.types import Attribution, Completeness
from tests.samples import (
    KINDS,
    NAMES,
    TEXTS,
    attribution,
    classification,
    generation,
    pieces,
    sample,
    text_of,
)

# No time limit for one example: a busy machine is not a bug.
unhurried = settings(deadline=None, max_examples=50)
SVG = "{http://www.w3.org/2000/svg}"
QUICK = tuple(name for name in NAMES if name != "long")


def replace_fields(result: Attribution, **changes: object) -> Attribution:
    return Attribution(**{name: getattr(result, name) for name in result.__dataclass_fields__} | changes)  # type: ignore[arg-type]


def letters(text: str) -> list[str]:
    """The characters that must survive, sorted: all that XML allows but white space and format characters."""
    return sorted(
        c for c in text if not c.isspace() and (c.isprintable() or c == "\u00ad") and c not in "\ufffd·"
    )


def heat(markup: bytes) -> list[ElementTree.Element]:
    """The text elements of the heatmap, by their font sizes."""
    return [
        node
        for node in ElementTree.fromstring(markup).iter(f"{SVG}text")
        if node.get("text-anchor") == "middle"
    ]


class TestFormats:
    def test_are_discovered_and_sorted(self) -> None:
        entries = export.list_formats()
        assert {"csv", "json", "pdf", "png", "svg", "html"} <= set(entries)
        assert list(entries) == sorted(entries)
        assert entries["png"].media_type == "image/png"

    def test_name_their_options_with_types_and_defaults(self) -> None:
        options = {option.name: option for option in export.list_formats()["png"].options()}
        assert (options["scale"].kind, options["scale"].default) == ("float", 2.0)
        assert (options["words"].kind, options["words"].default) == ("bool", True)
        assert export.list_formats()["json"].options() == ()

    def test_need_neither_torch_nor_gradio_nor_pillow(self) -> None:
        script = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {
            "torch", "transformers", "gradio", "PIL", "resvg_py", "typst", "matplotlib"
        }:
            raise ImportError(name)
sys.meta_path.insert(0, Block())
from attribution import export
from attribution.errors import Unsupported
from tests.samples import sample
result = sample("arabic")
for name in export.list_formats():
    try:
        assert export.render(result, name)
    except Unsupported as error:
        assert {"png": "resvg_py", "pdf": "typst"}[name] in error.hint, (name, error)
    else:
        assert name not in ("png", "pdf")
assert result._repr_html_()
assert not {"torch", "gradio", "PIL"} & set(sys.modules)
"""
        root = Path(__file__).resolve().parents[2]
        completed = subprocess.run(
            [sys.executable, "-c", script],
            check=False,
            cwd=root,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert completed.returncode == 0, completed.stderr

    def test_refuse_an_unknown_type_and_suggest_the_nearest(self, tmp_path: Path) -> None:
        with pytest.raises(BadFile, match=r"csv.*json.*png.*svg"):
            export.save(sample("one"), tmp_path / "x.docx")
        with pytest.raises(BadFile):
            export.save(sample("one"), tmp_path / "x")

    @pytest.mark.parametrize(
        ("extension", "options"),
        [
            ("csv", {"theme": "dark"}),
            ("png", {"them": "dark"}),
            ("png", {"theme": "red"}),
            ("svg", {"width": "900"}),
            ("svg", {"width": 1}),
            ("svg", {"words": 1}),
            ("png", {"scale": True}),
            ("png", {"scale": float("nan")}),
            ("png", {"scale": 99}),
        ],
    )
    def test_refuse_a_bad_option(self, extension: str, options: dict[str, object]) -> None:
        with pytest.raises(BadOption):
            export.render(sample("one"), extension, **options)


class TestSave:
    def test_writes_what_the_name_ends_with(self, tmp_path: Path) -> None:
        path = tmp_path / "a.JSON"
        sample("english").save(path)
        assert Attribution.load(path) == sample("english")
        assert [p.name for p in tmp_path.iterdir()] == ["a.JSON"]

    def test_leaves_the_old_file_alone_when_it_fails(self, tmp_path: Path) -> None:
        path = tmp_path / "a.json"
        path.write_text("old")
        with pytest.raises(NotFinite):
            replace_fields(sample("one"), scores=np.full((1, 3), np.nan)).save(path)
        assert path.read_text() == "old"
        assert len(list(tmp_path.iterdir())) == 1

    def test_leaves_no_temporary_file_where_the_target_is_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").mkdir()
        with pytest.raises(BadFile, match="cannot be written"):
            sample("one").save(tmp_path / "a.csv")
        assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]

    @pytest.mark.parametrize("name", NAMES)
    def test_file_names_are_plain(self, name: str) -> None:
        assert re.fullmatch(r"attribution-[a-z0-9_-]+\.png", export.file_name(sample(name), "png"))

    def test_a_file_name_tells_method_and_text(self) -> None:
        assert (
            export.file_name(sample("english"), "png") == "attribution-integrated_gradients-this-movie-is.png"
        )


@pytest.mark.parametrize("name", NAMES)
def test_json_reads_back_equal(name: str, tmp_path: Path) -> None:
    content = export.render(sample(name), "json")
    assert content.isascii()
    (tmp_path / "a.json").write_bytes(content)
    assert Attribution.load(tmp_path / "a.json") == sample(name)
    json.loads(content, parse_constant=pytest.fail)


def test_json_of_an_older_version_still_loads() -> None:
    """Before pairs, contrasts and standard errors there were fewer fields."""
    data = sample("english").to_dict()
    for name in ("errors", "fit"):
        del data[name]
    del data["request"]["second"]
    for name in ("contrast", "position", "continuation"):
        del data["request"]["target"][name]
    for name in ("position", "contrast"):
        del data["outputs"][0][name]
    assert Attribution.from_dict(data) == sample("english")


def test_json_keeps_what_is_new() -> None:
    changes = {"target": ("a", 1), "contrast": "runner-up", "position": (3, 1), "continuation": " x"}
    result = sample("sampled")
    result = replace_fields(result, request=replace(result.request, **changes, second="other"))
    back = Attribution.from_dict(json.loads(export.render(result, "json")))
    assert back == result and hash(back.request) == hash(result.request)
    assert back.request.position == (3, 1) and back.fit == (0.83,)
    assert np.array_equal(back.errors, result.errors)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", KINDS)
def test_no_file_shows_a_missing_number(name: str) -> None:
    """A regression and a similarity have no probability."""
    missing = re.compile(r"\b(nan|NaN|None|null|undefined)\b")
    for extension in ("svg", "html", "csv"):
        text = export.render(sample(name), extension).decode()
        assert not missing.search(
            re.sub(r"<script.*?</script>|<style.*?</style>", "", text, flags=re.DOTALL)
        ), extension
    assert not missing.search(sample(name)._repr_html_())


def test_json_holds_half_a_surrogate_pair() -> None:
    hostile = replace_fields(sample("one"), notes=("\ud800 half",))
    assert Attribution.from_dict(json.loads(export.render(hostile, "json"))) == hostile


class TestCsv:
    @pytest.mark.parametrize("name", NAMES)
    def test_reads_back(self, name: str) -> None:
        result = sample(name)
        rows = csv_format.read(export.render(result, "csv"))
        assert len(rows) == result.scores.size
        assert np.array_equal(np.reshape([row.score for row in rows], result.scores.shape), result.scores)
        for row, token in zip(rows, result.tokens, strict=False):
            place = (row.token, row.word, row.start, row.end, row.special, row.segment)
            assert place == (token.text, token.word, token.start, token.end, token.special, token.segment)

    @unhurried
    @given(st.text())
    def test_takes_off_exactly_what_was_put_on(self, text: str) -> None:
        assert csv_format.unguard(csv_format.guard(text)) == re.sub("[\ud800-\udfff]", "\ufffd", text)

    @unhurried
    @given(st.sampled_from("=+-@\t\r\n\0＝＋－＠"), st.text(), st.integers(0, 2))
    def test_round_trip_of_hostile_cells(self, first: str, rest: str, quotes: int) -> None:
        text = "'" * quotes + first + re.sub("[\ud800-\udfff]", "", rest)
        assert csv_format.guard(text).startswith("'")
        result = replace_fields(
            sample("one"), tokens=tuple(replace(token, text=text) for token in sample("one").tokens)
        )
        assert {row.token for row in csv_format.read(csv_format.write(result))} == {text}

    def test_keeps_negative_numbers_numbers(self) -> None:
        content = export.render(sample("english"), "csv").decode("utf-8-sig")
        assert re.search(r",-0\.\d+,", content)
        assert "'-0" not in content

    def test_has_a_byte_order_mark_and_standard_line_ends(self) -> None:
        content = export.render(sample("arabic"), "csv")
        assert content.startswith(b"\xef\xbb\xbfoutput,target,token,word,score,start,end,special,segment\r\n")

    def test_has_a_column_of_errors_only_where_there_are_some(self) -> None:
        content = export.render(sample("sampled"), "csv")
        assert content.startswith(
            b"\xef\xbb\xbfoutput,target,token,word,score,start,end,special,segment,error\r\n"
        )
        assert [row.error for row in csv_format.read(content)] == sample("sampled").errors[0].tolist()  # type: ignore[index]
        assert {row.error for row in csv_format.read(export.render(sample("english"), "csv"))} == {None}

    def test_has_a_column_for_the_contrast_only_where_there_is_one(self) -> None:
        content = export.render(sample("contrast"), "csv")
        assert content.startswith(
            b"\xef\xbb\xbfoutput,target,token,word,score,start,end,special,segment,contrast\r\n"
        )
        assert {(row.target, row.contrast) for row in csv_format.read(content)} == {("positive", "negative")}
        hostile = replace_fields(
            sample("sampled"), outputs=(replace(sample("contrast").outputs[0], contrast="=1+1"),)
        )
        assert {row.contrast for row in csv_format.read(csv_format.write(hostile))} == {"=1+1"}
        assert ",'=1+1\r\n" in csv_format.write(hostile).decode()

    @pytest.mark.parametrize(
        "content", [b"", b"a,b\r\n", b"\xff\xfe", csv_format.write(sample("one")) + b"1,2\r\n"]
    )
    def test_refuses_another_file(self, content: bytes) -> None:
        with pytest.raises(BadFile):
            csv_format.read(content)


class TestCells:
    def test_sum_up_tokens_that_share_a_span(self) -> None:
        cells = build_cells(pieces(), words=False)
        assert [cell.text for cell in cells] == [
            "un",
            "believ",
            "ably",
            "مر",
            "حبا",
            "👩\u200d👩\u200d👧\u200d👦",
            "!",
        ]
        assert cells[5].scores == (pytest.approx(1.0),)
        assert cells[6].scores == (pytest.approx(-0.75),)

    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("words", [True, False])
    def test_keep_every_score(self, name: str, words: bool) -> None:
        result = sample(name)
        total = np.sum(
            [cell.scores for cell in build_cells(result, words, special=True) if cell.scores], axis=0
        )
        assert total == pytest.approx(result.scores.sum(axis=1), abs=1e-9)

    @pytest.mark.parametrize("name", NAMES)
    def test_keep_the_text(self, name: str) -> None:
        result = sample(name)
        # An explained token that stands outside the text is drawn as well.
        text = "".join(cell.text for cell in build_cells(result) if not cell.special)
        assert "".join(text.split()) == "".join(text_of(result).split())

    def test_keep_text_without_a_token(self) -> None:
        full = classification("one two three")
        part = attribution(full.text, (full.tokens[1], full.tokens[3]))
        assert [(cell.text, cell.scores is None) for cell in build_cells(part)] == [
            ("one", False),
            ("two", True),
            ("three", False),
        ]

    def test_tell_which_cells_are_visible_to_an_output(self) -> None:
        result = generation("a b", [" c", " d"], "causal")
        cells = build_cells(result)
        visible = [
            [cell.is_visible_to(i, output) for cell in cells] for i, output in enumerate(result.outputs)
        ]
        assert visible == [
            [True, True, False, False], [True, True, True, False], [True, True, True, True]]  # fmt: skip
        assert [[cell.contains(output) for cell in cells].count(True) for output in result.outputs] == [
            1,
            1,
            0,
        ]

    def test_state_the_hidden_share_and_the_residual(self) -> None:
        result = classification("good film", scores=[0.5, 0.25, -0.25, 0.0])
        lines = remarks(replace_fields(result, completeness=(Completeness(2.0, 1.0, 0.5),)), special=False)
        assert lines[0] == "Special tokens are not drawn: 50.0% of the sum of absolute scores."
        sentence = "The scores add up to 0.5; the residual of 0.5 is 50.0% of all absolute scores."
        assert f"a difference of 1. {sentence}" in lines[1]

    @pytest.mark.parametrize(
        ("value", "shown"), [(0.0, "0"), (-0.0, "0"), (-1.5, "−1.5"), (0.012345, "0.0123"), (2e-16, "0")]
    )
    def test_numbers_are_short(self, value: float, shown: str) -> None:
        assert number(value) == shown

    def test_of_a_pair_are_two_blocks(self) -> None:
        result = sample("pair")
        (first, first_cells), (second, second_cells) = blocks(result, build_cells(result))
        assert (first, second) == ("First text", "Second text")
        assert "".join(cell.text for cell in first_cells) == "".join(result.text.split())
        assert "".join(cell.text for cell in second_cells) == "".join(result.second.split())
        assert [cell.gap for cell in second_cells[:3]] == ["\n", " ", "\n"], "its own lines are kept"

    def test_sum_errors_as_words_do(self) -> None:
        result = replace_fields(pieces(), errors=np.abs(pieces().scores) / 4)
        merged = result.words()
        expected = {token.text: error for token, error in zip(merged.tokens, merged.errors[0], strict=True)}  # type: ignore[index]
        assert (
            build_cells(result)[0].error(0) == pytest.approx(expected["unbelievably"]) == pytest.approx(0.25)
        )

    def test_mark_the_explained_place_and_draw_it_even_if_special(self) -> None:
        result = sample("labelled")
        cells = build_cells(result)
        explained = [[cell.text for cell in cells if cell.contains(output)] for output in result.outputs]
        assert explained == [["This"], ["movie"]]
        result = sample("masked")
        assert [cell.text for cell in build_cells(result) if cell.contains(result.outputs[0])] == ["<mask>"]
        assert "[CLS]" not in [cell.text for cell in build_cells(result)]

    @pytest.mark.parametrize("words", [True, False])
    def test_mark_a_place_by_its_token_not_by_its_offset(self, words: bool) -> None:
        """The offsets of the second text begin at 0 again, and so do the numbers of its words."""
        result = sample("question")
        [explained] = [cell for cell in build_cells(result, words) if cell.contains(result.outputs[0])]
        assert (explained.text, explained.segment) == ("film", "second")

    def test_of_a_sequence_are_all_visible_and_none_is_explained(self) -> None:
        result = sample("sequence")
        assert all(cell.is_visible_to(0, result.outputs[0]) for cell in build_cells(result) if cell.scores)
        assert not any(cell.contains(result.outputs[0]) for cell in build_cells(result))

    def test_without_a_signal_are_pale(self) -> None:
        """Scaled to their own maximum, noise would be drawn in the full colour."""
        result = sample("noise")
        cells = build_cells(result)
        top = max(abs(cell.scores[0]) for cell in cells if cell.scores)
        assert scales(result, cells) == (pytest.approx(4 * top), [pytest.approx(4 * top)])
        assert scales(sample("sampled"), build_cells(sample("sampled")))[1] == [pytest.approx(100 * top)]

    def test_of_a_silent_output_are_pale_beside_a_loud_one(self) -> None:
        result = classification("good film", scores=[0.0, 0.4, 0.2, 0.0])
        both = replace_fields(
            result,
            outputs=result.outputs * 2,
            scores=np.array([[0.0, 0.4, 0.2, 0.0], [0.0, 0.3, 0.1, 0.0]]),
            errors=np.array([[0.0, 0.1, 0.1, 0.0], [0.0, 0.2, 0.1, 0.0]]),
            completeness=None,
        )
        assert scales(both, build_cells(both)) == (
            pytest.approx(0.4),
            [pytest.approx(0.4), pytest.approx(1.2)],
        )


class TestColour:
    @pytest.mark.parametrize("theme", THEMES)
    @pytest.mark.parametrize("signed", [True, False])
    def test_text_is_readable_on_every_cell(self, theme: str, signed: bool) -> None:
        for score in np.linspace(-1 if signed else 0, 1, 201):
            background = THEMES[theme].background(score, 1.0, signed)
            assert re.fullmatch("#[0-9a-f]{6}", background)
            assert contrast_ratio(background, text_on(background)) >= 4.5

    @pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
    def test_other_text_is_readable_on_the_page(self, theme) -> None:  # type: ignore[no-untyped-def]
        assert min(contrast_ratio(theme.page, theme.ink), contrast_ratio(theme.page, theme.muted)) >= 4.5

    def test_the_interactive_picture_has_the_same_palettes(self) -> None:
        script = (Path(export.__file__).parent / "static" / "palette.js").read_text()
        for theme in THEMES.values():
            assert all(
                stop in script
                for palette in (theme.negative, theme.positive, theme.strength)
                for stop in palette
            )


class TestOrder:
    @pytest.mark.parametrize(
        ("parts", "rtl", "order"),
        [
            (["a", " b"], False, [0, 1]),
            (["א", " ב"], True, [1, 0]),
            (["a", " א", " ב", " c"], False, [0, 2, 1, 3]),
            (["א", " Anna", " Smith", " ב", "."], True, [4, 3, 1, 2, 0]),
            (["א", " 20", "25", " ב"], True, [3, 1, 2, 0]),
            (["א", " 1", " 2"], True, [2, 1, 0]),
            (["a", " 1", " 2", "!"], False, [0, 1, 2, 3]),
        ],
    )
    def test_follows_the_annex(self, parts: list[str], rtl: bool, order: list[int]) -> None:
        assert fonts.visual_order(parts, rtl) == order

    @unhurried
    @given(st.lists(st.text(min_size=1, max_size=5), max_size=8), st.booleans())
    def test_is_a_permutation(self, parts: list[str], rtl: bool) -> None:
        assert sorted(fonts.visual_order(parts, rtl)) == list(range(len(parts)))

    @unhurried
    @given(st.text(max_size=60), st.integers(8, 40))
    def test_lines_keep_the_text_and_the_width(self, text: str, width: int) -> None:
        lines = layout.wrap_text(text, width)
        assert "".join("".join(lines).split()) == "".join(text.split())

    @unhurried
    @given(st.text(max_size=60))
    def test_runs_keep_the_text(self, text: str) -> None:
        assert "".join(run.text for run in fonts.split_runs(text)) == text


class TestSvg:
    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("theme", THEMES)
    def test_holds_the_text_and_fits(self, name: str, theme: str) -> None:
        result = sample(name)
        root = ElementTree.fromstring(export.render(result, "svg", theme=theme))
        text = "".join(node.text or "" for node in heat(export.render(result, "svg", theme=theme)))
        expected = (text_of(result) + "<mask>" * (name == "masked")) * len(result.outputs)
        assert letters(text) == letters(expected.replace("\ufffe", ""))
        width, height = int(root.get("width", 0)), int(root.get("height", 0))
        for box in root.iter(f"{SVG}rect"):
            assert float(box.get("x", 0)) + float(box.get("width", 0)) <= width + 0.1
            assert float(box.get("y", 0)) + float(box.get("height", 0)) <= height
        assert {node.tag for node in root.iter()} <= {
            f"{SVG}{tag}" for tag in ("svg", "rect", "text", "path", "title")
        }

    def test_colours_by_sign_and_size(self) -> None:
        result = classification("good bad", scores=[0.0, 2.0, -2.0, 0.0])
        root = ElementTree.fromstring(export.render(result, "svg"))
        fills = [box.get("fill") for box in root.iter(f"{SVG}rect") if len(box)]
        assert fills == [THEMES["light"].positive[-1], THEMES["light"].negative[-1]]
        dashes = [line.get("stroke-dasharray") for line in root.iter(f"{SVG}path")]
        assert dashes == [None, "4 3"]

    def test_lays_hebrew_out_from_the_right(self) -> None:
        places = {node.text: float(node.get("x", 0)) for node in heat(export.render(sample("hebrew"), "svg"))}
        assert places["הסרט"] > places["הזה"] > places["Smith"] > places["Anna"] > places["."]

    @unhurried
    @given(st.text(min_size=1, max_size=40).filter(str.strip))
    def test_is_well_formed_whatever_the_text(self, text: str) -> None:
        ElementTree.fromstring(svg.write(classification(text)))

    def test_names_both_texts_of_a_pair_and_parts_them(self) -> None:
        root = ElementTree.fromstring(export.render(sample("pair"), "svg"))
        lines = {node.text: float(node.get("y", 0)) for node in root.iter(f"{SVG}text")}
        [line] = [
            node for node in root.iter(f"{SVG}path") if f"h{900 - 2 * canvas.MARGIN:.1f}" in node.get("d", "")
        ]
        between = float(line.get("d", "").split()[1].split("h")[0])
        assert lines["First text"] < lines["This"] < between < lines["Second text"] < lines["fun"]

    def test_outlines_the_explained_place(self) -> None:
        root = ElementTree.fromstring(export.render(sample("labelled"), "svg"))
        frames = [
            (box.get("x"), box.get("y")) for box in root.iter(f"{SVG}rect") if box.get("fill") == "none"
        ]
        cells_at = {box[0].text.split(":")[0]: box.get("x") for box in root.iter(f"{SVG}rect") if len(box)}  # type: ignore[union-attr]
        assert [x for x, _ in frames] == [cells_at["This"], cells_at["movie"]]
        assert float(frames[0][1] or 0) < float(frames[1][1] or 0)

    def test_dots_scores_not_distinguishable_from_0(self) -> None:
        result = classification("good film", scores=[0.0, 0.5, 0.5, 0.0])
        result = replace_fields(result, errors=np.array([[0.0, 0.1, 0.3, 0.0]]), completeness=None)
        root = ElementTree.fromstring(export.render(result, "svg"))
        assert [line.get("stroke-dasharray") for line in root.iter(f"{SVG}path")] == [None, "1.6 2.4"]
        assert [node.text for node in root.iter(f"{SVG}title")] == ["good: 0.5 ± 0.196", "film: 0.5 ± 0.588"]
        text = " ".join(node.text or "" for node in root.iter(f"{SVG}text"))
        assert "dotted line marks" in text

    def test_says_contrast_fit_and_no_signal(self) -> None:
        assert (
            "target positive rather than negative (difference of logit 2.5)"
            in export.render(sample("contrast"), "svg").decode()
        )
        root = ElementTree.fromstring(export.render(sample("noise"), "svg"))
        # A line may be several runs, each in its font.
        text = "".join("".join(node.text or "" for node in root.iter(f"{SVG}text")).split())
        assert "R²0.2:thelinearmodelexplains20.0%of" in text and "Nosignal:noscoreisdistinguishable" in text

    def test_shows_special_tokens_on_request(self) -> None:
        assert "[CLS]" in [node.text for node in heat(export.render(sample("one"), "svg", special=True))]
        assert "[CLS]" not in [node.text for node in heat(export.render(sample("one"), "svg"))]


def picture(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


class TestPng:
    @pytest.mark.parametrize("name", QUICK)
    def test_is_a_picture_of_the_cells(self, name: str) -> None:
        result = sample(name)
        pixels = picture(export.render(result, "png", scale=1.0))
        root = ElementTree.fromstring(export.render(result, "svg"))
        assert pixels.shape[:2] == (int(root.get("height", 0)), int(root.get("width", 0)))
        for box in (box for box in root.iter(f"{SVG}rect") if len(box)):
            x, y, wide = (float(box.get(key, 0)) for key in ("x", "y", "width"))
            # Just inside the left border, half way down: no letter is there.
            colour = "#" + "".join(f"{c:02x}" for c in pixels[int(y) + 16, int(x) + 2])
            assert wide < 6 or colour == box.get("fill")

    def test_has_twice_the_pixels_by_default(self) -> None:
        assert picture(export.render(sample("one"), "png")).shape[1] == 1800

    def test_a_long_text_gets_a_lower_scale(self) -> None:
        pixels = picture(export.render(sample("long"), "png", width=360))
        assert 360 <= pixels.shape[1] < 720
        assert pixels.shape[0] <= DEFAULTS.max_image_pixels

    def test_refuses_a_longer_picture_with_advice(self) -> None:
        with pytest.raises(TooLong, match=r"8,192.*\.svg"):
            export.render(classification("word " * 4000), "png")

    def test_needs_no_system_font(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import resvg_py

        draw = resvg_py.svg_to_bytes
        monkeypatch.setattr(
            resvg_py, "svg_to_bytes", lambda **options: draw(**options, skip_system_fonts=True)
        )
        assert fonts.dejavu_files(), "matplotlib brings DejaVu Sans along"
        pixels = picture(export.render(sample("english"), "png", scale=1.0))
        assert (pixels[28:55, 28:180].max(axis=2) < 90).sum() > 200, "the title is dark on white"

    def test_outlives_a_panic_of_the_renderer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import resvg_py

        panic = type("PanicException", (BaseException,), {})
        draw = resvg_py.svg_to_bytes

        def fragile(**options: object) -> bytes:
            if "\u0301" in str(options["svg_string"]):
                raise panic("removal index")
            return draw(**options)

        monkeypatch.setattr(resvg_py, "svg_to_bytes", fragile)
        assert picture(export.render(classification("x\u0301y"), "png")).any()
        monkeypatch.setattr(resvg_py, "svg_to_bytes", lambda **_: (_ for _ in ()).throw(panic("always")))
        with pytest.raises(Unsupported):
            export.render(sample("one"), "png")

    def test_says_which_package_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "resvg_py", None)
        with pytest.raises(Unsupported, match="pip install resvg_py"):
            png.write(sample("one"))


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert {name for name, _ in attrs} <= {"style", "title", "dir"}

    def handle_data(self, data: str) -> None:
        self.text += data


class TestNotebook:
    @pytest.mark.parametrize("name", NAMES)
    def test_is_static_and_holds_the_text(self, name: str) -> None:
        reader = Reader()
        markup = sample(name)._repr_html_()
        reader.feed(markup)
        assert set(reader.tags) == {"div", "span"}
        if name != "masked":  # where a token stands outside the text
            for text in (sample(name).text, sample(name).second):
                assert "".join(text.split()).replace("\ufffe", "") in "".join(reader.text.split()).replace(
                    "\ufffe", ""
                )
        assert "".join(TEXTS.get(name, "").split()) in "".join(reader.text.split())
        markup.encode()
