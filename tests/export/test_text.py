"""LaTeX, Markdown and the terminal: small readers parse the output, which must show exactly the text."""

from __future__ import annotations

import re
import shutil
import subprocess
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from attribution import export
from attribution.export import latex, markdown
from attribution.export.drawing import terminal
from attribution.export.drawing.cells import build_cells, remarks
from attribution.export.drawing.colour import THEMES, contrast_ratio
from attribution.export.writing.captions import replace_controls, show_invisible
from attribution.sentences import number
from attribution.types import Attribution
from tests.samples import NAMES, classification, methods, sample

unhurried = settings(deadline=None, max_examples=60)
HOSTILE = {
    "specials": r"\ { } % $ & # _ ~ ^ \end{document} \input{x} ^^M %x $$ --- `` '' ,, ?` !` << >> | \" "
    r"@ [a] * \\ ~~a~~ **b**",
    "markdown": "| a \\| b | `c` ``d`` <b>e</b> &amp; &#65; [f](g) ![h](i) http://j.de/k_l_m *n* _o_ # p\n"
    "- q\n\n---\n> r",
    "controls": "a\0b \x7f c\x1b[31m \x9b2J d\u2028e \u202ef\u202c \x1b]0;title\x07",
    "latin": "Ça coûte 5 € à Łódź; naïve Straße “x” – y… ½ µ ©",
}
SAMPLES = {name: sample(name) for name in NAMES if name != "long"} | {
    name: classification(t) for name, t in HOSTILE.items()
}


class Tex:
    """A small reader of LaTeX boxes and texts, which fails on what TeX would not print literally."""

    CHARACTERS: ClassVar = {
        "textbackslash": "\\", "textasciitilde": "~", "textasciicircum": "^", "textless": "<",
        "textgreater": ">", "textbar": "|", "textasciigrave": "`", "rule": "\ufffd",
        "textperiodcentered": "·", "textbullet": "•", "dots": "…", "textendash": "–",
        "textemdash": "—", "textquoteleft": "‘", "textquoteright": "’", "textquotedblleft": "“",
        "textquotedblright": "”", "textvisiblespace": "␣", "hookleftarrow": "↵", "mapsto": "⇥",
        "rightarrow": "→", "pm": "±", "times": "×", "approx": "≈", "leq": "≤", "geq": "≥",
    }  # fmt: skip
    QUIET: ClassVar = {"par", "smallskip", "bigskip", "bfseries", "footnotesize", "endgroup"}

    def __init__(self, source: str) -> None:
        head, self.rest = re.split(r"(?m)^\\def\\framed.*\n", source)
        assert head.count("{") == head.count("}")
        assert all(line.startswith("% ") for line in head.split("\\par\\begingroup")[0].splitlines())
        self.place = 0
        self.boxes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.printed = self.text("")
        assert self.place == len(self.rest), "a brace too many"

    def text(self, end: str) -> str:
        """What is printed up to the closing ``end``."""
        pieces = []
        while self.place < len(self.rest):
            character = self.rest[self.place]
            self.place += 1
            if character == end:
                return "".join(pieces)
            assert character not in "}$&#^_" and (
                character == "\n" or unicodedata.category(character) not in ("Cc", "Cs")
            )
            if character == "{":
                pieces.append(self.text("}"))
            elif character == "%":
                self.place = self.rest.index("\n", self.place) + 1
            elif character == "~":
                pieces.append("\u00a0")
            else:
                pieces.append(self.command() if character == "\\" else character)
        assert end == "", "a brace too few"
        return "".join(pieces)

    def argument(self) -> str:
        assert self.rest[self.place] == "{"
        self.place += 1
        return self.text("}")

    def raw(self) -> str:
        match = re.compile(r"\{((?:\\[a-z]+\{[^{}]*\}|[^{}])*)\}|\[HTML\]|").match(self.rest, self.place)
        assert match
        self.place = match.end()
        return match[1] or ""

    def command(self) -> str:
        match = re.compile(r"[A-Za-z]+|[\s\S]").match(self.rest, self.place)
        assert match
        name, self.place = match[0], match.end()
        if name == "scored":
            fill, ink, line = self.raw(), self.raw(), self.raw()
            assert re.fullmatch(r"\\hfil|\\dotted|\\(solid|dashed)\{[0-9.]+pt\}", line)
            text = self.argument()
            self.boxes.append((fill, ink, text))
            self.words.append(text)
            return text
        if name == "color":
            self.raw()
            assert re.fullmatch("[0-9A-F]{6}", self.raw())
            return ""
        if name == "framed":
            return self.argument()
        if name == "ensuremath":
            inner = self.raw()
            return {"-": "−", "^2": "²", "_0": "₀"}.get(inner) or self.CHARACTERS[inner.removeprefix("\\")]
        if name == "rule":
            assert (self.raw(), self.raw()) == ("0.4em", "0.6em")
            return "\ufffd"
        if name in ("kern", "penalty", "char"):
            place = re.compile(r"0pt|100|34").match(self.rest, self.place)
            assert place
            self.place = place.end()
            return '"' if name == "char" else ""
        if name in self.CHARACTERS:
            assert self.raw() == ""
            return self.CHARACTERS[name]
        if name in self.QUIET:
            return ""
        assert name in ("{", "}", "%", "$", "&", "#", "_", "-", "\\"), name
        return {"-": "\u00ad", "\\": "\n"}.get(name, name)


