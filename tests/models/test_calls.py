"""Calls of the caller's model: its errors are typed, ours stay bare; twins of models hard to copy."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.modules import module as modules
from torch.nn.utils import parametrizations, prune
from transformers import PreTrainedModel

from attribution import attribute, load
from attribution.errors import DeadlineExceeded, Unsupported
from attribution.models.adapter import Adapter
from attribution.models.calls import call, translate_errors
from attribution.models.twin import make_twin
from tests import tiny
from tests.families import FAMILIES

TEXT = "the film was good"


def saliency_by_hand(model: PreTrainedModel, tokenizer: Any) -> np.ndarray:
    leaves: list[torch.Tensor] = []

    def keep(_module: Any, _args: Any, output: torch.Tensor) -> torch.Tensor:
        leaves.append(output.detach().requires_grad_())
        return leaves[-1]

    handle = model.get_input_embeddings().register_forward_hook(keep)
    value = model(torch.tensor([tokenizer(TEXT)["input_ids"]])).logits[0, 1]
    handle.remove()
    return torch.autograd.grad(value, leaves[-1])[0][0].norm(dim=-1).numpy()


class Recorder:
    """Holds what cannot be copied: a lock, and activations with their graph."""

    def __init__(self) -> None:
        self.lock, self.states = threading.Lock(), []

    def record(self, _module: Any, _args: Any, output: Any) -> None:
        self.states.append(output)


def _add_recorder(model: Any) -> None:
    model.recorder = Recorder()
    model.bert.encoder.layer[0].register_forward_hook(model.recorder.record)
    model(torch.tensor([[2, 5, 3]]))


def _add_steering(model: Any) -> None:
    model.bert.encoder.layer[0].output.register_forward_hook(lambda _m, _a, output: output + 0.5)


HARD: dict[str, Callable[[Any], None]] = {
    "lock": lambda m: setattr(m.bert.encoder.layer[0], "lock", threading.RLock()),
    "file": lambda m: setattr(m, "log", Path(__file__).open()),  # noqa: SIM115 - closed with the model
    "generator": lambda m: setattr(m.classifier, "numbers", (i for i in range(3))),
    "nested": lambda m: setattr(m, "state", {"deep": [1, {"lock": threading.Lock()}]}),
    "configuration": lambda m: setattr(m.config, "lock", threading.Lock()),
    "graph": lambda m: setattr(m, "last", m(torch.tensor([[2, 5, 3]])).logits),
    "recorder": _add_recorder,
    "steering": _add_steering,
    "pruned": lambda m: prune.l1_unstructured(m.bert.encoder.layer[0].output.dense, "weight", 0.5),
    "weight norm": lambda m: parametrizations.weight_norm(m.bert.encoder.layer[1].output.dense),
    "spectral norm": lambda m: nn.utils.spectral_norm(m.bert.encoder.layer[1].output.dense).eval(),
}


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore:.*unclosed file")
@pytest.mark.parametrize("kind", HARD)
def test_models_with_hooks_and_attributes_that_cannot_be_copied(kind: str) -> None:
    model, tokenizer = tiny.bert()
    HARD[kind](model)
    adapter = load(model, tokenizer)
    assert isinstance(adapter, Adapter)
    assert adapter.config is not model.config
    result = attribute(TEXT, adapter, "saliency", target=1)
    np.testing.assert_allclose(result.scores[0], saliency_by_hand(model, tokenizer), rtol=1e-3)
    assert np.isfinite(attribute(TEXT, adapter, "attention_x_gradient", target=1).scores).all()
    if kind == "file":
        model.log.close()


@pytest.mark.parametrize("family", ["bert", "gpt2", "t5"])
def test_a_model_made_under_inference_mode(family: str) -> None:
    with torch.inference_mode():
        model, tokenizer = FAMILIES[family].build()
    expected = attribute(TEXT, load(*FAMILIES[family].build()), "saliency", max_new_tokens=2)
    with torch.inference_mode():
        inside = attribute(TEXT, load(model, tokenizer), "saliency", max_new_tokens=2)
    for result in (inside, attribute(TEXT, load(model, tokenizer), "saliency", max_new_tokens=2)):
        np.testing.assert_array_equal(result.scores, expected.scores)
    assert all(parameter.is_inference() for parameter in model.parameters())


@pytest.mark.parametrize("part", ["", "classifier"])
def test_a_model_on_the_meta_device_is_refused(part: str) -> None:
    model, tokenizer = tiny.bert()
    model.get_submodule(part).to("meta")
    with pytest.raises(Unsupported, match=r"has no weights.*from_pretrained"):
        load(model, tokenizer)


@pytest.mark.filterwarnings("ignore:For backward hooks", "ignore:Full backward hook")
def test_all_hooks_fire() -> None:
    model, tokenizer = tiny.bert()
    counts: Counter[str] = Counter()

    class Named:
        def __init__(self, name: str) -> None:
            self.name = name

        def count(self, *_: Any) -> None:
            counts[self.name] += 1

    layer = model.bert.encoder.layer[1]
    for name, module in {"model": model, "layer": layer, "table": model.get_input_embeddings()}.items():
        module.register_forward_hook(Named(f"{name} forward").count)
        module.register_forward_hook(lambda *_, name=name: counts.update([f"{name} forward function"]))
        module.register_forward_pre_hook(Named(f"{name} before").count)
    layer.output.dense.register_full_backward_hook(Named("backward").count)
    layer.output.dense.register_full_backward_pre_hook(Named("before backward").count)
    handles = [
        modules.register_module_forward_hook(Named("all forward").count),
        modules.register_module_forward_pre_hook(Named("all before").count),
        modules.register_module_full_backward_hook(Named("all backward").count),
    ]
    try:
        attribute(TEXT, load(model, tokenizer), "saliency")
    finally:
        for handle in handles:
            handle.remove()
    places = [f"{name} {kind}" for name in ("model", "layer", "table") for kind in ("forward", "before")]
    functions = [f"{name} forward function" for name in ("model", "layer", "table")]
    others = ["backward", "before backward", "all forward", "all before", "all backward"]
    assert not {*places, *functions, *others} - set(counts)


def test_errors_of_a_model_are_typed_and_keep_their_cause() -> None:
    model, tokenizer = tiny.bert()
    failure = KeyError("no such thing")

    def fail(*_: Any) -> None:
        raise failure

    model.bert.encoder.register_forward_pre_hook(fail)
    with pytest.raises(
        Unsupported, match=r"BertFor.* cannot be called.*KeyError.*function of texts"
    ) as error:
        attribute(TEXT, load(model, tokenizer), "saliency")
    assert error.value.__cause__ is failure


class Stubborn(nn.Module):
    def __deepcopy__(self, memo: Any) -> None:
        raise TypeError("copy me not")


def test_a_model_that_refuses_to_be_copied() -> None:
    model, _ = tiny.bert()
    model.stubborn = Stubborn()
    with pytest.raises(Unsupported, match="cannot be copied: TypeError: copy me not"):
        make_twin(model)


@pytest.mark.parametrize("error", [DeadlineExceeded("late"), torch.OutOfMemoryError("full")])
def test_errors_that_pass(error: Exception) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(type(error)), translate_errors(nn.Module(), "forward"):
        fail()


def test_a_bug_of_this_package_stays_bare() -> None:
    model, _ = tiny.bert()
    ours = compile(
        "def fail(*_):\n    raise ZeroDivisionError", str(Path(make_twin.__code__.co_filename)), "exec"
    )
    names: dict[str, Any] = {}
    exec(ours, names)
    model.register_forward_pre_hook(names["fail"])
    with pytest.raises(ZeroDivisionError):
        call(model, input_ids=torch.tensor([[2, 5, 3]]))


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("family", ["bert", "gpt2", "t5"])
def test_alti_in_half_precision(family: str, precision: torch.dtype) -> None:
    model, tokenizer = FAMILIES[family].build()
    arguments: dict[str, Any] = {"target": 1} if family == "bert" else {"continuation": " bad", "position": 0}
    expected = attribute(TEXT, load(model, tokenizer), "alti", **arguments).scores
    result = attribute(TEXT, load(model.to(precision), tokenizer), "alti", **arguments)
    np.testing.assert_allclose(result.scores, expected, atol=0.05)
