"""The attention family against hand-written matrix products, augmenting paths, autograd, single tokens."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
)

from attribution import Attribution, attribute, load
from attribution.errors import BadOption, Unsupported
from attribution.methods.alti import Blocks, Parts
from attribution.methods.attention_flow import UNIT, build_graph
from attribution.methods.common.rollout import mix_residual
from attribution.models.adapter import Adapter
from attribution.models.deadline import Deadline
from attribution.models.inside.attentions import (
    Map,
    compute_maps,
    compute_maps_with_gradients,
    output_rows,
    roll_out,
)
from attribution.models.objective import Objective
from attribution.models.readers import make_objective
from attribution.request import Target
from tests import families, tiny

TEXT = "the movie was not good, but the actor was great!"
FAMILY = ("attention", "attention_rollout", "attention_flow", "attention_x_gradient", "value_zeroing", "alti")
PAIR = "a very fine film"


def opened(model: Adapter, text: str = TEXT, tokens: int = 3, **more: Any) -> Objective:
    found = make_objective(model, text, Target(max_new_tokens=tokens), Deadline(), **more)
    assert isinstance(found, Objective)
    return found


def eager(family: str) -> tuple[PreTrainedModel, Any]:
    model, tokenizer = tiny.FAMILIES[family]()
    model.set_attn_implementation("eager")
    return model, tokenizer


# The maps and their places.


def test_maps_of_an_encoder_are_the_models_own(tiny: dict[str, Adapter]) -> None:
    model, tokenizer = eager("bert")
    with torch.no_grad():
        expected = model(**tokenizer(TEXT, return_tensors="pt"), output_attentions=True).attentions
    found = compute_maps(opened(tiny["bert"]))
    assert [(m.kind, m.layer) for m in found] == [("self", 0), ("self", 1)]
    for one, weights in zip(found, expected, strict=True):
        torch.testing.assert_close(one.weights, weights[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("family", ["t5", "bart", "marian"])
@pytest.mark.parametrize("equal", [False, True])
def test_maps_of_an_encoder_decoder_lie_in_one_space(family: str, equal: bool) -> None:
    model, tokenizer = families.FAMILIES[family].build()
    adapter = load(model, tokenizer)
    text = "the film was bad"
    source = len(opened(adapter, text).adapter.encode(text).tokens)
    # With as many decoder tokens as source tokens, only a module's inputs tell that it is cross-attention.
    count = (
        source + (family != "t5") if equal else 3
    )  # All but T5 end here, and an end mark is not explained.
    f = make_objective(adapter, text, Target(max_new_tokens=count), Deadline())
    decoder = len(f.tokens) - source
    assert (decoder == source) == equal
    ids = [token.id for token in f.tokens]
    model.set_attn_implementation("eager")
    with torch.no_grad():
        said = model(
            input_ids=torch.tensor([ids[:source]]),
            decoder_input_ids=torch.tensor([ids[source:]]),
            output_attentions=True,
        )
    expected = list(said.encoder_attentions)
    for own, cross in zip(said.decoder_attentions, said.cross_attentions, strict=True):
        expected += [own, cross]
    found = compute_maps(f)
    a, b = slice(0, source), slice(source, len(ids))
    places = {"encoder": (a, a), "decoder": (b, b), "cross": (b, a)}
    kinds = ["encoder"] * len(said.encoder_attentions) + ["decoder", "cross"] * len(said.decoder_attentions)
    for one, weights, kind in zip(found, expected, kinds, strict=True):
        assert (one.queries, one.keys) == places[kind]
        assert one.kind == ("cross" if kind == "cross" else "self")
        torch.testing.assert_close(one.weights, weights[0], rtol=1e-3, atol=1e-5)


def test_two_texts_that_run_one_after_another_fill_a_block_each() -> None:
    model, tokenizer = families.FAMILIES["bert-similarity"].build()
    f = opened(load(model, tokenizer, task="similarity"), second=PAIR)
    split = len(f.adapter.encode(TEXT).tokens)
    found = compute_maps(f)
    assert [(m.queries.start, m.layer) for m in found] == [(0, 0), (0, 1), (split, 0), (split, 1)]
    assert found[-1].keys.stop == len(f.tokens)
    rows = output_rows(f)[0]
    assert (
        rows.sum() == pytest.approx(1.0)
        and rows[:split].sum() == pytest.approx(0.5)
        and len(set(rows[:split].tolist())) == 1
    )
    model.set_attn_implementation("eager")
    with torch.no_grad():
        second = model(**tokenizer(PAIR, return_tensors="pt"), output_attentions=True).attentions
    torch.testing.assert_close(found[3].weights, second[1][0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("family", ["deberta-v2", "mpnet", "gpt-neo"])
def test_architectures_with_attention_of_their_own_hand_out_their_maps(family: str) -> None:
    model, tokenizer = families.FAMILIES[family].build()
    adapter = load(model, tokenizer)
    for method in ("attention", "attention_rollout", "attention_flow", "attention_x_gradient"):
        result = attribute("the movie was good", adapter, method, max_new_tokens=3)
        assert result.scores.max() > 0
    for method in ("value_zeroing", "alti"):
        with pytest.raises(Unsupported, match="cannot be observed"):
            attribute("the movie was good", adapter, method, max_new_tokens=3)
    f = opened(adapter, "the movie was good")
    model.set_attn_implementation("eager")
    with torch.no_grad():
        expected = model(
            input_ids=torch.tensor([[token.id for token in f.tokens]]), output_attentions=True
        ).attentions
    for one, weights in zip(compute_maps(f), expected, strict=True):
        torch.testing.assert_close(one.weights, weights[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", FAMILY)
@pytest.mark.parametrize("family", ["bert", "gpt2", "t5", "llama"])
def test_a_model_loaded_with_sdpa_gives_the_numbers_of_eager(method: str, family: str) -> None:
    results = []
    for implementation in ("sdpa", "eager"):
        model, tokenizer = families.FAMILIES[family].build()
        model.set_attn_implementation(implementation)
        results.append(attribute(TEXT, load(model, tokenizer), method, max_new_tokens=3).scores)
        assert model.config._attn_implementation == implementation
    np.testing.assert_allclose(*results, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("method", ["attention", "value_zeroing", "alti"])
def test_a_layer_or_head_that_is_not_there_is_a_clear_error(tiny: dict[str, Adapter], method: str) -> None:
    with pytest.raises(BadOption, match="layers are 0 to 1"):
        attribute(TEXT, tiny["t5"], method, layer=2, max_new_tokens=2)
    if method == "attention":
        with pytest.raises(BadOption, match="heads are 0 to 1"):
            attribute(TEXT, tiny["gpt2"], method, head=2, max_new_tokens=2)


def test_which_rows_are_read(tiny: dict[str, Adapter]) -> None:
    def row(f: Objective, k: int = 0) -> list[int]:
        found = output_rows(f)
        assert torch.allclose(found.sum(1), torch.ones(len(found), dtype=torch.float64))
        return torch.nonzero(found[k])[:, 0].tolist()

    assert row(opened(tiny["bert"])) == [0]
    f = opened(tiny["gpt2-classifier"])
    assert row(f) == [len(f.tokens) - 1]
    f = opened(tiny["gpt2"])
    prompt = len(f.adapter.encode(TEXT).tokens)
    assert [row(f, k) for k in range(3)] == [[prompt - 1], [prompt], [prompt + 1]]
    f = opened(tiny["t5"])
    source = len(f.adapter.encode(TEXT).tokens)
    assert [row(f, k) for k in range(len(f.outputs))] == [[source + k] for k in range(len(f.outputs))]
    whole = make_objective(tiny["gpt2"], TEXT, Target(max_new_tokens=3, position="sequence"), Deadline())
    assert isinstance(whole, Objective) and row(whole) == [prompt - 1, prompt, prompt + 1]


# Rollout.


def test_rollout_of_two_layers_by_hand() -> None:
    first = torch.tensor([[[0.2, 0.8], [0.6, 0.4]]])
    second = torch.tensor([[[1.0, 0.0], [0.5, 0.5]]])
    both = slice(0, 2)
    steps = list(mix_residual([Map("self", 0, both, both, first), Map("self", 1, both, both, second)], 2))
    # Ā_1 = [[.6, .4], [.3, .7]], Ā_2 = [[1, 0], [.25, .75]]; the second row of Ā_2 Ā_1.
    found = roll_out(torch.tensor([[0.0, 1.0]], dtype=torch.float64), steps)
    np.testing.assert_allclose(found.numpy(), [[0.25 * 0.6 + 0.75 * 0.3, 0.25 * 0.4 + 0.75 * 0.7]], rtol=1e-6)


@pytest.mark.parametrize("heads", ["mean", "max"])
def test_rollout_agrees_with_numpy(tiny: dict[str, Adapter], heads: str) -> None:
    model, tokenizer = eager("bert")
    with torch.no_grad():
        attentions = model(**tokenizer(TEXT, return_tensors="pt"), output_attentions=True).attentions
    total = None
    for layer in attentions:
        weights = layer[0].numpy().astype(float)
        merged = (
            weights.mean(0) if heads == "mean" else weights.max(0) / weights.max(0).sum(-1, keepdims=True)
        )
        mixture = 0.7 * merged + 0.3 * np.eye(len(merged))
        total = mixture if total is None else mixture @ total
    assert total is not None
    result = attribute(TEXT, tiny["bert"], "attention_rollout", residual=0.3, heads=heads)
    np.testing.assert_allclose(result.scores[0], total[0], rtol=1e-4, atol=1e-6)


def test_rollout_of_an_encoder_decoder_agrees_with_blocks_in_numpy(tiny: dict[str, Adapter]) -> None:
    f = opened(tiny["t5"], "the film was bad")
    source, inputs = len(f.adapter.encode("the film was bad").tokens), len(f.tokens)
    model, _ = eager("t5")
    ids = torch.tensor([[token.id for token in f.tokens]])
    with torch.no_grad():
        said = model(input_ids=ids[:, :source], decoder_input_ids=ids[:, source:], output_attentions=True)
    encoder = np.eye(source)
    for layer in said.encoder_attentions:
        encoder = (0.5 * layer[0].mean(0).numpy() + 0.5 * np.eye(source)) @ encoder
    over_source, over_decoder = np.zeros((inputs - source, source)), np.eye(inputs - source)
    for own, cross in zip(said.decoder_attentions, said.cross_attentions, strict=True):
        mixture = 0.5 * own[0].mean(0).numpy() + 0.5 * np.eye(inputs - source)
        over_source, over_decoder = mixture @ over_source, mixture @ over_decoder
        over_source = 0.5 * cross[0].mean(0).numpy() @ encoder + 0.5 * over_source
        over_decoder = 0.5 * over_decoder
    result = attribute("the film was bad", tiny["t5"], "attention_rollout", max_new_tokens=3)
    np.testing.assert_allclose(
        result.scores, np.hstack([over_source, over_decoder])[: len(result.outputs)], rtol=1e-4, atol=1e-6
    )


# Flow.


def edmonds_karp(capacity: np.ndarray, start: int, end: int) -> float:
    """Maximum flow by shortest augmenting paths over a dense matrix of capacities."""
    left, total = capacity.copy(), 0.0
    while True:
        before = {start: start}
        queue = deque([start])
        while queue and end not in before:
            node = queue.popleft()
            for to in np.flatnonzero(left[node] > 1e-12).tolist():
                if to not in before:
                    before[to] = node
                    queue.append(to)
        if end not in before:
            return total
        path = [end]
        while path[-1] != start:
            path.append(before[path[-1]])
        edges = list(zip(path[1:], path[:-1], strict=True))
        amount = min(left[a, b] for a, b in edges)
        for a, b in edges:
            left[a, b] -= amount
            left[b, a] += amount
        total += amount


@pytest.mark.parametrize("family", ["bert", "gpt2", "t5"])
def test_flow_agrees_with_augmenting_paths(tiny: dict[str, Adapter], family: str) -> None:
    text = "the film was bad"
    f = opened(tiny[family], text, tokens=2)
    steps, inputs = list(mix_residual(compute_maps(f), len(f.tokens))), len(f.tokens)
    capacity = np.zeros(((len(steps) + 1) * inputs,) * 2)
    for level, step in enumerate(steps):
        whole = np.eye(inputs)
        whole[step.queries] = step.matrix.numpy()
        capacity[(level + 1) * inputs : (level + 2) * inputs, level * inputs : (level + 1) * inputs] = whole
    np.testing.assert_allclose(build_graph(steps, inputs).toarray() / UNIT, capacity, atol=1e-9)
    result = attribute(text, tiny[family], "attention_flow", max_new_tokens=2)
    for output, row in enumerate(output_rows(f).argmax(1).tolist()):
        expected = [edmonds_karp(capacity, len(steps) * inputs + row, token) for token in range(inputs)]
        np.testing.assert_allclose(result.scores[output], expected, atol=1e-6)


# Attention × gradient.


def test_attention_x_gradient_of_an_encoder_by_hand(tiny: dict[str, Adapter]) -> None:
    model, tokenizer = eager("bert")
    said = model(**tokenizer(TEXT, return_tensors="pt"), output_attentions=True)
    for target in (0, 1):
        gradients = torch.autograd.grad(said.logits[0, target], said.attentions, retain_graph=True)
        relevance = torch.eye(said.attentions[0].shape[-1])
        for weights, gradient in zip(said.attentions, gradients, strict=True):
            positive = (weights[0] * gradient[0]).clamp(min=0).mean(0)
            relevance = relevance + positive @ relevance
        relevance = relevance.detach()
        result = attribute(TEXT, tiny["bert"], "attention_x_gradient", target, identity=True)
        np.testing.assert_allclose(result.scores[0], relevance[0].numpy(), rtol=1e-3, atol=1e-6)
        relevance[0, 0] -= 1
        result = attribute(TEXT, tiny["bert"], "attention_x_gradient", target)
        np.testing.assert_allclose(result.scores[0], relevance[0].numpy(), rtol=1e-3, atol=1e-6)


def test_attention_x_gradient_of_an_encoder_decoder_by_hand(tiny: dict[str, Adapter]) -> None:
    text = "the film was bad"
    result = attribute(text, tiny["t5"], "attention_x_gradient", max_new_tokens=3, identity=True)
    source = [token.id for token in result.tokens if token.segment == "text"]
    prefix = [token.id for token in result.tokens if token.segment == "generated"]
    model, _ = eager("t5")
    said = model(
        input_ids=torch.tensor([source]), decoder_input_ids=torch.tensor([prefix]), output_attentions=True
    )
    n, m = len(source), len(prefix)
    for k, output in enumerate(result.outputs):

        def merged(weights: torch.Tensor, value: torch.Tensor = said.logits[0, k, output.id]) -> np.ndarray:
            gradient = torch.autograd.grad(value, weights, retain_graph=True)[0]
            return (weights[0] * gradient[0]).clamp(min=0).mean(0).detach().double().numpy()

        def bar(relevance: np.ndarray) -> np.ndarray:
            rest = relevance - np.eye(len(relevance))
            total = rest.sum(-1, keepdims=True)
            return np.divide(rest, total, out=np.zeros_like(rest), where=total > 0) + np.eye(len(relevance))

        r_ss, r_dd, r_ds = np.eye(n), np.eye(m), np.zeros((m, n))
        for weights in said.encoder_attentions:
            r_ss = r_ss + merged(weights) @ r_ss
        for own, cross in zip(said.decoder_attentions, said.cross_attentions, strict=True):
            a = merged(own)
            r_dd, r_ds = r_dd + a @ r_dd, r_ds + a @ r_ds
            r_ds = r_ds + bar(r_dd).T @ merged(cross) @ bar(r_ss)
        np.testing.assert_allclose(result.scores[k], np.concatenate([r_ds[k], r_dd[k]]), rtol=2e-3, atol=1e-6)


def test_gradients_of_the_maps_are_those_of_finite_differences(tiny: dict[str, Adapter]) -> None:
    """Replacing one attention weight by a slightly changed one changes f by gradient × change."""
    from attribution.models.inside.observation import observe_attention

    f = make_objective(tiny["bert"], TEXT, Target(), Deadline())
    assert isinstance(f, Objective)
    found, gradients = compute_maps_with_gradients(f)
    slopes = next(gradients)
    step = 1e-2
    for place in ((0, 0, 2, 3), (1, 1, 0, 4)):
        values = []
        for sign in (1, -1):
            calls = []

            def changed(
                eager: Any,
                module: Any,
                query: Any,
                key: Any,
                value: Any,
                mask: Any,
                calls: list[int] = calls,
                sign: int = sign,
                place: Any = place,
                **more: Any,
            ) -> Any:
                output, weights = eager(module, query, key, value, mask, **more)
                if len(calls) == place[0]:
                    output = output.clone()
                    output[0, place[2], place[1]] += sign * step * value[0, place[1], place[3]]
                calls.append(1)
                return output, weights

            values.append(float(f.on(observe_attention(f.model, changed)).evaluate(f.embeddings[None])))
        slope = float(slopes[place[0]][place[1], place[2], place[3]])
        assert (values[0] - values[1]) / (2 * step) == pytest.approx(slope, rel=0.02, abs=1e-3)
    assert [s.shape for s in slopes] == [m.weights.shape for m in found]


# Value zeroing.


def literal_zeroing(
    model: PreTrainedModel, layers: Any, ids: torch.Tensor, value_of: Any
) -> list[np.ndarray]:
    """One forward pass for each layer and token; value_of(layer) is (module, slice of its output)."""
    found = []
    for layer in layers:
        outputs: list[torch.Tensor] = []
        handle = layer.register_forward_hook(
            lambda _m, _a, said, outputs=outputs: outputs.append(
                said if isinstance(said, torch.Tensor) else said[0]
            )
        )
        with torch.no_grad():
            model(input_ids=ids)
            scores = np.zeros((ids.shape[1], ids.shape[1]))
            for token in range(ids.shape[1]):
                module, part = value_of(layer)

                def zero(
                    _m: Any, _a: Any, said: torch.Tensor, token: int = token, part: slice = part
                ) -> torch.Tensor:
                    said = said.clone()
                    said[:, token, part] = 0
                    return said

                inner = module.register_forward_hook(zero)
                model(input_ids=ids)
                inner.remove()
                scores[:, token] = (
                    1 - torch.cosine_similarity(outputs[0].double(), outputs[-1].double(), dim=-1)[0].numpy()
                )
        handle.remove()
        found.append(scores / scores.sum(-1, keepdims=True))
    return found


@pytest.mark.parametrize("layer", [-1, 0, 1])
@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_value_zeroing_agrees_with_one_token_at_a_time(
    tiny: dict[str, Adapter], family: str, layer: int
) -> None:
    result = attribute("the film was bad", tiny[family], "value_zeroing", layer=layer, max_new_tokens=2)
    ids = torch.tensor([[token.id for token in result.tokens]])
    model, _ = eager(family)
    if family == "bert":
        found = literal_zeroing(
            model, model.bert.encoder.layer, ids, lambda block: (block.attention.self.value, slice(None))
        )
        rows = [0]
    else:
        width = model.config.n_embd
        found = literal_zeroing(
            model, model.transformer.h, ids, lambda block: (block.attn.c_attn, slice(2 * width, 3 * width))
        )
        rows = [ids.shape[1] - 2, ids.shape[1] - 1]
    expected = found[1] @ found[0] if layer < 0 else found[layer]
    np.testing.assert_allclose(result.scores, expected[rows], rtol=1e-3, atol=1e-5)


def test_value_zeroing_of_a_decoder_layer_spans_its_own_and_the_encoders_values(
    tiny: dict[str, Adapter],
) -> None:
    result = attribute("the film was bad", tiny["t5"], "value_zeroing", layer=1, max_new_tokens=3)
    model, _ = eager("t5")
    source = torch.tensor([[token.id for token in result.tokens if token.segment == "text"]])
    prefix = torch.tensor([[token.id for token in result.tokens if token.segment == "generated"]])
    block = model.decoder.block[1]
    outputs: list[torch.Tensor] = []
    block.register_forward_hook(lambda _m, _a, said: outputs.append(said[0]))
    columns = []
    with torch.no_grad():
        model(input_ids=source, decoder_input_ids=prefix)
        for module, count in (
            (block.layer[1].EncDecAttention.v, source.shape[1]),
            (block.layer[0].SelfAttention.v, prefix.shape[1]),
        ):
            for token in range(count):

                def zero(_m: Any, _a: Any, said: torch.Tensor, token: int = token) -> torch.Tensor:
                    said = said.clone()
                    said[:, token] = 0
                    return said

                handle = module.register_forward_hook(zero)
                model(input_ids=source, decoder_input_ids=prefix)
                handle.remove()
                columns.append(
                    1 - torch.cosine_similarity(outputs[0].double(), outputs[-1].double(), dim=-1)[0].numpy()
                )
    expected = np.stack(columns, axis=1)
    expected /= expected.sum(-1, keepdims=True)
    np.testing.assert_allclose(result.scores, expected[: len(result.outputs)], rtol=1e-3, atol=1e-5)


# ALTI.

SUMS = [
    "bert",
    "roberta",
    "distilbert",
    "albert",
    "electra",
    "modernbert",
    "gpt2",
    "opt",
    "llama",
    "qwen3",
    "gemma2",
    "t5",
    "bart",
]


@pytest.mark.parametrize("family", SUMS)
def test_altis_parts_add_up_to_the_models_own_blocks(family: str) -> None:
    model, tokenizer = families.FAMILIES[family].build()
    f = opened(load(model, tokenizer), "the film was not bad")
    blocks = Blocks(f)
    found = blocks.run()
    after = {"bert", "roberta", "distilbert", "albert", "electra", "bart"}
    for one, block in zip(found, blocks.blocks, strict=True):
        parts = Parts(one, block, family in after)
        with torch.no_grad():
            total = parts.of(slice(None)).sum(1) + parts.rest
        assert float((total - parts.output).abs().max()) <= 1e-5 * float(parts.output.abs().max())
    for step in blocks.steps(found):
        np.testing.assert_allclose(step.matrix.sum(-1).numpy(), 1, rtol=1e-9)


def test_alti_of_bert_by_hand(tiny: dict[str, Adapter]) -> None:
    model, tokenizer = eager("bert")
    with torch.no_grad():
        said = model(
            **tokenizer(TEXT, return_tensors="pt"), output_attentions=True, output_hidden_states=True
        )
        total = None
        for block, states, maps in zip(
            model.bert.encoder.layer, said.hidden_states, said.attentions, strict=False
        ):
            x, weights, heads = states[0], maps[0], maps.shape[1]
            value = block.attention.self.value(x).view(len(x), heads, -1)
            out, norm = block.attention.output.dense, block.attention.output.LayerNorm
            matrix = out.weight.view(len(out.weight), heads, -1)
            z = (
                block.attention.output.dense(
                    (weights @ value.transpose(0, 1)).transpose(0, 1).reshape(len(x), -1)
                )
                + x
            )
            y, share = norm(z), torch.zeros(len(x), len(x))
            for i in range(len(x)):
                sigma = (z[i].var(unbiased=False) + norm.eps).sqrt()
                for j in range(len(x)):
                    part = (
                        sum(weights[h, i, j] * (matrix[:, h] @ value[j, h]) for h in range(heads))
                        + (i == j) * x[i]
                    )
                    part = norm.weight * (part - part.mean()) / sigma
                    share[i, j] = (y[i].abs().sum() - (y[i] - part).abs().sum()).clamp(min=0)
            share = share / share.sum(-1, keepdim=True)
            total = share if total is None else share @ total
    assert total is not None
    np.testing.assert_allclose(
        attribute(TEXT, tiny["bert"], "alti").scores[0], total[0].numpy(), rtol=2e-3, atol=1e-5
    )


def test_alti_of_gpt2_by_hand(tiny: dict[str, Adapter]) -> None:
    result = attribute("the film", tiny["gpt2"], "alti", layer=1, max_new_tokens=2)
    model, _ = eager("gpt2")
    ids = torch.tensor([[token.id for token in result.tokens]])
    with torch.no_grad():
        said = model(input_ids=ids, output_attentions=True, output_hidden_states=True)
        block, x, weights = model.transformer.h[1], said.hidden_states[1][0], said.attentions[1][0]
        heads, width = len(weights), x.shape[1] // len(weights)
        value = block.attn.c_attn(block.ln_1(x))[:, 2 * x.shape[1] :]
        y = x + block.attn(block.ln_1(x)[None])[0][0]
        row = []
        for j in range(len(x)):
            spread = torch.cat(
                [weights[h, -1, j] * value[j, h * width : (h + 1) * width] for h in range(heads)]
            )
            part = spread @ block.attn.c_proj.weight + (j == len(x) - 1) * x[j]
            row.append((y[-1].abs().sum() - (y[-1] - part).abs().sum()).clamp(min=0))
    expected = torch.stack(row) / sum(row)
    np.testing.assert_allclose(result.scores[-1], expected.numpy(), rtol=1e-3, atol=1e-5)


def test_alti_refuses_blocks_that_stand_beside_their_feed_forward_layer() -> None:
    model, tokenizer = families.FAMILIES["gpt-neox"].build()
    with pytest.raises(Unsupported, match="feed-forward"):
        attribute("the film", load(model, tokenizer), "alti", max_new_tokens=2)


# A model that copies: what it depends on is known.


def copying(back: int) -> tuple[PreTrainedModel, Any]:
    """GPT-2 with one head that looks ``back`` tokens back, copies that token, drowning the residual."""
    tokenizer = tiny.bytes_bpe()
    size, places = len(tokenizer), 32
    hidden = size + places
    config = GPT2Config(
        vocab_size=size,
        n_embd=hidden,
        n_layer=1,
        n_head=1,
        n_positions=places,
        n_inner=4,
        tie_word_embeddings=False,
    )
    config.bos_token_id = config.eos_token_id = 0
    model = GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.transformer.wte.weight[:, :size] = torch.eye(size)
        model.transformer.wpe.weight[:, size:] = torch.eye(places)
        block = model.transformer.h[0]
        block.ln_1.weight.fill_(1)
        block.ln_2.weight.fill_(1)
        model.transformer.ln_f.weight.fill_(1)
        for place in range(places):
            block.attn.c_attn.weight[size + place, size + place] = 300  # query: this place
            block.attn.c_attn.weight[size + place, hidden + size + min(place + back, places - 1)] = (
                300  # key: seen from there
            )
        for token in range(size):
            block.attn.c_attn.weight[token, 2 * hidden + token] = 1
            block.attn.c_proj.weight[token, token] = 100
        model.lm_head.weight[:, :size] = torch.eye(size)
    return model, tokenizer


@pytest.mark.parametrize("method", FAMILY)
@pytest.mark.parametrize("back", [1, 3])
def test_a_head_that_looks_at_a_known_place_names_that_place(method: str, back: int) -> None:
    model, tokenizer = copying(back)
    options = {"residual": 0.0} if method in ("attention_rollout", "attention_flow") else {}
    text = "abcdefg"
    result = attribute(text, load(model, tokenizer), method, max_new_tokens=2, **options)
    for row, output in enumerate(result.outputs):
        place = len(text) - 1 + row - back
        assert result.tokens[place].id == output.id
        assert result.scores[row].argmax() == place
        others = np.delete(result.scores[row], place)
        assert others.sum() < 0.1 * result.scores[row, place]


def run(model: PreTrainedModel, tokenizer: Any, method: str) -> Attribution:
    return attribute(TEXT, load(model, tokenizer), method)


@pytest.mark.parametrize("method", FAMILY[1:])
def test_methods_see_more_than_the_last_layer(method: str) -> None:
    """Two BERTs that differ in the first layer's attention only do not get the same scores."""
    scores = []
    for scale in (1.0, 3.0):
        model, tokenizer = tiny.bert()
        assert isinstance(model, BertForSequenceClassification) and isinstance(model.config, BertConfig)
        with torch.no_grad():
            model.bert.encoder.layer[0].attention.self.query.weight.mul_(scale)
        scores.append(run(model, tokenizer, method).scores)
    assert not np.allclose(scores[0], scores[1], rtol=0.01, atol=0)
