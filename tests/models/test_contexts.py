"""Averages over copies of a text that lack some words, against loops over plain models."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
import torch

from attribution import attribute
from attribution.methods.integrated_gradients import FEW
from attribution.models.adapter import Adapter
from attribution.models.contexts import draw_words, group_by_length, make_copies
from attribution.models.deadline import Deadline
from attribution.models.features import features_of
from attribution.models.objective import Objective
from attribution.models.readers import make_objective
from attribution.request import Target
from tests.tiny import FAMILIES

SEED = next(seed for seed in range(99) if (draw_words(2, 2, 0.5, seed).sum(1) == 1).all())
"""Two copies of two words, each with one of them."""
TEXT = "the movie was not good, but the actors were great!"


@pytest.mark.parametrize(
    ("words", "count", "share"), [(5, 8, 0.5), (1, 4, 0.25), (30, 7, 0.01), (12, 40, 1.0)]
)
def test_each_word_is_in_as_many_copies(words: int, count: int, share: float) -> None:
    found = draw_words(words, count, share, seed=3)
    assert found.shape == (count, words)
    assert set(found.sum(axis=0).tolist()) == {max(1, round(share * count))}
    np.testing.assert_array_equal(found, draw_words(words, count, share, seed=3))


def test_words_are_drawn_apart_from_each_other() -> None:
    found = draw_words(2, 4000, 0.5, seed=0).astype(float)
    assert abs(np.corrcoef(found.T)[0, 1]) < 4 / np.sqrt(4000)
    assert (draw_words(6, 20, 0.5, seed=0) != draw_words(6, 20, 0.5, seed=1)).any()


def made(model: Adapter) -> Objective:
    f = make_objective(model, TEXT, Target(label=1), Deadline())
    assert isinstance(f, Objective)
    return f


def test_a_copy_keeps_special_tokens_and_whole_words(tiny: dict[str, Adapter]) -> None:
    f = made(tiny["bert"])
    nothing, words = f.baseline("auto"), features_of(f, "words")
    rows = 0
    for points, kept in make_copies(f, 40, 0.3, 0):
        rows += len(points)
        assert kept[:, [0, -1]].all()
        for group in words.groups:
            assert (kept[:, list(group)].all(1) == kept[:, list(group)].any(1)).all()
        torch.testing.assert_close(points, torch.where(kept[..., None], f.embeddings, nothing))
    assert rows == 40


def test_no_copies_are_the_text_itself(tiny: dict[str, Adapter]) -> None:
    [(points, kept)] = make_copies(made(tiny["bert"]), 0, 0.5, 0)
    torch.testing.assert_close(points[0], made(tiny["bert"]).embeddings)
    assert kept.all()


@pytest.mark.parametrize("family", ["bert", "gpt2-classifier"])
def test_the_gradient_is_the_mean_over_the_copies(tiny: dict[str, Adapter], family: str) -> None:
    f = made(tiny[family])
    model, _ = FAMILIES[family]()
    if model.config.pad_token_id is None:
        model.config.pad_token_id = 0
    total, there = torch.zeros_like(f.embeddings), torch.zeros(len(f.tokens))
    for points, kept in make_copies(f, 10, 0.5, 7):
        for point, here in zip(points, kept.float(), strict=True):
            leaf = point[None].clone().requires_grad_()
            [slope] = torch.autograd.grad(model(inputs_embeds=leaf).logits[0, 1], leaf)
            total, there = total + here[:, None] * slope[0], there + here
    expected = (total / there[:, None]).norm(dim=-1)
    found = attribute(TEXT, tiny[family], "saliency", 1, contexts=10, seed=7).scores[0]
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-6)


def test_attention_is_the_mean_over_the_copies(tiny: dict[str, Adapter]) -> None:
    f = made(tiny["bert"])
    model, _ = FAMILIES["bert"]()
    model.set_attn_implementation("eager")
    total, there = torch.zeros(len(f.tokens)), torch.zeros(len(f.tokens))
    for points, kept in make_copies(f, 6, 0.5, 7):
        for point, here in zip(points, kept.float(), strict=True):
            weights = model(inputs_embeds=point[None], output_attentions=True).attentions[0][0]
            total, there = total + here * weights.detach().mean(0)[0], there + here
    found = attribute(TEXT, tiny["bert"], "attention", 1, layer=0, contexts=6, seed=7).scores[0]
    np.testing.assert_allclose(found, (total / there).numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", ["saliency", "attention"])
@pytest.mark.parametrize("family", list(FAMILIES))
def test_copies_with_all_words_are_the_text(tiny: dict[str, Adapter], method: str, family: str) -> None:
    asked: dict[str, Any] = {"max_new_tokens": 3}
    plain = attribute(TEXT, tiny[family], method, **asked).scores
    found = attribute(TEXT, tiny[family], method, contexts=3, share=1.0, **asked).scores
    np.testing.assert_allclose(found, plain, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", ["saliency", "attention"])
@pytest.mark.parametrize("family", list(FAMILIES))
def test_nothing_after_an_output_has_a_score(tiny: dict[str, Adapter], method: str, family: str) -> None:
    result = attribute(TEXT, tiny[family], method, contexts=4, max_new_tokens=3)
    assert np.isfinite(result.scores).all() and result.scores.max() > 0
    generated = [
        i for i, token in enumerate(result.tokens) if token.segment == "generated" and not token.special
    ]
    for row in range(len(result.outputs)):
        assert not result.scores[row, generated[row:]].any()


def test_integrated_gradients_add_up_to_what_the_copies_add_up_to(tiny: dict[str, Adapter]) -> None:
    f = made(tiny["bert"])
    [(points, kept)] = make_copies(f, 12, 0.25, 5)
    values = f.evaluate(torch.cat([points, f.baseline("auto")[None]]))[0].double()
    result = attribute(TEXT, tiny["bert"], "integrated_gradients", 1, contexts=12, share=0.25, seed=5)
    assert result.completeness is None and "12 copies" in result.notes[0]
    assert set(kept[:, 1:-1].sum(0).tolist()) == {3}
    expected = float((values[:-1] - values[-1]).sum()) / 3
    assert result.scores.sum() == pytest.approx(expected, abs=0.02 * np.abs(result.scores).sum())


def test_integrated_gradients_of_all_words_are_those_of_the_text(tiny: dict[str, Adapter]) -> None:
    for family in ("bert", "gpt2", "t5"):
        asked: dict[str, Any] = {"max_new_tokens": 2, "baseline": "mean"}
        plain = attribute(
            TEXT, tiny[family], "integrated_gradients", rule="gausslegendre", steps=FEW, **asked
        )
        found = attribute(TEXT, tiny[family], "integrated_gradients", contexts=2, share=1.0, **asked)
        np.testing.assert_allclose(found.scores, plain.scores, rtol=1e-3, atol=1e-5)


def test_the_relative_norm_is_per_size_of_the_embedding(tiny: dict[str, Adapter]) -> None:
    f = made(tiny["bert"])
    plain = attribute(TEXT, tiny["bert"], "saliency", 1).scores[0]
    relative = attribute(TEXT, tiny["bert"], "saliency", 1, norm="relative").scores[0]
    np.testing.assert_allclose(relative, plain * f.embeddings.norm(dim=-1).numpy(), rtol=1e-5)


def test_fading_with_all_words_is_the_path_of_integrated_gradients(tiny: dict[str, Adapter]) -> None:
    f = made(tiny["bert"])
    nothing, places = f.baseline("auto"), (torch.arange(10) + 0.5) / 10
    [(_, _, slopes)] = f.gradients(nothing + places[:, None, None] * (f.embeddings - nothing))
    found = attribute(TEXT, tiny["bert"], "saliency", 1, contexts=10, share=1.0, fade=True).scores[0]
    np.testing.assert_allclose(found, slopes[0].mean(0).norm(dim=-1).numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("family", ["bert", "gpt2-classifier", "gpt2", "t5"])
def test_integrated_gradients_of_shortened_copies_add_up(
    tiny: dict[str, Adapter], family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each word is in two of the copies: half of what the shortened copies gain over a shortened nothing."""
    # The paths of tiny models bend sharply: 8 points would show the error of the rule.
    monkeypatch.setattr(sys.modules["attribution.methods.integrated_gradients"], "FEW", 256)
    f = make_objective(tiny[family], TEXT, Target(max_new_tokens=2), Deadline())
    nothing = f.baseline("mean")
    [(points, kept)] = make_copies(f, 8, 0.25, 5, nothing)
    gained = torch.zeros(len(f.outputs), dtype=torch.float64)
    for rows, places in group_by_length(f, kept):
        width = places[:, :, None].expand(-1, -1, points.shape[-1])
        ends, starts = points[rows].gather(1, width), nothing[places]
        gained += (f.evaluate(ends, places) - f.evaluate(starts, places)).double().sum(1)
    result = attribute(
        TEXT,
        tiny[family],
        "integrated_gradients",
        contexts=8,
        share=0.25,
        seed=5,
        absent="delete",
        baseline="mean",
        max_new_tokens=2,
    )
    for row, whole in zip(result.scores, gained.tolist(), strict=True):
        assert row.sum() == pytest.approx(whole / 2, abs=0.03 * np.abs(row).sum())


def test_a_copy_with_one_word_is_what_the_model_says_of_it_alone(tiny: dict[str, Adapter]) -> None:
    """Completeness: alone among deleted words a word's score is f(word) − f(baseline token)."""
    text = "good film"
    result = attribute(
        text, tiny["bert"], "integrated_gradients", 1, contexts=2, share=0.5, seed=SEED, absent="delete"
    )
    alone = attribute(text, tiny["bert"], "leave_one_in", 1, hide="delete").scores[0]
    rest = [
        0.0 if token.special else float(a - b)
        for token, a, b in zip(result.tokens, result.scores[0], alone, strict=True)
    ]
    assert rest[1] == pytest.approx(rest[2], abs=0.02)
