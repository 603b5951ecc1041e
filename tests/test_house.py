"""The house rules that a machine can check: sizes of functions, modules and folders."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = [
    path for package in ("attribution", "components") for path in sorted((ROOT / package).rglob("*.py"))
]

FUNCTION_LINES, MODULE_LINES, FOLDER_MODULES = 60, 400, 16
ONE_FILE_EACH = {"attribution/methods", "attribution/metrics"}
"""Folders that grow by one file for each entry, and hold nothing else."""


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_and_functions_are_short(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= MODULE_LINES, "split this module"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            assert lines <= FUNCTION_LINES, f"{node.name} has {lines} lines"


def test_no_folder_has_too_many_modules() -> None:
    for folder in sorted({path.parent for path in SOURCES}):
        name = str(folder.relative_to(ROOT))
        count = len(list(folder.glob("*.py")))
        assert name in ONE_FILE_EACH or count <= FOLDER_MODULES, f"{name} has {count} modules"
