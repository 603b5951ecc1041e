"""Loaded models: a name, a folder or a model object → an ``Adapter``.

A model is loaded once and leased to whoever computes with it. While the weights exceed the limit, the least
recently used models are evicted.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from transformers import AutoConfig, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from attribution.errors import (
    BadOption,
    ModelRefused,
    NoTrainedHead,
    UnknownModel,
    Unsupported,
    describe,
    quote,
)
from attribution.models import tasks
from attribution.models.adapter import Adapter
from attribution.models.bi_encoder import with_pooling
from attribution.models.bi_encoder.encoder import encoder_class
from attribution.models.bi_encoder.folder import read_bi_encoder, read_sentence_settings
from attribution.models.bi_encoder.pooling import Mode, read_modes
from attribution.models.checkpoint.classes import read_link
from attribution.models.function import Function
from attribution.models.sources import catalogue, devices, hub, inspection, objects, offloading
from attribution.models.sources.entries import PREFIX, Entry, is_folder
from attribution.models.sources.labels import ClassNames
from attribution.models.twin import make_copy, make_twin
from attribution.settings import DEFAULTS, Settings

MAIN = "main"
"""The branch of the Hub that a model is loaded from where no revision is named."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a model comes from: ``place`` is ``"bundled"``, ``"catalogue"``, ``"hub"`` or ``"folder"``.

    ``pooling`` makes it a bi-encoder that pools in that way; an empty one, as the checkpoint says.
    """

    name: str
    place: str
    revision: str | None = None
    note: str = ""
    labels: tuple[str, ...] = ()
    pooling: tuple[Mode, ...] | None = None


@dataclass
class _Slot:
    """One model in the store. ``lock`` makes further callers wait while the first one loads it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    adapter: Adapter | Function | None = None
    leases: int = 0


class Store:
    """Models by name, loaded once and kept while memory lasts.

    ``any_model`` admits every name and every revision of the Hub; without it only bundled models, and those
    of the catalogue at its revision, are loaded. ``folders`` admits local folders. A public server has
    neither.
    """

    def __init__(
        self, settings: Settings = DEFAULTS, *, any_model: bool = True, folders: bool = True
    ) -> None:
        self.settings, self.any_model, self.folders = settings, any_model, folders
        self._slots: OrderedDict[tuple[str, str | None], _Slot] = OrderedDict()
        self._lock = threading.Lock()

    def source(self, name: object, task: str | None = None, revision: str | None = None) -> Source:
        """Resolve a name; nothing is loaded.

        Raises ``UnknownModel``, ``NoTrainedHead``, ``ModelRefused`` for a name or a revision that this store
        does not load, and ``BadOption``, also for a revision of a bundled model.
        """
        if isinstance(name, os.PathLike):
            name = os.fspath(name)
        if not isinstance(name, str):
            raise UnknownModel(f"model is {describe(name)}.", "It must be a name.")
        if self.folders and is_folder(name):
            return Source(str(Path(name).resolve()), "folder")
        resolved = catalogue.resolve_name(name, task)
        entry = catalogue.find(resolved.name)
        if entry is None and not self.any_model:
            names = ", ".join(e.name for e in catalogue.entries())
            raise ModelRefused(f"This server does not load {quote(name)}.", f"It has: {names}.")
        if entry is None:
            return Source(resolved.name, "hub", revision or resolved.revision, resolved.note)
        place = "bundled" if entry.name.startswith(PREFIX) else "catalogue"
        revision = self._check_revision(entry, revision)
        return Source(resolved.name, place, revision, resolved.note, entry.labels)

    def _check_revision(self, entry: Entry, revision: str | None) -> str | None:
        """The revision to load. Raises ``BadOption`` if there can be none, and ``ModelRefused``."""
        if not revision:
            return entry.revision
        if entry.name.startswith(PREFIX):
            raise BadOption(
                f"revision is {quote(revision)}, but {entry.name} is bundled and has no revisions.",
                "Leave the revision out.",
            )
        if revision == (entry.revision or MAIN):
            return entry.revision
        if self.any_model or self._needs_no_download(entry.name, revision):
            return revision
        raise ModelRefused(
            f"This server does not load {entry.name} at the revision {quote(revision)}.",
            f"Leave the revision out: it has {quote(entry.revision or MAIN)}.",
        )

    def _needs_no_download(self, name: str, revision: str) -> bool:
        """Whether a commit is on this machine: a run over a table keeps to the one that it began with."""
        with self._lock:
            slot = self._slots.get((name, revision))
        if slot is not None and slot.adapter is not None:
            return True
        return bool(hub.COMMIT.fullmatch(revision) and hub.cached(name, revision, self.settings))

    @contextmanager
    def lease(self, source: Source) -> Iterator[Adapter | Function]:
        """Context manager: the model, loaded if necessary, and not evicted before the block ends."""
        key = (source.name, source.revision)
        with self._lock:
            slot = self._slots.setdefault(key, _Slot())
            self._slots.move_to_end(key)
            slot.leases += 1
        try:
            with slot.lock:
                if slot.adapter is None:
                    slot.adapter = self._load(source)
            yield slot.adapter
        finally:
            with self._lock:
                slot.leases -= 1
                if slot.adapter is None and slot.leases == 0:
                    self._slots.pop(key, None)
            self._evict()

    def loaded(self) -> tuple[str, ...]:
        """Names of the models in memory, the most recently used last."""
        with self._lock:
            return tuple(name for (name, _), slot in self._slots.items() if slot.adapter is not None)

    def _evict(self) -> None:
        """Drop the least recently used models that are not leased until the others fit."""
        with self._lock:
            sizes = {key: slot.adapter.bytes for key, slot in self._slots.items() if slot.adapter is not None}
            total = sum(sizes.values())
            for key, size in sizes.items():
                if total <= self.settings.store_bytes:
                    return
                if self._slots[key].leases == 0:
                    del self._slots[key]
                    total -= size

    def _load(self, source: Source) -> Adapter | Function:
        if source.place == "bundled":
            folder, revision = catalogue.folder(source.name), None
        elif source.place == "folder":
            folder, revision = Path(source.name), None
        else:
            snapshot = hub.fetch(source.name, revision=source.revision, settings=self.settings)
            folder, revision = snapshot.folder, snapshot.revision
        return load_folder(
            folder,
            name=source.name,
            revision=revision,
            labels=source.labels,
            pooling=source.pooling,
            settings=self.settings,
        )


