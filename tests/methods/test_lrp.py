"""AttnLRP: each rule against its closed form in the paper, and what is conserved."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import PretrainedConfig, PreTrainedModel

from attribution import attribute, load
from attribution.methods.lrp import Relevance, lrp
from attribution.models.inside.rules import make_transparent
from tests.methods.test_oracles import Linear
from tests.models.inside.test_rules import inputs, zoo
from tests.tiny import wordpiece

TEXT = "the movie was not good, but the actor was great!"


def relevance(function: Any, *tensors: Tensor, start: Tensor, epsilon: float = 0.0) -> list[Tensor]:
    """The share of each input in the relevance ``start`` of the function's value."""
    leaves = [x.clone().requires_grad_() for x in tensors]
    with Relevance(epsilon):
        value = function(*leaves)
    torch.testing.assert_close(value.detach(), function(*tensors))
    gradients = torch.autograd.grad(value, leaves, start / value.detach(), allow_unused=True)
    return [torch.zeros_like(x) if g is None else x * g for x, g in zip(tensors, gradients, strict=True)]


def close(got: Tensor, expected: Any) -> None:
    torch.testing.assert_close(got, torch.as_tensor(expected), rtol=1e-4, atol=1e-6)


def test_softmax_is_linearised_at_the_input() -> None:
    x, r = torch.tensor([1.0, -0.5, 2.0]), torch.tensor([0.3, -0.2, 0.9])
    p = x.exp() / x.exp().sum()
    close(relevance(lambda t: t.softmax(-1), x, start=r)[0], x * (r - p * r.sum()))  # proposition 3.1


def test_a_product_of_two_activations_gives_half_to_each() -> None:
    a, b, r = torch.tensor([2.0, -1.0]), torch.tensor([0.1, 7.0]), torch.tensor([4.0, -3.0])
    for got in relevance(torch.mul, a, b, start=r):
        close(got, r / 2)  # proposition 3.2


def test_three_factors_get_a_third_each() -> None:
    a, b, c = torch.tensor([2.0, -1.0]), torch.tensor([3.0]), torch.tensor([0.5])
    got = relevance(
        lambda *t: torch.einsum("i,j,k->ijk", *t), a, b, c, start=torch.tensor([6.0, 3.0])[:, None, None]
    )
    close(got[0], [2.0, 1.0])
    close(got[1], [3.0])
    close(got[2], [3.0])


def test_a_constant_factor_gets_nothing() -> None:
    a, r = torch.tensor([2.0, -1.0]), torch.tensor([4.0, -3.0])
    close(relevance(lambda t: t * torch.tensor([5.0, 6.0]), a, start=r)[0], r)


def test_matrix_products_follow_the_sum_and_the_uniform_rule() -> None:
    a, v = torch.tensor([[1.0, 2.0], [3.0, -1.0]]), torch.tensor([[0.5, 1.0], [2.0, -1.0]])
    r = torch.tensor([[1.0, -2.0], [0.5, 3.0]])
    o = a @ v
    got_a, got_v = relevance(torch.matmul, a, v, start=r)
    for j in range(2):
        for i in range(2):
            # Proposition 3.3 with ε = 0: A_ji V_ip R_jp / (2 O_jp), summed over what is left.
            close(got_a[j, i], sum(a[j, i] * v[i, p] * r[j, p] / (2 * o[j, p]) for p in range(2)))
            close(got_v[i, j], sum(a[q, i] * v[i, j] * r[q, j] / (2 * o[q, j]) for q in range(2)))
    close(got_a.sum() + got_v.sum(), r.sum())


