"""Classes of heads: as many names as outputs, and the probabilities that transformers' pipelines give."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedConfig, TextClassificationPipeline

from attribution import attribute, errors, load, sentences
from attribution.models.checkpoint.classes import read_classes, read_link
from attribution.models.targets.labels import class_index, classes
from tests import families as wide

TEXT = "the film is good"


def build(rows: int = 2, **config: Any) -> Any:
    """A tiny BERT with a head of ``rows`` outputs, whose configuration then says something else."""
    model, tokenizer = wide._bert("BertForSequenceClassification", num_labels=rows)()
    for name, value in config.items():
        setattr(model.config, name, value)
    return model, tokenizer


@pytest.mark.parametrize(
    ("rows", "config"),
    [
        (1, {}),
        (1, {"problem_type": "regression"}),
        (1, {"problem_type": "single_label_classification"}),
        (2, {}),
        (3, {"problem_type": "multi_label_classification"}),
        (3, {"problem_type": "regression"}),
    ],
)
def test_probabilities_are_those_of_a_pipeline(rows: int, config: dict[str, Any]) -> None:
    model, tokenizer = build(rows, **config)
    pipe = TextClassificationPipeline(model=model, tokenizer=tokenizer)
    scores = {row["label"]: row["score"] for row in pipe(TEXT, top_k=None)}
    result = attribute(TEXT, load(model, tokenizer), "input_x_gradient")
    expected = [scores[name] for name in result.prediction.labels]
    if config.get("problem_type") == "regression":
        assert result.prediction.probabilities == () and result.unit == "value"
        assert result.prediction.logits == pytest.approx(expected, abs=1e-5)
        assert result.outputs[0].probability is None
        with pytest.raises(errors.BadOption, match="not a probability"):
            attribute(TEXT, load(model, tokenizer), "saliency", quantity="probability")
        if rows > 1:
            assert sentences.prediction(result).count("LABEL_") == rows
    else:
        assert result.prediction.probabilities == pytest.approx(expected, abs=1e-5)
        by_probability = attribute(TEXT, load(model, tokenizer), "saliency", quantity="probability")
        assert by_probability.outputs[0].value == pytest.approx(max(expected), abs=1e-5)


@pytest.mark.parametrize(
    ("rows", "config", "link"),
    [
        (1, {"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}}, "none"),
        (1, {"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Sigmoid"}}, "sigmoid"),
        (1, {"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"}, "none"),
        (3, {"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}}, "softmax"),
        (1, {"function_to_apply": "none"}, "none"),
        (2, {"function_to_apply": "sigmoid"}, "sigmoid"),
    ],
)
def test_what_a_checkpoint_states_is_applied(rows: int, config: dict[str, Any], link: str) -> None:
    assert read_link(PreTrainedConfig(**config), rows) == link


def test_the_activation_of_a_cross_encoder_is_read(tmp_path: Path) -> None:
    for part in build(1):
        part.save_pretrained(tmp_path)
    assert attribute(TEXT, str(tmp_path), "random", second="a plot").prediction.probabilities
    settings = {"model_type": "CrossEncoder", "activation_fn": "torch.nn.modules.linear.Identity"}
    (tmp_path / "config_sentence_transformers.json").write_text(json.dumps(settings))
    assert not attribute(TEXT, load(str(tmp_path)), "random", second="a plot").prediction.probabilities


@pytest.mark.parametrize(
    ("rows", "stated"),
    [
        (1, {0: "negative", 1: "positive"}),
        (3, {0: "negative", 1: "positive"}),
        (2, {0: "negative", 1: "positive", 2: "neutral"}),
        (2, {1: "negative", 2: "positive"}),
        (2, None),
    ],
)
def test_names_that_do_not_fit_the_head_are_not_used(rows: int, stated: Any) -> None:
    result = attribute(TEXT, load(*build(rows, id2label=stated)), "saliency")
    assert result.prediction.labels == tuple(f"LABEL_{i}" for i in range(rows))
    assert any("names other classes" in note for note in result.notes)
    assert 0 < result.prediction.probabilities[0] < 1
    named = load(*build(rows, id2label=stated), labels=[f"name {i}" for i in range(rows)])
    result = attribute(TEXT, named, "saliency")
    assert result.prediction.labels[0] == "name 0" and not result.notes
    with pytest.raises(errors.BadOption, match=f"labels has 7 names; the model has {rows} output"):
        load(*build(rows), labels=list("abcdefg"))


def test_names_of_token_labels_are_compared_too() -> None:
    model, tokenizer = wide._bert("BertForTokenClassification", num_labels=3)()
    model.config.id2label = {0: "O", 1: "B"}
    assert load(model, tokenizer).info.labels == ("LABEL_0", "LABEL_1", "LABEL_2")
    assert read_classes(model.config, None, whole_text=False).names == ("O", "B")


def test_a_head_of_the_callers_own() -> None:
    model, tokenizer = build(2)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model.classifier = torch.nn.Sequential(torch.nn.Linear(16, 8), torch.nn.Tanh(), torch.nn.Linear(8, 4))
    with torch.no_grad():
        expected = model(**tokenizer(TEXT, return_tensors="pt")).logits[0]
    result = attribute(TEXT, load(model, tokenizer), "input_x_gradient", "*")
    assert [output.value for output in result.outputs] == pytest.approx(expected.tolist(), abs=1e-5)
    assert len(result.prediction.labels) == 4


def test_labels_that_differ_only_in_case_are_told_apart() -> None:
    names = ("good", "Good", "bad", "bad", "1")
    assert [class_index(names, name) for name in ("good", "Good", 3, "1")] == [0, 1, 3, 4]
    with pytest.raises(errors.UnknownTarget, match=r"differ only in case.*0 \('good'\), 1 \('Good'\)"):
        class_index(names, "GOOD")
    with pytest.raises(errors.UnknownTarget, match=r"name of 2 labels\. .*2 \('bad'\), 3 \('bad'\)"):
        class_index(names, "bad")
    assert classes(("*", "other"), "*", torch.zeros(2)) == [0]


def test_labels_in_targets_and_contrasts() -> None:
    adapter = load(*build(3, id2label={0: "good", 1: "Good", 2: "bad"}))
    result = attribute(TEXT, adapter, "saliency", "Good", contrast="good")
    assert (result.outputs[0].id, result.outputs[0].text, result.outputs[0].contrast) == (1, "Good", "good")
    with pytest.raises(errors.UnknownTarget, match="Give the number"):
        attribute(TEXT, adapter, "saliency", "bad", contrast="GOOD")


@pytest.mark.parametrize("config", [{"return_dict": False}, {"torchscript": True, "use_cache": True}])
@pytest.mark.parametrize("family", ["bert", "bert-question", "bert-similarity", "gpt2", "t5"])
def test_the_form_of_answers_changes_no_number(family: str, config: dict[str, Any]) -> None:
    second = {"second": "a plot"} if family in ("bert-question", "bert-similarity") else {}
    more = {"continuation": " the"} if family in ("gpt2", "t5") else second
    results = []
    for changes in ({}, config):
        model, tokenizer = wide.FAMILIES[family].build()
        for name, value in changes.items():
            setattr(model.config, name, value)
        results.append(attribute(TEXT, load(model, tokenizer), "input_x_gradient", **more))
    assert results[0].scores == pytest.approx(results[1].scores, abs=1e-6)