def load_folder(
    folder: Path,
    *,
    name: str = "",
    revision: str | None = None,
    labels: tuple[str, ...] = (),
    pooling: tuple[Mode, ...] | None = None,
    settings: Settings = DEFAULTS,
) -> Adapter | Function:
    """Load a checked folder: safetensors only, no remote code; ``devices`` chooses device and precision.

    Raises ``ModelRefused``, ``ModelTooLarge``, ``NoTrainedHead``, ``Unsupported``, ``UnknownModel``.
    """
    name = name or str(folder)
    contents = inspection.inspect(folder, name=name, settings=settings)
    quantization = devices.quantization_of(contents.config)
    placement = devices.place_here(contents.described, contents.bytes, quantization, settings)
    safe: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = AutoConfig.from_pretrained(folder, **safe)
        bi_encoder = read_bi_encoder(folder)
        if pooling is not None:
            bi_encoder = with_pooling(bi_encoder, pooling)
        model_class = _model_class(config, name, bare=bi_encoder is not None)
        model, report = offloading.load_model(model_class, folder, placement, quantization, **safe)
        tokenizer = AutoTokenizer.from_pretrained(folder, **safe)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError) as error:
        raise ModelRefused(
            f"{quote(name)} cannot be loaded: {_first_line(error)}",
            "Its folder needs config.json, safetensors weights and a tokenizer.",
        ) from error
    missing = sorted(
        key for key in report["missing_keys"] if bi_encoder is None or not key.startswith("pooler.")
    )
    if missing:
        raise NoTrainedHead(
            f"{quote(name)} has no trained {quote(missing[0])}: its predictions would be random.",
            "Choose a checkpoint that was fine-tuned for the task.",
        )
    if bi_encoder is not None:
        task = tasks.pooling()
        options: dict[str, Any] = {"name": name, "revision": revision, "settings": settings}
        return Adapter(model, tokenizer, task=task, bi_encoder=bi_encoder, **options)
    if activation := read_sentence_settings(folder).get("activation_fn"):
        model.config.sentence_transformers = {"activation_fn": activation}
    return _adapt(model, tokenizer, name=name, revision=revision, task=None, labels=labels, settings=settings)


