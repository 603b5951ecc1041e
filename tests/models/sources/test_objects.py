"""Objects of other tools as models: unwrapped with the right numbers, or refused with what to do."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from peft import LoraConfig, PromptTuningConfig, TaskType, get_peft_model
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC
from transformers import BertForSequenceClassification, PreTrainedModel, pipeline

from attribution import attribute, attribute_many, compare, errors, evaluate, load, run_batch
from attribution.models.adapter import Adapter
from attribution.models.function import Function
from tests.tiny import bert, gpt2

TEXT = "the plot is not good , but the actor was fine"
TEXTS = ["good film", "great plot", "fine actor", "bad film", "awful plot", "not good"]
LABELS = [1, 1, 1, 0, 0, 0]
# PEFT reads an attribute that transformers is about to rename.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")


@pytest.fixture
def parts() -> tuple[PreTrainedModel, Any]:
    return bert()


def state(model: torch.nn.Module) -> tuple[Any, ...]:
    """Whatever of a model must not change."""
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    flags = [
        (name, m.training, len(m._forward_hooks), "forward" in vars(m)) for name, m in model.named_modules()
    ]
    return (
        tensors,
        flags,
        [(name, type(m)) for name, m in model.named_modules()],
        [p.grad for p in model.parameters()],
    )


def same(before: tuple[Any, ...], after: tuple[Any, ...]) -> bool:
    tensors = all(torch.equal(tensor, after[0][name]) for name, tensor in before[0].items())
    return tensors and before[0].keys() == after[0].keys() and before[1:] == after[1:]


def by_hand(model: Any, tokenizer: Any) -> torch.Tensor:
    """The logits that the caller's own object gives."""
    inputs = tokenizer(TEXT, return_tensors="pt")
    training = model.training
    with torch.no_grad():
        logits = model.eval()(**inputs).logits[0]
    model.train(training)
    return logits


def lora(model: PreTrainedModel) -> Any:
    config = LoraConfig(
        task_type=TaskType.SEQ_CLS, target_modules=["query", "value"], init_lora_weights=False
    )
    torch.manual_seed(5)
    wrapped = get_peft_model(copy.deepcopy(model), config)
    with torch.no_grad():
        wrapped.base_model.model.classifier.modules_to_save.default.weight.mul_(1.5)
    return wrapped


def adapted(model: PreTrainedModel) -> PreTrainedModel:
    """An adapter in the model's own way, without PEFT's wrapper."""
    model = copy.deepcopy(model)
    torch.manual_seed(6)
    model.add_adapter(LoraConfig(target_modules=["key", "word_embeddings"], init_lora_weights=False))
    return model


def in_autocast(model: PreTrainedModel) -> PreTrainedModel:
    """What ``Accelerator(mixed_precision="bf16").prepare`` makes of a model."""
    from types import MethodType

    from accelerate.utils import convert_outputs_to_fp32

    model = copy.deepcopy(model)
    inner = torch.autocast("cpu", torch.bfloat16)(type(model).forward)
    model._original_forward = model.forward
    model.forward = MethodType(convert_outputs_to_fp32(inner), model)
    return model


WRAPPED: dict[str, Callable[[PreTrainedModel], Any]] = {
    "plain": lambda model: model,
    "compiled": lambda model: torch.compile(model, backend="eager"),
    "data parallel": torch.nn.DataParallel,
    "average": torch.optim.swa_utils.AveragedModel,
    "lora": lora,
    "compiled lora": lambda model: torch.compile(lora(model), backend="eager"),
    "adapted": adapted,
    "autocast": in_autocast,
    "half": lambda model: copy.deepcopy(model).half(),
    "bfloat16": lambda model: copy.deepcopy(model).bfloat16(),
}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kind", WRAPPED)
def test_a_wrapped_model_has_the_numbers_of_its_own_calls(kind: str, training: bool, parts: Any) -> None:
    model, tokenizer = WRAPPED[kind](parts[0]), parts[1]
    model.train(training)
    rough = kind in ("half", "bfloat16", "autocast")
    expected, before = by_hand(model, tokenizer), state(model)
    adapter = load(model, tokenizer)
    result = attribute(TEXT, adapter, "occlusion", "*")
    assert isinstance(adapter, Adapter)
    assert list(result.prediction.logits) == pytest.approx(expected.tolist(), rel=0.03 if rough else 1e-4)
    if not rough:
        integrated = attribute(TEXT, adapter, "integrated_gradients")
        assert integrated.completeness is not None
        attribute(TEXT, adapter, "value_zeroing")
    assert same(before, state(model))


