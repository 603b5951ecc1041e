"""Checks of a model's folder before anything of it is loaded: weights, config and tokenizer.

Safetensors only (pickled weights can run code), no code of its own, within the limits of ``Settings``. torch
and transformers are imported only to count the parameters of a folder that is about to be loaded.
"""

from __future__ import annotations

import fnmatch
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from attribution.errors import ModelRefused, ModelTooLarge, UnknownModel, quote
from attribution.extras import needs_app
from attribution.settings import DEFAULTS, Settings

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
SHARD = re.compile(r"model-(\d{5})-of-(\d{5})\.safetensors")
VOCABULARIES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "sentencepiece*.model",
    "tokenizer.model",
    "*.spm",
)
POOLING = ("modules.json", "1_Pooling/config.json")
EXTRAS = (
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "merges.txt",
)


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a folder holds.

    Attributes
    ----------
    parameters, bytes : numbers in the weights, and the bytes that they take.
    described : parameters of the model that the config describes, 0 where they were not counted: more than
        ``parameters`` where several numbers are packed into one.
    """

    config: dict[str, Any]
    parameters: int
    bytes: int
    described: int = 0


def inspect(folder: Path, *, name: str = "", settings: Settings = DEFAULTS) -> Inspection:
    """Check a folder before it is loaded: a bundled one, a user's own, or one from the Hub.

    The parameters are counted twice: in the weights' headers, and in the model that the config describes,
    which is built without memory (on the ``meta`` device), since a config of a few bytes can describe a model
    that fills any machine.

    Raises ``UnknownModel``, ``ModelRefused`` and ``ModelTooLarge``.
    """
    name = name or Path(folder).name
    found = read_folder(Path(folder), name, settings)
    check_quantized(found.config, name)
    described = _count_described_parameters(Path(folder), name)
    if described * 2 > settings.max_model_bytes:  # two bytes each, the least that weights take
        raise ModelTooLarge(
            f"The config of {name} describes a model of {described:,} parameters.",
            f"At most {settings.max_model_bytes // 2:,} are loaded.",
        )
    return replace(found, described=described)


def read_folder(folder: Path, name: str, settings: Settings) -> Inspection:
    """All checks that need no torch."""
    if not folder.is_dir():
        raise UnknownModel(f"There is no folder for {quote(name)}.")
    files = {path.name for path in folder.iterdir() if path.is_file()}
    check_gguf(name, files)
    config = read_config(folder, name, settings)
    if (folder / "tokenizer_config.json").is_file() and _mentions(
        _read_json(folder / "tokenizer_config.json", name), "auto_map"
    ):
        raise remote_code_error(name)
    if not any(fnmatch.fnmatchcase(file, pattern) for file in files for pattern in VOCABULARIES):
        raise ModelRefused(
            f"{name} has no tokenizer.", "A folder needs the files that save_pretrained writes for both."
        )
    weights = [file for file in list_weights(name, files) if file != INDEX]
    check_size(name, sum((folder / file).stat().st_size for file in weights), settings)
    shapes = {file: _read_shapes(folder / file, name) for file in weights}
    if INDEX in files and WEIGHTS not in files:
        _check_index(folder, name, shapes)
    tensors = [shape for held in shapes.values() for shape in held.values()]
    parameters = sum(math.prod(shape) for shape in tensors)
    _check_numbers(config, name, tensors, parameters)
    return Inspection(config, parameters, sum((folder / file).stat().st_size for file in weights))


def read_config(folder: Path, name: str, settings: Settings) -> dict[str, Any]:
    path = folder / CONFIG
    if not path.is_file():
        raise ModelRefused(f"{name} has no {CONFIG}: it is not a transformers model.")
    check_config_size(name, path.stat().st_size, settings)
    config = _read_json(path, name)
    if _mentions(config, "auto_map"):
        raise remote_code_error(name)
    return config


def check_quantized(config: dict[str, Any], name: str) -> None:
    """Raises ``ModelRefused`` for weights that are quantized in a way that cannot be loaded here."""
    if _mentions(config, "quantization_config"):
        from attribution.models.sources import devices  # late: it needs torch

        devices.check_quantized(config, name)


def _read_json(path: Path, name: str) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelRefused(f"The {path.name} of {name} cannot be read.") from error
    if not isinstance(data, dict):
        raise ModelRefused(f"The {path.name} of {name} is not a JSON object.")
    return data


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key and value of nested JSON objects. No recursion: the depth is the file's to choose."""
    waiting = [value]
    while waiting:
        at = waiting.pop()
        if isinstance(at, dict):
            yield from at.items()
            waiting.extend(at.values())
        elif isinstance(at, list):
            yield from (("", item) for item in at)
            waiting.extend(at)


