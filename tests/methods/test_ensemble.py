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
    found: np.ndarray = scores / np.abs(scores).sum(axis=1, keepdims=True)
    return found


def test_it_is_the_mean_of_its_members_shares_for_each_output(tiny: dict[str, Adapter]) -> None:
    names = ("integrated_gradients", "occlusion", "input_x_gradient")
    expected = np.mean([shares(tiny["bert"], name) for name in names], axis=0)
    found = attribute(TEXT, tiny["bert"], "ensemble", "*", members=", ".join(names))
    np.testing.assert_allclose(found.scores, expected, rtol=1e-3, atol=1e-5)
    assert len(found.outputs) == 2 and found.notes == (
        "The mean of Integrated gradients, Occlusion, Input × gradient.",
    )


def test_its_seed_is_that_of_members_that_draw(tiny: dict[str, Adapter]) -> None:
    names = "occlusion, gradient_shap"
    one, two = (attribute(TEXT, tiny["bert"], "ensemble", "*", members=names, seed=seed) for seed in (1, 2))
    drawn = shares(tiny["bert"], "gradient_shap", seed=1) - shares(tiny["bert"], "gradient_shap", seed=2)
    assert np.abs(drawn).max() > 0.01
    np.testing.assert_allclose(one.scores - two.scores, drawn / 2, rtol=1e-2, atol=1e-5)


@pytest.mark.parametrize(
    ("members", "error", "said"),
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
def test_what_cannot_be_a_member_is_named(
    tiny: dict[str, Adapter], members: str, error: type[AttributionError], said: str
) -> None:
    with pytest.raises(error) as found:
        attribute(TEXT, tiny["bert"], "ensemble", members=members)
    assert said in str(found.value)


def test_a_function_of_texts_has_no_ensemble() -> None:
    model = load(lambda rows: [[0.5, 0.5] for _ in rows], labels=("no", "yes"))
    with pytest.raises(Unsupported, match="gradients"):
        attribute(TEXT, model, "ensemble")