def without_spaces(text: str) -> str:
    return "".join(replace_controls(text).split())


class TestLatex:
    @pytest.mark.parametrize("name", SAMPLES)
    def test_prints_every_word_in_its_colour(self, name: str) -> None:
        result = SAMPLES[name]
        read = Tex(latex.write(result).decode())
        drawn = build_cells(result)
        expected = [
            c.text
            for i, o in enumerate(result.outputs)
            for c in drawn
            if c.scores is not None and c.is_visible_to(i, o)
        ]
        assert without_spaces("".join(read.words)) == without_spaces("".join(map(show_invisible, expected)))
        for fill, ink, _ in read.boxes:
            assert contrast_ratio(f"#{fill.lower()}", f"#{ink.lower()}") >= 4.5
        for line in remarks(result, special=False):
            assert without_spaces(line) in without_spaces(read.printed)

    def test_prints_several_results_after_each_other(self) -> None:
        read = Tex(latex.write(*methods("good bad film")).decode())
        assert read.words == ["good", "bad", "film"] * 4
        assert re.search(
            "Integrated gradients .* Occlusion .* Saliency .* Attention ", " ".join(read.printed.split())
        )

    def test_has_the_colours_of_the_pictures(self) -> None:
        read = Tex(latex.write(classification("good bad", scores=[0, 2.0, -1.0, 0])).decode())
        theme = THEMES["light"]
        assert [fill for fill, _, _ in read.boxes] == [
            theme.background(s, 2.0, True)[1:].upper() for s in (2.0, -1.0)
        ]

    def test_gives_each_output_its_caption_and_residual(self) -> None:
        printed = Tex(latex.write(sample("classes")).decode()).printed
        assert re.search(
            "1 · joy.*no residual.*2 · anger.*no residual.*3 · fear.*no residual", printed, re.DOTALL
        )
        assert "residual 0.01" in Tex(latex.write(sample("english")).decode()).printed

    @pytest.mark.parametrize(
        ("name", "expected"),
        [("english", None), ("latin", "T1"), ("arabic", "right to left"), ("chinese", "LuaLaTeX")],
    )
    def test_says_what_it_needs(self, name: str, expected: str | None) -> None:
        comment = [line for line in latex.write(SAMPLES[name]).decode().splitlines() if line.startswith("% ")]
        assert r"\usepackage{xcolor}" in comment[1]
        if expected:
            assert expected in " ".join(comment)
        else:
            assert "LuaLaTeX" not in " ".join(comment) and "T1" not in " ".join(comment)

    @given(st.text(max_size=40))
    @unhurried
    def test_escapes_any_text(self, text: str) -> None:
        source = f"\\def\\framed\n{latex.escape(text)}"
        cleaned = replace_controls(text).replace("\u00a0", "\ue000")
        assert Tex(source).printed == " ".join(cleaned.split()).replace("\ue000", "\u00a0")

    def test_cuts_what_tex_cannot_break(self) -> None:
        assert (
            max(len(text) for _, _, text in Tex(latex.write(sample("unbroken")).decode()).boxes)
            == latex.LONGEST
        )

    @pytest.mark.parametrize(
        "name",
        [
            "english",
            "causal",
            "question",
            "specials",
            "controls",
            "latin",
            "lines",
            "arabic",
            "emoji",
            "several",
        ],
    )
    def test_compiles(self, name: str, tmp_path: Path) -> None:
        source = latex.write(*methods() if name == "several" else [SAMPLES[name]]).decode()
        engine = shutil.which("lualatex" if "LuaLaTeX" in source else "pdflatex") or shutil.which("tectonic")
        if engine is None:
            pytest.skip("no TeX engine that can print this text is installed")
        packages = r"\usepackage[T1]{fontenc}" if "T1" in source.split("\\begingroup")[0] else ""
        preamble = f"\\documentclass{{article}}{packages}\\usepackage{{xcolor}}"
        document = f"{preamble}\\begin{{document}}Before.\n{source}After.\\end{{document}}\n"
        (tmp_path / "a.tex").write_text(document, encoding="utf-8")
        flags = [] if engine.endswith("tectonic") else ["-interaction=nonstopmode", "-halt-on-error"]
        completed = subprocess.run(
            [engine, *flags, "a.tex"], check=False, cwd=tmp_path, capture_output=True, timeout=300
        )
        assert completed.returncode == 0, completed.stdout[-2000:]
        assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
        assert b"Overfull" not in completed.stdout


