"""A law: no module but those of ``models/tasks`` knows a task by its name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from attribution.models.tasks import list_tasks

ROOT = Path(__file__).resolve().parents[3]
NAMES = frozenset(list_tasks())
FOLDERS = ("attribution", "components", "docs", "benchmarks")
PYTHON = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
SCRIPTS = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.js"))]
OWN = ROOT / "attribution/models/tasks"

ALLOWED = {
    "attribution/models/readers/similarity.py": "the name of the one number that a bi-encoder gives",
    "components/pictures/values/attention.py": "a causal mask is a property of an attention block",
    "components/pictures/static/matrix.js": "the same",
}
"""Files with a word that is a task's name too, and why it is none there."""


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def literals_of_python(source: str) -> Iterator[tuple[int, str]]:
    """Every string that is a task's name, but for those in an entry of the catalogue, which are its data."""
    tree = ast.parse(source)
    entries = [
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "Entry"
    ]
    data = {id(node) for entry in entries for node in ast.walk(entry)}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and node.value in NAMES
            and id(node) not in data
        ):
            yield node.lineno, str(node.value)


def literals_of_script(source: str) -> Iterator[tuple[int, str]]:
    names = "|".join(sorted(NAMES))
    for number, line in enumerate(source.splitlines(), 1):
        for match in re.finditer(rf"""(["'`])({names})\1""", line):
            yield number, match[2]


def test_the_search_sees_a_literal() -> None:
    assert list(literals_of_python('if task in ("masked", "other"): f("causal")')) == [
        (1, "masked"),
        (1, "causal"),
    ]
    assert list(literals_of_python('Entry("name", "masked"), Other("masked")')) == [(1, "masked")]
    assert list(literals_of_script("a\nif (task === 'seq2seq') x;")) == [(2, "seq2seq")]


@pytest.mark.parametrize("path", PYTHON, ids=relative)
def test_no_python_module_names_a_task(path: Path) -> None:
    if not path.is_relative_to(OWN) and relative(path) not in ALLOWED:
        assert list(literals_of_python(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("path", [path for path in SCRIPTS if "vendor" not in path.parts], ids=relative)
def test_no_script_names_a_task(path: Path) -> None:
    if relative(path) not in ALLOWED:
        assert list(literals_of_script(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("name", ALLOWED)
def test_exceptions_are_needed(name: str) -> None:
    search = literals_of_python if name.endswith(".py") else literals_of_script
    assert list(search((ROOT / name).read_text(encoding="utf-8")))
