"""Does an explanation depend on what the model learned?

Its layers are randomised from the output down, and the scores compared.
"""

from __future__ import annotations

import copy
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
from attribution.settings import DEFAULT_METHOD, DEFAULT_MODEL
from attribution.types import Attribution

if TYPE_CHECKING:
    from attribution.engine import Engine

RANKINGS = 1000
"""Rankings at random that say which correlation chance alone gives."""


@dataclass(frozen=True)
class Randomisation:
    """How the scores change as the model forgets.

    Parameters
    ----------
    original : the scores of the untouched model.
    layers : what was randomised, from the output downwards; entry k stands for the first k + 1 of them together.
    correlations : Spearman's correlation of the absolute scores with the original's after each, over the inputs that are not
        special and come before the output; the mean over the outputs. None where it is undefined: all scores are equal, or there
        are fewer than two.
    chance : the control. Of scores at random 95 % correlate less than this with the original's; None where that is undefined.
    """

    original: Attribution
    layers: tuple[str, ...]
    correlations: tuple[float | None, ...]
    chance: float | None

    @property
    def sensitive(self) -> bool | None:
        """Whether the fully randomised model's scores are no more like the original's than chance; None where undefined."""
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
    **more: Any,
) -> Randomisation:
    """The cascading randomisation of one explanation: the explained class or generated text stays that of the untouched model.

    Adebayo et al. 2018, "Sanity Checks for Saliency Maps", section 3. Scores that hardly change do not depend
    on what the model learned. ``more`` goes to ``Engine.attribute``. Raises what that raises, and
    ``BadOption`` where the randomised model would be asked about something else, which a ``target`` prevents,
    ``Unsupported`` for a function.
    """
    adapter = model if isinstance(model, Adapter) else load(model)
    if not isinstance(adapter, Adapter):
        raise Unsupported("A function has no weights that could be randomised.", "Give a model.")
    original = engine.attribute(text, adapter, method, target, **more)
    # Each method has options of its own; what else is asked for is what is explained.
    own = {option.name for option in find(method).options}
    asked = {name: value for name, value in more.items() if name not in own}
    control = engine.attribute(text, adapter, "random", target, **asked)
    # The random control has a score wherever an input can matter.
    special = np.array([token.special for token in original.tokens])
    seen = [np.flatnonzero((row != 0) & ~special) for row in control.scores]
    if target is None and adapter.task.classifies:
        target = original.outputs[0].id
    written = _written(engine, text, adapter, asked)
    names = tuple(reversed(layers(adapter.model)))
    found = []
    for k in range(len(names)):
        changed = randomise(adapter.model, names[: k + 1], randomisation_seed)
        if written is not None:
            _say(changed, written)
        result = engine.attribute(text, _adapted(changed, adapter), method, target, **more)
        if _asked(result) != _asked(original):
            raise BadOption("The randomised model would be asked about something else.", "Name the target.")
        found.append(_similarity(original.scores, result.scores, seen))
    return Randomisation(original, names, tuple(found), _chance(original.scores, seen, randomisation_seed))


def forgotten(adapter: Adapter, seed: int = 0) -> Adapter:
    """The same model with all weights drawn anew: see ``randomise``."""
    return _adapted(randomise(adapter.model, layers(adapter.model), seed), adapter)


def _adapted(changed: PreTrainedModel, adapter: Adapter) -> Adapter:
    return Adapter(
        changed,
        adapter.tokenizer,
        name=adapter.info.name,
        task=adapter.task,
        labels=adapter.info.labels,
        pooling=adapter.pooling,
        settings=adapter.settings,
    )


def layers(model: torch.nn.Module) -> dict[str, tuple[str, ...]]:
    """The model's layers in the order in which it registers them, the input's first, with the names of their parameters.

    A layer is a numbered block (``encoder.layer.0``), or what stands beside the blocks (``embeddings``,
    ``classifier``). Tied weights belong to the first layer that has them.
    """
    names = [name for name, parameter in model.named_parameters() if parameter.is_floating_point()]
    base = getattr(model, "base_model_prefix", "") + "."
    found: dict[str, list[str]] = {}
    paths = {name: name.removeprefix(base).split(".")[:-1] or [name] for name in names}
    numbered = {path[0] for path in paths.values() if any(part.isdecimal() for part in path)}
    for name, path in paths.items():
        number = next((i for i, part in enumerate(path) if part.isdecimal()), None)
        depth = number if number is not None else int(path[0] in numbered)
        found.setdefault(".".join(path[: depth + 1]), []).append(name)
    return {layer: tuple(members) for layer, members in found.items()}