def rendered(content: str) -> tuple[list[str], list[list[str]]]:
    """The inline texts outside tables, and the rows of all tables, as a CommonMark renderer shows them."""
    outside: list[str] = []
    rows: list[list[str]] = []
    row = False
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(content):
        if token.type in ("tr_open", "tr_close"):
            row = token.type == "tr_open"
            rows += [[]] if row else []
        elif token.type == "inline":
            kinds = {child.type for child in token.children or []}
            assert kinds <= ({"text"} if row else {"text", "strong_open", "strong_close"}), (
                kinds,
                token.content,
            )
            shown = "".join(child.content for child in token.children or [])
            (rows[-1] if row else outside).append(shown)
        else:
            assert token.type.split("_")[0] in (
                "heading",
                "bullet",
                "list",
                "paragraph",
                "table",
                "thead",
                "tbody",
                "th",
                "td",
            ), token.type
    return outside, rows


class TestMarkdown:
    def test_shows_several_results_each_under_its_head(self) -> None:
        outside, rows = rendered(markdown.write(*methods("good film")).decode())
        heads = [line for line in outside if line.startswith("Attribution Visualization Tool:")]
        assert [head.split(": ")[1] for head in heads] == [
            "Integrated gradients", "Occlusion", "Saliency", "Attention"]  # fmt: skip
        assert [row[0] for row in rows] == ["word", "[CLS]", "good", "film", "[SEP]"] * 4

    @pytest.mark.parametrize("words", [True, False])
    @pytest.mark.parametrize("name", SAMPLES)
    def test_shows_exactly_the_tokens_and_scores(self, name: str, words: bool) -> None:
        result = SAMPLES[name]
        outside, rows = rendered(export.render(result, "md", words=words).decode())
        shown = result.words() if words else result
        body = [
            row
            for row in rows
            if row[0] not in ("word", "token") or row[-1] not in ("rank", "standard error")
        ]
        assert len(body) == len(result.outputs) * len(shown.tokens)
        place = 2 if result.second or "text" in rows[0] else 1
        for k, row in enumerate(body):
            i, j = divmod(k, len(shown.tokens))
            assert row[0] == replace_controls(shown.tokens[j].text)
            assert row[place] == number(float(shown.scores[i, j]))
        for note in result.notes:
            assert f"Note: {note}" in outside

    def test_ranks_by_strength_and_shares_add_up(self) -> None:
        _, rows = rendered(markdown.write(classification("a b c", scores=[0, 1.0, -3.0, 0.0, 0])).decode())
        assert [row[2:] for row in rows[1:]] == [
            ["0.0%", ""],
            ["25.0%", "2"],
            ["75.0%", "1"],
            ["0.0%", "3"],
            ["0.0%", ""],
        ]

    def test_has_standard_errors_where_there_are_some(self) -> None:
        result = sample("sampled")
        _, rows = rendered(markdown.write(result).decode())
        assert rows[0][-1] == "standard error"
        assert result.errors is not None and rows[2][-1] == number(float(result.errors[0, 1]))
        _, without = rendered(markdown.write(sample("english")).decode())
        assert without[0] == ["word", "score", "share", "rank"]

    @given(st.text(max_size=40))
    @unhurried
    def test_escapes_any_text(self, text: str) -> None:
        _, rows = rendered(f"| a | b |\n| --- | --- |\n| {markdown.escape(text)} | end |\n")
        assert rows[1] == [replace_controls(text), "end"]

    def test_the_source_holds_no_control_and_no_turn_of_direction(self) -> None:
        for name in ("controls", "control"):
            source = markdown.write(SAMPLES[name]).decode()
            assert not re.search("[\0-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]", source)


SGR = re.compile(r"\x1b\[[0-9;]*m")


