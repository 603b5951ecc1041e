"""Reading a bi-encoder's parts from the folder of a checkpoint of sentence-transformers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from torch import Tensor

from attribution.errors import ModelRefused, Unsupported
from attribution.models.bi_encoder import BiEncoder
from attribution.models.bi_encoder.assembly import Part, assemble
from attribution.models.sources.inspection import MODULES, SENTENCE_SETTINGS, WEIGHTS

OF_TRANSFORMER = re.compile(r"sentence_[a-z-]+_config\.json")
"""The configuration of a ``Transformer`` module; its name depends on the version that wrote it."""
DEFAULT_PARTS = [
    {"name": "0", "path": "", "type": "Transformer"},
    {"name": "1", "path": "1_Pooling", "type": "Pooling"},
]
NO_PAIRS = "CrossEncoder"


def read_bi_encoder(folder: Path) -> BiEncoder | None:
    """The bi-encoder of a folder; None where it is not one, such as a cross-encoder.

    Raises ``Unsupported`` for a module that cannot be computed here, and ``ModelRefused``.
    """
    if not (folder / MODULES).is_file():
        return None
    settings = read_sentence_settings(folder)
    listed = _read(folder / MODULES)
    if not isinstance(listed, list):
        raise ModelRefused(f"The {MODULES} of {folder.name} is not a list of modules.")
    parts = [_part(folder, entry) for entry in listed or DEFAULT_PARTS]
    reads_pairs = parts[0].config.get("transformer_task") == "sequence-classification"
    if settings.get("model_type") == NO_PAIRS or reads_pairs:
        return None
    return assemble(parts, settings)


def read_sentence_settings(folder: Path) -> dict[str, Any]:
    """The ``config_sentence_transformers.json`` of a folder; empty where there is none."""
    settings = _read(folder / SENTENCE_SETTINGS)
    return settings if isinstance(settings, dict) else {}


def _read(path: Path) -> Any:
    """A JSON file; None where there is none. Raises ``ModelRefused``."""
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelRefused(f"The file {path.name} of the bi-encoder cannot be read.") from error


def _part(folder: Path, entry: Any) -> Part:
    try:
        path, kind = PurePosixPath(entry["path"]), str(entry["type"]).rpartition(".")[2]
    except (KeyError, TypeError) as error:
        raise ModelRefused(f"{MODULES} has an entry without path or type.") from error
    if path.is_absolute() or ".." in path.parts:
        raise ModelRefused(f"{MODULES} names the path {str(path)[:80]!r} outside of its folder.")
    place = folder / path
    if kind != "Transformer":
        return Part(kind, str(path), _read(place / "config.json") or {}, _weights(place, str(path)))
    if place.resolve() != folder.resolve():
        raise Unsupported(
            f"This bi-encoder keeps its transformer in {path}, as old versions of sentence-transformers did.",
            "Save it again with a newer version.",
        )
    files = sorted(file for file in folder.glob("sentence_*_config.json") if OF_TRANSFORMER.match(file.name))
    configs: list[dict[str, Any]] = [config for file in files if isinstance(config := _read(file), dict)]
    return Part(kind, "Transformer", configs[0] if configs else {})


def _weights(place: Path, name: str) -> Callable[[], Mapping[str, Tensor]]:
    def load() -> Mapping[str, Tensor]:
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        if not (place / WEIGHTS).is_file():
            raise Unsupported(
                f"The module {name} of this bi-encoder has no {WEIGHTS}.",
                "Weights are loaded from safetensors only, as other formats can run code.",
            )
        try:
            weights: Mapping[str, Tensor] = load_file(place / WEIGHTS)
        except (SafetensorError, OSError) as error:
            raise ModelRefused(f"The file {WEIGHTS} of the module {name} is damaged.") from error
        return weights

    return load
