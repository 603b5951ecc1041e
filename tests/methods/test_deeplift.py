"""DeepLift: each step against closed forms and captum, and the whole against its completeness."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import transformers
from captum.attr import DeepLift
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PretrainedConfig
from transformers.modeling_outputs import SequenceClassifierOutput

from attribution import attribute, load
from attribution.errors import BadOption, Unsupported
from attribution.methods.deeplift import Multipliers
from tests.methods.test_oracles import Linear
from tests.models.inside.test_rules import DECODERS, ZOO, zoo
from tests.tiny import bytes_bpe, wordpiece

TEXT = "the movie was not good, but the actor was great!"


def contributions(
    function: Any, x: list[Tensor], x0: list[Tensor], weights: Tensor | None = None
) -> list[Tensor]:
    """multiplier × Δ of each input for Σ weights · function."""
    rules = Multipliers()
    with rules, torch.no_grad():
        function(*x0)
    rules.follow()
    leaves = [t.clone().requires_grad_() for t in x]
    with rules:
        value = function(*leaves)
    torch.testing.assert_close(value.detach(), function(*x))
    multipliers = torch.autograd.grad(value, leaves, torch.ones_like(value) if weights is None else weights)
    return [m * (a - b) for m, a, b in zip(multipliers, x, x0, strict=True)]


def test_products_give_shapley_values() -> None:
    a, b, a0, b0 = (torch.tensor([t]) for t in (3.0, -2.0, 1.0, 5.0))
    got = contributions(torch.mul, [a, b], [a0, b0])
    # The mean over both orders of what changing a, and b, adds.
    assert float(got[0]) == pytest.approx(((3 - 1) * 5 + (3 - 1) * -2) / 2)
    assert float(got[1]) == pytest.approx(((-2 - 5) * 1 + (-2 - 5) * 3) / 2)


def test_a_square_is_the_product_with_itself() -> None:
    x, x0 = torch.tensor([3.0]), torch.tensor([1.0])
    for function in (lambda t: t * t, lambda t: t.pow(2), torch.square):
        assert float(contributions(function, [x], [x0])[0]) == pytest.approx(8.0)


def test_where_nothing_changed_the_multiplier_is_the_derivative() -> None:
    x = torch.tensor([0.7, -0.3])
    rules = Multipliers()
    with rules, torch.no_grad():
        torch.tanh(x)
    rules.follow()
    leaf = x.clone().requires_grad_()
    with rules:
        value = torch.tanh(leaf)
    torch.testing.assert_close(torch.autograd.grad(value.sum(), leaf)[0], 1 - torch.tanh(x) ** 2)


STEPS: dict[str, Any] = {
    "gelu": F.gelu,
    "reciprocal": lambda x: 1 / (x * x + 0.1),
    "quotient": lambda x: x[0] / (x[1] * x[1] + 0.1),
    "constant over": lambda x: torch.ones(4) / (x * x + 0.1),
    "softmax": lambda x: x.softmax(-1),
    "softmax over the first": lambda x: torch.softmax(x, dim=0),
    "log softmax": lambda x: x.log_softmax(-1),
    "layer norm": lambda x: F.layer_norm(x, (4,), torch.arange(4.0), torch.ones(4)),
    "rms norm": lambda x: F.rms_norm(x, (4,)),
    "matmul": lambda x: x @ x.T,
    "einsum": lambda x: torch.einsum("ih,jh->ij", x, x),
    "attention": lambda x: F.scaled_dot_product_attention(
        x[None], 2 * x[None], x[None] * x[None], is_causal=True
    ),
    "cosine": lambda x: F.cosine_similarity(x[0], x[1], dim=-1)[None],
    "soft cap": lambda x: 5 * torch.tanh(x / 5),
}


@pytest.mark.parametrize("size", [0.1, 1.0, 30.0])
@pytest.mark.parametrize("name", STEPS)
def test_each_step_hands_on_what_it_gets(name: str, size: float) -> None:
    torch.manual_seed(0)
    x, x0 = size * torch.randn(3, 4), size * torch.randn(3, 4)
    now, before = STEPS[name](x), STEPS[name](x0)
    weights = torch.randn_like(now)
    (got,) = contributions(STEPS[name], [x], [x0], weights)
    expected = float((weights * (now - before)).sum())
    assert float(got.sum()) == pytest.approx(expected, rel=1e-3, abs=1e-4 * float(got.abs().sum()))


@pytest.mark.parametrize("size", [1.0, 20.0, 300.0])
def test_the_multipliers_of_a_softmax_are_bounded_and_blind_to_a_common_shift(size: float) -> None:
    torch.manual_seed(1)
    x, x0 = size * torch.randn(50, 6), size * torch.randn(50, 6) + 40
    rules = Multipliers()
    with rules, torch.no_grad():
        x0.softmax(-1)
    rules.follow()
    leaf = x.clone().requires_grad_()
    with rules:
        value = leaf.softmax(-1)
    jacobian = torch.stack(
        [torch.autograd.grad(value[:, j].sum(), leaf, retain_graph=True)[0] for j in range(6)], 1
    )
    assert float(jacobian.abs().max()) <= 2
    torch.testing.assert_close(jacobian.sum(-1), torch.zeros(50, 6), rtol=0, atol=1e-5)
    step = (jacobian.double() * (x - x0).double()[:, None]).sum(-1)
    torch.testing.assert_close(step, (x.softmax(-1) - x0.softmax(-1)).double(), rtol=0, atol=1e-4)


def test_for_two_inputs_a_softmax_is_close_to_the_rescaled_sigmoid() -> None:
    """softmax of (x, 0) is the sigmoid of x; centring puts the same change on both sides."""
    x, x0 = torch.tensor([[1.5, -1.5]]), torch.tensor([[-0.5, 0.5]])
    (got,) = contributions(lambda t: t.softmax(-1)[:, 0], [x], [x0])
    sigmoid = torch.sigmoid(torch.tensor(3.0)) - torch.sigmoid(torch.tensor(-1.0))
    assert float(got.sum()) == pytest.approx(float(sigmoid), rel=1e-5)


@pytest.mark.parametrize("hidden", [-torch.inf, torch.finfo(torch.float32).min])
def test_masked_places_get_exactly_nothing(hidden: float) -> None:
    x, x0 = torch.tensor([[1.0, 2.0, 7.0]]), torch.tensor([[0.5, -1.0, 3.0]])
    masked = torch.tensor([False, False, True])
    (got,) = contributions(
        lambda t: t.masked_fill(masked, hidden).softmax(-1), [x], [x0], torch.tensor([[1.0, 2.0, 3.0]])
    )
    (alone,) = contributions(lambda t: t.softmax(-1), [x[:, :2]], [x0[:, :2]], torch.tensor([[1.0, 2.0]]))
    assert float(got[0, 2]) == 0
    torch.testing.assert_close(got[:, :2], alone)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.Sigmoid, nn.Softplus, nn.LeakyReLU, nn.ELU])
def test_the_rescale_rule_agrees_with_captum(activation: type[nn.Module]) -> None:
    torch.manual_seed(4)
    network = nn.Sequential(
        nn.Linear(5, 8), activation(), nn.Linear(8, 6), activation(), nn.Linear(6, 2)
    ).requires_grad_(False)
    x, x0 = torch.randn(3, 5), torch.randn(3, 5)
    weights = torch.tensor([[0.0, 1.0]]).expand(3, 2)
    (got,) = contributions(network, [x], [x0], weights)
    expected = DeepLift(network).attribute(x.clone(), x0, target=1)
    torch.testing.assert_close(got, expected.detach(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ZOO)
def test_scores_add_up_and_do_not_drown_in_each_other(name: str) -> None:
    result = attribute(TEXT, zoo(name), "deeplift", max_new_tokens=3)
    assert result.completeness is not None
    for row, check in zip(result.scores, result.completeness, strict=True):
        assert check.residual == pytest.approx(check.difference - row.sum(), abs=1e-6)
        assert abs(check.residual) <= 1e-3 * np.abs(row).sum()
        assert np.abs(row).sum() <= 50 * (abs(check.value) + abs(check.baseline))


@pytest.mark.parametrize("quantity", ["log_probability", "probability"])
@pytest.mark.parametrize("name", ["bert", "gpt2", "t5", "llama"])
def test_functions_of_the_logits_add_up_too(name: str, quantity: str) -> None:
    result = attribute(TEXT, zoo(name), "deeplift", max_new_tokens=3, quantity=quantity)
    assert result.completeness is not None
    for row, check, output in zip(result.scores, result.completeness, result.outputs, strict=True):
        assert check.value == pytest.approx(output.value, rel=1e-5)
        assert abs(check.residual) <= 1e-3 * np.abs(row).sum()


def test_a_linear_model_gives_w_times_the_change() -> None:
    tokenizer = wordpiece()
    model = Linear(PretrainedConfig(vocab_size=len(tokenizer), num_labels=2))
    result = attribute(TEXT, load(model, tokenizer, task="classification"), "deeplift", 1, baseline="mask")
    table = model.embeddings.weight.detach()
    change = table[[token.id for token in result.tokens]] - table[4]
    special = np.array([token.special for token in result.tokens])
    expected = np.where(special, 0, (change @ model.head.weight.detach()[1]).numpy())
    np.testing.assert_allclose(result.scores[0], expected, rtol=1e-4, atol=1e-6)


def test_a_trained_model_gives_scores_of_the_size_of_integrated_gradients() -> None:
    text = "The movie was not good, but the actors were great and I laughed."
    ours, paths = (
        attribute(text, "bundled/sst2-minilm", method) for method in ("deeplift", "integrated_gradients")
    )
    assert ours.completeness is not None
    assert abs(ours.completeness[0].residual) <= 1e-4
    assert np.abs(ours.scores).sum() <= 3 * np.abs(paths.scores).sum()
    assert np.corrcoef(ours.scores[0], paths.scores[0])[0, 1] > 0.7


def test_a_baseline_of_zeros_under_root_mean_square_norms_is_not_used() -> None:
    def zero_padding(model: Any) -> None:
        model.get_input_embeddings().weight[0] = 0

    adapter = zoo("llama", zero_padding)
    with pytest.raises(BadOption, match="void"):
        attribute(TEXT, adapter, "deeplift", max_new_tokens=2, baseline="zero")
    result = attribute(TEXT, adapter, "deeplift", max_new_tokens=2)
    assert result.completeness is not None
    assert np.abs(result.scores).sum(1).max() < 10 * max(
        abs(check.difference) for check in result.completeness
    )


def test_a_mixture_of_experts_is_refused_with_the_reason() -> None:
    tokenizer = bytes_bpe()
    config = transformers.MixtralConfig(
        vocab_size=len(tokenizer), num_local_experts=4, bos_token_id=0, eos_token_id=0, **DECODERS["llama"][1]
    )
    torch.manual_seed(0)
    adapter = load(transformers.MixtralForCausalLM(config).eval(), tokenizer)
    with pytest.raises(Unsupported, match="topk"):
        attribute(TEXT, adapter, "deeplift", max_new_tokens=2)


def test_a_model_that_goes_another_way_for_the_baseline_is_refused() -> None:
    rules = Multipliers()
    with rules, torch.no_grad():
        torch.tanh(torch.ones(2))
    rules.follow()
    with rules, pytest.raises(Unsupported, match="different steps"):
        torch.sigmoid(torch.ones(2, requires_grad=True))


def test_a_step_without_a_rule_shows_in_the_residual_and_is_refused() -> None:
    class Cumulative(Linear):
        def forward(
            self, input_ids: Any = None, attention_mask: Any = None, inputs_embeds: Any = None
        ) -> Any:
            rows = self.embeddings(input_ids) if inputs_embeds is None else inputs_embeds
            return SequenceClassifierOutput(logits=torch.logcumsumexp(self.head(rows), 1)[:, -1])

    tokenizer = wordpiece()
    adapter = load(
        Cumulative(PretrainedConfig(vocab_size=len(tokenizer), num_labels=2)),
        tokenizer,
        task="classification",
    )
    with pytest.raises(Unsupported, match="miss"):
        attribute(TEXT, adapter, "deeplift")
