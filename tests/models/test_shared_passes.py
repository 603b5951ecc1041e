"""What several methods ask of one text: its own passes once, and the same numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from attribution import attribute
from attribution.engine import Engine
from attribution.models.adapter import Adapter
from attribution.models.scoring import batches
from attribution.models.shared_passes import SharedFunctions
from attribution.settings import DEFAULTS
from attribution.types import Attribution
from tests.quick import QUICK

TEXTS = ["the plot is bad", "a very fine film!", "it was so awful."]
METHODS = (
    "random",
    "saliency",
    "input_x_gradient",
    "occlusion",
    "integrated_gradients",
    "attention",
    "lime",
    "deeplift",
)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Rows that a model computes, with gradients and without."""
    counted: Counter[str] = Counter()
    compute = batches.compute

    def counting(jobs: Any) -> None:
        for job in jobs:
            counted["with" if job.gradient else "without"] += len(job.points)
        compute(jobs)

    monkeypatch.setattr(batches, "compute", counting)
    return counted


def run(engine: Engine, model: Adapter, methods: tuple[str, ...], **more: Any) -> list[Attribution]:
    items = [
        {
            "text": text,
            "model": model,
            "method": method,
            "options": QUICK.get(method, {}),
            "max_new_tokens": 4,
            **more,
        }
        for method in methods
        for text in TEXTS
    ]
    found: dict[int, Any] = {}
    for ready in engine.attribute_each(items):
        found |= dict(ready)
    return [found[place] for place in range(len(items))]


ONE_BY_ONE = Engine(replace(DEFAULTS, running_requests=1))


def test_the_text_itself_is_computed_once(tiny: dict[str, Adapter], passes: Counter[str]) -> None:
    run(ONE_BY_ONE.for_batch(), tiny["bert"], ("saliency", "input_x_gradient", "random"))
    assert passes == {"with": len(TEXTS)}
    passes.clear()
    run(ONE_BY_ONE, tiny["bert"], ("saliency", "input_x_gradient", "random"))
    assert passes == {"with": 2 * len(TEXTS), "without": len(TEXTS)}


def test_a_gradient_that_is_missing_is_computed_once(tiny: dict[str, Adapter], passes: Counter[str]) -> None:
    run(ONE_BY_ONE.for_batch(), tiny["bert"], ("random", "saliency", "input_x_gradient"))
    assert passes == {"without": len(TEXTS), "with": len(TEXTS)}


def test_methods_that_ask_at_the_same_time_wait_for_each_other(
    tiny: dict[str, Adapter], passes: Counter[str]
) -> None:
    run(Engine(DEFAULTS).for_batch(), tiny["bert"], ("saliency", "input_x_gradient"))
    assert passes == {"with": len(TEXTS)}


@pytest.mark.parametrize("family", ["bert", "gpt2", "t5", "gpt2-classifier"])
def test_the_numbers_are_those_of_one_method_alone(tiny: dict[str, Adapter], family: str) -> None:
    model = tiny[family]
    together = run(Engine(DEFAULTS).for_batch(), model, METHODS)
    alone = [
        attribute(text, model, method, max_new_tokens=4, **QUICK.get(method, {}))
        for method in METHODS
        for text in TEXTS
    ]
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(other.scores, one.scores, rtol=1e-3, atol=1e-6)  # rounding
        assert [output.text for output in one.outputs] == [output.text for output in other.outputs]
        assert other.residual == (None if one.residual is None else pytest.approx(one.residual, abs=1e-5))


def test_another_target_or_model_is_another_function(tiny: dict[str, Adapter]) -> None:
    engine = Engine(DEFAULTS).for_batch()
    first, second = (
        run(engine, tiny["bert"], ("saliency",), target=0),
        run(engine, tiny["bert"], ("saliency",), target=1),
    )
    assert all(one.outputs[0].id != other.outputs[0].id for one, other in zip(first, second, strict=True))
    others = run(engine, tiny["gpt2-classifier"], ("saliency",), target=0)
    assert all(one.model.name != other.model.name for one, other in zip(first, others, strict=True))
    assert engine.shared and len(engine.shared) == len(TEXTS), "only those of the last model are kept"


@pytest.mark.parametrize("known", [SharedFunctions(most_bytes=1), SharedFunctions(most=0)])
def test_what_is_kept_is_bounded(
    tiny: dict[str, Adapter], passes: Counter[str], known: SharedFunctions
) -> None:
    engine = ONE_BY_ONE.for_batch()
    engine.shared = known
    run(engine, tiny["bert"], ("saliency", "input_x_gradient"))
    assert passes == {"with": 2 * len(TEXTS)} and not len(engine.shared)
