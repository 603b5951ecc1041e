"""Twins: private copies of a model's module tree that share its weights."""

from __future__ import annotations

import copy

from torch import Tensor
from transformers import PreTrainedModel, activations

from attribution.models.sources import offloading


def make_twin(model: PreTrainedModel) -> PreTrainedModel:
    """Copy the module tree and configuration, sharing the weights, in evaluation mode.

    The tanh approximation of GELU is replaced by a single operation: in several operations, as in GPT-2, it
    takes half of the time of a pass.
    """
    with offloading.take_turn(model):
        copied = offloading.guard(copy.deepcopy(model, offloading.shared_memo(model))).eval()
    for module in list(copied.modules()):
        for name, inner in module.named_children():
            if isinstance(inner, activations.NewGELUActivation | activations.FastGELUActivation):
                setattr(module, name, activations.GELUTanh())
    return copied


def is_close(values: Tensor, expected: Tensor, tolerance: float = 1e-3) -> bool:
    """Whether two tensors differ by rounding only.

    True where ``expected`` is not finite, which another check rejects.
    """
    largest = (values - expected).abs().max()
    return bool((largest <= tolerance * (1 + expected.abs().max())) | ~expected.isfinite().all())