def test_merged_adapters_leave_tied_weights_alone() -> None:
    model, tokenizer = gpt2()
    model.add_adapter(LoraConfig(target_modules=["wte"], init_lora_weights=False))
    model.eval()
    with torch.no_grad():
        expected = model(**tokenizer("the film", return_tensors="pt")).logits[0, -1].log_softmax(-1)
    result = attribute(
        "the film", load(model, tokenizer), "saliency", quantity="log_probability", max_new_tokens=1
    )
    assert result.outputs[0].value == pytest.approx(float(expected.max()), rel=1e-4)
    assert model.lm_head.weight is model.transformer.wte.base_layer.weight


def test_a_disabled_adapter_does_not_count(parts: Any) -> None:
    model = adapted(parts[0])
    model.disable_adapters()
    expected = by_hand(model, parts[1])
    assert torch.allclose(expected, by_hand(parts[0], parts[1]))
    result = attribute(TEXT, load(model, parts[1]), "occlusion")
    assert list(result.prediction.logits) == pytest.approx(expected.tolist(), rel=1e-4)


def test_a_learned_prompt_is_refused(parts: Any) -> None:
    wrapped = get_peft_model(parts[0], PromptTuningConfig(task_type=TaskType.SEQ_CLS, num_virtual_tokens=2))
    with pytest.raises(errors.Unsupported, match="virtual tokens"):
        load(wrapped, parts[1])


def test_a_folder_of_an_adapter_alone_says_what_to_do(parts: Any, tmp_path: Path) -> None:
    lora(parts[0]).save_pretrained(tmp_path)
    with pytest.raises(errors.ModelRefused, match=r"is a PEFT adapter.*PeftModel\.from_pretrained"):
        load(tmp_path)


class TestPipelines:
    @pytest.mark.parametrize("activation", ["sigmoid", "softmax", None])
    def test_have_the_probabilities_that_they_are_set_to(self, activation: str | None, parts: Any) -> None:
        pipe = pipeline(
            "text-classification",
            model=parts[0],
            tokenizer=parts[1],
            top_k=None,
            function_to_apply=activation,
        )
        expected = {entry["label"]: entry["score"] for entry in pipe([TEXT])[0]}
        result = attribute(TEXT, pipe, "occlusion")
        found = dict(zip(result.prediction.labels, result.prediction.probabilities, strict=True))
        assert found == pytest.approx(expected, rel=1e-4)
        assert parts[0].config.problem_type is None

    def test_of_generated_text_keep_their_model(self) -> None:
        model, tokenizer = gpt2()
        pipe = pipeline("text-generation", model=model, tokenizer=tokenizer, do_sample=False)
        expected = attribute("the film", load(model, tokenizer), "saliency", max_new_tokens=3)
        result = attribute("the film", pipe, "saliency", max_new_tokens=3)
        assert np.array_equal(result.scores, expected.scores) and result.outputs == expected.outputs

    def test_of_zero_shot_labels_need_the_labels(self) -> None:
        model, tokenizer = bert(3)
        model.config.label2id = {"contradiction": 0, "neutral": 1, "entailment": 2}
        pipe = pipeline("zero-shot-classification", model=model, tokenizer=tokenizer)
        with pytest.raises(errors.Unsupported, match="needs labels to choose from"):
            load(pipe)
        result = attribute(TEXT, load(pipe, labels=["good", "bad"]), "occlusion")
        answer = pipe(TEXT, candidate_labels=["good", "bad"])
        expected = dict(zip(answer["labels"], answer["scores"], strict=True))
        assert result.prediction.probabilities == pytest.approx([expected["good"], expected["bad"]])


