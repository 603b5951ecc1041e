"""Randomisation test: randomise a model's layers from the output down and compare the attribution scores."""

from __future__ import annotations

import itertools
import os
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from attribution.errors import BadOption, Unsupported, nearest, quote
from attribution.methods import find
from attribution.metrics.common.correlation import spearman
from attribution.models.adapter import Adapter
from attribution.models.sources import offloading
from attribution.models.sources.store import load
from attribution.models.twin import copy_sharing
from attribution.settings import DEFAULT_METHOD, DEFAULT_MODEL
from attribution.types import Attribution

if TYPE_CHECKING:
    from attribution.engine import Engine

RANKINGS = 1000
"""Number of random rankings from which the correlation by chance is estimated."""


@dataclass(frozen=True)
class Randomisation:
    """How the scores change as more layers are randomised.

    Parameters
    ----------
    original : the attribution of the unmodified model.
    layers : the randomised layers, from the output downwards; in step k the first k + 1 of them are random.
    correlations : after each step, Spearman's correlation of the absolute scores with the original ones, over
        non-special inputs before the output; the mean over the outputs. None where it is undefined: all
        scores are equal, or there are fewer than two.
    chance : the control: 95 % of random scores correlate less than this with the original. None if undefined.
    """

    original: Attribution
    layers: tuple[str, ...]
    correlations: tuple[float | None, ...]
    chance: float | None

    @property
    def sensitive(self) -> bool | None:
        """Whether the scores of the fully randomised model correlate at most by chance; None if undefined."""
        last = self.correlations[-1]
        return None if last is None or self.chance is None else last <= self.chance


def sanity(
    engine: Engine,
    text: str,
    model: str | os.PathLike[str] | Adapter = DEFAULT_MODEL,
    method: str = DEFAULT_METHOD,
    target: str | int | None = None,
    *,
    randomisation_seed: int = 0,
    **fields: Any,
) -> Randomisation:
    """Run the cascading randomisation test on an explanation.

    Adebayo et al. 2018, "Sanity Checks for Saliency Maps", section 3. All steps explain the class or
    generated text of the unmodified model. Scores that hardly change do not depend on what the model learned.
    ``fields`` are passed to ``Engine.attribute``. Raises its errors, ``BadOption`` if a randomised model
    would explain another output, which naming a ``target`` prevents, and ``Unsupported`` for a function.
    """
    adapter = load(model)
    if not isinstance(adapter, Adapter):
        raise Unsupported("A function has no weights to randomise.", "Give a model.")
    original = engine.attribute(text, adapter, method, target, **fields)
    # The other methods do not take this method's options, only the request fields.
    options = {option.name for option in find(method).options}
    request_fields = {name: value for name, value in fields.items() if name not in options}
    control = engine.attribute(text, adapter, "random", target, **request_fields)
    # The random control scores every input that the output can depend on.
    special = np.array([token.special for token in original.tokens])
    visible = [np.flatnonzero((row != 0) & ~special) for row in control.scores]
    if target is None and adapter.task.classifies:
        target = original.outputs[0].id
    generated = _generate(engine, text, adapter, request_fields)
    names = tuple(reversed(layers(adapter.model)))
    correlations = []
    for k in range(len(names)):
        changed = randomise(adapter.model, names[: k + 1], randomisation_seed)
        if generated is not None:
            _fix_generation(changed, generated)
        result = engine.attribute(text, _wrap(changed, adapter), method, target, **fields)
        if _explained(result) != _explained(original):
            raise BadOption("The randomised model would explain another output.", "Name the target.")
        correlations.append(_similarity(original.scores, result.scores, visible))
    chance = _chance(original.scores, visible, randomisation_seed)
    return Randomisation(original, names, tuple(correlations), chance)


def randomise_all(adapter: Adapter, seed: int = 0) -> Adapter:
    """A copy of the model with random weights in all layers: see ``randomise``."""
    return _wrap(randomise(adapter.model, layers(adapter.model), seed), adapter)


def _wrap(changed: PreTrainedModel, adapter: Adapter) -> Adapter:
    """An adapter for the changed model, with all settings of the original adapter."""
    return Adapter(
        changed,
        adapter.tokenizer,
        name=adapter.info.name,
        task=adapter.task,
        labels=adapter.info.labels,
        bi_encoder=adapter.bi_encoder,
        settings=adapter.settings,
    )


