"""Dependencies point one way: app → components → engine, export → methods → models/adapter → text, types, errors, settings."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# What the modules of each part may import of the project; a part may always import itself.
ALLOWED = {
    "attribution.errors": set(),
    "attribution.settings": set(),
    "attribution.types": {"attribution.errors", "attribution.export"},
    "attribution.text": {"attribution.errors"},
    "attribution.registry": {"attribution.errors", "attribution.types"},
    "attribution.sentences": {"attribution.types"},
    "attribution.models.sources.devices": {"attribution.errors", "attribution.settings"},
    "attribution.models.adapter": {
        "attribution.errors", "attribution.models.sources.devices", "attribution.models.inside.pruning", "attribution.settings", "attribution.text",
        "attribution.types",
    },
    "attribution.models.features": {"attribution.errors", "attribution.models.objective", "attribution.text", "attribution.types"},
    "attribution.models.inside.pruning": set(),
    "attribution.models.scorer": {"attribution.errors", "attribution.models.adapter", "attribution.models.objective"},
    "attribution.models.objective": {
        "attribution.errors", "attribution.models.adapter", "attribution.models.features", "attribution.models.scorer",
        "attribution.types",
    },
    "attribution.models.contexts": {"attribution.models.features", "attribution.models.objective"},
    "attribution.models.inside": {"attribution.errors", "attribution.models.adapter"},
    "attribution.models.tasks": {
        "attribution.errors", "attribution.models", "attribution.text", "attribution.types",
    },
    "attribution.rationales": {"attribution.errors", "attribution.types"},
    "attribution.studies.recommendation": {"attribution.types"},
    "attribution.methods": {
        "attribution.errors", "attribution.models.inside.attentions", "attribution.models.contexts", "attribution.models.sources.devices",
        "attribution.models.features", "attribution.models.infilling",
        "attribution.models.inside", "attribution.models.objective", "attribution.models.inside.rules", "attribution.models.tasks",
        "attribution.registry", "attribution.text", "attribution.types",
    },
    "attribution.metrics": {
        "attribution.errors", "attribution.methods", "attribution.models.adapter", "attribution.models.features",
        "attribution.models.objective", "attribution.rationales", "attribution.registry", "attribution.studies.agreement",
        "attribution.types",
    },
    "attribution.export": {
        "attribution.errors", "attribution.methods", "attribution.sentences", "attribution.settings",
        "attribution.studies.evaluation", "attribution.text", "attribution.types",
    },
    "attribution.client": {
        "attribution.batch", "attribution.errors", "attribution.costs.estimates", "attribution.rationales", "attribution.settings",
        "attribution.studies.assessment", "attribution.studies.comparison", "attribution.studies.evaluation", "attribution.tables",
        "attribution.types",
    },
    "attribution.studies.agreement": {"attribution.errors"},
    "attribution.studies.alignment": {"attribution.text", "attribution.types"},
    "attribution.studies.comparison": {
        "attribution.engine", "attribution.errors", "attribution.methods", "attribution.sentences", "attribution.studies.agreement",
        "attribution.studies.alignment", "attribution.text", "attribution.types",
    },
    "attribution.engine.lookahead": {"attribution.errors", "attribution.models.scorer", "attribution.types"},
    "attribution.studies.evaluation": {"attribution.errors", "attribution.export", "attribution.methods", "attribution.metrics"},
    "attribution.studies.measurement": {
        "attribution.engine", "attribution.errors", "attribution.methods", "attribution.metrics",
        "attribution.models.adapter", "attribution.models.objective", "attribution.rationales", "attribution.settings",
        "attribution.studies.evaluation", "attribution.studies.randomisation", "attribution.types",
    },
    "attribution.studies.assessment": {
        "attribution.engine", "attribution.errors", "attribution.metrics", "attribution.models.objective",
        "attribution.studies.evaluation", "attribution.types",
    },
    "attribution.costs.estimates": set(),
    "attribution.costs.counts": {
        "attribution.errors", "attribution.methods", "attribution.models.adapter", "attribution.models.features",
        "attribution.models.objective", "attribution.types",
    },
    "attribution.costs.speeds": {
        "attribution.costs.counts", "attribution.errors", "attribution.methods", "attribution.models", "attribution.types",
    },
    "attribution.studies.attention": {
        "attribution.errors", "attribution.models.inside.attentions", "attribution.models.objective", "attribution.types",
    },
    "attribution.costs": {
        "attribution.costs.counts", "attribution.engine", "attribution.errors", "attribution.costs.estimates", "attribution.methods",
        "attribution.models", "attribution.settings", "attribution.costs.speeds", "attribution.types",
    },
    "attribution.tables.delimited": {"attribution.errors", "attribution.settings"},
    "attribution.tables": {
        "attribution.tables.datasets", "attribution.tables.delimited", "attribution.errors", "attribution.export.csv", "attribution.settings",
    },
    "attribution.tables.datasets": {"attribution.errors", "attribution.settings", "attribution.tables"},
    "attribution.batch": {
        "attribution.engine", "attribution.errors", "attribution.export", "attribution.methods", "attribution.models.adapter",
        "attribution.models.function", "attribution.settings", "attribution.tables", "attribution.text", "attribution.types",
    },
    "attribution.trackers": {
        "attribution.batch", "attribution.errors", "attribution.export", "attribution.registry", "attribution.settings",
        "attribution.studies.evaluation", "attribution.types",
    },
}  # fmt: skip
FORBIDDEN = {
    "attribution": {"components", "app", "gradio", "tests", "training", "benchmarks"},
    "components": {"app", "tests", "training"},
}


def imports(path: Path) -> set[str]:
    """The modules that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def files(part: str) -> list[Path]:
    place = ROOT / part.replace(".", "/")
    return sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]


def within(module: str, part: str) -> bool:
    return module == part or module.startswith(part + ".")


@pytest.mark.parametrize("part", ALLOWED)
def test_a_part_imports_only_what_lies_below_it(part: str) -> None:
    checked = files(part)
    assert checked
    for path in checked:
        for module in imports(path):
            if not within(module, "attribution") or within(module, part):
                continue
            known = any(within(module, other) for other in ALLOWED[part])
            # `from attribution import text` names the package and then the module.
            assert known, f"{path.relative_to(ROOT)} imports {module}"


@pytest.mark.parametrize("part", FORBIDDEN)
def test_nothing_below_imports_what_lies_above(part: str) -> None:
    for path in files(part):
        for module in imports(path):
            assert not any(within(module, above) for above in FORBIDDEN[part]), (
                f"{path.relative_to(ROOT)} imports {module}"
            )


@pytest.mark.parametrize(
    "code",
    [
        "import attribution; attribution.Attribution, attribution.errors",
        "from attribution import Client, methods",
        "from attribution.client import Client, Estimate; Client.estimate",
        "from attribution import Comparison; Comparison.from_dict",
        "from attribution import Assessment, Evaluation, metrics; Evaluation.from_dict, Assessment.from_dict",
        "from attribution import export; export.formats()",
        "from attribution.models import catalogue; catalogue.entries()",
        "from attribution.batch import Run, files, plan; from attribution.batch.remote import RemoteEngine",
    ],
)
def test_the_light_client_needs_no_torch(code: str) -> None:
    blocked = "import sys\nfor name in ('torch', 'transformers', 'gradio', 'accelerate', 'lime'): sys.modules[name] = None\n"
    done = subprocess.run(
        [sys.executable, "-c", blocked + code], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