def load(
    model: Any,
    tokenizer: PreTrainedTokenizerBase | None = None,
    *,
    task: str | None = None,
    name: str = "",
    labels: ClassNames = (),
    pooling: str | Sequence[str] = (),
    settings: Settings = DEFAULTS,
) -> Adapter | Function:
    """A model for ``attribute``, from a name, a folder, a loaded model, a pipeline or a function.

    Parameters
    ----------
    model : a loaded model needs ``tokenizer`` and is never changed; a function needs ``labels``. See
        ``attribution.models.sources.objects`` for other objects.
    task : needed only for a model class whose name does not imply it.
    pooling : for a similarity of two texts, how the last states of a text become one vector: "mean", "cls",
        "max", "lasttoken", "weightedmean", "mean_sqrt_len_tokens", or several. A checkpoint of
        sentence-transformers says so itself; without either it is the mean.

    Raises what ``Store.source`` and ``load_folder`` raise, ``BadOption`` and ``Unsupported``.
    """
    modes = read_modes(pooling) if pooling else _pooling_of_task(task)
    if isinstance(model, Adapter | Function):
        return model
    if isinstance(model, str | os.PathLike):
        store = Store(settings)
        with store.lease(replace(store.source(model, task), pooling=modes)) as adapter:
            return adapter
    parts = objects.take_apart(model, tokenizer, labels)
    options: dict[str, Any] = {"name": name or parts.name, "labels": parts.labels, "settings": settings}
    if isinstance(parts.model, PreTrainedModel):
        if pooling or parts.bi_encoder is not None:
            task = task or tasks.pooling().name
            options["bi_encoder"] = with_pooling(parts.bi_encoder, modes or ())
        return _adapt(parts.model, parts.tokenizer, task=task, **options)
    return Function(parts.model, **options)


def _pooling_of_task(task: str | None) -> tuple[Mode, ...] | None:
    """An empty pooling for the task of bi-encoders; None for others."""
    pools = tasks.pooling()
    return () if task in (pools.name, pools.word, *pools.spellings) else None


def _adapt(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, **options: Any) -> Adapter | Function:
    """An ``Adapter``, or a ``Function`` for an encoder-decoder classifier, which takes no embeddings."""
    if not (type(model).__name__.endswith("ForSequenceClassification") and model.config.is_encoder_decoder):
        return Adapter(model, tokenizer, **options)
    private, own, names = make_twin(model), make_copy(tokenizer), model.config.id2label
    device = offloading.execution_device(private.get_input_embeddings())
    labels = options.pop("labels") or [str(names.get(i, i)) for i in range(model.config.num_labels)]
    link = read_link(model.config, model.config.num_labels)
    if link == "none":
        raise Unsupported(
            f"{type(model).__name__} gives a number with an encoder and a decoder, and no probability.",
            "Load an encoder or a decoder that was trained for the same.",
        )
    lock = threading.Lock()  # calling a fast tokenizer sets its padding

    def classify(rows: list[Any]) -> np.ndarray:
        parts = [list(part) for part in zip(*rows, strict=True)] if isinstance(rows[0], tuple) else [rows]
        with lock:
            inputs = own(
                *parts, padding=True, truncation=True, return_tensors="pt", return_token_type_ids=False
            )
        with torch.no_grad():
            logits = private(**inputs.to(device)).logits.double()
            probabilities = logits.sigmoid() if link == "sigmoid" else logits.softmax(-1)
        result: np.ndarray = probabilities.cpu().numpy()
        return result

    options.pop("task")
    revision = options.pop("revision", None)
    options["name"] = options["name"] or model.config.name_or_path or type(model).__name__
    function = Function(
        classify,
        labels,
        batch=8,
        parameters=sum(p.numel() for p in model.parameters()),
        weights=sum(t.numel() * t.element_size() for t in model.parameters()),
        **options,
    )
    function.info = replace(function.info, architecture=type(model).__name__, revision=revision)
    return function


def _model_class(config: Any, name: str, *, bare: bool = False) -> type[PreTrainedModel]:
    """The transformers class that the checkpoint was saved from.

    Raises ``NoTrainedHead`` unless it has a head that can be explained, or ``bare`` allows one without.
    """
    architecture = str((config.architectures or [""])[0])
    if bare and (encoder := encoder_class(config)):
        return encoder
    model_class: type[PreTrainedModel] | None = getattr(transformers, architecture, None)
    if model_class is not None and architecture.endswith(tasks.heads()):
        return model_class
    raise NoTrainedHead(
        f"{quote(name)} is a {architecture or 'model without a named architecture'}: "
        "it has no trained head for classification or generation.",
        "Choose a checkpoint that was fine-tuned, such as one for sentiment.",
    )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
