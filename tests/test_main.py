"""The command line: its output, its exit codes, and that no text can control the terminal."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import attribution
from attribution import export, list_methods
from attribution.__main__ import main
from attribution.commands.explain import formats
from attribution.errors import DeadlineExceeded
from attribution.export.json import read
from attribution.types import Attribution
from tests.samples import classification, sample

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The calls of ``attribute``, which returns a hand-made result."""
    recorded: list[dict[str, Any]] = []

    def attribute(**arguments: Any) -> Attribution:
        recorded.append(arguments)
        return sample("sampled")

    monkeypatch.setattr(attribution, "attribute", attribute)
    return recorded


class Terminal(io.TextIOWrapper):
    """A standard output that is a terminal."""

    def __init__(self, encoding: str = "utf-8") -> None:
        super().__init__(io.BytesIO(), encoding=encoding, newline="")

    def isatty(self) -> bool:
        return True

    def content(self) -> str:
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)  # type: ignore[attr-defined]


def standard_input(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))


class TestBeside:
    def test_other_methods_have_the_same_request_and_their_own_defaults(
        self, calls: list[dict[str, Any]]
    ) -> None:
        line = "--method lime --option samples=300 --target a --beside saliency occlusion"
        assert main(["A text", *line.split()], {}) == 0
        assert [call["method"] for call in calls] == ["lime", "saliency", "occlusion"]
        assert [call["options"] for call in calls] == [{"samples": 300}, None, None]
        assert {call["target"] for call in calls} == {"a"}

    def test_they_are_saved_in_the_same_file(self, calls: list[dict[str, Any]], tmp_path: Path) -> None:
        assert main(["A text", "--beside", "saliency", "--output", str(tmp_path / "two.json")], {}) == 0
        assert len(read((tmp_path / "two.json").read_bytes())) == 2

    def test_they_follow_each_other_on_a_terminal(
        self, calls: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["A text", "--beside", "saliency"], {}) == 0
        two = capsys.readouterr().out
        assert main(["A text"], {}) == 0
        assert two.count(capsys.readouterr().out.splitlines()[0]) == 2

    def test_an_unknown_method_is_refused_before_anything_is_computed(
        self, calls: list[dict[str, Any]]
    ) -> None:
        assert main(["A text", "--beside", "saliency", "magic"], {}) == 2
        assert calls == []


class TestRequest:
    def test_passes_on_all_fields(self, calls: list[dict[str, Any]]) -> None:
        line = "--model m --method lime --target a --target b --second s --contrast c --position 0,2"
        line += " --continuation d --quantity probability --max-new-tokens 5 --task sentiment"
        line += " --option samples=300 --option hide=delete"
        assert main(["A text", *line.split()], {}) == 0
        assert calls == [
            {
                "text": "A text",
                "model": "m",
                "method": "lime",
                "target": ["a", "b"],
                "second": "s",
                "contrast": "c",
                "position": (0, 2),
                "continuation": "d",
                "quantity": "probability",
                "max_new_tokens": 5,
                "task": "sentiment",
                "revision": None,
                "options": {"samples": 300, "hide": "delete"},
            }
        ]

    @pytest.mark.parametrize(
        ("arguments", "name", "expected"),
        [
            (["--target", "1"], "target", "1"),
            (["--position", "3"], "position", 3),
            (["--position", "sequence"], "position", "sequence"),
            ([], "target", None),
        ],
    )
    def test_a_single_value_is_not_a_list(
        self, calls: list[dict[str, Any]], arguments: list[str], name: str, expected: object
    ) -> None:
        assert main(["x", *arguments], {}) == 0
        assert calls[0][name] == expected

    @pytest.mark.parametrize(
        ("content", "text"),
        [
            (b"two\nlines\r\n", "two\nlines"),
            ("电影\n".encode(), "电影"),
            (b"bad \xff byte", "bad \ufffd byte"),
            (b"two breaks\n\n", "two breaks\n"),
        ],
    )
    def test_reads_standard_input(
        self, calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, content: bytes, text: str
    ) -> None:
        standard_input(monkeypatch, content)
        assert main(["-"], {}) == 0
        assert calls[0]["text"] == text


