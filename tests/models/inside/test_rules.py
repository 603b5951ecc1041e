"""Rules keep what a model computes, split fused functions exactly, and stay within one thread and call."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers
from torch.nn import functional as F
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from attribution import load
from attribution.methods.deeplift import Multipliers
from attribution.methods.lrp import Relevance
from attribution.models.adapter import Adapter
from attribution.models.inside.rules import Rules, make_transparent
from tests.tiny import FAMILIES, bytes_bpe, unigram, wordpiece

SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
HEAD = {"num_key_value_heads": 1, "head_dim": 8}
T5 = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2}
BART = {
    "d_model": 16,
    "forced_eos_token_id": None,
    **{
        f"{side}_{name}": n
        for side in ("encoder", "decoder")
        for name, n in (("layers", 2), ("attention_heads", 2), ("ffn_dim", 32))
    },
}

ENCODERS: dict[str, tuple[str, dict[str, Any]]] = {
    "roberta": ("Roberta", SIZES),
    "distilbert": ("DistilBert", {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32}),
    "albert": ("Albert", {**SIZES, "embedding_size": 8}),
    "electra": ("Electra", {**SIZES, "embedding_size": 8}),
    "modernbert": (
        "ModernBert",
        {**SIZES, "cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3},
    ),
    "deberta-v2": (
        "DebertaV2",
        {**SIZES, "relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 8},
    ),
    "bert-gelu-new": ("Bert", {**SIZES, "hidden_act": "gelu_new"}),
}
DECODERS: dict[str, tuple[str, dict[str, Any]]] = {
    "opt": ("OPT", {**SIZES, "ffn_dim": 32, "word_embed_proj_dim": 16}),
    "llama": ("Llama", {**SIZES, **HEAD}),
    "qwen3": ("Qwen3", {**SIZES, **HEAD}),
    "mistral": ("Mistral", {**SIZES, **HEAD, "sliding_window": 8}),
    "gemma2": ("Gemma2", {**SIZES, **HEAD, "query_pre_attn_scalar": 8}),
    "phi": ("Phi", SIZES),
    "phi3": ("Phi3", SIZES),
    "gpt-neo": (
        "GPTNeo",
        {"hidden_size": 16, "num_layers": 2, "num_heads": 2, "attention_types": [[["global", "local"], 1]]},
    ),
    "gpt-neox": ("GPTNeoX", SIZES),
    "bloom": ("Bloom", {"hidden_size": 16, "n_layer": 2, "n_head": 2}),
    "falcon": ("Falcon", SIZES),
}
SEQ2SEQ: dict[str, tuple[str, dict[str, Any]]] = {
    "t5-gated": ("T5ForConditionalGeneration", {**T5, "feed_forward_proj": "gated-gelu"}),
    "mt5": ("MT5ForConditionalGeneration", T5),
    "umt5": ("UMT5ForConditionalGeneration", T5),
    "bart": ("BartForConditionalGeneration", BART),
    "marian": ("MarianMTModel", BART),
}
ZOO = [*FAMILIES, *ENCODERS, *DECODERS, *SEQ2SEQ]


@functools.cache
def zoo(name: str, change: Callable[[PreTrainedModel], object] = lambda model: None) -> Adapter:
    """A tiny model of an architecture, with weights large enough to matter, and random biases and norms."""
    if name in FAMILIES:
        model, tokenizer = FAMILIES[name]()
    else:
        model, tokenizer = _built(name)
    torch.manual_seed(7)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn_like(parameter) / 10)
        change(model)
    return load(model, tokenizer, name=name)


def _built(name: str) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    start: dict[str, Any] = {"pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 0}
    if name in ENCODERS:
        (kind, sizes), tokenizer, start = ENCODERS[name], wordpiece(), {"pad_token_id": 0, "num_labels": 2}
        model_name = f"{kind}ForSequenceClassification"
    elif name in DECODERS:
        (kind, sizes), tokenizer = DECODERS[name], bytes_bpe()
        model_name = f"{kind}ForCausalLM"
    else:
        (model_name, sizes), tokenizer = SEQ2SEQ[name], unigram()
        kind = model_name.removesuffix("ForConditionalGeneration").removesuffix("MTModel")
        start = {**start, "eos_token_id": 1, "decoder_start_token_id": 0}
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=len(tokenizer), max_position_embeddings=128, **{**start, **sizes}
    )
    torch.manual_seed(3)
    model = getattr(transformers, model_name)(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(3)
        # Fresh padding rows are zero, which no trained model's are.
        table = model.get_input_embeddings().weight
        table[0] = torch.randn_like(table[0]) * table[1:].std()
    return model.eval(), tokenizer


def inputs(adapter: Adapter) -> dict[str, torch.Tensor]:
    torch.manual_seed(11)
    table = adapter.vocabulary().detach()
    rows = table[torch.randint(len(table), (1, 7))]
    more = {"decoder_inputs_embeds": rows[:, :4]} if adapter.task.encoder_decoder else {}
    return {"inputs_embeds": rows, **more}


@pytest.mark.parametrize("rules", [Rules, Relevance, Multipliers])
@pytest.mark.parametrize("name", ZOO)
def test_a_model_under_rules_gives_its_own_numbers(name: str, rules: type[Rules]) -> None:
    adapter = zoo(name)
    given = inputs(adapter)
    with torch.no_grad():
        expected = adapter.model(**given).logits
    active, private = rules(), make_transparent(adapter.model)
    with active:
        if isinstance(active, Multipliers):
            with torch.no_grad():
                private(**{key: torch.zeros_like(value) + 0.1 for key, value in given.items()})
            active.follow()
        got = private(**{key: value.clone().requires_grad_() for key, value in given.items()}).logits
    assert got.requires_grad
    torch.testing.assert_close(got.detach(), expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


def test_a_plain_twin_shares_memory_and_leaves_the_model_alone() -> None:
    model, _ = FAMILIES["t5"]()
    before = {name: (id(p), p.requires_grad) for name, p in model.named_parameters()}
    private = make_transparent(model)
    assert {name: (id(p), p.requires_grad) for name, p in model.named_parameters()} == before
    assert not any(p.requires_grad for p in private.parameters())
    ours = dict(model.named_parameters(remove_duplicate=False))
    assert all(
        p.data_ptr() == ours[name].data_ptr() for name, p in private.named_parameters(remove_duplicate=False)
    )
    assert not any("forward" in vars(module) for module in model.modules())


TORN: dict[str, Callable[..., torch.Tensor]] = {
    "layer norm": lambda x: F.layer_norm(x, (4,), torch.arange(1.0, 5), torch.ones(4), 1e-3),
    "layer norm over two dimensions": lambda x: F.layer_norm(x, (6, 4)),
    "rms norm": lambda x: F.rms_norm(x, (4,), torch.arange(1.0, 5), 1e-3),
    "rms norm, default eps": lambda x: F.rms_norm(x, (4,)),
    "cosine": lambda x: F.cosine_similarity(x[:, :3], x[:, 3:], dim=-1),
    "addmm": lambda x: torch.addmm(x[0], x[0], x[1][:4], alpha=0.5, beta=2),
    "baddbmm": lambda x: torch.baddbmm(
        torch.ones(2, 6, 6), batch1=x, batch2=x.transpose(1, 2), beta=0.5, alpha=3
    ),
    "baddbmm without its first": lambda x: torch.baddbmm(
        torch.full((2, 6, 6), torch.nan), x, x.transpose(1, 2), beta=0
    ),
    "inverse": lambda x: 3 / (x * x + 1),
    "attention": lambda x: F.scaled_dot_product_attention(x, x + 1, x * x),
    "causal attention": lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True, scale=0.3),
    "masked attention": lambda x: F.scaled_dot_product_attention(
        x, x, x, torch.tensor([True, False, True, True, False, True])
    ),
    "biased attention": lambda x: F.scaled_dot_product_attention(x, x, x, torch.arange(6.0)),
    "grouped attention": lambda x: F.scaled_dot_product_attention(
        x[None, :, :], x[None, :1], x[None, :1], enable_gqa=True
    ),
}


@pytest.mark.parametrize("name", TORN)
def test_fused_functions_are_taken_apart_exactly(name: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 6, 4, requires_grad=True)
    expected = TORN[name](x)
    weights = torch.randn_like(expected)
    (gradient,) = torch.autograd.grad(expected, x, weights)
    with Rules():
        got = TORN[name](x)
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(torch.autograd.grad(got, x, weights)[0], gradient, rtol=1e-4, atol=1e-5)


def test_rules_end_with_their_block_and_hold_in_their_thread_only() -> None:
    x = torch.tensor([2.0, -3.0], requires_grad=True)
    plain_gradient = torch.autograd.grad(torch.tanh(x).sum(), x)[0]
    elsewhere = []

    def other() -> None:
        elsewhere.append(torch.autograd.grad(torch.tanh(x).sum(), x)[0])

    def under_rules() -> None:
        with Relevance():
            y = torch.tanh(x)
            thread = threading.Thread(target=other)
            thread.start()
            thread.join()
            assert not torch.equal(torch.autograd.grad(y.sum(), x)[0], plain_gradient)
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        under_rules()
    assert torch.equal(elsewhere[0], plain_gradient)
    assert torch.equal(torch.autograd.grad(torch.tanh(x).sum(), x)[0], plain_gradient)


def test_an_activation_module_is_one_function() -> None:
    seen = []

    class Watching(Rules):
        def elementwise(self, function: Any, x: torch.Tensor, *args: Any, **more: Any) -> torch.Tensor:
            seen.append(x.shape[-1])
            return function(x, *args, **more)

        def product(self, function: Any, *factors: Any, **more: Any) -> torch.Tensor:
            assert (
                sum(isinstance(f, torch.Tensor) and f.requires_grad for f in factors) < 2
                or function.__name__ == "matmul"
            )
            return super().product(function, *factors, **more)

        def layer_norm(self, function: Any, *args: Any, **more: Any) -> torch.Tensor:
            return function(*args, **more)

    adapter = zoo("bert-gelu-new")
    with Watching():
        make_transparent(adapter.model)(inputs_embeds=inputs(adapter)["inputs_embeds"].requires_grad_())
    assert (
        seen.count(32) == 2
    )  # one GELU for each layer, though it is computed with a power, a tanh and two products
