"""Objects that callers hold as models: recognised by what they are made of, and taken apart.

Wrappers (``torch.compile``, ``DataParallel``, PEFT, a trainer, a pipeline) are unwrapped, since what is
explained is the model inside. Nothing is imported for that, and no object is changed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
import torch
from transformers import Pipeline, PreTrainedModel, PreTrainedTokenizerBase

from attribution.errors import AttributionError, BadOption, UnknownModel, Unsupported, describe
from attribution.models.bi_encoder import BiEncoder
from attribution.models.bi_encoder.assembly import Part, assemble
from attribution.models.sources.labels import read_labels
from attribution.models.sources.merging import merge_adapters
from attribution.models.twin import make_twin
from attribution.request.values import to_python

INNER = {
    "OptimizedModule": "_orig_mod",
    "DataParallel": "module",
    "DistributedDataParallel": "module",
    "DeepSpeedEngine": "module",
    "AveragedModel": "module",
    "GradSampleModule": "_module",
}
"""Wrappers by class name, each with the attribute that holds the model: torch, DeepSpeed, Opacus."""
SHARDED = ("FullyShardedDataParallel",)
"""Wrappers of models whose weights are spread over several processes."""
ACTIVATIONS = {"sigmoid": "multi_label_classification", "softmax": "single_label_classification"}
"""The functions that a pipeline may apply to logits, each with the ``problem_type`` that implies it."""
ALLOWED = (
    "It must be a name, a folder, a transformers model with its tokenizer, a pipeline, an estimator with "
    "predict_proba, or a function of texts with the names of its labels."
)


@dataclass(frozen=True)
class Parts:
    """What an object is made of.

    Attributes
    ----------
    model : a transformers model, or a function of a list of texts.
    tokenizer : None for a function.
    labels : the names of the classes, empty where the caller or the model's config names them.
    name : of the object, empty where the model has one of its own.
    bi_encoder : how a model of sentence-transformers makes a vector of a text; None for other models.
    """

    model: PreTrainedModel | Callable[[list[Any]], Any]
    tokenizer: Any = None
    labels: tuple[str, ...] = ()
    name: str = ""
    bi_encoder: BiEncoder | None = None


def take_apart(model: Any, tokenizer: Any = None, labels: Any = ()) -> Parts:
    """The parts of an object that a caller holds as a model.

    Raises ``Unsupported``, ``UnknownModel`` for what is no model, and ``BadOption`` for its labels.
    """
    names = read_labels(labels)
    if isinstance(model, type):
        raise Unsupported(
            f"{model.__name__} is a class, not a model.",
            f"Give an instance of it, such as {model.__name__}.from_pretrained(...)."
            if hasattr(model, "from_pretrained")
            else "Give an instance of it.",
        )
    _refuse_tokenizer(model, tokenizer)
    if isinstance(model, Pipeline):
        return _take_pipeline(model, tokenizer, names)
    if _is_a(model, "Trainer") and isinstance(getattr(model, "model", None), torch.nn.Module):
        tokenizer = tokenizer or getattr(model, "processing_class", None) or getattr(model, "tokenizer", None)
        return take_apart(model.model, tokenizer, names)
    inner = unwrap(model)
    if _is_a(inner, "CrossEncoder") and isinstance(getattr(inner, "model", None), PreTrainedModel):
        return take_apart(inner.model, tokenizer or inner.tokenizer, names)
    if _is_a(inner, "SentenceTransformer") and isinstance(inner, torch.nn.Module):
        return _take_sentence_transformer(inner, tokenizer)
    if isinstance(inner, PreTrainedModel):
        return Parts(merge_adapters(inner), _check_tokenizer(tokenizer), names)
    return _take_function(inner, names)


def _take_function(inner: Any, names: tuple[str, ...]) -> Parts:
    """An object that answers texts: an estimator, a Keras model, or a function of texts."""
    if callable(getattr(inner, "predict_proba", None)):
        return _take_estimator(inner, inner.predict_proba, names)
    if _is_a(inner, "Model") and callable(getattr(inner, "predict", None)) and hasattr(inner, "layers"):
        return Parts(KerasFunction(inner), None, _need_labels(names), str(getattr(inner, "name", "")))
    if isinstance(inner, torch.nn.Module) and not names:
        _refuse_module(inner)
    if not callable(inner):
        _refuse(inner)
    owner = getattr(inner, "__self__", None)
    if owner is not None and getattr(inner, "__name__", "") == "predict_proba":
        return _take_estimator(owner, inner, names)
    return Parts(inner, None, _need_labels(names))


def unwrap(model: Any) -> Any:
    """The model inside of wrappers, or the object itself. Raises ``Unsupported`` for a model in shards."""
    for _ in range(8):  # wrappers of wrappers; a broken one may hold itself
        if isinstance(model, PreTrainedModel) or not isinstance(model, torch.nn.Module):
            return model
        if _is_a(model, *SHARDED):
            raise Unsupported(
                f"A {type(model).__name__} has its weights in shards.",
                "Gather them (save and load the model), and give the model itself.",
            )
        if _is_a(model, "PeftModel", "PeftMixedModel"):
            model = _unwrap_peft(model)
            continue
        attribute = next((INNER[kind.__name__] for kind in type(model).__mro__ if kind.__name__ in INNER), "")
        if not attribute:
            return model
        model = getattr(model, attribute)
    return model


def _unwrap_peft(model: Any) -> Any:
    """The model that PEFT's layers are in. Raises ``Unsupported`` for virtual tokens before the text."""
    configs = getattr(model, "peft_config", {})
    active = configs.get(getattr(model, "active_adapter", None)) if isinstance(configs, Mapping) else None
    if getattr(active, "is_prompt_learning", False):
        raise Unsupported(
            "This PEFT adapter learns a prompt: it puts virtual tokens before the text.",
            "Load it as a function of texts: load(function, labels=...).",
        )
    base = model.base_model
    return getattr(base, "model", base)


