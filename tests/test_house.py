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


CARRIERS = {"apart", "asked", "found", "given", "judged", "kept", "known", "one", "said", "told", "whole"}
"""Names that carry a value without saying what it is."""


def test_names_say_what_the_thing_is() -> None:
    others = [path for folder in ("benchmarks", "docs", "training") for path in (ROOT / folder).rglob("*.py")]
    for path in [*SOURCES, *others]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = ""
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                name = node.id
            elif isinstance(node, ast.arg):
                name = node.arg
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = node.name
            assert name.strip("_") not in CARRIERS, f"{path.relative_to(ROOT)}:{node.lineno}: {name}"  # type: ignore[attr-defined]
