"""The tutorials of CONTRIBUTING.md: each example, put into its folder, is found and does what it says."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from attribution import attribute, list_methods, list_metrics, load
from attribution.methods import Method
from attribution.metrics.common.case import Case
from attribution.models.adapter import Adapter
from attribution.models.deadline import Deadline
from attribution.models.objectives import objective
from attribution.types import Target
from docs import method_pages, metric_page
from tests.docs.blocks import ROOT, blocks

EXAMPLES = {b.note: b.code for b in blocks(ROOT / "CONTRIBUTING.md") if b.marker == "file"}

Add = Callable[..., ModuleType]


@pytest.fixture
def add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Add]:
    """Puts an example into its package, as far as this process can see; the working tree is left alone."""
    caches: list[Any] = []

    def adding(file: str, *cached: Any) -> ModuleType:
        package = importlib.import_module(str(Path(file).parent).replace("/", "."))
        (tmp_path / Path(file).name).write_text(EXAMPLES[file], encoding="utf-8")
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
        name = f"{package.__name__}.{Path(file).stem}"
        caches.extend(cached)
        for function in cached:
            function.cache_clear()
        monkeypatch.delitem(sys.modules, name, raising=False)
        module = importlib.import_module(name)
        monkeypatch.setitem(sys.modules, name, module)
        return module

    yield adding
    monkeypatch.undo()
    for function in caches:
        function.cache_clear()


# A method.


@pytest.fixture
def method(add: Add) -> Method:
    add("attribution/methods/alone.py", list_methods)
    return list_methods()["alone"]


@pytest.mark.parametrize("family", ["bert", "gpt2-classifier", "gpt2", "t5"])
def test_the_method_works(method: Method, tiny: dict[str, Adapter], family: str) -> None:
    """It meets what the laws ask: shape, sign, nothing for special tokens, nothing after an output."""
    assert method.check_options({}) == (("hide", "auto"),)
    f = objective(tiny[family], "the movie was good", Target(max_new_tokens=4), Deadline())
    scores = method.run(f, **dict(method.check_options({"hide": "delete"})))
    assert tuple(scores.values.shape) == (len(f.outputs), len(f.tokens))
    assert not np.any(scores.values.numpy()[:, [token.special for token in f.tokens]])
    assert not scores.values[~f.visible].any()
    assert scores.values.abs().max() > 0


def test_the_method_explains_a_function(method: Method) -> None:
    weights = {"good": 0.4, "bad": -0.3}

    def answers(rows: list[str]) -> list[list[float]]:
        right = [0.5 + sum(weights.get(word, 0.0) for word in row.split()) for row in rows]
        return [[1 - p, p] for p in right]

    model = load(answers, labels=("no", "yes"))
    result = attribute("good but bad", model, method.name, "yes", quantity="probability")
    np.testing.assert_allclose(result.scores, [[0.4, 0.0, -0.3]], atol=1e-9)


def test_the_method_has_a_page(method: Method) -> None:
    page = method_pages.page(method)
    assert (
        "# Alone" in page
        and 'attribute("The plot is thin, but the acting is wonderful.", method="alone"' in page
    )


# A metric.


def test_the_metric_works_and_has_a_section(add: Add) -> None:
    add("attribution/metrics/strongest_word.py", list_metrics)
    metric = list_metrics()["strongest_word"]
    result = attribute("A wonderful film.", method="occlusion")
    case = Case(result)
    value = metric.measure(case).value
    assert value == pytest.approx(np.abs(case.scores).max() / np.abs(case.scores).sum())
    assert "### strongest_word" in metric_page.page()