class TestRefusal:
    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            ([], "no text"),
            (["x", "--method", "limee"], "Did you mean 'lime'?"),
            (["x", "--option", "steps"], "NAME=VALUE"),
            (["x", "--option", "stepz=3"], "Did you mean 'steps'?"),
            (["x", "--option", "steps=many"], "whole number"),
            (["x", "--position", "1,b"], "position is"),
            (["x", "--format", "latec"], "Did you mean 'latex'?"),
            (["x", "--output", "a.docx"], "no format 'docx'"),
            (["x", "--track", "mlfow"], "Did you mean 'mlflow'?"),
            (["x", "--track", "mlflow", "--track-option", "url=x"], "Did you mean 'uri'?"),
        ],
    )
    def test_is_a_single_line_and_code_2(
        self,
        calls: list[dict[str, Any]],
        capsys: pytest.CaptureFixture[str],
        arguments: list[str],
        expected: str,
    ) -> None:
        assert main(arguments, {}) == 2
        out, err = capsys.readouterr()
        assert (out, calls) == ("", [])
        assert err.startswith("error: ") and err.count("\n") == 1 and expected in err

    @pytest.mark.parametrize(
        "arguments", [["x", "--words", "--tokens"], ["x", "--nonsense"], ["x", "--max-new-tokens", "a"]]
    )
    def test_of_bad_arguments_is_code_2(
        self, arguments: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as exit_info:
            main(arguments, {})
        assert exit_info.value.code == 2 and capsys.readouterr().out == ""

    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (DeadlineExceeded("Too\nlong \x1b[2J."), 1),
            (OSError(28, "No space left"), 1),
            (RuntimeError("odd"), 1),
            (KeyboardInterrupt(), 130),
        ],
    )
    def test_of_anything_else_is_another_code(
        self,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        error: BaseException,
        code: int,
    ) -> None:
        def attribute(**_: Any) -> Attribution:
            raise error

        monkeypatch.setattr(attribution, "attribute", attribute)
        assert main(["x"], {}) == code
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 1 and "\x1b" not in err

    def test_an_unwritable_file_is_code_1(
        self, calls: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["x", "--output", str(tmp_path / "none" / "a.json")], {}) == 1
        assert "No such file" in capsys.readouterr().err