def layers(model: torch.nn.Module) -> dict[str, tuple[str, ...]]:
    """The model's layers with the names of their parameters, in order of registration, input layer first.

    A layer is a numbered block (``encoder.layer.0``) or a module next to the blocks (``embeddings``,
    ``classifier``). Tied weights belong to the first layer that has them.
    """
    names = [name for name, parameter in model.named_parameters() if parameter.is_floating_point()]
    base = getattr(model, "base_model_prefix", "") + "."
    members: dict[str, list[str]] = {}
    paths = {name: name.removeprefix(base).split(".")[:-1] or [name] for name in names}
    numbered = {path[0] for path in paths.values() if any(part.isdecimal() for part in path)}
    for name, path in paths.items():
        number = next((i for i, part in enumerate(path) if part.isdecimal()), None)
        depth = number if number is not None else int(path[0] in numbered)
        members.setdefault(".".join(path[: depth + 1]), []).append(name)
    return {layer: tuple(parameters) for layer, parameters in members.items()}


def randomise(model: PreTrainedModel, chosen: Iterable[str], seed: int = 0) -> PreTrainedModel:
    """A copy of the model with random weights in the ``chosen`` layers; it shares all others.

    ``layers`` lists their names. Each tensor is drawn from a normal distribution with its own mean and
    standard deviation, so a constant tensor stays the same. The values depend only on ``seed`` and the
    parameter's name. Raises ``BadOption`` for an unknown layer, and ``Unsupported`` for a model with
    offloaded weights.
    """
    if offloading.is_offloaded(model):
        raise Unsupported(
            "This model's weights are not in memory and cannot be randomised.", "Use a smaller model."
        )
    model_layers = layers(model)
    randomised: set[str] = set()
    for layer in chosen:
        if layer not in model_layers:
            raise BadOption(f"The model has no layer {quote(layer)}.", nearest(layer, model_layers))
        randomised.update(model_layers[layer])
    # deepcopy takes the entries of its memo for finished copies: listed tensors are shared or replaced, and a
    # tied weight is replaced in all its places.
    memo: dict[int, Any] = {
        id(tensor): tensor for tensor in itertools.chain(model.parameters(), model.buffers())
    }
    for name, parameter in model.named_parameters():
        if name in randomised:
            memo[id(parameter)] = torch.nn.Parameter(
                _draw(parameter.detach(), f"{seed}:{name}"), parameter.requires_grad
            )
    return copy_sharing(model, memo).eval()


def _draw(like: Tensor, key: str) -> Tensor:
    """A tensor of normally distributed values with the shape, mean and standard deviation of ``like``."""
    generator = torch.Generator().manual_seed(zlib.crc32(key.encode()))
    values = like.float()
    noise = torch.randn(like.shape, generator=generator).to(like.device)
    return (values.mean() + values.std(unbiased=False) * noise).to(like.dtype)


def _generate(engine: Engine, text: str, adapter: Adapter, fields: dict[str, Any]) -> list[int] | None:
    """The ids of the tokens that the unmodified model generates; None if it does not generate."""
    if not adapter.task.writes or fields.get("continuation") is not None:
        return None
    all_outputs = {name: value for name, value in fields.items() if name not in ("position", "contrast")}
    return [output.id for output in engine.attribute(text, adapter, "random", **all_outputs).outputs]


def _fix_generation(changed: PreTrainedModel, generated: list[int]) -> None:
    """Make a randomised copy generate the given tokens."""

    def generate(ids: Tensor, **_: Any) -> Tensor:
        # The adapter does not read an encoder-decoder's start token.
        prefix = [0] if changed.config.is_encoder_decoder else ids[0].tolist()
        return torch.tensor([[*prefix, *generated]], device=ids.device)

    changed.generate = generate


def _explained(result: Attribution) -> list[object]:
    """The inputs and outputs that were explained, without their values."""
    outputs = [(output.id, output.start, output.position, output.contrast) for output in result.outputs]
    return [[token.id for token in result.tokens], outputs]


def _similarity(first: np.ndarray, second: np.ndarray, visible: list[np.ndarray]) -> float | None:
    """The mean Spearman correlation of absolute scores [outputs, inputs] over outputs where it is defined.

    ``visible`` has the indices of the compared inputs for each output.
    """
    rows = [spearman(abs(a[i]), abs(b[i])) for a, b, i in zip(first, second, visible, strict=True)]
    defined = [row for row in rows if row is not None]
    return float(np.mean(defined)) if defined else None


def _chance(scores: np.ndarray, visible: list[np.ndarray], seed: int) -> float | None:
    """The 95 % quantile of the correlations of ``scores`` with random rankings."""
    draw = np.random.default_rng(seed)
    correlations = [_similarity(scores, draw.random(scores.shape), visible) for _ in range(RANKINGS)]
    defined = [value for value in correlations if value is not None]
    return float(np.quantile(defined, 0.95)) if defined else None
