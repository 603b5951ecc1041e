"""Checks of a model's folder before it is loaded: weights, config and tokenizer.

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
ADAPTER = "adapter_config.json"
"""The file of a PEFT adapter, which has no ``config.json``."""
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
MODULES, SENTENCE_SETTINGS = "modules.json", "config_sentence_transformers.json"
MODULE_FILE = re.compile(r"\d+_(?!Transformer)[A-Za-z]+/(config\.json|model\.safetensors)")
"""Files of the modules that sentence-transformers puts after a transformer."""
EXTRAS = (
    MODULES,
    SENTENCE_SETTINGS,
    "sentence_*_config.json",
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "merges.txt",
)


@dataclass(frozen=True, slots=True)
class Inspection:
    """The contents of a folder.

    Attributes
    ----------
    parameters, bytes : count and size of the numbers in the weights.
    described : parameters of the model that the config describes, 0 if they were not counted. More than
        ``parameters`` where several numbers are packed into one.
    """

    config: dict[str, Any]
    parameters: int
    bytes: int
    described: int = 0


def inspect(folder: Path, *, name: str = "", settings: Settings = DEFAULTS) -> Inspection:
    """Check a folder before it is loaded: a bundled one, a user's own, or one from the Hub.

    The parameters are counted twice: in the headers of the weights, and in the model that the config
    describes, which is built without memory (on the ``meta`` device), because a config of a few bytes can
    describe a model that fills any machine.

    Raises ``UnknownModel``, ``ModelRefused`` and ``ModelTooLarge``.
    """
    name = name or Path(folder).name
    inspection = read_folder(Path(folder), name, settings)
    check_quantized(inspection.config, name)
    described = _count_described_parameters(Path(folder), name)
    if described * 2 > settings.max_model_bytes:  # two bytes each, the least that weights take
        raise ModelTooLarge(
            f"The config of {name} describes a model of {described:,} parameters.",
            f"At most {settings.max_model_bytes // 2:,} are loaded.",
        )
    return replace(inspection, described=described)


def read_folder(folder: Path, name: str, settings: Settings) -> Inspection:
    """Run all checks that need no torch.

    Raises ``UnknownModel``, ``ModelRefused`` and ``ModelTooLarge``.
    """
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
    tensors = [shape for file_shapes in shapes.values() for shape in file_shapes.values()]
    parameters = sum(math.prod(shape) for shape in tensors)
    _check_numbers(config, name, tensors, parameters)
    return Inspection(config, parameters, sum((folder / file).stat().st_size for file in weights))


def read_config(folder: Path, name: str, settings: Settings) -> dict[str, Any]:
    """The ``config.json`` of a folder. Raises ``ModelRefused``."""
    path = folder / CONFIG
    if not path.is_file() and (folder / ADAPTER).is_file():
        raise adapter_error(name, _read_json(folder / ADAPTER, name).get("base_model_name_or_path"))
    if not path.is_file():
        raise ModelRefused(f"{name} has no {CONFIG}: it is not a transformers model.")
    check_config_size(name, path.stat().st_size, settings)
    config = _read_json(path, name)
    if _mentions(config, "auto_map"):
        raise remote_code_error(name)
    return config


def check_quantized(config: dict[str, Any], name: str) -> None:
    """Raise ``ModelRefused`` for a quantization that cannot be loaded here."""
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
    """Yield every key and value of nested JSON. Not recursive, because the file determines the depth."""
    pending = [value]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            yield from part.items()
            pending.extend(part.values())
        elif isinstance(part, list):
            yield from (("", item) for item in part)
            pending.extend(part)


def _mentions(value: Any, key: str) -> bool:
    return any(name == key for name, _ in _items(value))


def _read_shapes(path: Path, name: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors in a file. Safetensors checks the header against the file's length."""
    with needs_app():
        from safetensors import SafetensorError, safe_open
    try:
        with safe_open(str(path), framework="numpy") as file:
            return {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelRefused(f"The file {path.name} of {name} is damaged.") from error


def _check_index(folder: Path, name: str, shapes: dict[str, dict[str, tuple[int, ...]]]) -> None:
    places = _read_json(folder / INDEX, name).get("weight_map")
    actual = {key: file for file, tensors in shapes.items() for key in tensors}
    if places != actual:
        raise ModelRefused(f"The index of the weights of {name} does not match its files.")


def _check_numbers(
    config: dict[str, Any], name: str, tensors: list[tuple[int, ...]], parameters: int
) -> None:
    """Compare numbers of a config that cost memory or time with the weights. Raises ``ModelTooLarge``."""
    widest = max((side for shape in tensors for side in shape), default=0)
    for key, value in _items(config):
        if isinstance(value, bool) or not isinstance(value, int):
            continue
        limit = max(parameters, 1 << 20)  # small models may have many positions
        if re.search(r"(layers?|blocks?)$", key):
            limit = len(tensors)
        elif key in ("num_labels", "_num_labels"):
            limit = widest
        if value > limit:
            raise ModelTooLarge(
                f"The config of {name} has {key or 'a number'} = {value:,}, more than its weights allow."
            )


def _count_described_parameters(folder: Path, name: str) -> int:
    """Parameters of the model that a config describes. Raises ``ModelRefused``."""
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
    except Exception as error:  # transformers raises anything at all for a malformed config
        raise ModelRefused(f"transformers cannot build {name}: {quote(error, 120)}.") from error
    return sum(parameter.numel() for parameter in model.parameters())


def list_weights(name: str, listed: set[str]) -> list[str]:
    """The single file of weights, or the index and its shards. Raises ``ModelRefused``."""
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
        "Weights are loaded from safetensors only, as other formats can run code. Choose another checkpoint.",
    )


def check_gguf(name: str, listed: set[str]) -> None:
    """Raise ``ModelRefused`` for a model that has only GGUF files."""
    if any(file.lower().endswith(".gguf") for file in listed) and not listed & {WEIGHTS, INDEX}:
        raise ModelRefused(
            f"{name} has its weights as GGUF files only, which are made for llama.cpp.",
            "Choose the checkpoint that they were made from, with safetensors weights.",
        )


def check_size(name: str, size: int, settings: Settings) -> None:
    """Raise ``ModelTooLarge`` if the weights have more bytes than the limit."""
    if size > settings.max_model_bytes:
        most = f"{settings.max_model_bytes / 1e6:,.0f}"
        raise ModelTooLarge(
            f"{name} has {size / 1e6:,.0f} MB.", f"At most {most} MB are loaded: choose a smaller one."
        )


def check_config_size(name: str, size: int, settings: Settings) -> None:
    """Raise ``ModelRefused`` if the config has more bytes than the limit."""
    if size > settings.max_config_bytes:
        raise ModelRefused(
            f"The {CONFIG} of {name} has {size:,} bytes.", f"At most {settings.max_config_bytes:,} are read."
        )


def adapter_error(name: str, base: object) -> ModelRefused:
    """The error for a PEFT adapter, which is loaded together with its base."""
    whose = f"{quote(base)} is its base" if base else "its base is not named"
    return ModelRefused(
        f"{name} is a PEFT adapter, not a whole model: {whose}.",
        "Load both, model = PeftModel.from_pretrained(base_model, adapter), and explain "
        "load(model, tokenizer).",
    )


def remote_code_error(name: str) -> ModelRefused:
    """The error for a model that needs code from its repository."""
    return ModelRefused(
        f"{name} comes with program code (auto_map).", "Such code is never run: choose another model."
    )
