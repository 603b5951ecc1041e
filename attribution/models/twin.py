"""Twins: private copies of a model's module tree that share its weights."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel, activations

from attribution.models.sources import offloading


def make_twin(model: PreTrainedModel) -> PreTrainedModel:
    """Copy the module tree and configuration, sharing the weights, in evaluation mode.

    What a configuration says about the form of answers (``return_dict``, ``output_attentions``,
    ``output_hidden_states``) is set to the usual one: the numbers are the same, and readers look for names.
    The tanh approximation of GELU is replaced by a single operation: in several operations, as in GPT-2, it
    takes half of the time of a pass.
    """
    with offloading.take_turn(model):
        copied = offloading.guard(copy.deepcopy(model, offloading.shared_memo(model))).eval()
    for module in list(copied.modules()):
        _answer_by_name(getattr(module, "config", None))
        for name, inner in module.named_children():
            if isinstance(inner, activations.NewGELUActivation | activations.FastGELUActivation):
                setattr(module, name, activations.GELUTanh())
    return copied


def _answer_by_name(config: Any) -> None:
    """Make a configuration ask for answers with names, and for nothing but the answer."""
    if not isinstance(config, PreTrainedConfig):
        return
    config.return_dict = True
    for name in ("output_attentions", "output_hidden_states"):
        if getattr(config, name, False):
            setattr(config, name, False)


def is_close(values: Tensor, expected: Tensor, tolerance: float = 1e-3) -> bool:
    """Whether two tensors differ by rounding only.

    True where ``expected`` is not finite, which another check rejects.
    """
    largest = (values - expected).abs().max()
    return bool((largest <= tolerance * (1 + expected.abs().max())) | ~expected.isfinite().all())
