"""Leave one in, against closed forms, Shapley's first term and a plain model asked about single words."""

from __future__ import annotations

import numpy as np
import torch

from attribution import attribute, load
from attribution.models.adapter import Adapter
from tests.tiny import bert

WEIGHTS = {"good": 0.3, "bad": -0.2}


def linear(rows: list[str]) -> list[list[float]]:
    chances = [0.5 + sum(WEIGHTS.get(word, 0.0) for word in row.split()) for row in rows]
    return [[1 - p, p] for p in chances]


def together(rows: list[str]) -> list[list[float]]:
    """A function that only says yes to both words at once."""
    chances = [0.9 if {"good", "film"} <= set(row.split()) else 0.1 for row in rows]
    return [[1 - p, p] for p in chances]


def test_a_sum_gives_its_terms() -> None:
    result = attribute(
        "good but bad", load(linear, labels=("no", "yes")), "leave_one_in", "yes", quantity="probability"
    )
    np.testing.assert_allclose(result.scores, [[0.3, 0.0, -0.2]], atol=1e-12)


def test_words_that_only_matter_together_score_zero() -> None:
    model = load(together, labels=("no", "yes"))
    alone = attribute("good film", model, "leave_one_in", "yes", quantity="probability")
    first = attribute("good film", model, "occlusion", "yes", quantity="probability")
    both = attribute("good film", model, "shapley", "yes", quantity="probability", hide="delete")
    np.testing.assert_allclose(alone.scores, 0.0, atol=1e-12)
    np.testing.assert_allclose(both.scores, (alone.scores + first.scores) / 2, atol=1e-12)


def test_it_agrees_with_the_plain_model_on_single_words(tiny: dict[str, Adapter]) -> None:
    text = "the movie was good"
    model, tokenizer = bert()

    def logit(words: str) -> float:
        with torch.no_grad():
            return float(model(**tokenizer(words, return_tensors="pt")).logits[0, 1])

    result = attribute(text, tiny["bert"], "leave_one_in", 1)
    expected = [logit(word) - logit("") for word in text.split()]
    np.testing.assert_allclose(result.scores[0][1:-1], expected, rtol=1e-4, atol=1e-5)
    assert not result.scores[0][[0, -1]].any()


def test_with_one_word_it_is_occlusion(tiny: dict[str, Adapter]) -> None:
    for hide in ("mask", "delete"):
        alone, occluded = (
            attribute("good", tiny["bert"], method, hide=hide).scores
            for method in ("leave_one_in", "occlusion")
        )
        np.testing.assert_allclose(alone, occluded, rtol=1e-5, atol=1e-6)