def _is_a(value: object, *names: str) -> bool:
    """Whether a class of that name is among those of the value, which needs no import of its package."""
    return any(kind.__name__ in names for kind in type(value).__mro__)


def _refuse_tokenizer(model: Any, tokenizer: Any) -> None:
    """Raise ``Unsupported`` for a tokenizer in place of a model."""
    is_tokenizer = isinstance(model, PreTrainedTokenizerBase) or _is_a(model, "Tokenizer", "ProcessorMixin")
    if is_tokenizer and not isinstance(model, torch.nn.Module):
        swapped = isinstance(unwrap(tokenizer), PreTrainedModel)
        raise Unsupported(
            f"model is a tokenizer, a {type(model).__name__}{', and tokenizer a model' if swapped else ''}.",
            "Call load(model, tokenizer).",
        )


def _check_tokenizer(tokenizer: Any) -> PreTrainedTokenizerBase:
    """The tokenizer of a model; that of a processor. Raises ``Unsupported``."""
    if tokenizer is None:
        raise Unsupported("A loaded model needs its tokenizer.", "Call load(model, tokenizer).")
    if _is_a(tokenizer, "ProcessorMixin"):
        tokenizer = getattr(tokenizer, "tokenizer", tokenizer)
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        kind = tokenizer.__name__ if isinstance(tokenizer, type) else f"a {type(tokenizer).__name__}"
        raise Unsupported(
            f"tokenizer is {kind}, not a tokenizer of transformers.",
            "Call load(model, tokenizer) with what AutoTokenizer.from_pretrained(...) returns.",
        )
    return tokenizer


def _take_pipeline(pipe: Pipeline, tokenizer: Any, labels: tuple[str, ...]) -> Parts:
    """The model and the tokenizer of a pipeline, with the activation and generation that it is set to."""
    if pipe.task == "zero-shot-classification":
        return Parts(ZeroShotFunction(pipe, labels), None, labels, pipe.model.config.name_or_path)
    parts = take_apart(pipe.model, tokenizer or pipe.tokenizer, labels)
    chosen = pipe._postprocess_params.get("function_to_apply")  # noqa: SLF001 - its settings have no other place
    activation = str(getattr(chosen, "value", chosen) or "").lower()
    settings = {
        name: value
        for name, value in pipe._forward_params.items()  # noqa: SLF001
        if hasattr(getattr(pipe, "generation_config", None), name)
    }
    if (activation not in ACTIVATIONS and not settings) or not isinstance(parts.model, PreTrainedModel):
        return parts
    twin = make_twin(parts.model)
    if activation in ACTIVATIONS:
        twin.config.problem_type = ACTIVATIONS[activation]
    for name, value in settings.items():
        setattr(twin.generation_config, name, value)
    return replace(parts, model=twin)


class ZeroShotFunction:
    """A zero-shot pipeline with fixed labels, as a function of texts.

    Raises ``Unsupported`` without labels.
    """

    def __init__(self, pipe: Pipeline, labels: tuple[str, ...]) -> None:
        if len(labels) < 2:
            raise Unsupported(
                "A zero-shot pipeline needs labels to choose from.",
                'Call load(pipe, labels=["sports", "politics"]); or load(pipe.model, pipe.tokenizer) for '
                "premises and hypotheses.",
            )
        self._pipe, self._labels = pipe, labels

    def __call__(self, texts: list[str]) -> Any:
        """Probabilities [texts, labels]."""
        answers: Any = self._pipe(texts, candidate_labels=list(self._labels))
        scores = [dict(zip(answer["labels"], answer["scores"], strict=True)) for answer in answers]
        return np.array([[row[label] for label in self._labels] for row in scores])


