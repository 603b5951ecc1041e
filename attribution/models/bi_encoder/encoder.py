"""The transformer of a bi-encoder: a model without a head."""

from __future__ import annotations

from typing import Any

import transformers
from torch import Tensor
from transformers import PreTrainedModel

from attribution.errors import Unsupported

READS_ALONE = frozenset({"t5", "mt5", "umt5", "longt5"})
"""Encoder-decoders that sentence-transformers takes the encoder of."""


def encoder_class(config: Any) -> type[PreTrainedModel] | None:
    """The class without a head for a configuration, as sentence-transformers chooses it; None for none."""
    if getattr(config, "model_type", "") in READS_ALONE:
        name = type(config).__name__.replace("Config", "EncoderModel")
        encoder: type[PreTrainedModel] | None = getattr(transformers, name, None)
        return encoder
    classes = transformers.MODEL_MAPPING.get(type(config), ())
    kinds: tuple[type[PreTrainedModel], ...] = classes if isinstance(classes, tuple) else (classes,)
    named = [kind for kind in kinds if kind.__name__ in (config.architectures or ())]
    return next(iter((*named, *kinds)), None)


def last_states(answer: Any, model: PreTrainedModel) -> Tensor:
    """The last state of each token, [batch, inputs, hidden]. Raises ``Unsupported`` where there are none."""
    states: Tensor | None = getattr(answer, "last_hidden_state", None)
    if states is None:
        raise Unsupported(
            f"{type(model).__name__} does not give the last states of its tokens, which embed a text.",
            "Load the model without its head: load(model.base_model, tokenizer, ...).",
        )
    return states
