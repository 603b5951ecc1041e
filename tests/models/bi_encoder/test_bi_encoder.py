"""Bi-encoders of sentence-transformers give the similarity that sentence-transformers gives.

The right values are computed by hand from the model's last states; a development version of this file held
them against sentence-transformers 6.2.0.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import cosine_similarity, layer_norm, normalize

from attribution import attribute, errors, load
from attribution.models.sources.inspection import MODULE_FILE
from tests import families as wide

TEXT, OTHER = "the film is good", "a fine Film, it's so very bad"
PROMPT = "the plot : "
POOLED: dict[str, Callable[[Tensor], Tensor]] = {
    "cls": lambda states: states[0],
    "max": lambda states: states.max(0).values,
    "mean": lambda states: states.mean(0),
    "mean_sqrt_len_tokens": lambda states: states.sum(0) / len(states) ** 0.5,
    "weightedmean": lambda states: (
        (states * torch.arange(1, len(states) + 1)[:, None]).sum(0) / sum(range(len(states) + 1))
    ),
    "lasttoken": lambda states: states[-1],
}


def states(text: str) -> Tensor:
    """The last states of a text, [inputs, hidden]."""
    model, tokenizer = wide.FAMILIES["bert-similarity"].build()
    with torch.no_grad():
        return model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]


class Checkpoint:
    """A folder of sentence-transformers: a BERT, then modules, each with configuration and weights."""

    def __init__(self, folder: Path, family: str = "bert-similarity") -> None:
        self.folder = folder
        for part in wide.FAMILIES[family].build():
            part.save_pretrained(folder)
        self.listed = [{"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"}]

    def add(self, kind: str, weights: dict[str, Tensor] | None = None, **config: Any) -> Checkpoint:
        path = f"{len(self.listed)}_{kind}"
        self.write(f"{path}/config.json", config)
        if weights is not None:
            save_file(weights, self.folder / path / "model.safetensors")
        self.listed.append({"idx": len(self.listed), "path": path, "type": f"sentence_transformers.x.{kind}"})
        self.write("modules.json", self.listed)
        return self

    def write(self, name: str, data: Any) -> Checkpoint:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(data))
        return self

    def similarity(self) -> float:
        return attribute(TEXT, str(self.folder), "random", second=OTHER).outputs[0].value


def close(value: float, expected: Tensor) -> None:
    assert value == pytest.approx(float(expected), abs=2e-5)


@pytest.mark.parametrize("mode", POOLED)
@pytest.mark.parametrize("version", ["old", "new"])
def test_each_way_of_pooling(tmp_path: Path, mode: str, version: str) -> None:
    token = "" if mode == "lasttoken" or mode.endswith("tokens") else "_token" if mode == "cls" else "_tokens"
    flags = {"pooling_mode_mean_tokens": False, f"pooling_mode_{mode}{token}": True}
    config = flags if version == "old" else {"pooling_mode": mode}
    expected = cosine_similarity(POOLED[mode](states(TEXT)), POOLED[mode](states(OTHER)), dim=0)
    close(Checkpoint(tmp_path).add("Pooling", embedding_dimension=16, **config).similarity(), expected)


def test_modules_after_pooling_and_several_modes(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(1)
    w, b = torch.randn(8, 32, generator=generator), torch.randn(8, generator=generator)
    norm = {
        "norm.weight": torch.rand(8, generator=generator),
        "norm.bias": torch.rand(8, generator=generator),
    }

    def embed(text: str) -> Tensor:
        pooled = torch.cat([POOLED["cls"](states(text)), POOLED["mean"](states(text))])
        return normalize(layer_norm(torch.tanh(w @ pooled + b), (8,), *norm.values()), dim=0)

    checkpoint = Checkpoint(tmp_path).add("Pooling", pooling_mode=["cls", "mean"])
    dense = {"in_features": 32, "out_features": 8, "activation_function": "torch.nn.modules.activation.Tanh"}
    checkpoint.add("Dense", {"linear.weight": w, "linear.bias": b}, **dense)
    checkpoint.add("LayerNorm", norm, dimension=8).add("Dropout", dropout=0.5).add("Normalize")
    close(checkpoint.similarity(), cosine_similarity(embed(TEXT), embed(OTHER), dim=0))
    # Every kind of method reads the same number; those of the inside too.
    for method in ("lrp", "deeplift", "occlusion", "attention_rollout"):
        result = attribute(TEXT, str(tmp_path), method, second=OTHER)
        close(result.outputs[0].value, cosine_similarity(embed(TEXT), embed(OTHER), dim=0))


@pytest.mark.parametrize(
    ("name", "function", "unit"),
    [
        ("dot", lambda a, b: a @ b, "dot product"),
        ("euclidean", lambda a, b: -(a - b).norm(), "negative Euclidean distance"),
        ("manhattan", lambda a, b: -(a - b).abs().sum(), "negative Manhattan distance"),
    ],
)
def test_what_vectors_are_compared_by(tmp_path: Path, name: str, function: Any, unit: str) -> None:
    settings = {"similarity_fn_name": name, "truncate_dim": 5}
    checkpoint = Checkpoint(tmp_path).add("Pooling", pooling_mode="mean")
    checkpoint.write("config_sentence_transformers.json", settings)
    close(checkpoint.similarity(), function(states(TEXT).mean(0)[:5], states(OTHER).mean(0)[:5]))
    result = attribute(TEXT, str(tmp_path), "input_x_gradient", second=OTHER)
    assert (result.unit, result.outputs[0].text) == (unit, unit)
    same = attribute(TEXT, str(tmp_path), "input_x_gradient", second=TEXT)
    assert torch.isfinite(torch.tensor(same.scores)).all()


@pytest.mark.parametrize("includes", [True, False])
def test_the_default_prompt_stands_in_front_of_each_text(tmp_path: Path, includes: bool) -> None:
    checkpoint = Checkpoint(tmp_path).add("Pooling", pooling_mode="mean", include_prompt=includes)
    settings = {"prompts": {"query": PROMPT, "document": ""}, "default_prompt_name": "query"}
    checkpoint.write("config_sentence_transformers.json", settings)
    skipped = 0 if includes else 4  # [CLS] the plot :
    a, b = (states(PROMPT + text)[skipped:].mean(0) for text in (TEXT, OTHER))
    close(checkpoint.similarity(), cosine_similarity(a, b, dim=0))
    result = attribute(TEXT, str(tmp_path), "integrated_gradients", second=OTHER)
    prompt = [token for token in result.tokens if token.text in ("the", "plot") and token.special]
    assert len(prompt) == 4 and all(token.start == token.end for token in prompt)
    words = [token.text for token in result.tokens if token.segment == "text" and not token.special]
    assert words == TEXT.split()
    assert [TEXT[t.start : t.end] for t in result.tokens if not t.special and t.segment == "text"] == words
    assert any("prompt" in note for note in result.notes)


def test_length_and_case_of_the_transformer(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path, "llama")
    checkpoint.add("Pooling", pooling_mode="mean")
    checkpoint.write("sentence_bert_config.json", {"max_seq_length": 7, "do_lower_case": True})
    with pytest.raises(errors.TooLong, match=r"tokens; 7 at most are what this model is set up for"):
        checkpoint.similarity()
    adapter = load(str(tmp_path))
    assert adapter.max_tokens == 7
    assert adapter.pieces("THE FILM") == adapter.pieces("the film")


@pytest.mark.parametrize(
    ("kind", "config", "message"),
    [
        ("WordWeights", {}, "2_WordWeights"),
        ("CNN", {}, "2_CNN"),
        ("Dense", {"in_features": 16, "out_features": 4}, "2_Dense of this bi-encoder has no model.safe"),
        ("Dense", {"in_features": 16, "activation_function": "own.Act", "out_features": 4}, "own.Act"),
        ("Dense", {"in_features": 3, "out_features": 4}, "2_Dense of this bi-encoder does not have"),
    ],
)
def test_what_cannot_be_computed_is_named(
    tmp_path: Path, kind: str, config: dict[str, Any], message: str
) -> None:
    weights = None if "no model" in message or kind != "Dense" else {"linear.weight": torch.zeros(4, 16)}
    checkpoint = Checkpoint(tmp_path).add("Pooling", pooling_mode="mean").add(kind, weights, **config)
    with pytest.raises(errors.Unsupported, match=message):
        checkpoint.similarity()


def test_a_way_of_pooling_that_is_not_known_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.Unsupported, match="pools by 'attentive'"):
        Checkpoint(tmp_path).add("Pooling", pooling_mode="attentive").similarity()


def test_a_bi_encoder_is_loaded_without_the_head_that_it_was_saved_with(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path, "bert-masked").add("Pooling", pooling_mode="cls")
    model, tokenizer = wide.FAMILIES["bert-masked"].build()
    with torch.no_grad():
        a, b = (
            model.bert(**tokenizer(text, return_tensors="pt")).last_hidden_state[0, 0]
            for text in (TEXT, OTHER)
        )
    close(checkpoint.similarity(), cosine_similarity(a, b, dim=0))


def test_a_decoder_as_a_bi_encoder(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path, "llama").add("Pooling", pooling_mode="lasttoken")
    model, tokenizer = wide.FAMILIES["llama"].build()
    with torch.no_grad():
        a, b = (
            model.model(**tokenizer(text, return_tensors="pt", return_token_type_ids=False)).last_hidden_state
            for text in (TEXT, OTHER)
        )
    close(checkpoint.similarity(), cosine_similarity(a[0, -1], b[0, -1], dim=0))


def test_a_model_object_is_pooled_as_its_caller_says() -> None:
    pair = wide.FAMILIES["bert-similarity"].build()
    expected = cosine_similarity(states(TEXT)[0], states(OTHER)[0], dim=0)
    result = attribute(TEXT, load(*pair, pooling="cls"), "saliency", second=OTHER)
    close(result.outputs[0].value, expected)
    assert not any("pooling=" in note for note in result.notes)
    unsaid = attribute(TEXT, load(*pair), "saliency", second=OTHER)
    assert any("is the mean of its last states" in note for note in unsaid.notes)
    with pytest.raises(errors.BadOption, match="Did you mean 'mean'"):
        load(*pair, pooling="meen")
    masked = load(*wide.FAMILIES["bert-masked"].build(), pooling="cls")
    with pytest.raises(errors.Unsupported, match="without its head"):
        attribute(TEXT, masked, "saliency", second=OTHER)


def test_a_folder_of_a_bare_model_is_a_bi_encoder_where_the_caller_says_so(tmp_path: Path) -> None:
    for part in wide.FAMILIES["bert-similarity"].build():
        part.save_pretrained(tmp_path)
    named = attribute(TEXT, load(tmp_path, pooling=["first"]), "saliency", second=OTHER)
    close(named.outputs[0].value, cosine_similarity(states(TEXT)[0], states(OTHER)[0], dim=0))
    task = attribute(TEXT, load(tmp_path, task="similarity"), "saliency", second=OTHER)
    close(task.outputs[0].value, cosine_similarity(states(TEXT).mean(0), states(OTHER).mean(0), dim=0))
    assert any("pooling=" in note for note in task.notes)


def test_a_cross_encoder_with_modules_is_no_bi_encoder(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path, "bert")
    checkpoint.write("modules.json", checkpoint.listed)
    checkpoint.write("sentence_bert_config.json", {"transformer_task": "sequence-classification"})
    checkpoint.write("config_sentence_transformers.json", {"model_type": "CrossEncoder"})
    assert load(str(tmp_path)).info.task == "classification"


def test_the_hub_sends_the_files_of_modules() -> None:
    wanted = ["1_Pooling/config.json", "2_Dense/config.json", "2_Dense/model.safetensors"]
    assert all(MODULE_FILE.fullmatch(name) for name in wanted)
    others = ["2_Dense/pytorch_model.bin", "onnx/model.safetensors", "0_Transformer/model.safetensors"]
    assert not any(MODULE_FILE.fullmatch(name) for name in others)
