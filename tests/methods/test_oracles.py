"""Scores against independent implementations: captum, the lime package, plain autograd, closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import InputXGradient, IntegratedGradients, Saliency
from lime.lime_base import LimeBase
from lime.lime_text import LimeTextExplainer
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput, SequenceClassifierOutput

from attribution import attribute, load, text
from attribution.methods.lime import fit_ridge
from attribution.models.adapter import Adapter
from tests.tiny import FAMILIES, bert, bytes_bpe, wordpiece

TEXT = "the movie was not good, but the actor was great!"
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:captum")


def classifier(family: str) -> tuple[Any, torch.Tensor, Any]:
    """The plain model, its embeddings of TEXT [1, inputs, hidden] and its logits as a function of them."""
    model, tokenizer = FAMILIES[family]()
    if model.config.pad_token_id is None:
        model.config.pad_token_id = 0
    ids = tokenizer(TEXT, return_tensors="pt")["input_ids"]
    embeddings = model.get_input_embeddings()(ids).detach()
    return model, embeddings, lambda e: model(inputs_embeds=e).logits


@pytest.mark.parametrize("family", ["bert", "gpt2-classifier"])
@pytest.mark.parametrize("target", [0, 1])
def test_gradient_methods_agree_with_captum(tiny: dict[str, Adapter], family: str, target: int) -> None:
    _, embeddings, forward = classifier(family)
    gradient = Saliency(forward).attribute(embeddings, target=target, abs=False)[0]
    ours = attribute(TEXT, tiny[family], "saliency", target).scores[0]
    np.testing.assert_allclose(ours, gradient.norm(dim=-1).numpy(), rtol=1e-4, atol=1e-6)
    ours = attribute(TEXT, tiny[family], "saliency", target, norm="l1").scores[0]
    np.testing.assert_allclose(ours, gradient.abs().sum(-1).numpy(), rtol=1e-4, atol=1e-6)
    expected = InputXGradient(forward).attribute(embeddings, target=target)[0].sum(-1).detach().numpy()
    np.testing.assert_allclose(
        attribute(TEXT, tiny[family], "input_x_gradient", target).scores[0], expected, rtol=1e-3, atol=1e-6
    )


@pytest.mark.parametrize("family", ["bert", "gpt2-classifier"])
@pytest.mark.parametrize("rule", ["gausslegendre", "trapezoid"])
@pytest.mark.parametrize("kind", ["pad", "zero", "mean", "unk"])
def test_integrated_gradients_agree_with_captum(
    tiny: dict[str, Adapter], family: str, rule: str, kind: str
) -> None:
    if family == "gpt2-classifier" and kind == "pad":
        pytest.skip("this tokenizer has no pad token; 'auto' takes the end token, tested by the laws")
    model, embeddings, forward = classifier(family)
    result = attribute(TEXT, tiny[family], "integrated_gradients", 1, steps=40, rule=rule, baseline=kind)
    table = model.get_input_embeddings().weight.detach()
    nothing = {
        "pad": table[0],
        "zero": torch.zeros(table.shape[1]),
        "mean": table.mean(0),
        "unk": table[1 if family == "bert" else 0],
    }[kind]
    baseline = nothing.expand_as(embeddings).clone()
    special = [i for i, token in enumerate(result.tokens) if token.special]
    baseline[:, special] = embeddings[:, special]
    captum = IntegratedGradients(forward)
    method = "gausslegendre" if rule == "gausslegendre" else "riemann_trapezoid"
    expected, delta = captum.attribute(
        embeddings, baseline, target=1, n_steps=40, method=method, return_convergence_delta=True
    )
    # Some versions of captum place the trapezoid's points at (k + ½)/n or leave out the ends, so the rules
    # agree within the step size.
    tolerance = {"rtol": 1e-3, "atol": 1e-5} if rule == "gausslegendre" else {"rtol": 0.1, "atol": 0.02}
    np.testing.assert_allclose(result.scores[0], expected[0].sum(-1).detach().numpy(), **tolerance)
    if rule == "gausslegendre":
        assert result.residual[0] == pytest.approx(-float(delta), abs=1e-4)


@pytest.mark.parametrize("output", [0, 2])
def test_generation_agrees_with_captum_on_the_teacher_forced_model(
    tiny: dict[str, Adapter], output: int
) -> None:
    result = attribute(
        "the film",
        tiny["gpt2"],
        "integrated_gradients",
        max_new_tokens=4,
        rule="gausslegendre",
        steps=30,
        baseline="eos",
    )
    model, tokenizer = FAMILIES["gpt2"]()
    ids = torch.tensor([[token.id for token in result.tokens]])
    prompt = len(tokenizer("the film")["input_ids"])
    embeddings = model.get_input_embeddings()(ids).detach()
    baseline = model.get_input_embeddings()(torch.zeros_like(ids)).detach()

    def forward(e: torch.Tensor) -> torch.Tensor:
        return model(inputs_embeds=e).logits[:, prompt - 1 + output]

    expected = IntegratedGradients(forward).attribute(
        embeddings, baseline, target=result.outputs[output].id, n_steps=30
    )
    np.testing.assert_allclose(
        result.scores[output], expected[0].sum(-1).detach().numpy(), rtol=1e-3, atol=1e-5
    )


def test_greedy_generation_is_that_of_the_plain_model(tiny: dict[str, Adapter]) -> None:
    for family in ("gpt2", "t5"):
        model, tokenizer = FAMILIES[family]()
        ids = tokenizer("the film was", return_tensors="pt")["input_ids"]
        expected = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=5, do_sample=False, pad_token_id=0
        )[0].tolist()
        expected = expected[ids.shape[1] :] if family == "gpt2" else expected[1:]
        got = [
            output.id
            for output in attribute("the film was", tiny[family], "saliency", max_new_tokens=5).outputs
        ]
        assert got == expected[: len(got)]


def test_seq2seq_gradients_agree_with_autograd_by_hand(tiny: dict[str, Adapter]) -> None:
    result = attribute("the film was bad", tiny["t5"], "input_x_gradient", max_new_tokens=4)
    model, _ = FAMILIES["t5"]()
    source = torch.tensor([[token.id for token in result.tokens if token.segment == "text"]])
    prefix = torch.tensor([[token.id for token in result.tokens if token.segment == "generated"]])
    embed = model.get_input_embeddings()
    x, y = embed(source).detach().requires_grad_(), embed(prefix).detach().requires_grad_()
    logits = model(inputs_embeds=x, decoder_inputs_embeds=y).logits[0]
    for row, output in enumerate(result.outputs):
        gx, gy = torch.autograd.grad(logits[row, output.id], (x, y), retain_graph=True)
        expected = torch.cat([(gx * x).sum(-1)[0], (gy * y).sum(-1)[0]]).detach().numpy()
        np.testing.assert_allclose(result.scores[row], expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("samples", "features"), [(200, 6), (12, 30), (50, 1)])
def test_the_fit_of_lime_is_that_of_the_lime_package(samples: int, features: int) -> None:
    random = np.random.default_rng(samples)
    present = random.random((samples, features)) < 0.6
    values = random.normal(size=(3, samples))
    values[2] = 0.25  # an output that does not react
    distances = random.uniform(0, 100, samples)

    def kernel(distance: np.ndarray) -> np.ndarray:
        return np.sqrt(np.exp(-(distance**2) / 25.0**2))

    coefficients, goodness = fit_ridge(present, values, kernel(distances))
    for output in range(3):
        _, pairs, score, _ = LimeBase(
            kernel, random_state=np.random.RandomState(0)
        ).explain_instance_with_data(
            present.astype(float), values[output, :, None], distances, 0, features, feature_selection="none"
        )
        theirs = np.array([weight for _, weight in sorted(pairs)])
        np.testing.assert_allclose(coefficients[output], theirs, rtol=1e-9, atol=1e-12)
        if output < 2:
            assert goodness[output] == pytest.approx(score, rel=1e-9)


@pytest.mark.parametrize("seed", [0, 7])
def test_lime_agrees_with_the_lime_package(tiny: dict[str, Adapter], seed: int) -> None:
    model, tokenizer = bert()

    def probabilities(rows: list[str]) -> np.ndarray:
        with torch.no_grad():
            return model(**tokenizer(rows, padding=True, return_tensors="pt")).logits.softmax(-1).numpy()

    spans = text.words(TEXT)
    package = LimeTextExplainer(
        class_names=["negative", "positive"],
        feature_selection="none",
        split_expression=lambda raw: [raw[a:b] for a, b in spans],
        bow=False,
        mask_string="[MASK]",
        random_state=np.random.RandomState(seed),
    ).explain_instance(TEXT, probabilities, labels=(1,), num_features=len(spans), num_samples=200)
    expected = [score for _, score in sorted(package.local_exp[1])]
    ours = attribute(TEXT, tiny["bert"], "lime", 1, quantity="probability", samples=200, seed=seed).words()
    got = [score for token, score in zip(ours.tokens, ours.scores[0], strict=True) if not token.special]
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)


def test_attention_is_the_models_own(tiny: dict[str, Adapter]) -> None:
    model, tokenizer = bert()
    model.set_attn_implementation("eager")
    with torch.no_grad():
        attentions = model(**tokenizer(TEXT, return_tensors="pt"), output_attentions=True).attentions
    mean = attribute(TEXT, tiny["bert"], "attention").scores[0]
    np.testing.assert_allclose(mean, attentions[-1][0].mean(0)[0].numpy(), rtol=1e-4, atol=1e-7)
    single = attribute(TEXT, tiny["bert"], "attention", layer=0, head=1).scores[0]
    np.testing.assert_allclose(single, attentions[0][0, 1, 0].numpy(), rtol=1e-4, atol=1e-7)
    assert mean.sum() == pytest.approx(1.0, abs=1e-5)


class Linear(PreTrainedModel):
    """logits = W · Σ embeddings: attributions have a closed form."""

    config_class = PretrainedConfig

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__(config)
        torch.manual_seed(5)
        self.embeddings = torch.nn.Embedding(config.vocab_size, 4)
        self.head = torch.nn.Linear(4, 2, bias=False)

    def get_input_embeddings(self) -> torch.nn.Module:
        return self.embeddings

    def forward(
        self, input_ids: Any = None, attention_mask: Any = None, inputs_embeds: Any = None
    ) -> SequenceClassifierOutput:
        rows = self.embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        if attention_mask is not None:
            rows = rows * attention_mask[..., None]
        return SequenceClassifierOutput(logits=self.head(rows.sum(1)))


def test_a_linear_model_gives_w_times_x() -> None:
    tokenizer = wordpiece()
    model = Linear(PretrainedConfig(vocab_size=len(tokenizer), num_labels=2))
    adapter = load(model, tokenizer, task="classification")
    weight, table = model.head.weight.detach(), model.embeddings.weight.detach()
    ids = [token.id for token in attribute(TEXT, adapter, "saliency", 1).tokens]
    expected = (table[ids] @ weight[1]).numpy()
    np.testing.assert_allclose(
        attribute(TEXT, adapter, "input_x_gradient", 1).scores[0], expected, rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(
        attribute(TEXT, adapter, "saliency", 1).scores[0],
        np.full(len(ids), weight[1].norm().item()),
        rtol=1e-5,
    )
    ig = attribute(TEXT, adapter, "integrated_gradients", 1, steps=2, baseline="zero")
    special = np.array([token.special for token in ig.tokens])
    np.testing.assert_allclose(ig.scores[0], np.where(special, 0, expected), rtol=1e-4, atol=1e-6)
    assert abs(ig.residual[0]) < 1e-5
    lime = attribute(TEXT, adapter, "lime", 1, samples=2000, hide="mask").words()
    effect = ((table[ids] - table[4]) @ weight[1]).numpy()
    words = attribute(TEXT, adapter, "input_x_gradient", 1)
    by_word: dict[int, float] = {}
    for token, value in zip(words.tokens, effect, strict=True):
        if token.word is not None:
            by_word[token.word] = by_word.get(token.word, 0.0) + value
    got = [s for token, s in zip(lime.tokens, lime.scores[0], strict=True) if not token.special]
    np.testing.assert_allclose(got, list(by_word.values()), atol=0.05)


class Copying(PreTrainedModel):
    """A decoder whose next token is the input token two places back: what each output depends on is known."""

    config_class = PretrainedConfig

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__(config)
        self.embeddings = torch.nn.Embedding(config.vocab_size, config.vocab_size)
        with torch.no_grad():
            self.embeddings.weight.copy_(torch.eye(config.vocab_size))

    def get_input_embeddings(self) -> torch.nn.Module:
        return self.embeddings

    def generate(self, ids: torch.Tensor, max_new_tokens: int, **_: Any) -> torch.Tensor:
        for _step in range(max_new_tokens):
            ids = torch.cat([ids, self(input_ids=ids).logits[:, -1].argmax(-1, keepdim=True)], dim=1)
        return ids

    def forward(
        self, input_ids: Any = None, inputs_embeds: Any = None, use_cache: bool = False
    ) -> CausalLMOutput:
        rows = self.embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        return CausalLMOutput(logits=torch.roll(rows, 2, dims=1) * 10)


@pytest.mark.parametrize("method", ["saliency", "input_x_gradient", "integrated_gradients"])
def test_a_copying_model_names_the_copied_token(method: str) -> None:
    tokenizer = bytes_bpe()
    model = Copying(PretrainedConfig(vocab_size=len(tokenizer), is_encoder_decoder=False))
    result = attribute("abcd", load(model, tokenizer, task="causal"), method, max_new_tokens=3)
    for row in range(len(result.outputs)):
        place = 4 + row - 3
        assert result.tokens[place].id == result.outputs[row].id
        assert result.scores[row].argmax() == place
        assert np.abs(np.delete(result.scores[row], place)).max() == 0
