"""Dependencies have one direction and no circle, over all modules of the library and the interface."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("attribution", "components")

LAYERS = (
    ("attribution.errors", "attribution.extras", "attribution.settings", "attribution.deprecation"),
    ("attribution.text", "attribution.scripts", "attribution.request.kinds", "attribution.request"),
    ("attribution.registry", "attribution.formats"),
    ("attribution.parts", "attribution.models.tasks"),
    ("attribution.interchange",),
    ("attribution.types", "attribution.pages"),
    ("attribution.sentences", "attribution.rationales"),
    ("attribution.models",),
    ("attribution.methods",),
    ("attribution.costs", "attribution.metrics"),
    ("attribution.request.signatures",),
    ("attribution.engine",),
    ("attribution.studies", "attribution.export"),
    ("attribution.tables", "attribution.batch"),
    ("attribution.trackers",),
    (
        "attribution.request.connection",
        "attribution.client",
        "attribution.commands",
        "attribution",
        "attribution.__main__",
    ),
    (
        "components.bugs",
        "components.assets",
        "components.languages",
        "components.theme",
        "components.lessons",
    ),
    ("components.pictures", "components.controls", "components.live"),
    ("components.api",),
    ("components.pages", "components.header", "components.preload"),
    ("components.application",),
)
"""From the bottom to the top: a module imports modules of its own layer and of those below it."""


def modules() -> dict[str, Path]:
    """Every module and package by its dotted name."""
    paths = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            paths[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return paths


MODULES = modules()


def imports(name: str, path: Path) -> set[str]:
    """The project's modules that a module imports, also inside functions and for the type checker only."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parts, *filter(None, [node.module])])
            for alias in node.names:
                full = f"{base}.{alias.name}"
                names.add(full if full in MODULES else base)
    return (names & MODULES.keys()) - {name}


GRAPH = {name: imports(name, path) for name, path in MODULES.items()}


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The strongly connected components of more than one module (Tarjan 1972)."""
    index: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    components: list[list[str]] = []

    def visit(module: str) -> None:
        index[module] = lowest[module] = len(index)
        stack.append(module)
        for other in sorted(graph[module]):
            if other not in index:
                visit(other)
            if other in stack:
                lowest[module] = min(lowest[module], lowest[other])
        if lowest[module] == index[module]:
            at = stack.index(module)
            component, stack[at:] = stack[at:], []
            if len(component) > 1:
                components.append(sorted(component))

    for module in sorted(graph):
        if module not in index:
            visit(module)
    return components


def layer(module: str) -> int:
    """The number of a module's layer: that of the longest prefix that ``LAYERS`` names."""
    named = {part: number for number, parts in enumerate(LAYERS) for part in parts}
    prefixes = [
        part for part in named if module == part or (part not in PACKAGES and module.startswith(f"{part}."))
    ]
    assert prefixes, f"{module} belongs to no layer: add it to LAYERS"
    return named[max(prefixes, key=len)]


def test_a_circle_is_detected() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}, "e": set()}
    assert circles(graph) == [["a", "b", "c"]]


def test_no_circle_of_imports() -> None:
    assert circles(GRAPH) == []


@pytest.mark.parametrize("name", sorted(set(MODULES) - {"components"}))
def test_a_module_imports_nothing_from_above(name: str) -> None:
    above = sorted(other for other in GRAPH[name] if layer(other) > layer(name))
    assert not above, f"{name} imports {above}"


def test_the_library_never_imports_the_interface_or_gradio() -> None:
    for name, path in MODULES.items():
        source = ast.parse(path.read_text(encoding="utf-8"))
        roots = {
            alias.name.split(".")[0]
            for n in ast.walk(source)
            if isinstance(n, ast.Import)
            for alias in n.names
        }
        roots |= {(n.module or "").split(".")[0] for n in ast.walk(source) if isinstance(n, ast.ImportFrom)}
        barred = {"tests", "training", "benchmarks", "app"}
        barred |= {"components", "gradio", "lime"} if name.startswith("attribution") else set()
        assert not roots & barred, f"{name} imports {sorted(roots & barred)}"


@pytest.mark.parametrize(
    "code",
    [
        "import attribution; attribution.Attribution, attribution.errors",
        "from attribution import Client, list_methods",
        "from attribution.client import Client, Estimate; Client.estimate",
        "from attribution import Comparison; Comparison.from_dict",
        "from attribution import Assessment, Evaluation; Evaluation.from_dict, Assessment.from_dict",
        "from attribution import list_metrics",
        "from attribution import export; export.list_formats()",
        "from attribution.models.sources import catalogue; catalogue.entries()",
        "from attribution.batch import Run, files, make_plan",
        "from attribution.batch.remote import RemoteEngine",
    ],
)
def test_the_light_client_needs_no_torch(code: str) -> None:
    names = "('torch', 'transformers', 'gradio', 'accelerate', 'lime')"
    blocked = f"import sys\nfor name in {names}: sys.modules[name] = None\n"
    command = [sys.executable, "-c", blocked + code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
