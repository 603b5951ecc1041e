"""Similarity: one text is varied while the other stays, for every kind of method, against a loop by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from attribution import attribute, load
from attribution.types import Attribution
from tests.families import FAMILIES

TEXT, OTHER = "the film was good", "a very fine movie"


def explain(method: str, **options: object) -> Attribution:
    result = attribute(TEXT, load(*FAMILIES["bert-similarity"].build()), method, second=OTHER, **options)
    assert isinstance(result, Attribution)
    return result


class ByHand:
    """The plain model: embeddings of tokens, and the cosine with a text's own embedding."""

    def __init__(self) -> None:
        self.model, self.tokenizer = FAMILIES["bert-similarity"].build()
        self.table = self.model.get_input_embeddings().weight.detach()
        self.points = [self.table[torch.tensor(self.tokenizer(t)["input_ids"])] for t in (TEXT, OTHER)]
        with torch.no_grad():
            self.pooled = [self.pool(points) for points in self.points]

    def pool(self, points: Tensor) -> Tensor:
        pooled: Tensor = self.model(inputs_embeds=points[None]).last_hidden_state.mean(1)[0]
        return pooled

    def cosine(self, side: int, points: Tensor) -> Tensor:
        """The similarity where one text has other embeddings, and the other text is as it was."""
        return torch.cosine_similarity(self.pool(points), self.pooled[1 - side], dim=0)

    def empty(self, side: int, token: int) -> Tensor:
        """A text of nothing: every token but the special ones is replaced."""
        points = self.table[token].expand_as(self.points[side]).clone()
        points[[0, -1]] = self.points[side][[0, -1]]
        return points


def test_integrated_gradients_go_from_an_empty_text_to_this_one_beside_the_other_text() -> None:
    hand, expected, difference = ByHand(), [], 0.0
    for side in (0, 1):
        start, end = hand.empty(side, 0), hand.points[side]
        total = torch.zeros(len(end))
        for alpha in (torch.arange(300) + 0.5) / 300:
            point = (start + alpha * (end - start)).requires_grad_()
            [slope] = torch.autograd.grad(hand.cosine(side, point), point)
            total += (slope * (end - start)).sum(-1) / 300
        expected += total.tolist()
        with torch.no_grad():
            difference += float(hand.cosine(side, end) - hand.cosine(side, start))
    result = explain("integrated_gradients", baseline="pad", tolerance=0.0005)
    torch.testing.assert_close(
        torch.tensor(result.scores[0]).float(), torch.tensor(expected), rtol=0.02, atol=2e-3
    )
    assert result.completeness is not None
    assert result.completeness[0].difference == pytest.approx(difference, abs=1e-5)
    assert result.outputs[0].value == pytest.approx(
        float(torch.cosine_similarity(*hand.pooled, dim=0)), abs=1e-6
    )
    assert any("One text is varied" in note for note in result.notes)


@pytest.mark.parametrize("method", ["shapley", "kernel_shap", "partition_shap", "deeplift"])
def test_each_text_s_scores_add_up_to_its_own_difference(method: str) -> None:
    hand, options = ByHand(), {"baseline": "mask"} if method == "deeplift" else {}
    result = explain(method, **options)
    for side, segment in enumerate(("text", "second")):
        mine = [i for i, token in enumerate(result.tokens) if token.segment == segment]
        with torch.no_grad():
            lost = hand.cosine(side, hand.points[side]) - hand.cosine(side, hand.empty(side, 4))
        assert result.scores[0, mine].sum() == pytest.approx(float(lost), abs=1e-4)


def test_lime_is_near_the_shapley_values_of_the_same_game() -> None:
    """Where both texts were emptied, they would be equal, and words would speak against it."""
    lime, shapley = explain("lime", samples=2000).scores[0], explain("shapley").scores[0]
    places = [i for i, token in enumerate(explain("random").tokens) if not token.special]
    assert np.corrcoef(lime[places], shapley[places])[0, 1] > 0.9


@pytest.mark.parametrize("method", ["saliency", "input_x_gradient"])
def test_gradients_at_the_texts_are_those_of_their_cosine(method: str) -> None:
    hand, expected = ByHand(), []
    for side in (0, 1):
        point = hand.points[side].clone().requires_grad_()
        [slope] = torch.autograd.grad(hand.cosine(side, point), point)
        expected += (slope.norm(dim=-1) if method == "saliency" else (slope * point).sum(-1)).tolist()
    torch.testing.assert_close(
        torch.tensor(explain(method).scores[0]).float(), torch.tensor(expected), rtol=1e-3, atol=1e-5
    )


def test_relevance_starts_with_the_similarity_in_each_text() -> None:
    [note] = [note for note in explain("lrp").notes if note.startswith("The scores add up")]
    value = explain("random").outputs[0].value
    assert f"of {2 * value:.4g} " in note
    assert "f(x), which each text starts with" in note
