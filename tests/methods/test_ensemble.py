"""The ensemble, against its members' own answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from attribution import attribute, load
from attribution.errors import AttributionError, BadOption, UnknownMethod, Unsupported
from attribution.models.adapter import Adapter

TEXT = "the plot is not bad"


def shares(model: Adapter, method: str, **options: Any) -> np.ndarray:
    scores = attribute(TEXT, model, method, "*", **options).scores.astype(float)
    normalized: np.ndarray = scores / np.abs(scores).sum(axis=1, keepdims=True)
    return normalized


def test_it_is_the_mean_of_its_members_shares_for_each_output(tiny: dict[str, Adapter]) -> None:
    names = ("integrated_gradients", "occlusion", "input_x_gradient")
    expected = np.mean([shares(tiny["bert"], name) for name in names], axis=0)
    result = attribute(TEXT, tiny["bert"], "ensemble", "*", members=", ".join(names))
    np.testing.assert_allclose(result.scores, expected, rtol=1e-3, atol=1e-5)
    assert len(result.outputs) == 2 and result.notes == (
        "The mean of Integrated gradients, Occlusion, Input × gradient.",
    )


def test_its_seed_is_that_of_members_that_draw(tiny: dict[str, Adapter]) -> None:
    names = "occlusion, gradient_shap"
    first, second = (
        attribute(TEXT, tiny["bert"], "ensemble", "*", members=names, seed=seed) for seed in (1, 2)
    )
    difference = shares(tiny["bert"], "gradient_shap", seed=1) - shares(tiny["bert"], "gradient_shap", seed=2)
    assert np.abs(difference).max() > 0.01
    np.testing.assert_allclose(first.scores - second.scores, difference / 2, rtol=1e-2, atol=1e-5)


@pytest.mark.parametrize(
    ("members", "error", "message"),
    [
        ("occlusion", BadOption, "2 to 8"),
        ("occlusion, OCCLUSION", BadOption, "2 to 8"),
        ("", BadOption, "2 to 8"),
        ("occlusion, saliency", BadOption, "Saliency cannot be a member"),
        ("occlusion, agg_mean", BadOption, "Ensemble cannot be a member"),
        ("occlusion, reagent", BadOption, "ReAGent cannot be a member"),
        ("occlusion, occlusio", UnknownMethod, "occlusion"),
    ],
)
def test_an_error_names_what_cannot_be_a_member(
    tiny: dict[str, Adapter], members: str, error: type[AttributionError], message: str
) -> None:
    with pytest.raises(error) as raised:
        attribute(TEXT, tiny["bert"], "ensemble", members=members)
    assert message in str(raised.value)


def test_a_function_of_texts_has_no_ensemble() -> None:
    model = load(lambda rows: [[0.5, 0.5] for _ in rows], labels=("no", "yes"))
    with pytest.raises(Unsupported, match="gradients"):
        attribute(TEXT, model, "ensemble")