def test_the_normalising_factor_is_a_constant() -> None:
    x, weight, r = (
        torch.tensor([1.0, -2.0, 4.0]),
        torch.tensor([2.0, 3.0, -1.0]),
        torch.tensor([0.2, 0.5, -1.0]),
    )
    close(relevance(lambda t: F.rms_norm(t, (3,), weight), x, start=r)[0], r)  # proposition 3.4
    # A layer norm centres first, a sum: x_i gets its part of each x_k − mean x.
    centred = x - 1.0
    expected = [sum(x[i] * ((i == k) - 1 / 3) * r[k] / centred[k] for k in (1, 2)) for i in range(3)]
    r = torch.tensor([0.0, 0.5, -1.0])
    (got,) = relevance(lambda t: F.layer_norm(t, (3,), weight)[1:], x, start=r[1:])
    close(got, expected)
    close(got.sum(), r.sum())


@pytest.mark.parametrize("norm", ["t5", "llama", "gemma2"])
def test_the_architectures_own_norms_hand_everything_on(norm: str) -> None:
    modules = make_transparent(zoo(norm).model).modules()
    module = next(m for m in modules if type(m).__name__ in ("T5LayerNorm", "LlamaRMSNorm", "Gemma2RMSNorm"))
    x, r = torch.tensor([[[0.5, -2.0] * 8]]), torch.arange(1.0, 17)[None, None]
    close(relevance(module, x, start=r)[0], r)


@pytest.mark.parametrize(
    "function", [F.gelu, F.silu, F.relu, torch.tanh, lambda x: F.gelu(x, approximate="tanh")]
)
def test_activations_hand_everything_on(function: Any) -> None:
    x, r = torch.tensor([0.5, 2.0, 1e-30]), torch.tensor([1.0, -3.0, 2.0])
    close(relevance(function, x, start=r)[0], r)  # equation 9
    zero = torch.zeros(1, requires_grad=True)
    with Relevance():
        (gradient,) = torch.autograd.grad(function(zero).sum(), zero)
    expected = torch.autograd.grad(function(zero).sum(), zero)[0]
    assert torch.isfinite(gradient).all()
    close(gradient, expected)


def test_a_function_that_is_not_zero_at_zero_is_linearised() -> None:
    x, r = torch.tensor([0.5, -2.0]), torch.tensor([1.0, 2.0])
    s = torch.sigmoid(x)
    close(relevance(torch.sigmoid, x, start=r)[0], r * x * (1 - s))


def test_a_gated_layer_gives_half_to_the_gate_and_half_to_the_other() -> None:
    gate, up, r = torch.tensor([0.5, -2.0]), torch.tensor([3.0, 1.0]), torch.tensor([1.0, 2.0])
    for got in relevance(lambda g, u: F.silu(g) * u, gate, up, start=r):
        close(got, r / 2)


def test_a_denominator_gets_nothing() -> None:
    a, b, r = torch.tensor([2.0, -1.0]), torch.tensor([4.0, 7.0]), torch.tensor([1.0, 2.0])
    got = relevance(torch.div, a, b, start=r)
    close(got[0], r)
    close(got[1], torch.zeros(2))


@pytest.mark.parametrize("epsilon", [0.0, 0.25])
def test_linear_layers_follow_the_epsilon_rule(epsilon: float) -> None:
    x, r = torch.tensor([[1.0, -2.0, 0.5]]), torch.tensor([[1.0, -3.0]])
    w, b = torch.tensor([[0.3, 1.0, 2.0], [1.0, -1.0, 0.5]]), torch.tensor([0.1, -0.2])
    z = x @ w.T + b
    expected = [
        sum(float(w[j, i] * x[0, i] * r[0, j] / (z[0, j] + epsilon * z[0, j].sign())) for j in range(2))
        for i in range(3)
    ]
    close(relevance(lambda t: F.linear(t, w, b), x, start=r, epsilon=epsilon)[0], [expected])  # equation 8
    frozen = torch.nn.Parameter(w.T, requires_grad=False)
    close(relevance(lambda t: torch.addmm(b, t, frozen), x, start=r, epsilon=epsilon)[0], [expected])