class TestTerminal:
    @pytest.mark.parametrize("colours", ["none", "256", "full"])
    @pytest.mark.parametrize("name", SAMPLES)
    def test_no_text_acts_on_the_terminal(self, name: str, colours: terminal.Colours) -> None:
        hostile = replace(SAMPLES[name], notes=("\x1b[2J\x9b31m\u202e\r\n\x07note",), unit="lo\x1bgit")
        drawn = terminal.draw(hostile, colours=colours)
        plain = SGR.sub("", drawn) if colours != "none" else drawn
        assert not re.search(
            "[\0-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]", plain
        )
        assert colours == "none" or len(SGR.findall(drawn)) % 2 == 0
        assert colours == "none" or not [s for s in SGR.findall(drawn)[1::2] if s != "\x1b[0m"]

    @pytest.mark.parametrize(
        "name", ["english", "arabic", "hebrew", "hindi", "chinese", "thai", "emoji", "lines", "pair"]
    )
    def test_letters_stay_in_their_order(self, name: str) -> None:
        result = sample(name)
        drawn = SGR.sub("", terminal.draw(result, colours="full", width=40))
        assert without_spaces(result.text) in without_spaces(drawn)
        listed = terminal.draw(result)
        for cell in build_cells(result):
            if cell.scores:
                assert re.search(rf"(?m)^ +\+?{number(cell.scores[0])}  {re.escape(cell.text)}$", listed)

    @pytest.mark.parametrize("name", ["english", "chinese", "emoji", "arabic"])
    def test_lines_fit(self, name: str) -> None:
        lines = SGR.sub("", terminal.draw(sample(name), colours="256", width=30)).splitlines()
        heat = lines[3 : next(k for k, line in enumerate(lines) if line.startswith("Strongest"))]
        assert len(heat) > 1 and all(terminal.count_columns(line) <= 30 for line in heat)

    def test_a_second_channel_says_what_the_colour_says(self) -> None:
        drawn = terminal.draw(classification("good bad weak", scores=[0, 1.0, -1.0, 0.1, 0]), colours="full")
        assert re.search(
            r"\x1b\[1;48;2;[\d;]+mgood\x1b\[0m \x1b\[4;48;2;[\d;]+mbad\x1b\[0m "
            r"\x1b\[48;2;[\d;]+mweak\x1b\[0m",
            drawn,
        )

    def test_marks_scores_not_distinguishable_from_zero(self) -> None:
        assert re.search(r"(?m)^ +−0\.0931 ± 0\.202 ~  is$", terminal.draw(sample("sampled")))
        assert "(~) marks" in terminal.draw(sample("sampled"))
        assert re.search(r"\x1b\[3;48;2;[\d;]+mis\x1b", terminal.draw(sample("sampled"), colours="full"))

    @pytest.mark.parametrize(
        ("environment", "is_terminal", "expected"),
        [
            ({"TERM": "xterm", "COLORTERM": "truecolor"}, True, "full"),
            ({"TERM": "xterm"}, True, "256"),
            ({"TERM": "xterm", "COLORTERM": "truecolor", "NO_COLOR": "1"}, True, "none"),
            ({"TERM": "xterm", "COLORTERM": "truecolor"}, False, "none"),
            ({"TERM": "dumb"}, True, "none"),
            ({}, True, "none"),
        ],
    )
    def test_takes_the_colours_that_the_terminal_names(
        self, environment: dict[str, str], is_terminal: bool, expected: str
    ) -> None:
        assert terminal.detect_colours(environment, is_terminal) == expected

    def test_256_colours_are_near_and_readable(self) -> None:
        assert terminal.nearest_256("#ffffff") == 231 and terminal.nearest_256("#ff0000") == 196
        assert terminal.hex_256(terminal.nearest_256("#8a8a8a")) == "#8a8a8a"

    def test_is_no_file_type(self) -> None:
        assert not {"terminal", "code", "lines"} & export.list_formats().keys()


def test_the_file_types_are_registered() -> None:
    options = export.list_formats()["tex"].options()
    assert [(option.name, option.default) for option in options] == [("words", True), ("special", False)]
    assert export.list_formats()["md"].media_type.startswith("text/markdown")


@pytest.mark.parametrize("kind", ["tex", "md"])
def test_files_are_written(kind: str, tmp_path: Path) -> None:
    result: Attribution = sample("english")
    result.save(tmp_path / f"a.{kind}")
    assert (tmp_path / f"a.{kind}").read_bytes() == export.render(result, kind)
