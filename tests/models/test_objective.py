"""f is a value: copies change, the original stays; gradients wherever the caller stands."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch

from attribution.errors import Unsupported
from attribution.models.adapter import Adapter
from attribution.models.deadline import Deadline
from attribution.models.function import Function
from attribution.models.objective import Objective
from attribution.models.perturbable import Perturbable
from attribution.models.readers import make_objective
from attribution.request import Target

TEXT = "the film was not bad"


def explained(model: Adapter, **target: object) -> Objective:
    f = make_objective(model, TEXT, Target(**target), Deadline())  # type: ignore[arg-type]
    assert isinstance(f, Objective)
    return f


@pytest.mark.parametrize("family", ["bert", "gpt2", "t5"])
def test_a_traced_pass_has_gradients_where_the_caller_has_switched_them_off(
    tiny: dict[str, Adapter], family: str
) -> None:
    f = explained(tiny[family], max_new_tokens=2)
    with torch.no_grad():
        leaf, values = f.traced()
        assert not torch.is_grad_enabled(), "the caller's choice stays"
    [slope] = torch.autograd.grad(values[0], leaf)
    torch.testing.assert_close(slope[0], f.gradient()[0], rtol=1e-4, atol=1e-6)


def test_f_cannot_be_changed(tiny: dict[str, Adapter]) -> None:
    f = explained(tiny["bert"])
    for name in ("choice", "deadline", "companion", "previews", "root"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(f, name, None)
    with pytest.raises(dataclasses.FrozenInstanceError):
        f.choice.quantity = "probability"  # type: ignore[misc]


COPIES: dict[str, Callable[[Objective], Objective]] = {
    "part": lambda f: f.part([1]),
    "with_quantity": lambda f: f.with_quantity("probability"),
    "at": lambda f: f.at(f.embeddings * 1.5),
    "on": lambda f: f.on(f.adapter.eager),
    "replace": lambda f: f.replace(previews=True, deadline=Deadline(1e6)),
}


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_leaves_the_original_as_it_was(tiny: dict[str, Adapter], name: str) -> None:
    f = explained(tiny["bert"], label=(0, 1))
    before = {field.name: getattr(f, field.name) for field in dataclasses.fields(f) if field.name != "slope"}
    slope = f.gradient().clone()
    copy = COPIES[name](f)
    assert copy is not f
    assert all(getattr(f, key) is value for key, value in before.items())
    torch.testing.assert_close(f.gradient(), slope, rtol=0, atol=0)
    assert copy.gradient().shape == (len(copy.outputs), *f.embeddings.shape)
    assert [output.value for output in copy.outputs] == copy.values.tolist()
    if name in ("with_quantity", "at"):
        assert not torch.equal(copy.values, f.values) and not torch.equal(copy.gradient(), slope)


def test_a_part_of_f_is_f_with_fewer_outputs(tiny: dict[str, Adapter]) -> None:
    f = explained(tiny["bert"], label=(0, 1))
    part = f.part([1])
    assert part.outputs == f.outputs[1:2]
    torch.testing.assert_close(part.evaluate(f.embeddings[None]), f.evaluate(f.embeddings[None])[1:2])
    torch.testing.assert_close(part.gradient(), f.gradient()[1:2])


def rule(texts: list[str]) -> list[list[float]]:
    return [[0.25, 0.75] if "bad" in text else [0.5, 0.5] for text in texts]


def test_a_function_of_texts_is_such_a_value_too() -> None:
    f = make_objective(Function(rule, ("good", "bad")), TEXT, Target(label=("bad", "good")), Deadline())
    part = f.part([1])
    assert [output.text for output in part.outputs] == ["good"] and part.values.tolist() == f.values[
        1:
    ].tolist()
    assert part.with_quantity("probability").values.tolist() == [0.25]
    assert f.replace(previews=True).previews and not f.previews
    with pytest.raises(dataclasses.FrozenInstanceError):
        f.previews = True


@pytest.mark.parametrize(
    "use",
    [
        lambda f: f.embeddings,
        lambda f: f.model,
        lambda f: f.deletable,
        lambda f: f.gradient(),
        lambda f: f.traced(),
        lambda f: f.evaluate(torch.zeros(1, 1, 1)),
        lambda f: f.gradients(torch.zeros(1, 1, 1)),
        lambda f: f.baseline("auto"),
        lambda f: f.in_this_thread(),
    ],
)
def test_what_needs_embeddings_says_that_a_function_has_none(use: Callable[[Perturbable], object]) -> None:
    f = make_objective(Function(rule, ("good", "bad")), TEXT, Target(), Deadline())
    assert not f.differentiable
    with pytest.raises(Unsupported, match="only answers texts"):
        use(f)
