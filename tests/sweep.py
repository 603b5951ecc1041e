"""One architecture tried: the numbers of this library against the model called by hand.

"By hand" is the user's own model, called with the ids of the tokens, and the gradient at what its own
embedding layer returned, taken by a hook on that layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from attribution import Attribution, attribute, load
from attribution.errors import AttributionError
from attribution.models.adapter import Adapter
from tests.architectures import Architecture, build

TEXT, SECOND = "the film was", "not so bad"
TOLERANCE = 2e-3
"""Relative to the largest number: some architectures compute in several orders."""
PARTS = ("gradients", "hiding", "attention")
"""What is tried: saliency, occlusion by the mask token, attention weights."""

State = Literal["right", "refused", "wrong", "error", "unbuilt"]


@dataclass(frozen=True)
class Verdict:
    """How one part went. ``reason`` is the message of a refusal or an error, or what is wrong."""

    part: str
    state: State
    reason: str = ""


class Wrong(Exception):
    """A number that is not what the model gives by hand."""


def examine(architecture: Architecture) -> list[Verdict]:
    """Try the parts on one architecture. Nothing is raised."""
    try:
        model, tokenizer = build(architecture)
        _scale(model)
        if model.config.is_encoder_decoder:
            model.config.decoder_start_token_id = tokenizer.eos_token_id
            if model.can_generate():
                model.generation_config.decoder_start_token_id = tokenizer.eos_token_id
        _call(model, torch.tensor([tokenizer(TEXT)["input_ids"]]))
    except Exception as error:
        return [Verdict(part, "unbuilt", _describe(error)) for part in PARTS]
    return [_examine_part(part, architecture, model, tokenizer) for part in PARTS]


def _examine_part(part: str, architecture: Architecture, model: PreTrainedModel, tokenizer: Any) -> Verdict:
    arguments = _arguments(architecture.task, tokenizer)
    try:
        adapter = load(model, tokenizer, task=architecture.task)
        if not isinstance(adapter, Adapter):
            return Verdict(part, "refused", "It is loaded as a function of texts.")
        if part == "gradients":
            _check_gradients(attribute(model=adapter, method="saliency", **arguments), model)
        elif part == "hiding":
            options = {"features": "tokens", "hide": "mask"}
            _check_hiding(
                attribute(model=adapter, method="occlusion", options=options, **arguments), model, tokenizer
            )
        else:
            result = attribute(model=adapter, method="attention", **arguments)
            if not (np.isfinite(result.scores).all() and result.scores.any()):
                raise Wrong("attention weights of 0")
    except AttributionError as refusal:
        return Verdict(part, "refused", str(refusal))
    except Wrong as error:
        return Verdict(part, "wrong", str(error))
    except Exception as error:
        return Verdict(part, "error", _describe(error))
    return Verdict(part, "right")


def _arguments(task: str, tokenizer: Any) -> dict[str, Any]:
    if task in ("causal", "seq2seq"):
        return {"text": TEXT, "max_new_tokens": 2}
    if task == "question_answering":
        return {"text": TEXT, "second": SECOND}
    if task == "masked":
        return {"text": f"the {tokenizer.mask_token} was"}
    return {"text": TEXT}


def _scale(model: PreTrainedModel) -> None:
    """Larger weights, so that predictions depend on the text."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 2 and "embed" not in name and float(parameter.std()) < 0.05:
                parameter.mul_(4)


def _call(model: PreTrainedModel, ids: Tensor, prefix: Tensor | None = None) -> Any:
    parts: dict[str, Any] = {"input_ids": ids}
    if model.can_generate():
        parts["use_cache"] = False  # RWKV writes into its state
    if model.config.is_encoder_decoder and model.can_generate():
        start = torch.full((1, 1), model.config.decoder_start_token_id)
        parts["decoder_input_ids"] = start if prefix is None else prefix
    return model(**parts)


def _rows(result: Attribution) -> tuple[Tensor, Tensor | None]:
    """The ids of the inputs, of the text and of the decoder."""
    if result.model.task != "seq2seq":
        return torch.tensor([[token.id for token in result.tokens]]), None
    parts = [
        [t.id for t in result.tokens if (t.segment == "generated") is generated]
        for generated in (False, True)
    ]
    return torch.tensor(parts[:1]), torch.tensor(parts[1:])


def _value(answer: Any, result: Attribution, k: int) -> Tensor:
    """The explained number of one output in an answer of the model."""
    output, task = result.outputs[k], result.model.task
    if task == "classification":
        return answer.logits[0, output.id]
    if task == "question_answering":
        return (answer.start_logits, answer.end_logits)[k][0, output.id]
    if task in ("masked", "token_classification"):
        return answer.logits[0, output.position, output.id]
    place = output.position - len(result.outputs)
    return answer.logits[0, place, output.id]


def _tables(model: PreTrainedModel) -> list[torch.nn.Module]:
    """All modules that look up in the table of input embeddings: some architectures tie several."""
    weight = model.get_input_embeddings().weight
    return [
        module for module in model.modules() if getattr(module, "weight", None) is weight and _embeds(module)
    ]


def _embeds(module: torch.nn.Module) -> bool:
    return "Embedding" in type(module).__name__ and hasattr(module, "num_embeddings")


def _check_gradients(result: Attribution, model: PreTrainedModel) -> None:
    ids, prefix = _rows(result)
    leaves: list[Tensor] = []

    def keep(_module: Any, _args: Any, output: Tensor) -> Tensor:
        leaves.append(output.detach().requires_grad_())
        return leaves[-1].clone()  # CTRL multiplies it in place

    handles = [table.register_forward_hook(keep) for table in _tables(model)]
    try:
        answer = _call(model, ids, prefix)
    finally:
        for handle in handles:
            handle.remove()
    width = ids.shape[1]
    for k in range(len(result.outputs)):
        value = _value(answer, result, k)
        _compare("f", result.outputs[k].value, float(value))
        fitting = [leaf for leaf in leaves if leaf.shape[0] * leaf.shape[1] == width]
        [slope] = torch.autograd.grad(value, fitting[:1], retain_graph=True)
        scale = getattr(model.get_encoder(), "embed_scale", 1.0) if prefix is not None else 1.0
        _compare(
            "saliency", result.scores[k, :width], slope.reshape(width, -1).norm(dim=-1).numpy() / float(scale)
        )


def _check_hiding(result: Attribution, model: PreTrainedModel, tokenizer: Any) -> None:
    ids, prefix = _rows(result)
    with torch.no_grad():
        whole = _call(model, ids, prefix)
        for place, token in enumerate(result.tokens[: ids.shape[1]]):
            if token.special or token.segment == "generated":
                continue
            changed = ids.clone()
            changed[0, place] = tokenizer.mask_token_id
            answer = _call(model, changed, prefix)
            drops = [
                float(_value(whole, result, k) - _value(answer, result, k))
                for k in range(len(result.outputs))
            ]
            largest = max(abs(output.value) for output in result.outputs)
            _compare(f"occlusion of token {place}", result.scores[:, place], np.array(drops), largest)


def _compare(what: str, got: Any, expected: Any, size: float = 0.0) -> None:
    largest = max(float(np.abs(np.asarray(expected)).max()), size)
    if not np.abs(np.asarray(got) - np.asarray(expected)).max() <= TOLERANCE * largest + 1e-9:
        raise Wrong(f"{what}: {np.round(got, 5)!s:.60}, by hand {np.round(expected, 5)!s:.60}")


def _describe(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:160]}"
