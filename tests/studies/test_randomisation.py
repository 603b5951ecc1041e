from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from attribution import attribute, load
from attribution.engine import default_engine
from attribution.errors import BadOption
from attribution.metrics.common.correlation import spearman
from attribution.studies.randomisation import layers, randomise, sanity
from tests.laws.test_methods import assert_same, state
from tests.tiny import FAMILIES, bert, gpt2

TEXT = "the movie was not good, but the actor's plot was great and very fine!"


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        ("bert", ["embeddings", "encoder.layer.0", "encoder.layer.1", "pooler", "classifier"]),
        ("gpt2", ["wte", "wpe", "h.0", "h.1", "ln_f"]),
        ("gpt2-classifier", ["wte", "wpe", "h.0", "h.1", "ln_f", "score"]),
    ],
)
def test_layers_are_named_from_input_to_output(family: str, expected: list[str]) -> None:
    model, _ = FAMILIES[family]()
    result = layers(model)
    assert list(result) == expected
    assert sorted(name for names in result.values() for name in names) == sorted(
        n for n, _ in model.named_parameters()
    )


def test_an_encoders_blocks_and_a_decoders_are_layers_each() -> None:
    model, _ = FAMILIES["t5"]()
    assert list(layers(model)) == [
        "shared",
        "encoder.block.0",
        "encoder.block.1",
        "encoder.final_layer_norm",
        "decoder.block.0",
        "decoder.block.1",
        "decoder.final_layer_norm",
    ]


def test_only_the_chosen_layers_change_and_keep_their_mean_and_spread() -> None:
    model, tokenizer = bert()
    before = state(model, tokenizer)
    changed = randomise(model, ["encoder.layer.1"], seed=3)
    assert_same(before, state(model, tokenizer))
    own, other = dict(model.named_parameters()), dict(changed.named_parameters())
    for name in own:
        inside = name.startswith("bert.encoder.layer.1.")
        assert (own[name] is other[name]) != inside
    name = "bert.encoder.layer.1.intermediate.dense.weight"
    old, new = own[name].detach().numpy().ravel(), other[name].detach().numpy().ravel()
    assert new.mean() == pytest.approx(old.mean(), abs=0.02)
    assert new.std() == pytest.approx(old.std(), rel=0.1)
    assert spearman(old, new) == pytest.approx(0, abs=0.2)
    again = dict(randomise(model, ["pooler", "encoder.layer.1"], seed=3).named_parameters())
    assert torch.equal(other[name], again[name])
    assert not torch.equal(
        other[name], dict(randomise(model, ["encoder.layer.1"], seed=4).named_parameters())[name]
    )


def test_a_tied_weight_is_replaced_wherever_it_stands() -> None:
    model, _ = gpt2()
    changed = randomise(model, ["wte"])
    assert changed.lm_head.weight is changed.transformer.wte.weight
    assert changed.lm_head.weight is not model.lm_head.weight


def test_an_unknown_layer_is_refused_with_the_nearest() -> None:
    with pytest.raises(BadOption, match="no layer"):
        randomise(bert()[0], ["encoder.layer.9"])


@pytest.mark.parametrize("family", ["bert", "gpt2", "t5"])
def test_saliency_forgets_and_random_scores_do_not(family: str) -> None:
    model, tokenizer = FAMILIES[family]()
    before = state(model, tokenizer)
    adapter = load(model, tokenizer)
    learned = sanity(default_engine(), TEXT, adapter, "saliency", max_new_tokens=4)
    blind = sanity(default_engine(), TEXT, adapter, "random", max_new_tokens=4)
    assert_same(before, state(model, tokenizer))
    assert learned.layers == tuple(reversed(layers(model)))
    last = learned.correlations[-1]
    assert last is not None and last < 0.6
    assert blind.correlations == pytest.approx([1.0] * len(blind.layers))
    assert blind.sensitive is False
    assert learned.original == attribute_like(learned.original, adapter)


def attribute_like(original: object, adapter: object) -> object:
    from dataclasses import replace

    again = attribute(TEXT, adapter, "saliency", max_new_tokens=4)  # type: ignore[arg-type]
    return replace(again, seconds=original.seconds)  # type: ignore[attr-defined]


def test_the_explained_class_and_text_stay_those_of_the_untouched_model() -> None:
    # Seeds under which the randomised model itself would answer otherwise are among these.
    model, tokenizer = gpt2()
    adapter = load(model, tokenizer)
    own = [o.id for o in attribute("the film", adapter, "saliency", max_new_tokens=4).outputs]
    changed = load(randomise(model, layers(model), 1), tokenizer)
    assert [o.id for o in attribute("the film", changed, "saliency", max_new_tokens=4).outputs] != own
    assert (
        len(
            sanity(
                default_engine(), "the film", adapter, "saliency", max_new_tokens=4, randomisation_seed=1
            ).correlations
        )
        == 5
    )


def test_chance_is_the_quantile_that_random_rankings_have() -> None:
    model, tokenizer = bert()
    result = sanity(default_engine(), TEXT, load(model, tokenizer), "saliency")
    count = sum(not token.special for token in result.original.tokens)
    # Under independence Spearman's correlation has the variance 1 / (n − 1).
    assert result.chance == pytest.approx(1.645 / np.sqrt(count - 1), abs=0.06)


def test_constant_scores_are_undefined_not_nan() -> None:
    model, tokenizer = bert()
    result = sanity(default_engine(), "film", load(model, tokenizer), "saliency")
    assert result.correlations == (None,) * 5
    assert result.chance is None and result.sensitive is None


@pytest.mark.parametrize("seed", range(5))
def test_spearman_agrees_with_scipy_under_ties(seed: int) -> None:
    draw = np.random.default_rng(seed)
    a, b = draw.integers(0, 5, 20).astype(float), draw.integers(0, 9, 20).astype(float)
    assert spearman(a, b) == pytest.approx(spearmanr(a, b).statistic, abs=1e-12)
    assert spearman(a, np.ones(20)) is None
    assert spearman(a[:1], b[:1]) is None
