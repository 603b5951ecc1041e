"""What the documents say is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from attribution import export, list_methods, load
from attribution.methods import Method
from attribution.models.adapter import Adapter
from attribution.models.objective import Deadline
from attribution.models.objectives import objective
from attribution.settings import DEFAULTS, VERSION
from attribution.types import Target

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_lists_every_method() -> None:
    table = README.split("<!-- methods", 1)[1].split("<!-- end", 1)[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in table.splitlines()
        if line.startswith("| [`")
    ]
    expected = [
        [f"[`{m.name}`](docs/methods/{m.name}.md)", m.summary, "yes" if m.signed else "no", m.cost, m.needs]
        for m in sorted(list_methods().values(), key=lambda m: m.name)
    ]
    assert rows == expected


def test_the_readme_states_the_limits_that_hold() -> None:
    stated = README.split("## Limits", 1)[1].split("##", 1)[0]
    for value in (
        f"{DEFAULTS.max_characters:,} characters",
        f"{DEFAULTS.max_tokens} tokens",
        f"{DEFAULTS.max_new_tokens} generated",
    ):
        assert value in stated
    assert f"{DEFAULTS.deadline_seconds:g} seconds" in stated


def test_versions_agree() -> None:
    pinned = dict(re.findall(r"^([\w-]+)==(\S+)$", (ROOT / "requirements.txt").read_text(), re.M))
    assert f"sdk_version: {pinned['gradio']}\n" in README
    assert pinned["torch"] == "2.13.0"
    assert f"version: {VERSION}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## {VERSION} " in (ROOT / "CHANGELOG.md").read_text()


def test_the_readme_names_every_file_format() -> None:
    for kind in export.list_formats():
        assert kind.upper() in README or kind in README


@pytest.fixture(scope="module")
def example() -> Method:
    """The method of CONTRIBUTING.md, as a file of its own would define it."""
    code = re.search(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.S)
    space: dict[str, object] = {"__name__": "example"}
    exec(compile(code[1], "CONTRIBUTING.md", "exec", dont_inherit=True), space)
    return space["alone"]  # type: ignore[return-value]


@pytest.mark.parametrize("family", ["bert", "gpt2-classifier", "gpt2", "t5"])
def test_the_example_of_a_method_works(example: Method, tiny: dict[str, Adapter], family: str) -> None:
    """It meets what the laws ask of a method: shape, sign, nothing for special tokens, nothing after an output."""
    assert example.check_options({}) == (("hide", "auto"),)
    f = objective(tiny[family], "the movie was good", Target(max_new_tokens=4), Deadline())
    found = example.run(f, **dict(example.check_options({"hide": "delete"})))
    assert tuple(found.values.shape) == (len(f.outputs), len(f.tokens))
    assert not np.any(found.values.numpy()[:, [token.special for token in f.tokens]])
    assert not found.values[~f.visible].any()
    assert found.values.abs().max() > 0


def test_the_example_of_a_method_explains_a_function(example: Method) -> None:
    weights = {"good": 0.4, "bad": -0.3}

    def answers(rows: list[str]) -> list[list[float]]:
        right = [0.5 + sum(weights.get(word, 0.0) for word in row.split()) for row in rows]
        return [[1 - p, p] for p in right]

    f = objective(
        load(answers, labels=("no", "yes")), "good but bad", Target("yes", "probability"), Deadline()
    )
    np.testing.assert_allclose(example.run(f, hide="auto").values.numpy(), [[0.4, 0.0, -0.3]], atol=1e-9)


def test_nothing_writes_markup_from_text() -> None:
    banned = re.compile(
        r"innerHTML|insertAdjacentHTML|outerHTML|document\.write|torch\.load\(|pickle\.|trust_remote_code=True"
    )
    for folder in ("attribution", "components"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".js") and "vendor" not in path.parts:
                assert not banned.search(path.read_text(encoding="utf-8")), path
