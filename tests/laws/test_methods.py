"""Laws for every registered method on a tiny model of each family it supports; new methods need no edit."""

from __future__ import annotations

import atexit
import copy
import shutil
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from attribution import Attribution, attribute, attribute_many, list_methods, load
from attribution.engine import Engine
from attribution.errors import NotFinite, Unsupported
from attribution.models.adapter import Adapter
from tests import families as wide
from tests.quick import QUICK
from tests.tiny import FAMILIES

TEXT = "the movie was not good, but the actor's 世界 👨‍👩‍👧 was great!"
OTHER = "a very fine plot, so great"
TASKS: dict[str, str] = {
    "bert": "classification",
    "gpt2-classifier": "classification",
    "gpt2": "causal",
    "t5": "seq2seq",
}
# One more family for each other task, and one with root-mean-square norms, gates and rotary positions.
OTHER_FAMILIES = ("bert-tokens", "bert-masked", "bert-question", "bert-similarity", "llama")
BUILD = {**FAMILIES, **{name: wide.FAMILIES[name].build for name in OTHER_FAMILIES}}
TASKS |= {name: wide.FAMILIES[name].task for name in OTHER_FAMILIES}


def parametrize_supported(families: Iterable[str]) -> Any:
    supported = [
        (m, f)
        for m in list_methods()
        for f in families
        if list_methods()[m].unsupported_reason(TASKS[f]) is None
    ]
    return pytest.mark.parametrize(("method", "family"), supported)


pairs, all_pairs = parametrize_supported(FAMILIES), parametrize_supported(BUILD)


@pytest.fixture(scope="module")
def models(tiny: dict[str, Adapter]) -> dict[str, Adapter]:
    return {**tiny, **{name: Adapter(*BUILD[name](), name=f"tiny/{name}") for name in OTHER_FAMILIES}}


def run(model: Adapter, method: str, text: str = TEXT, **options: Any) -> Attribution:
    if model.task.fills_masks:
        text += " [MASK]"
    if model.task.has_labels and model.task.has_positions:
        options = {"position": [1, 3], **options}
    second = OTHER if model.task.second == "required" else None
    return attribute(text, model, method, second=second, max_new_tokens=4, **{**quick(method), **options})


def quick(method: str) -> dict[str, Any]:
    """A method's options in a quick form, with its second model if it needs one."""
    companion = list_methods()[method].companion
    return {**QUICK.get(method, {}), **({companion: masked_folder()} if companion else {})}


_plain: dict[tuple[str, str], Attribution] = {}


def plain(model: Adapter, method: str, family: str) -> Attribution:
    """A result that several laws check, computed once. Laws about identical bits compute their own."""
    if (method, family) not in _plain:
        _plain[method, family] = run(model, method)
    return _plain[method, family]


@cache
def masked_folder() -> str:
    """A masked language model for the methods that need one beside the explained model."""
    folder = tempfile.mkdtemp(prefix="masked-")
    atexit.register(shutil.rmtree, folder)
    for part in wide.FAMILIES["bert-masked"].build():
        part.save_pretrained(folder)
    return folder


@all_pairs
def test_scores_are_finite_and_have_the_stated_shape(
    models: dict[str, Adapter], method: str, family: str
) -> None:
    result = plain(models[family], method, family)
    assert result.scores.shape == (len(result.outputs), len(result.tokens))
    assert np.isfinite(result.scores).all()
    assert np.abs(result.scores).max() > 0
    if not result.signed:
        assert (result.scores >= 0).all()
    with pytest.raises(ValueError, match="read-only"):
        result.scores[0, 0] = 1.0


@pairs
def test_nothing_after_an_output_has_a_score(tiny: dict[str, Adapter], method: str, family: str) -> None:
    result = plain(tiny[family], method, family)
    generated = [
        i for i, token in enumerate(result.tokens) if token.segment == "generated" and not token.special
    ]
    for row in range(len(result.outputs)):
        assert not result.scores[row, generated[row:]].any()


@all_pairs
def test_the_same_request_gives_the_same_numbers(
    models: dict[str, Adapter], method: str, family: str
) -> None:
    np.testing.assert_array_equal(run(models[family], method).scores, run(models[family], method).scores)


@parametrize_supported(["bert", "gpt2", "t5"])
def test_many_texts_and_eight_threads_give_the_numbers_of_one(
    models: dict[str, Adapter], method: str, family: str
) -> None:
    model, texts = (
        models[family],
        ["the plot is bad", "a very fine film!", "it was so awful.", "世界 is great"],
    )
    alone = [run(model, method, text).scores for text in texts]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda text: run(model, method, text).scores, texts * 2))
    # Here another thread than the caller's computes.
    many = attribute_many(texts, model, method, max_new_tokens=4, options=quick(method))
    together += [result.scores for result in many]
    for single, other in zip(alone * 3, together, strict=True):
        # An ensemble's scores are shares of tiny differences, so their rounding weighs more.
        np.testing.assert_allclose(other, single, rtol=1e-4 if method == "ensemble" else 1e-5, atol=1e-7)