class KerasFunction:
    """A Keras model that reads strings, as a function of texts."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def __call__(self, texts: list[str]) -> Any:
        """Probabilities [texts, classes]; a single sigmoid is the probability of the second class."""
        answers = np.asarray(self._model.predict(np.array(texts, dtype=object), verbose=0))
        is_single = answers.ndim == 2 and answers.shape[1] == 1
        return np.concatenate([1 - answers, answers], axis=1) if is_single else answers


def _take_estimator(estimator: Any, function: Callable[..., Any], labels: tuple[str, ...]) -> Parts:
    """A classifier in the manner of scikit-learn: ``predict_proba`` and ``classes_`` (or ``labels``)."""
    name = type(estimator).__name__
    if hasattr(estimator, "n_features_in_"):
        raise Unsupported(
            f"This {name} reads rows of {estimator.n_features_in_} numbers, not texts.",
            "Give a pipeline that begins with its vectorizer: make_pipeline(vectorizer, classifier).",
        )
    classes = getattr(estimator, "classes_", None)
    if classes is None:
        classes = getattr(estimator, "labels", None)
    if classes is None and not labels and callable(getattr(estimator, "fit", None)):
        raise Unsupported(f"This {name} is not fitted.", "Call its fit first.")
    if isinstance(classes, list) and any(np.ndim(entry) for entry in classes):
        raise Unsupported(
            f"This {name} answers {len(classes)} questions at once.",
            "Give a function for one of them: load(lambda texts: clf.predict_proba(texts)[0], labels=...).",
        )
    own = read_labels(classes) if classes is not None and np.ndim(to_python(classes)) == 1 else ()
    if labels and own and len(labels) != len(own):
        raise BadOption(
            f"labels names {len(labels)} classes, but this {name} has {len(own)}: {', '.join(own[:10])}.",
            "Name each, in that order, or leave labels out.",
        )
    return Parts(function, None, _need_labels(labels or own), name)


def _take_sentence_transformer(model: Any, tokenizer: Any) -> Parts:
    """The transformer of a model of sentence-transformers, and what it does before and after it."""
    modules = [
        Part(
            type(module).__name__,
            name,
            module.get_config_dict() if hasattr(module, "get_config_dict") else {},
            module.state_dict,
        )
        for name, module in model.named_children()
    ]
    names = ("prompts", "default_prompt_name", "similarity_fn_name", "truncate_dim")
    settings = {name: getattr(model, name, None) for name in names}
    settings["similarity_fn_name"] = (
        getattr(settings["similarity_fn_name"], "value", None) or settings["similarity_fn_name"]
    )
    first = next(model.children())
    limits = {name: getattr(first, name, None) for name in ("max_seq_length", "do_lower_case")}
    modules[0] = replace(modules[0], config={**modules[0].config, **limits})
    bi_encoder = assemble(modules, settings)
    transformer = getattr(first, "auto_model", None) or getattr(first, "model", None)
    parts = take_apart(transformer, tokenizer or getattr(first, "tokenizer", None))
    return replace(parts, bi_encoder=bi_encoder)


def _need_labels(labels: tuple[str, ...]) -> tuple[str, ...]:
    if not labels:
        raise Unsupported(
            "A function needs names for its classes.",
            'Call load(function, labels=("negative", "positive")).',
        )
    return labels


def _refuse_module(module: torch.nn.Module) -> NoReturn:
    """Raise ``Unsupported`` for a module that is no transformers model; the hint names one inside of it."""
    inner = (name for name, part in module.named_modules() if name and isinstance(part, PreTrainedModel))
    path = next(inner, "")
    holds = f" It holds a transformers model: load(model.{path}, tokenizer) loads that one." if path else ""
    raise Unsupported(
        f"A {type(module).__name__} is a torch module, not a model of transformers.",
        "Load it as a function of texts, which tokenizes and gives probabilities: "
        f"load(function, labels=...).{holds}",
    )


def _refuse(value: Any) -> NoReturn:
    """Raise ``UnknownModel`` for what is no model; the hint says what was probably meant."""
    hint = ALLOWED
    is_mapping = isinstance(value, Mapping)
    if is_mapping and value and all(isinstance(part, torch.Tensor) for part in value.values()):
        hint = "These are weights alone. Load them into a model first: model.load_state_dict(weights)."
    elif isinstance(value, Mapping | tuple | list):
        hint = "Give the parts one by one: load(model, tokenizer)."
    elif inspect.isgenerator(value) or isinstance(value, Iterator):
        hint = "Give the function that makes it, with the names of its labels."
    elif callable(getattr(value, "decision_function", None)):
        hint = "It has no predict_proba: wrap it in scikit-learn's CalibratedClassifierCV and fit that."
    elif callable(getattr(value, "predict", None)):
        hint = "It has no predict_proba: load(function, labels=...) with a function that gives probabilities."
    elif isinstance(value, AttributionError):
        raise value
    raise UnknownModel(f"model is {describe(value)}.", hint)