class Transformer(torch.nn.Module):
    """As in sentence-transformers."""

    max_seq_length, do_lower_case = 100, False

    def __init__(self, model: PreTrainedModel, tokenizer: Any) -> None:
        super().__init__()
        self.auto_model, self.tokenizer = model, tokenizer

    def get_config_dict(self) -> dict[str, Any]:
        return {}


class Pooling(torch.nn.Module):
    def get_config_dict(self) -> dict[str, Any]:
        return {"pooling_mode": "max"}


class Normalize(torch.nn.Module):
    pass


class SentenceTransformer(torch.nn.Sequential):
    prompts = default_prompt_name = similarity_fn_name = truncate_dim = None


class CrossEncoder(torch.nn.Sequential):
    def __init__(self, model: PreTrainedModel, tokenizer: Any) -> None:
        super().__init__(Transformer(model, tokenizer))
        self.model, self.tokenizer = model, tokenizer


def test_a_sentence_transformer_pools_as_it_says(parts: Any) -> None:
    model, tokenizer = parts[0].bert, parts[1]
    encoder = SentenceTransformer(Transformer(model, tokenizer), Pooling(), Normalize())
    texts = ["the film is good", "the plot was bad"]
    with torch.no_grad():
        vectors = [model(**tokenizer(text, return_tensors="pt"))[0].amax(1)[0] for text in texts]
    result = attribute(texts[0], encoder, "occlusion", second=texts[1])
    expected = torch.nn.functional.cosine_similarity(*vectors, dim=0)
    assert result.outputs[0].value == pytest.approx(float(expected), rel=1e-5)


def test_a_cross_encoder_is_the_model_of_pairs_inside_of_it(parts: Any) -> None:
    result = attribute("good", CrossEncoder(*parts), "occlusion", second="bad film")
    expected = attribute("good", load(*parts), "occlusion", second="bad film")
    assert np.array_equal(result.scores, expected.scores)


@pytest.fixture(scope="module")
def estimator() -> Any:
    return make_pipeline(CountVectorizer(), LogisticRegression()).fit(TEXTS, LABELS)


class TestEstimators:
    def test_bring_their_function_and_their_classes(self, estimator: Any) -> None:
        for model in (
            estimator,
            estimator.predict_proba,
            load(estimator.predict_proba, labels=estimator.classes_),
        ):
            result = attribute("good film", model, "occlusion", 1)
            assert result.prediction.labels == ("0", "1")
            assert result.prediction.probabilities == pytest.approx(estimator.predict_proba(["good film"])[0])
        named = attribute("good film", load(estimator, labels=["bad", "good"]), "lime", "good", samples=50)
        assert named.words().top(1)[0][0].text in ("good", "film")

    @pytest.mark.parametrize(
        ("make", "match"),
        [
            (lambda: LogisticRegression().fit([[0.0], [1.0]], [0, 1]), "rows of 1 numbers.*make_pipeline"),
            (lambda: make_pipeline(CountVectorizer(), LogisticRegression()), "not fitted"),
            (
                lambda: make_pipeline(CountVectorizer(), LinearSVC()).fit(TEXTS, LABELS),
                "no predict_proba",
            ),
        ],
    )
    def test_that_cannot_answer_texts_are_refused(self, make: Callable[[], Any], match: str) -> None:
        with pytest.raises((errors.Unsupported, errors.UnknownModel), match=match):
            load(make())

    def test_other_labels_than_classes_are_refused(self, estimator: Any) -> None:
        with pytest.raises(errors.BadOption, match="labels names 3 classes, but this Pipeline has 2: 0, 1"):
            load(estimator, labels=["a", "b", "c"])

    def test_a_model_like_that_of_keras(self) -> None:
        class Model:
            layers, name = ("strings", "dense"), "mine"

            def __call__(self, tensor: Any) -> Any:
                raise TypeError("no list of texts")

            def predict(self, texts: np.ndarray, verbose: int = 1) -> np.ndarray:
                assert verbose == 0
                return np.array([[0.9 if "good" in text else 0.2] for text in texts])

        result = attribute("good film", load(Model(), labels=["no", "yes"]), "occlusion")
        assert result.prediction.probabilities == pytest.approx([0.1, 0.9]) and result.model.name == "mine"


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["no", "yes"]),
        pd.Index(["no", "yes"]),
        pd.Series(["no", "yes"]),
        [np.str_("no"), "yes"],
        {0: "no", 1: "yes"},
        {"1": "yes", "0": "no"},
        {"yes": 1, "no": 0},
        (label for label in ("no", "yes")),
    ],
)
def test_labels_in_any_form(labels: Any) -> None:
    function = load(lambda texts: [[0.3, 0.7]] * len(texts), labels=labels)
    assert function.info.labels == ("no", "yes") and all(type(label) is str for label in function.info.labels)


