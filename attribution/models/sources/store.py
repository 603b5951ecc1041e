"""Loaded models: a name, a folder or a model object → an ``Adapter``; leases, single loading, least recently used out by bytes."""

from __future__ import annotations

import copy
import json
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

from attribution.errors import ModelRefused, NoTrainedHead, UnknownModel, Unsupported, quote
from attribution.models import tasks
from attribution.models.adapter import Adapter
from attribution.models.function import Answers, Function
from attribution.models.sources import catalogue, devices, hub, inspection, offloading
from attribution.models.sources.entries import PREFIX
from attribution.models.twin import make_twin
from attribution.settings import DEFAULTS, Settings


@dataclass(frozen=True, slots=True)
class Source:
    """Where a model comes from: ``place`` is ``"bundled"``, ``"catalogue"``, ``"hub"`` or ``"folder"``."""

    name: str
    place: str
    revision: str | None = None
    note: str = ""
    labels: tuple[str, ...] = ()


@dataclass
class _Slot:
    """One model in the store. ``lock`` makes the second caller wait for the first one's loading."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    adapter: Adapter | Function | None = None
    leases: int = 0


class Store:
    """Models by name, loaded once and kept while memory lasts.

    ``any_model`` admits every name of the Hub, else only bundled and catalogue names; ``folders`` admits
    local folders. A server for strangers has neither.
    """

    def __init__(
        self, settings: Settings = DEFAULTS, *, any_model: bool = True, folders: bool = True
    ) -> None:
        self.settings, self.any_model, self.folders = settings, any_model, folders
        self._slots: OrderedDict[tuple[str, str | None], _Slot] = OrderedDict()
        self._lock = threading.Lock()

    def source(self, name: object, task: str | None = None, revision: str | None = None) -> Source:
        """What a caller's name stands for; nothing is loaded.

        Raises ``UnknownModel``, ``ModelRefused``, ``BadOption``, ``NoTrainedHead``.
        """
        if isinstance(name, os.PathLike):
            name = os.fspath(name)
        if not isinstance(name, str):
            raise UnknownModel(f"model is a {type(name).__name__}.", "It must be a name.")
        if self.folders and not name.startswith(PREFIX) and os.path.isdir(name):  # noqa: PTH112 - a name that is no path is no error here
            return Source(str(Path(name).resolve()), "folder")
        resolved = catalogue.resolve_name(name, task)
        entry = catalogue.find(resolved.name)
        if entry is None and not self.any_model:
            names = ", ".join(e.name for e in catalogue.entries())
            raise ModelRefused(f"This server does not load {quote(name)}.", f"It has: {names}.")
        place = "hub" if entry is None else "bundled" if entry.name.startswith(PREFIX) else "catalogue"
        labels = entry.labels if entry else ()
        return Source(resolved.name, place, revision or resolved.revision, resolved.note, labels)

    @contextmanager
    def lease(self, source: Source) -> Iterator[Adapter | Function]:
        """The model, loaded if need be, and not evicted before the ``with`` block ends."""
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
        """Drop the models that were not used for the longest time, but none on lease, until the rest fits."""
        with self._lock:
            held = {key: slot.adapter.bytes for key, slot in self._slots.items() if slot.adapter is not None}
            total = sum(held.values())
            for key, size in held.items():
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
            folder, name=source.name, revision=revision, labels=source.labels, settings=self.settings
        )


def load_folder(
    folder: Path,
    *,
    name: str = "",
    revision: str | None = None,
    labels: tuple[str, ...] = (),
    settings: Settings = DEFAULTS,
) -> Adapter | Function:
    """Load a checked folder: safetensors only, no remote code; where it goes and how precisely it computes says ``devices.place``.

    Raises ``ModelRefused``, ``ModelTooLarge``, ``NoTrainedHead``, ``Unsupported``, ``UnknownModel``.
    """
    name = name or str(folder)
    found = inspection.inspect(folder, name=name, settings=settings)
    kind = devices.quantized(found.config)
    placed = devices.placement(found.described, found.bytes, kind, settings)
    safe: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = AutoConfig.from_pretrained(folder, **safe)
        pooling = _pooling(folder)
        model_class = _class_of(config, name, bare=pooling is not None)
        model, report = offloading.load_model(model_class, folder, placed, kind, **safe)
        tokenizer = AutoTokenizer.from_pretrained(folder, **safe)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError) as error:
        raise ModelRefused(
            f"{quote(name)} cannot be loaded: {_first_line(error)}",
            "Its folder needs config.json, safetensors weights and a tokenizer.",
        ) from error
    missing = sorted(
        key for key in report["missing_keys"] if pooling is None or not key.startswith("pooler.")
    )
    if missing:
        raise NoTrainedHead(
            f"{quote(name)} has no trained {quote(missing[0])}: its predictions would be random.",
            "Choose a checkpoint that was fine-tuned for the task.",
        )
    more: dict[str, Any] = {"task": tasks.with_marker(lambda file: (folder / file).is_file())}
    if pooling is not None:
        more["pooling"] = pooling
    return _adapted(model, tokenizer, name=name, revision=revision, labels=labels, settings=settings, **more)


def load(
    model: str | os.PathLike[str] | PreTrainedModel | Answers,
    tokenizer: PreTrainedTokenizerBase | None = None,
    *,
    task: str | None = None,
    name: str = "",
    labels: Sequence[str] = (),
    settings: Settings = DEFAULTS,
) -> Adapter | Function:
    """A model for ``attribute``: a name, a folder, a loaded model with its tokenizer, or a function with its labels.

    A model object is never changed. ``task`` is needed only for classes whose name does not tell.
    """
    if isinstance(model, PreTrainedModel):
        if tokenizer is None:
            raise Unsupported("A loaded model needs its tokenizer.", "Call load(model, tokenizer).")
        return _adapted(model, tokenizer, name=name, task=task, labels=labels, settings=settings)
    if callable(model):
        return Function(model, labels, name=name, settings=settings)
    store = Store(settings)
    with store.lease(store.source(model, task)) as adapter:
        return adapter


def _adapted(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, **more: Any) -> Adapter | Function:
    """An ``Adapter``; a ``Function`` for a classifier that takes no embeddings (an encoder-decoder's needs the ids)."""
    if not (type(model).__name__.endswith("ForSequenceClassification") and model.config.is_encoder_decoder):
        return Adapter(model, tokenizer, **more)
    private, own, names = make_twin(model), copy.deepcopy(tokenizer), model.config.id2label
    device = offloading.execution_device(private.get_input_embeddings())
    labels = more.pop("labels") or [str(names.get(i, i)) for i in range(model.config.num_labels)]
    several = model.config.problem_type == "multi_label_classification"
    turn = threading.Lock()  # calling a fast tokenizer sets its padding

    @torch.no_grad()
    def classifier(rows: list[Any]) -> np.ndarray:
        parts = [list(part) for part in zip(*rows, strict=True)] if isinstance(rows[0], tuple) else [rows]
        with turn:
            inputs = own(
                *parts, padding=True, truncation=True, return_tensors="pt", return_token_type_ids=False
            )
        logits = private(**inputs.to(device)).logits.double()
        return (logits.sigmoid() if several else logits.softmax(-1)).cpu().numpy()

    more.pop("task")
    revision = more.pop("revision", None)
    more["name"] = more["name"] or model.config.name_or_path or type(model).__name__
    found = Function(
        classifier,
        labels,
        batch=8,
        parameters=sum(p.numel() for p in model.parameters()),
        weights=sum(t.numel() * t.element_size() for t in model.parameters()),
        **more,
    )
    found.info = replace(found.info, architecture=type(model).__name__, revision=revision)
    return found


def _pooling(folder: Path) -> str | None:
    """How a bi-encoder of the sentence-transformers makes one vector of a text: ``"mean"`` or ``"first"``; None for other folders.

    Raises ``Unsupported`` for another way.
    """
    if not (folder / "modules.json").is_file():
        return None
    try:
        config = json.loads((folder / "1_Pooling" / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "mean"
    if config.get("pooling_mode_cls_token"):
        return "first"
    if config.get("pooling_mode_mean_tokens", True):
        return "mean"
    raise Unsupported(
        "This bi-encoder pools in another way than by the mean or the first token.", "Choose another one."
    )


def _class_of(config: Any, name: str, *, bare: bool = False) -> type[PreTrainedModel]:
    """The transformers class that the checkpoint was saved from, if it has a head that can be explained (or none is needed)."""
    architecture = str((config.architectures or [""])[0])
    found = getattr(transformers, architecture, None)
    if found is not None and bare and architecture.endswith("Model"):
        return found
    if found is not None and architecture.endswith(tasks.heads()):
        return found
    raise NoTrainedHead(
        f"{quote(name)} is a {architecture or 'model without a named architecture'}: "
        "it has no trained head for classification or generation.",
        "Choose a checkpoint that was fine-tuned, such as one for sentiment.",
    )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