class TestAnswer:
    def test_is_plain_text_with_numbers_in_a_pipe(
        self, calls: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["x"], {"TERM": "xterm", "COLORTERM": "truecolor"}) == 0
        out, err = capsys.readouterr()
        assert err == "" and "\x1b" not in out
        assert re.search(r"(?m)^ +−0\.916 ± 0\.199  movie$", out)
        for needed in (
            "positive 93.0%",
            "Integrated gradients · target positive",
            "esidual",
            "The baseline is the padding token.",
        ):
            assert needed in out

    @pytest.mark.parametrize(
        ("environment", "expected"),
        [
            ({"TERM": "xterm", "COLORTERM": "truecolor"}, "48;2;"),
            ({"TERM": "xterm"}, "48;5;"),
            ({"TERM": "xterm", "NO_COLOR": "1"}, ""),
        ],
    )
    def test_is_coloured_on_a_terminal(
        self,
        calls: list[dict[str, Any]],
        monkeypatch: pytest.MonkeyPatch,
        environment: dict[str, str],
        expected: str,
    ) -> None:
        monkeypatch.setattr(sys, "stdout", screen := Terminal())
        assert main(["x"], environment) == 0
        assert (expected in screen.content()) if expected else ("\x1b" not in screen.content())

    def test_fits_any_encoding(self, calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stdout", screen := Terminal("ascii"))
        assert main(["x"], {}) == 0
        assert "movie" in screen.content() and "?0.916" in screen.content()

    @pytest.mark.parametrize("kind", sorted(formats()))
    def test_is_the_file_in_a_pipe(
        self, calls: list[dict[str, Any]], capfdbinary: Any, monkeypatch: pytest.MonkeyPatch, kind: str
    ) -> None:
        stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        monkeypatch.setattr(sys, "stdout", stream)
        assert main(["x", "--format", kind], {}) == 0
        assert stream.buffer.getvalue() == formats()[kind].write(sample("sampled"))

    @pytest.mark.parametrize("kind", [*sorted(export.list_formats()), "txt"])
    def test_is_written_to_a_file(
        self, calls: list[dict[str, Any]], capsys: pytest.CaptureFixture[str], tmp_path: Path, kind: str
    ) -> None:
        path = tmp_path / f"a.{kind}"
        options = ["--format", "terminal"] if kind == "txt" else []
        assert main(["x", "--output", str(path), *options], {"TERM": "xterm"}) == 0
        assert capsys.readouterr() == ("", "")
        if kind == "txt":
            assert "−0.916 ± 0.199  movie" in path.read_text(encoding="utf-8")
        else:
            assert path.read_bytes() == export.render(sample("sampled"), kind)

    def test_words_or_tokens(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(attribution, "attribute", lambda **_: sample("pieces"))
        for arguments, word, token in (
            ([], True, False),
            (["--words"], True, False),
            (["--tokens"], False, True),
        ):
            assert main(["x", *arguments], {}) == 0
            lines = capsys.readouterr().out
            assert (
                bool(re.search(r"(?m)  unbelievably$", lines)) == word
                and bool(re.search(r"(?m)  un$", lines)) == token
            )
        for kind in ("json", "md", "csv"):
            assert main(["x", "--words", "--format", kind], {}) == 0
            assert "unbelievably" in capsys.readouterr().out.split("notes")[0]

    def test_a_picture_does_not_go_to_a_terminal(
        self, calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(sys, "stdout", screen := Terminal())
        assert main(["x", "--format", "png"], {}) == 2
        assert screen.content() == "" and calls == [] and "--output" in capsys.readouterr().err

    @pytest.mark.parametrize("kind", ["terminal", "csv", "svg", "html", "md", "tex", "json"])
    def test_no_text_acts_on_the_terminal(self, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
        hostile = classification("a \x9b2J \x1b]0;title\x07 b \x7f \u202ec\u202c \x85 d")
        monkeypatch.setattr(attribution, "attribute", lambda **_: hostile)
        monkeypatch.setattr(sys, "stdout", screen := Terminal())
        assert main(["x", "--format", kind], {"TERM": "xterm"}) == 0
        plain = re.sub(r"\x1b\[[0-9;]*m", "", screen.content()) if kind == "terminal" else screen.content()
        assert not re.search("[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", plain)


def test_methods_and_their_options_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list-methods"], {}) == 0
    out = capsys.readouterr().out
    for method in list_methods().values():
        assert f"{method.name}: {method.summary}" in out
        for option in method.options:
            assert f"--option {option.name}={json.dumps(option.default)}" in out


def test_models_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list-models"], {}) == 0
    assert "bundled/sst2-minilm (classification, available offline)" in capsys.readouterr().out


def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "PYTHONUTF8": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "attribution", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        timeout=300,
        check=False,
        **options,
    )


def test_a_model_answers_and_nothing_else_is_printed() -> None:
    done = run(
        "-", "--method", "saliency", "--target", "1", "--format", "json", input=b"This movie is fantastic!\n"
    )
    assert (done.returncode, done.stderr) == (0, b"")
    result = Attribution.from_dict(json.loads(done.stdout))
    assert (result.text, result.outputs[0].text, result.method) == (
        "This movie is fantastic!",
        "positive",
        "saliency",
    )


def test_a_model_is_estimated() -> None:
    done = run("What a waste.", "--method", "shapley", "--option", "permutations=50", "--estimate")
    assert (done.returncode, done.stderr) == (0, b"")
    assert re.search(rb"\bs\b.*B\b", done.stdout) and done.stdout.count(b"\n") == 1


def test_an_unknown_target_is_a_single_line() -> None:
    done = run("What a waste.", "--target", "awful")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"error: ") and done.stderr.count(b"\n") == 1 and b"'awful'" in done.stderr


def test_a_closed_pipe_prints_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "attribution", "--list-models"],
            cwd=ROOT,
            stdout=closed,
            stderr=subprocess.PIPE,
            timeout=120,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, b"")