def randomise(model: PreTrainedModel, chosen: Iterable[str], seed: int = 0) -> PreTrainedModel:
    """A new model in which the weights of the ``chosen`` layers (see ``layers``) are drawn anew; all others are shared.

    Each tensor is drawn from the normal distribution with the mean and standard deviation that it has; a
    constant one stays. The draw depends on ``seed`` and the parameter's name alone. Raises ``BadOption`` for
    a layer that is not there, ``Unsupported`` for a model whose weights are kept elsewhere between calls.
    """
    if offloading.is_offloaded(model):
        raise Unsupported(
            "This model's weights are not in memory, so none can be drawn anew.", "Use a smaller model."
        )
    known = layers(model)
    drawn: set[str] = set()
    for layer in chosen:
        if layer not in known:
            raise BadOption(f"The model has no layer {quote(layer)}.", nearest(layer, known))
        drawn.update(known[layer])
    # deepcopy takes what is noted here for the copy of a tensor: a tied weight is replaced wherever it
    # stands.
    noted: dict[int, Any] = {
        id(tensor): tensor for tensor in itertools.chain(model.parameters(), model.buffers())
    }
    for name, parameter in model.named_parameters():
        if name in drawn:
            noted[id(parameter)] = torch.nn.Parameter(
                _draw(parameter.detach(), f"{seed}:{name}"), parameter.requires_grad
            )
    return copy.deepcopy(model, noted).eval()


def _draw(like: Tensor, key: str) -> Tensor:
    generator = torch.Generator().manual_seed(zlib.crc32(key.encode()))
    values = like.float()
    noise = torch.randn(like.shape, generator=generator).to(like.device)
    return (values.mean() + values.std(unbiased=False) * noise).to(like.dtype)


def _written(engine: Engine, text: str, adapter: Adapter, asked: dict[str, Any]) -> list[int] | None:
    """The tokens that the untouched model generates; None where it generates none."""
    if not adapter.task.writes or asked.get("continuation") is not None:
        return None
    every = {name: value for name, value in asked.items() if name not in ("position", "contrast")}
    return [output.id for output in engine.attribute(text, adapter, "random", **every).outputs]


def _say(changed: PreTrainedModel, written: list[int]) -> None:
    """Make our own copy of a model generate these tokens."""

    def generate(ids: Tensor, **_: Any) -> Tensor:
        before = (
            [0] if changed.config.is_encoder_decoder else ids[0].tolist()
        )  # an encoder-decoder's start token, not read
        return torch.tensor([[*before, *written]], device=ids.device)

    changed.generate = generate


def _asked(result: Attribution) -> list[object]:
    """What was explained, without what the model answered."""
    outputs = [(o.id, o.start, o.position, o.contrast) for o in result.outputs]
    return [[token.id for token in result.tokens], outputs]


def _similarity(one: np.ndarray, other: np.ndarray, seen: list[np.ndarray]) -> float | None:
    """The mean over outputs of Spearman's correlation of absolute scores [outputs, inputs], where it is defined."""
    rows = [spearman(abs(a[places]), abs(b[places])) for a, b, places in zip(one, other, seen, strict=True)]
    defined = [row for row in rows if row is not None]
    return float(np.mean(defined)) if defined else None


def _chance(scores: np.ndarray, seen: list[np.ndarray], seed: int) -> float | None:
    """The correlation that 95 % of random rankings stay below."""
    draw = np.random.default_rng(seed)
    found = [_similarity(scores, draw.random(scores.shape), seen) for _ in range(RANKINGS)]
    defined = [value for value in found if value is not None]
    return float(np.quantile(defined, 0.95)) if defined else None
