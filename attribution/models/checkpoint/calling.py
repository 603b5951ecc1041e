"""Calling a model class that does not follow transformers' conventions as if it did.

A class of the caller's own may take no embeddings, need a mask, or answer with a dictionary or a tuple. Some
classes of transformers find their special tokens in the ids. A private twin gets a subclass that bridges it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import (
    BaseModelOutput,
    QuestionAnsweringModelOutput,
    SequenceClassifierOutput,
)

from attribution.errors import Unsupported
from attribution.models.tasks import Task

MASK, IDS, EMBEDDED, GLOBAL = "attention_mask", "input_ids", "inputs_embeds", "global_attention_mask"


def bridge_calls(twin: PreTrainedModel, task: Task, word: int) -> PreTrainedModel:
    """Change the class of a private twin so that it is called, and answers, as those of transformers.

    ``word`` is the id of an ordinary token, for models that take ids only. Raises ``Unsupported`` where the
    table of embeddings cannot be told.
    """
    kind = type(twin)
    if kind.__module__.startswith("transformers."):
        if sees_globally(twin.config) and (task.classifies or task.second == "required"):
            _replace_forward(twin, _with_global(kind.forward, first=task.classifies))
        return twin
    _replace_forward(twin, _bridge(kind.forward, task, word))
    try:
        twin.get_input_embeddings()
    except NotImplementedError:
        name = _table_name(twin)
        type(twin).get_input_embeddings = lambda self: self.get_submodule(name)
    return twin


def _replace_forward(twin: PreTrainedModel, forward: Callable[..., Any]) -> None:
    kind = type(twin)
    members = {"forward": forward, "__module__": kind.__module__}
    twin.__class__ = type(kind.__name__, (kind,), members)


def _table_name(twin: PreTrainedModel) -> str:
    """The one table of embeddings with a row for each token of the vocabulary."""
    size = getattr(twin.config, "vocab_size", None)
    tables = {name: m.num_embeddings for name, m in twin.named_modules() if isinstance(m, nn.Embedding)}
    fitting: list[str] = [name for name, rows in tables.items() if size is None or rows == size]
    if len(fitting) != 1:
        raise Unsupported(
            f"{type(twin).__name__} does not say where its input embeddings are.",
            "Give the class a get_input_embeddings method, or load it as a function of texts.",
        )
    return fitting[0]


def sees_globally(config: Any) -> bool:
    """Whether some tokens attend to all others, which the model's classes find by the ids (Longformer)."""
    return getattr(config, "model_type", "") == "longformer"


def _with_global(forward: Callable[..., Any], *, first: bool) -> Callable[..., Any]:
    """Longformer's classifiers attend from their first token to all others; without ids they cannot tell.

    For answers to questions that is the question: the adapter marks it, and nothing is marked where there is
    none.
    """

    @functools.wraps(forward)
    def call(self: PreTrainedModel, *args: Any, **kwargs: Any) -> Any:
        rows = kwargs[EMBEDDED] if kwargs.get(EMBEDDED) is not None else kwargs.get(IDS)
        if rows is not None and kwargs.get(GLOBAL) is None:
            kwargs[GLOBAL] = torch.zeros(rows.shape[:2], dtype=torch.long, device=rows.device)
            kwargs[GLOBAL][:, 0] = int(first)
        return forward(self, *args, **kwargs)

    return call


def _bridge(forward: Callable[..., Any], task: Task, word: int) -> Callable[..., Any]:
    parameters = inspect.signature(forward).parameters
    takes_all = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())

    @functools.wraps(forward)
    def call(self: PreTrainedModel, *args: Any, **kwargs: Any) -> Any:
        embedded = kwargs.get(EMBEDDED)
        rows = embedded if embedded is not None else kwargs.get(IDS)
        if rows is not None and MASK in parameters and kwargs.get(MASK) is None:
            kwargs[MASK] = torch.ones(rows.shape[:2], dtype=torch.long, device=rows.device)
        handle = None
        if embedded is not None and EMBEDDED not in parameters:
            del kwargs[EMBEDDED]
            kwargs[IDS] = torch.full(embedded.shape[:2], word, device=embedded.device)
            # The look-up of the words is answered with the embeddings that are asked about.
            handle = self.get_input_embeddings().register_forward_hook(lambda *_: embedded)
        if not takes_all:
            kwargs = {name: value for name, value in kwargs.items() if name in parameters}
        try:
            return name_answer(forward(self, *args, **kwargs), task, type(self).__name__)
        finally:
            if handle is not None:
                handle.remove()

    return call


def name_answer(answer: Any, task: Task, kind: str) -> Any:
    """A model's answer with the names that readers look for. Raises ``Unsupported`` for any other."""
    field = "last_hidden_state" if task.pools else "logits"
    makers: dict[str, Callable[..., Any]] = {
        "last_hidden_state": BaseModelOutput,
        "logits": SequenceClassifierOutput,
    }
    ends = ("start_logits", "end_logits")
    items = (
        dict(answer) if isinstance(answer, Mapping) else vars(answer) if hasattr(answer, "__dict__") else {}
    )
    if all(name in items for name in ends):
        return QuestionAnsweringModelOutput(**{name: items[name] for name in ends})
    tensors = [v for v in _values(answer, items) if isinstance(v, Tensor) and v.ndim]
    if task.second == "required" and not task.pools and len(tensors) > 1:
        return QuestionAnsweringModelOutput(**dict(zip(ends, tensors[:2], strict=True)))
    value = items.get(field)
    if not isinstance(value, Tensor) and (isinstance(answer, Tensor | tuple | list) or len(tensors) == 1):
        value = next(iter(tensors), None)
    if not isinstance(value, Tensor):
        raise Unsupported(
            f"{kind} answers with {', '.join(map(str, items)) or type(answer).__name__}, without {field}.",
            f"Its forward method must give {field}; or load it as a function of texts.",
        )
    if task.classifies and value.ndim == 1:
        value = value[:, None]
    if items.get("past_key_values") is not None:
        return answer
    return makers[field](**{field: value})


def _values(answer: Any, items: dict[str, Any]) -> list[Any]:
    if isinstance(answer, Tensor):
        return [answer]
    return list(answer) if isinstance(answer, tuple | list) else list(items.values())
