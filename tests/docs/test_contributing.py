"""The tutorials of CONTRIBUTING.md: each example, put into its folder, is found and does what it says."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import gradio as gr
import numpy as np
import pytest

from attribution import attribute, formats, list_methods, list_metrics, load, sentences
from attribution.engine import default_engine
from attribution.errors import InputError
from attribution.methods import Method
from attribution.metrics.common.case import Case
from attribution.models.adapter import Adapter
from attribution.models.deadline import Deadline
from attribution.models.readers import make_objective
from attribution.models.tasks import list_tasks
from attribution.trackers import Item, TrackedRun, list_trackers
from attribution.types import Target
from components.pages import list_pages
from docs import method_pages, metric_page
from tests import tiny as tiny_models
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
    f = make_objective(tiny[family], "the movie was good", Target(max_new_tokens=4), Deadline())
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


# A format.


def test_the_format_is_written_like_the_others(add: Add, tmp_path: Path) -> None:
    add("attribution/export/txt.py", formats._all_formats)
    result = attribute("A wonderful film.", method="occlusion")
    result.save(tmp_path / "words.txt", count=2)
    lines = (tmp_path / "words.txt").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 2 and lines[0].startswith("wonderful\t+")


# A page.


def test_the_page_is_in_the_navigation_and_answers(add: Add) -> None:
    add("components/pages/strongest.py", list_pages)
    page = next(page for page in list_pages() if page.path == "strongest")
    with gr.Blocks() as demo:
        page.build(default_engine(), demo)
    (event,) = demo.fns.values()
    assert event.fn("A wonderful film.").startswith("wonderful (+")
    assert event.fn("").startswith("There is no text")


# A tracker.


def test_the_tracker_keeps_a_run_once(add: Add, tmp_path: Path) -> None:
    add("attribution/trackers/folder.py", list_trackers)
    entry = list_trackers()["folder"]
    (tmp_path / "report.html").write_text("A report.", encoding="utf-8")
    for _ in range(2):
        connection = entry.connect(TrackedRun("0" * 32, "A run", 0.0), path=str(tmp_path / "kept"))
        connection.parameters(Item(0, "parameters", 0.0, {"values": {"method": "lime"}}))
        connection.figures([Item(1, "figures", 0.0, {"values": {"rows": 3}})])
        connection.table(Item(2, "table", 0.0, {"name": "words"}), ["word"], [["good"]])
        connection.artifact(Item(3, "artifact", 0.0, {"name": "report.html"}), str(tmp_path / "report.html"))
        connection.finish("finished")
    folder = tmp_path / "kept" / ("0" * 32)
    assert sorted(path.name for path in folder.iterdir()) == [
        "0-parameters.json",
        "1-figures.json",
        "2-table.json",
        "3-report.html",
        "status",
    ]


# A task.


def test_the_task_is_explained(add: Add) -> None:
    add("attribution/models/tasks/fact_checking.py", list_tasks)
    model, tokenizer = tiny_models.bert()
    result = attribute(
        "it was good", load(model, tokenizer, task="fact_checking"), "saliency", second="it was bad"
    )
    assert result.model.task == "fact_checking" and result.scores.any()
    assert sentences.prediction(result).startswith("Verdict: ")
    with pytest.raises(InputError) as raised:
        attribute("it was good", load(model, tokenizer, task="fact_checking"), "saliency")
    assert raised.value.hint == "Give the evidence as second."
