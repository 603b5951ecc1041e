"""Commands of the command line: their discovery, and ``evaluate``."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from attribution import Evaluation, commands
from attribution.__main__ import main

QUICK = ["--method", "saliency", "--metric", "sparsity", "deletion"]


@pytest.fixture
def texts(tmp_path: Path) -> str:
    file = tmp_path / "texts.txt"
    file.write_text("A wonderful film.\n\nA dull plot.\nSo bad!\n", encoding="utf-8")
    return str(file)


@pytest.mark.parametrize("name", commands.names())
def test_each_command_has_a_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main([name, "--help"])
    assert exit_info.value.code == 0
    program = "python -m attribution" if name == commands.DEFAULT else f"python -m attribution {name}"
    assert f"usage: {program} [" in capsys.readouterr().out


def test_the_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    for name in commands.names():
        assert re.search(rf"(?m)^  {name} +\S+ .*\.$", out)


def test_a_text_that_begins_like_a_command_is_a_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate this", "--method", "saliency"]) == 0
    assert "evaluate" in capsys.readouterr().out


class TestEvaluate:
    def test_a_file_of_lines_becomes_a_table(self, texts: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["evaluate", texts, *QUICK]) == 0
        captured = capsys.readouterr()
        assert captured.out.startswith("# Quality of explanations of bundled/sst2-minilm on 3 texts")
        assert "| Random \\(control\\) |" in captured.out or "| Random (control) |" in captured.out
        assert "3 of 3 texts" in captured.err

    def test_a_table_and_a_file(self, tmp_path: Path) -> None:
        table, output = tmp_path / "t.csv", tmp_path / "out.json"
        table.write_text("id,text\n1,A wonderful film.\n2,A dull plot.\n", encoding="utf-8")
        options = ["--option", "deletion.hide=pad", "--limit", "1", "--seed", "7"]
        assert main(["evaluate", str(table), *QUICK, *options, "--output", str(output)]) == 0
        evaluation = Evaluation.load(output)
        assert evaluation.texts == ("A wonderful film.",)
        assert evaluation.seed == 7
        assert json.loads(output.read_text())["asked"]["options"] == {"deletion": {"hide": "pad"}}

    def test_marks_of_people(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        table = tmp_path / "t.jsonl"
        rows = [
            {"text": "A wonderful film.", "rationale": [[2, 11]]},
            {"text": "A dull plot.", "rationale": [[2, 6]]},
        ]
        table.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        assert (
            main(
                ["evaluate", str(table), "--method", "saliency", "--metric", "kendall_tau", "--format", "csv"]
            )
            == 0
        )
        assert "saliency,kendall_tau,higher," in capsys.readouterr().out
        table.write_text(json.dumps({"text": "A film.", "rationale": [[2, 99]]}) + "\n", encoding="utf-8")
        assert main(["evaluate", str(table), "--metric", "kendall_tau"]) == 2
        assert "Row 1 (line 1), column 'rationale'" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--metric", "deletio"], "Did you mean 'deletion'"),
            (["--metric", "kendall_tau"], "Give rationales"),
            (["--method", "lim"], "Did you mean 'lime'"),
            (["--option", "deletion=1"], "NAME.OPTION=VALUE"),
            (["--option", "deletion.hid=pad"], "Did you mean 'hide'"),
            (["--option", "deletion.hide=no"], "hide is 'no'"),
            (["--format", "docx"], "no file type 'docx'"),
            (["--limit", "0"], "--limit is 0"),
        ],
    )
    def test_bad_arguments(
        self, texts: str, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["evaluate", texts, *arguments]) == 2
        assert message in capsys.readouterr().err

    def test_no_texts(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "empty.txt").touch()
        assert main(["evaluate"]) == 2
        assert main(["evaluate", str(tmp_path / "empty.txt")]) == 2
        assert main(["evaluate", str(tmp_path / "none.txt")]) == 1
        assert capsys.readouterr().err.count("error:") == 3

    def test_the_metrics_are_listed(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["evaluate", "--list-metrics"]) == 0
        assert "higher is better" in capsys.readouterr().out
