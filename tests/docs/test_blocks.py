"""Every block of Python in the documents runs as it is printed; every command of a shell block is tried."""

from __future__ import annotations

import ast
import importlib.util
import shlex
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from attribution.__main__ import main
from tests.docs.blocks import DOCUMENTS, ROOT, Block, all_blocks, blocks

REVIEWS = """text,label
"A warm, funny film.",positive
"What a waste.",negative
"It is not good.",negative
"Not bad at all!",positive
"""
PYTHON = [document for document in DOCUMENTS if any(block.language == "python" for block in blocks(document))]
RUN = [block for block in all_blocks("sh") if not block.marker]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files that the documents read, in the current directory."""
    (tmp_path / "reviews.csv").write_text(REVIEWS, encoding="utf-8")
    (tmp_path / "components").symlink_to(ROOT / "components")
    (tmp_path / "reviews.txt").write_text("A warm, funny film.\nWhat a waste.\n", encoding="utf-8")
    (tmp_path / "date.txt").write_text("the 3rd of March, 1987", encoding="utf-8")
    # Model cards load their folder from the root of the repository.
    (tmp_path / "bundled").symlink_to(ROOT / "bundled")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("document", PYTHON, ids=lambda path: str(path.relative_to(ROOT)))
def test_python_blocks_run_as_printed(document: Path, url: str) -> None:
    """In the order of the page and in one namespace; only the address is that of the server under test."""
    space: dict[str, Any] = {"__name__": "documentation"}
    for block in blocks(document):
        if block.language == "python" and not block.marker:
            code = block.code.replace("http://127.0.0.1:7860", url.rstrip("/"))
            exec(compile("\n" * block.line + code, str(block), "exec", dont_inherit=True), space)


def test_a_block_that_is_not_run_says_why() -> None:
    marked = [block for language in ("python", "sh") for block in all_blocks(language) if block.marker]
    for block in marked:
        if block.marker == "run by":
            test = block.note.split(":")[0]
            assert block.document.name in (ROOT / test).read_text(encoding="utf-8"), block
        else:
            assert block.note, block
    assert Counter(block.marker for block in marked if block.language == "python") == {
        "not run": 2,  # a method with a second model; a model of the reader
        "run by": 1,
        "file": 6,
    }


def test_python_blocks_parse_where_they_are_not_run() -> None:
    for block in all_blocks("python"):
        ast.parse(block.code)


@pytest.mark.parametrize("block", all_blocks("sh"), ids=str)
def test_shell_blocks_parse(block: Block) -> None:
    done = subprocess.run(["bash", "-n"], input=block.code, capture_output=True, text=True, check=False)
    assert not done.stderr


def commands(block: Block) -> list[list[str]]:
    """The words of each command of a block; comments are left out."""
    return [words for line in block.code.splitlines() if (words := shlex.split(line, comments=True))]


@pytest.mark.parametrize("block", RUN, ids=str)
def test_shell_blocks_run(
    block: Block, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command line runs in this process; a development command names a module that exists."""
    for words in commands(block):
        assert words[:2] == ["python", "-m"] or words[0] == "attribution", f"{block}: mark what cannot be run"
        module, arguments = (words[2], words[3:]) if words[0] == "python" else ("attribution", words[1:])
        if module != "attribution":
            assert importlib.util.find_spec(module), f"{block}: there is no {module}"
            continue
        if "<" in arguments:
            at = arguments.index("<")
            monkeypatch.setattr("sys.stdin", (folder / arguments[at + 1]).open(encoding="utf-8"))
            del arguments[at:]
        assert main(arguments) == 0, f"{block}: {capsys.readouterr().err}"