def test_a_linear_model_gives_w_times_x() -> None:
    tokenizer = wordpiece()
    model = Linear(PretrainedConfig(vocab_size=len(tokenizer), num_labels=2))
    result = attribute(TEXT, load(model, tokenizer, task="classification"), "lrp", 1)
    ids = [token.id for token in result.tokens]
    expected = (model.embeddings.weight.detach()[ids] @ model.head.weight.detach()[1]).numpy()
    np.testing.assert_allclose(result.scores[0], expected, rtol=1e-5, atol=1e-6)


def without_biases(model: PreTrainedModel) -> None:
    for name, parameter in model.named_parameters():
        if name.endswith("bias") or re.search(r"position|token_type|wpe|relative", name):
            parameter.zero_()


class RecordingSoftmaxes(Relevance):
    """Records the input and output of each softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.pairs: list[tuple[Tensor, Tensor]] = []

    def softmax(self, function: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        value = function(x, *args, **kwargs)
        if x.requires_grad:
            self.pairs.append((x, value))
        return value


class ConstantAttention(Relevance):
    """Attention weights are constants."""

    def softmax(self, function: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return function(x.detach(), *args, **kwargs)


BIAS_FREE = [
    "bert",
    "gpt2",
    "t5",
    "t5-gated",
    "modernbert",
    "llama",
    "qwen3",
    "gemma2",
    "phi3",
    "bart",
    "deberta-v2",
    "gpt-neo",
]


@pytest.mark.parametrize("rules", [RecordingSoftmaxes, ConstantAttention])
@pytest.mark.parametrize("name", BIAS_FREE)
def test_without_biases_and_positions_all_is_conserved_but_what_softmaxes_absorb(
    name: str, rules: type[Relevance]
) -> None:
    """f(x) = Σ scores + Σ over softmaxes of (relevance of p − relevance of its input).

    With constant attention weights, f(x) = Σ scores.
    """
    adapter = zoo(name, without_biases)
    leaves = {key: value.clone().requires_grad_() for key, value in inputs(adapter).items()}
    active = rules()
    with active:
        logits = make_transparent(adapter.model)(**leaves).logits
    value = logits.flatten()[logits.abs().argmax()]
    expected = value.item()
    pairs = getattr(active, "pairs", [])
    assert (rules is ConstantAttention) == (not pairs)
    flat = [t for pair in pairs for t in pair]
    gradients = torch.autograd.grad(value, [*leaves.values(), *flat], allow_unused=True)
    totals = [
        0.0 if g is None else float((g.double() * t.detach().double().nan_to_num(neginf=0)).sum())
        for g, t in zip(gradients, [*leaves.values(), *flat], strict=True)
    ]
    scores, softmaxes = totals[: len(leaves)], totals[len(leaves) :]
    absorbed = sum(softmaxes[1::2]) - sum(softmaxes[0::2])
    assert abs(expected) > 1e-3
    assert sum(scores) + absorbed == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_the_note_says_what_was_conserved() -> None:
    result = attribute("the film was", zoo("gpt2"), "lrp", max_new_tokens=2)
    assert result.completeness is None
    stated = [
        float(number)
        for number in re.findall(r"(-?[\d.]+(?:e-?\d+)?) of (-?[\d.]+)", result.notes[0])
        for number in number
    ]
    expected = [
        x
        for row, output in zip(result.scores, result.outputs, strict=True)
        for x in (row.sum(), output.value)
    ]
    np.testing.assert_allclose(stated, expected, rtol=1e-3)


def test_epsilon_damps_relevance() -> None:
    adapter = zoo("bert")
    totals = [np.abs(attribute(TEXT, adapter, "lrp", 1, epsilon=e).scores).sum() for e in (0.0, 0.01, 1.0)]
    assert totals[0] > totals[1] > totals[2] > 0


def test_the_documentation_mentions_patents() -> None:
    assert "patents" in (lrp.function.__doc__ or "")