@pytest.mark.parametrize(
    ("labels", "match"),
    [
        ("positive", "labels is a single string"),
        ({"no", "yes"}, "a set, which has no order"),
        ({0: "no", 2: "yes"}, "numbers from 0 as keys"),
        (["no", None], "A label is nothing"),
        (3, r"labels is a number \(3\)"),
        ([], "needs names for its classes"),
    ],
)
def test_labels_that_are_none(labels: Any, match: str) -> None:
    with pytest.raises((errors.BadOption, errors.Unsupported), match=match):
        load(lambda texts: texts, labels=labels)


class OwnModule(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.head = bert()[0], torch.nn.Linear(2, 2)

    def forward(self, texts: Any) -> Any:
        return torch.tensor([[0.25, 0.75]] * len(texts))


def generator() -> Iterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: (bert()[0],), r"A loaded model needs its tokenizer.*load\(model, tokenizer\)"),
        (lambda: (bert()[0], "bert-base-uncased"), "tokenizer is a str.*AutoTokenizer"),
        (lambda: (bert()[1],), r"model is a tokenizer, a .*load\(model, tokenizer\)"),
        (lambda: bert()[::-1], "and tokenizer a model"),
        (lambda: (BertForSequenceClassification, bert()[1]), "a class, not a model.*from_pretrained"),
        (lambda: (LogisticRegression,), "LogisticRegression is a class"),
        (lambda: (OwnModule(), bert()[1]), r"OwnModule is a torch module.*load\(model.encoder, tokenizer\)"),
        (lambda: (bert()[0].state_dict(),), "These are weights alone"),
        (lambda: (bert(),), "Give the parts one by one|model is a list. It must be"),
        (lambda: (generator(),), "model is an iterator"),
        (lambda: (None,), "model is nothing. It must be a"),
        (lambda: (3,), "model is a number"),
        (lambda: (lambda texts: texts,), "needs names for its classes"),
    ],
)
def test_what_is_no_model_is_refused_with_what_to_do(make: Callable[[], Any], match: str) -> None:
    values = make()
    with pytest.raises(errors.AttributionError, match=f"(?s){match}"):
        load(*values)
    if len(values) == 1:
        with pytest.raises(errors.AttributionError, match=f"(?s){match}"):
            attribute(TEXT, values[0])


def test_a_module_of_texts_is_a_function_where_labels_are_given() -> None:
    assert isinstance(load(OwnModule(), labels=["a", "b"]), Function)
    adapter = load(*bert())
    assert load(adapter) is adapter


def test_every_function_takes_the_objects(estimator: Any, parts: Any, tmp_path: Any) -> None:
    pipe = pipeline("text-classification", model=parts[0], tokenizer=parts[1])
    many = list(attribute_many(TEXTS[:2], estimator, "occlusion"))
    assert [result.model.labels for result in many] == [("0", "1")] * 2  # type: ignore[union-attr]
    compared = compare(TEXT, [pipe, estimator], ["occlusion"])
    assert len(compared.successful()) == 2
    measured = evaluate(TEXTS[:1], estimator, ["occlusion"], ["comprehensiveness"], bootstrap=100)
    assert not measured.failures
    run = run_batch(TEXTS[:2], tmp_path / "run", estimator, "occlusion")
    assert run.progress().done == 2