def state(model: torch.nn.Module, tokenizer: Any) -> dict[str, Any]:
    """Everything of a model that an attribution could change and must not."""
    return {
        "weights": {n: t.clone() for n, t in model.state_dict().items()},
        "versions": {n: t._version for n, t in model.named_parameters()},
        "buffers": {n: t.clone() for n, t in model.named_buffers()},
        "grads": {n: (p.requires_grad, p.grad) for n, p in model.named_parameters()},
        "modes": {n: m.training for n, m in model.named_modules()},
        "hooks": {
            n: (
                len(m._forward_hooks),
                len(m._forward_pre_hooks),
                len(m._backward_hooks),
                "forward" in vars(m),
            )
            for n, m in model.named_modules()
        },
        "config": copy.deepcopy(model.config.to_dict()),
        "attention": model.config._attn_implementation,
        "tokenizer": (
            len(tokenizer),
            tokenizer.backend_tokenizer.to_str(),
            tokenizer.init_kwargs | {"tokenizer_object": None},
        ),
        "grad_mode": torch.is_grad_enabled(),
    }


def assert_same(before: dict[str, Any], after: dict[str, Any]) -> None:
    for kind in ("weights", "buffers"):
        tensors, others = before.pop(kind), after.pop(kind)
        assert tensors.keys() == others.keys()
        assert all(torch.equal(tensors[n], others[n]) for n in tensors)
    assert before == after


@all_pairs
def test_the_model_is_bit_identical_afterwards(method: str, family: str) -> None:
    check_model_unchanged(method, family, training=False)


@pairs
def test_a_model_in_training_mode_is_bit_identical_afterwards(method: str, family: str) -> None:
    check_model_unchanged(method, family, training=True)


def check_model_unchanged(method: str, family: str, *, training: bool) -> None:
    model, tokenizer = BUILD[family]()
    model.train(training)
    tokenizer.backend_tokenizer.enable_padding(length=8)
    before = state(model, tokenizer)
    result = run(load(model, tokenizer), method)
    assert_same(before, state(model, tokenizer))
    np.testing.assert_array_equal(run(load(model.eval(), tokenizer), method).scores, result.scores)


@pairs
def test_the_model_is_bit_identical_after_a_failure(
    method: str, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = FAMILIES[family]()
    before = state(model, tokenizer)
    adapter = load(model, tokenizer)
    calls = 0

    def failing(*_: Any, **__: Any) -> Any:
        nonlocal calls
        calls += 1
        raise RuntimeError("in the middle")

    broken = adapter.eager if list_methods()[method].needs == "attentions" else adapter.model
    last = list(broken.modules())[-1]
    monkeypatch.setattr(last, "forward", failing)
    with pytest.raises(Unsupported, match="in the middle") as raised:
        run(adapter, method)
    assert calls and isinstance(raised.value.__cause__, RuntimeError)
    assert_same(before, state(model, tokenizer))


@pairs
def test_no_grad_and_inference_mode_around_the_call_change_nothing(
    tiny: dict[str, Adapter], method: str, family: str
) -> None:
    expected = run(tiny[family], method).scores
    with torch.no_grad():
        np.testing.assert_array_equal(run(tiny[family], method).scores, expected)
    with torch.inference_mode():
        np.testing.assert_array_equal(run(tiny[family], method).scores, expected)


@all_pairs
def test_scores_add_up_where_it_is_claimed(models: dict[str, Adapter], method: str, family: str) -> None:
    result = plain(models[family], method, family)
    if result.completeness is None:
        assert result.residual is None
        return
    for row, check, output in zip(result.scores, result.completeness, result.outputs, strict=True):
        assert check.value == pytest.approx(output.value, rel=1e-5)
        assert row.sum() + check.residual == pytest.approx(check.difference, abs=1e-4)
        assert abs(check.residual) <= 0.02 * np.abs(row).sum()


@pairs
def test_quantities_of_the_target(tiny: dict[str, Adapter], method: str, family: str) -> None:
    values = {q: run(tiny[family], method, quantity=q).outputs[0] for q in ("log_probability", "probability")}
    values["logit"] = plain(tiny[family], method, family).outputs[0]
    assert values["probability"].value == pytest.approx(values["logit"].probability, rel=1e-5)
    assert np.exp(values["log_probability"].value) == pytest.approx(values["probability"].value, rel=1e-5)


@pairs
def test_a_model_that_gives_nan_is_a_typed_error(method: str, family: str) -> None:
    model, tokenizer = FAMILIES[family]()
    with torch.no_grad():
        model.get_input_embeddings().weight.fill_(float("nan"))
    with pytest.raises(NotFinite):
        run(load(model, tokenizer), method)


@all_pairs
def test_batches_of_one_row_give_the_same_numbers(
    models: dict[str, Adapter], method: str, family: str
) -> None:
    import dataclasses

    from attribution.settings import DEFAULTS

    model, tokenizer = BUILD[family]()
    narrow = Adapter(model, tokenizer, settings=dataclasses.replace(DEFAULTS, rows_per_batch_tokens=1))
    np.testing.assert_allclose(
        run(narrow, method).scores, plain(models[family], method, family).scores, rtol=1e-4, atol=1e-6
    )


def test_every_method_says_what_a_person_needs() -> None:
    for name, method in list_methods().items():
        assert name == method.name
        assert method.title and method.summary.endswith(".") and method.caveat.endswith(".") and method.cost
        assert "equation" in (method.function.__doc__ or "") or "section" in (method.function.__doc__ or "")
        assert all(option.help for option in method.options)


def test_an_engine_answers_a_repeated_request_from_its_cache() -> None:
    engine = Engine()
    first = engine.attribute("A fine film.", method="saliency")
    assert engine.attribute("A fine film.", method="gradient") is first
    assert engine.attribute("A fine film!", method="gradient") is not first