def _mentions(value: Any, key: str) -> bool:
    return any(found == key for found, _ in _items(value))


def _read_shapes(path: Path, name: str) -> dict[str, tuple[int, ...]]:
    """Tensor names and shapes of a file of weights; safetensors itself checks the header against the file's length."""
    with needs_app():
        from safetensors import SafetensorError, safe_open
    try:
        with safe_open(str(path), framework="numpy") as file:
            return {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118 - it is not a dictionary
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelRefused(f"The file {path.name} of {name} is damaged.") from error


def _check_index(folder: Path, name: str, shapes: dict[str, dict[str, tuple[int, ...]]]) -> None:
    places = _read_json(folder / INDEX, name).get("weight_map")
    held = {key: file for file, tensors in shapes.items() for key in tensors}
    if places != held:
        raise ModelRefused(f"The index of {name}'s weights does not fit the files beside it.")


def _check_numbers(
    config: dict[str, Any], name: str, tensors: list[tuple[int, ...]], parameters: int
) -> None:
    """Numbers that cost memory or time as soon as a config is read, held against what the weights really have."""
    widest = max((side for shape in tensors for side in shape), default=0)
    for key, value in _items(config):
        if isinstance(value, bool) or not isinstance(value, int):
            continue
        limit = max(parameters, 1 << 20)  # small models have long positions too
        if re.search(r"(layers?|blocks?)$", key):
            limit = len(tensors)
        elif key in ("num_labels", "_num_labels"):
            limit = widest
        if value > limit:
            raise ModelTooLarge(
                f"The config of {name} has {key or 'a number'} = {value:,}, which its weights do not bear out."
            )


def _count_described_parameters(folder: Path, name: str) -> int:
    import torch
    import transformers

    try:
        config = transformers.AutoConfig.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        kind = getattr(transformers, str((config.architectures or [""])[0]), None)
        with torch.device("meta"):
            if isinstance(kind, type) and issubclass(kind, transformers.PreTrainedModel):
                model = kind(config)
            else:
                model = transformers.AutoModel.from_config(config, trust_remote_code=False)
    except Exception as error:  # whatever a strange config makes transformers raise
        raise ModelRefused(f"transformers cannot build {name}: {quote(error, 120)}.") from error
    return sum(parameter.numel() for parameter in model.parameters())


def list_weights(name: str, listed: set[str]) -> list[str]:
    """The one file of weights, or the index and its shards. Raises ``ModelRefused``."""
    if WEIGHTS in listed:
        return [WEIGHTS]
    shards = sorted(file for file in listed if SHARD.fullmatch(file))
    if INDEX in listed and shards:
        count = int(shards[0][-len("00001.safetensors") : -len(".safetensors")])
        if shards != [f"model-{i:05}-of-{count:05}.safetensors" for i in range(1, count + 1)]:
            raise ModelRefused(f"The weights of {name} are not complete.")
        return [INDEX, *shards]
    raise ModelRefused(
        f"{name} has no {WEIGHTS}.",
        "Weights are loaded from safetensors only: other formats can run code. Choose a checkpoint that has them.",
    )


def check_gguf(name: str, listed: set[str]) -> None:
    if any(file.lower().endswith(".gguf") for file in listed) and not listed & {WEIGHTS, INDEX}:
        raise ModelRefused(
            f"{name} has its weights as GGUF files only, which are made for llama.cpp.",
            "Choose the checkpoint that they were made from, with safetensors weights.",
        )


def check_size(name: str, size: int, settings: Settings) -> None:
    if size > settings.max_model_bytes:
        most = f"{settings.max_model_bytes / 1e6:,.0f}"
        raise ModelTooLarge(
            f"{name} has {size / 1e6:,.0f} MB.", f"At most {most} MB are loaded: choose a smaller one."
        )


def check_config_size(name: str, size: int, settings: Settings) -> None:
    if size > settings.max_config_bytes:
        raise ModelRefused(
            f"The {CONFIG} of {name} has {size:,} bytes.", f"At most {settings.max_config_bytes:,} are read."
        )


def remote_code_error(name: str) -> ModelRefused:
    return ModelRefused(
        f"{name} brings program code of its own (auto_map).", "Such code is never run: choose another model."
    )
