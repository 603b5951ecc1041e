"""Shapley methods against the ``shap`` package on the same games."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from attribution import attribute, load
from attribution.models.adapter import Adapter

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # numba and shap warn while they are imported
    shap = pytest.importorskip("shap")

TEXT = "the movie was not so good but fine"
WORDS = TEXT.split()


def answers(rows: list[str]) -> list[list[float]]:
    """Words interact: 'not' reverses 'good', and 'but' strengthens 'fine'."""
    chances = []
    for row in rows:
        words = set(row.split())
        score = 0.8 * ("good" in words) * (-1 if "not" in words else 1) + 0.5 * ("fine" in words) * (
            1 + ("but" in words)
        )
        score += 0.1 * len(words) * ("so" in words)
        chances.append([1 / (1 + np.exp(score)), 1 / (1 + np.exp(-score))])
    return chances


def game(present: np.ndarray) -> np.ndarray:
    """The log-odds of the second class with only some words present, as a function of bool [rows, words]."""
    rows = [
        " ".join(word for word, is_present in zip(WORDS, row, strict=True) if is_present)
        for row in present.astype(bool)
    ]
    chances = np.array(answers(rows))[:, 1]
    return np.log(chances / (1 - chances))


def by_shap(play: Callable[[np.ndarray], np.ndarray], kind: type[Any], **options: Any) -> np.ndarray:
    masker = shap.maskers.Independent(np.zeros((1, len(WORDS))), max_samples=1)
    return kind(play, masker, **options)(np.ones((1, len(WORDS)))).values[0]


def test_shapley_values_are_those_of_shap() -> None:
    model = load(answers, labels=("no", "yes"))
    ours = attribute(TEXT, model, "shapley", "yes").scores[0]
    np.testing.assert_allclose(ours, by_shap(game, shap.explainers.Exact), atol=1e-8)
    np.testing.assert_allclose(
        attribute(TEXT, model, "kernel_shap", "yes", samples=8192).scores[0], ours, atol=1e-8
    )


def test_kernel_shap_is_that_of_shap() -> None:
    explainer = shap.KernelExplainer(game, np.zeros((1, len(WORDS))))
    theirs = explainer.shap_values(
        np.ones((1, len(WORDS))), nsamples=2 ** len(WORDS), silent=True, l1_reg=False
    )[0]
    ours = attribute(TEXT, load(answers, labels=("no", "yes")), "kernel_shap", "yes", samples=8192).scores[0]
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_shapley_values_of_a_transformer_are_those_of_shap(tiny: dict[str, Adapter]) -> None:
    from attribution.models.deadline import Deadline
    from attribution.models.features import features_of
    from attribution.models.readers import make_objective
    from attribution.types import Target

    f = make_objective(tiny["bert"], TEXT, Target(1), Deadline())
    words = features_of(f, "words")
    ours = attribute(TEXT, tiny["bert"], "shapley", 1).words()
    theirs = by_shap(
        lambda rows: f.evaluate_features(words, rows.astype(bool), "mask")[0].double().numpy(),
        shap.explainers.Exact,
    )
    got = [score for token, score in zip(ours.tokens, ours.scores[0], strict=True) if not token.special]
    np.testing.assert_allclose(got, theirs, atol=1e-5)
