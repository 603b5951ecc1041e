"""What the pictures of attention are sent: little, and the same numbers."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

import attribution
from attribution import load
from attribution.models.adapter import Adapter
from components.pictures.values import attention as pictured
from tests import tiny as models

TEXT = "the movie was not good, but the actor was great!"


@pytest.fixture(scope="module")
def large() -> Adapter:
    """12 layers × 12 heads, as in BERT-base, with random weights."""
    torch.manual_seed(4)
    tokenizer = models.wordpiece()
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=192,
        num_hidden_layers=12,
        num_attention_heads=12,
        intermediate_size=384,
        max_position_embeddings=128,
    )  # fmt: skip
    return load(BertForSequenceClassification(config).eval(), tokenizer)


def test_of_128_tokens_and_144_heads_only_what_is_looked_at_is_sent(large: Adapter) -> None:
    maps = attribution.attentions("good " * 126, large)
    assert len(maps.tokens) == 128
    chosen, at = pictured.choose_head(maps, "", -1, 0)
    overview = pictured.overview(maps, chosen, at, pictured.figure_values(chosen))
    assert len(json.dumps(overview)) < 100_000
    matrix, arcs = pictured.one_head(maps, chosen, at)
    assert len(json.dumps(matrix)) < 60_000
    assert len(json.dumps(arcs)) < 20_000
    sent = np.frombuffer(base64.b64decode(matrix["weights"]), "<u2").reshape(128, 128) / 65535
    np.testing.assert_allclose(sent, maps.weights("self", -1, 0), atol=1 / 65535)


def test_thumbs_keep_the_largest_weight_of_each_part(large: Adapter) -> None:
    maps = attribution.attentions("good bad " * 20, large)
    chosen = maps.block()
    small, count = pictured.thumbnails(chosen), len(maps.tokens)
    assert small.shape == (12, 12, 16, 16)
    for row in range(16):
        for column in range(16):
            part = chosen.weights[
                3,
                5,
                row * count // 16 : (row + 1) * count // 16,
                column * count // 16 : (column + 1) * count // 16,
            ]
            assert small[3, 5, row, column] == pytest.approx(part.max() / chosen.weights[3, 5].max())


def test_arcs_are_the_strongest_weights(tiny: dict[str, Adapter]) -> None:
    maps = attribution.attentions(TEXT, tiny["gpt2"], max_new_tokens=3)
    weights = maps.weights("self", 1, 1)
    _, arcs = pictured.one_head(maps, maps.block(), (1, 1))
    assert len(arcs["arcs"]) == pictured.ARCS
    assert [weight for *_, weight in arcs["arcs"]] == pytest.approx(
        np.sort(weights, axis=None)[::-1][: pictured.ARCS], abs=1e-5
    )
    assert all(
        weights[row, column] == pytest.approx(weight, abs=1e-5) for row, column, weight in arcs["arcs"]
    )


def test_a_link_to_a_missing_head_opens_the_nearest(tiny: dict[str, Adapter]) -> None:
    maps = attribution.attentions(TEXT, tiny["bert"])
    assert pictured.choose_head(maps, "", 99, 1)[1] == (1, 1)
    assert pictured.choose_head(maps, "cross", -1, None)[1] == (1, 1)
