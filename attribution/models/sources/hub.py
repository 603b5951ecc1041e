"""A name on the Hugging Face Hub -> a verified local folder at one commit.

What a model may be is decided before anything is downloaded: safetensors only (pickled weights can run code), no code of its own,
within the limits of ``Settings``. Files are taken from a fixed list of names, at the commit that was checked, and compared with
the sizes and hashes that the Hub stated. A caller's string never reaches ``from_pretrained``: transformers would take it for a
folder of the working directory if there is one of that name.

torch and transformers are imported only to count the parameters of a folder that is about to be loaded.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import math
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from huggingface_hub import HfApi, ModelInfo, constants, get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.errors import (
    DisabledRepoError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.utils import validate_repo_id
from tqdm.auto import tqdm

from attribution.errors import (
    GatedModel,
    HubUnavailable,
    ModelError,
    ModelRefused,
    ModelTooLarge,
    UnknownModel,
    quote,
)
from attribution.extras import needs_app
from attribution.settings import DEFAULTS, Settings

T = TypeVar("T")

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9_.-]+")
REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)*")
COMMIT = re.compile(r"[0-9a-f]{40}")

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
class Snapshot:
    """A folder that holds a model as it was at one commit."""

    folder: Path
    revision: str


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a folder holds: its config, how many numbers its weights are, and how many bytes they take.

    ``described`` is how many parameters the config's model has, 0 where nobody has counted: more than ``parameters`` where several
    numbers are packed into one.
    """

    config: dict[str, Any]
    parameters: int
    bytes: int
    described: int = 0


@dataclass(frozen=True, slots=True)
class _File:
    """A file as the Hub describes it; ``digest`` is its SHA-256 if it is large, else git's hash of it."""

    name: str
    size: int
    digest: str


def fetch(
    name: str, *, revision: str | None = None, settings: Settings = DEFAULTS, token: bool | str = False
) -> Snapshot:
    """Download what is missing of ``owner/name`` and return its folder; the local cache answers if the Hub does not.

    ``token=False`` sends no token, not even one that the machine has.

    Raises ``UnknownModel``, ``GatedModel``, ``ModelRefused``, ``ModelTooLarge``, and ``HubUnavailable`` when nothing was heard
    of the Hub for ``settings.hub_timeout_seconds``.
    """
    check_name(name, revision)
    if revision and COMMIT.fullmatch(revision) and (found := cached(name, revision, settings)):
        snapshot = found  # a commit never changes
    else:
        try:
            snapshot = _from_hub(name, revision, settings, token)
        except HubUnavailable:
            if not (found := cached(name, revision, settings)):
                raise
            snapshot = found
    inspect(snapshot.folder, name=name, settings=settings)
    return snapshot


def check_name(name: str, revision: str | None = None) -> None:
    """Refuse whatever is not ``owner/name`` at a plain revision. Raises ``UnknownModel``."""
    try:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise HFValidationError
        validate_repo_id(name)
    except HFValidationError as error:
        raise UnknownModel(
            f"{quote(name)} is not the name of a model on the Hub.", "It is written owner/name."
        ) from error
    if revision is not None and not (
        isinstance(revision, str) and len(revision) <= 100 and REVISION.fullmatch(revision)
    ):
        raise UnknownModel(f"{quote(revision)} is not a revision.", "It is a branch, a tag or a commit.")
    if revision is not None and (".." in revision or revision.endswith(".lock")):
        raise UnknownModel(f"{quote(revision)} is not a revision.", "It is a branch, a tag or a commit.")


def cached(name: str, revision: str | None = None, settings: Settings = DEFAULTS) -> Snapshot | None:
    """The model's folder in the local cache of the Hub if it is complete; never asks the network, never needs torch.

    Without a revision the main branch as it was last seen is preferred, then the newest folder.
    """
    check_name(name, revision)
    store = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=name, repo_type="model")
    commits: list[str] = []
    if revision and COMMIT.fullmatch(revision):
        commits = [revision]
    else:
        reference = store / "refs" / (revision or "main")
        if reference.is_file():
            commits = [reference.read_text(encoding="utf-8", errors="replace").strip()]
        if revision is None and (store / "snapshots").is_dir():
            newest = sorted((store / "snapshots").iterdir(), key=lambda folder: -folder.stat().st_mtime)
            commits += [folder.name for folder in newest]
    for commit in filter(COMMIT.fullmatch, commits):
        try:
            _look(store / "snapshots" / commit, name, settings)
            return Snapshot(store / "snapshots" / commit, commit)
        except ModelError:
            continue
    return None


# ---- asking and downloading ------------------------------------------------------------------------------------------------


def _from_hub(name: str, revision: str | None, settings: Settings, token: bool | str) -> Snapshot:
    if constants.is_offline_mode():
        raise _unavailable(name, "this process works offline (HF_HUB_OFFLINE)")
    endpoint = (
        os.environ.get("HF_ENDPOINT", "").rstrip("/") or None
    )  # read now: huggingface_hub reads it once, at import
    patience = _Patience(settings.hub_timeout_seconds)
    with _translated(name, revision):
        info = patience.run(lambda: _ask(name, revision, endpoint, token, patience.seconds))
        files = _choose(name, info, settings, token)
        folder = (
            Path(constants.HF_HUB_CACHE)
            / repo_folder_name(repo_id=name, repo_type="model")
            / "snapshots"
            / str(info.sha)
        )
        _check_disk(name, files, folder)
        for file in files:
            new = not (folder / file.name).exists()
            if new:
                _download(name, str(info.sha), file, endpoint, token, patience)
            _verify(name, folder / file.name, file, new)
            if file.name == CONFIG:  # the first one: nothing else is downloaded for a config that is refused
                _check_quantized(_read_config(folder, name, settings), name)
    return Snapshot(folder, str(info.sha))


def _ask(
    name: str, revision: str | None, endpoint: str | None, token: bool | str, seconds: float
) -> ModelInfo:
    """What the Hub says about the model. Raises ``HubUnavailable`` for an answer that is none."""
    try:
        api = HfApi(endpoint=endpoint, token=token)
        info = api.model_info(name, revision=revision, files_metadata=True, timeout=seconds, token=token)
        if COMMIT.fullmatch(info.sha or "") and all(
            isinstance(sibling.size, int) for sibling in info.siblings or ()
        ):
            return info
    except HTTPError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError) as error:  # a page of some proxy, for example
        raise _unavailable(name, "its answer cannot be understood") from error
    raise _unavailable(name, "its answer is not complete")


def _choose(name: str, info: ModelInfo, settings: Settings, token: bool | str) -> list[_File]:
    """The files to download, small ones first. Raises for whatever can be refused by the Hub's description alone."""
    if info.gated and not token:
        raise _gated(name)
    if "custom_code" in (info.tags or ()) or "auto_map" in (info.config or {}):
        raise _remote_code(name)
    _check_quantized(info.config or {}, name)
    _check_gguf(name, {s.rfilename for s in info.siblings or ()})
    listed = {s.rfilename: s for s in info.siblings or () if "/" not in s.rfilename or s.rfilename in POOLING}
    weights = _weights(name, set(listed))
    small = [
        file
        for file in listed
        if any(fnmatch.fnmatchcase(file, pattern) for pattern in VOCABULARIES + EXTRAS + POOLING)
    ]
    chosen = [CONFIG, *sorted(small), *weights]
    if CONFIG not in listed:
        raise ModelRefused(f"{name} has no {CONFIG}: it is not a transformers model.")
    if len(chosen) > settings.max_model_files:
        raise ModelTooLarge(
            f"{name} has {len(chosen)} files.", f"At most {settings.max_model_files} are downloaded."
        )
    found = [listed[file] for file in chosen]
    files = [_File(s.rfilename, s.size or 0, (s.lfs.sha256 if s.lfs else s.blob_id) or "") for s in found]
    _check_config_size(name, files[0].size, settings)
    _check_size(name, sum(file.size for file in files), settings)
    return files


def _weights(name: str, listed: set[str]) -> list[str]:
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


def _check_gguf(name: str, listed: set[str]) -> None:
    if any(file.lower().endswith(".gguf") for file in listed) and not listed & {WEIGHTS, INDEX}:
        raise ModelRefused(
            f"{name} has its weights as GGUF files only, which are made for llama.cpp.",
            "Choose the checkpoint that they were made from, with safetensors weights.",
        )


def _check_size(name: str, size: int, settings: Settings) -> None:
    if size > settings.max_model_bytes:
        most = f"{settings.max_model_bytes / 1e6:,.0f}"
        raise ModelTooLarge(
            f"{name} has {size / 1e6:,.0f} MB.", f"At most {most} MB are loaded: choose a smaller one."
        )


def _check_config_size(name: str, size: int, settings: Settings) -> None:
    if size > settings.max_config_bytes:
        raise ModelRefused(
            f"The {CONFIG} of {name} has {size:,} bytes.", f"At most {settings.max_config_bytes:,} are read."
        )


def _check_disk(name: str, files: list[_File], folder: Path) -> None:
    missing = sum(file.size for file in files if not (folder / file.name).exists())
    root = next((parent for parent in folder.parents if parent.exists()), None)
    if root is not None and missing and shutil.disk_usage(root).free < missing:
        raise ModelTooLarge(
            f"{name} needs {missing / 1e6:,.0f} MB, more than is free on this machine's disk."
        )


def _download(
    name: str, commit: str, file: _File, endpoint: str | None, token: bool | str, patience: _Patience
) -> None:
    class Meter(tqdm):
        """A progress bar that shows nothing, but tells ``patience`` of news and stops a file that is longer than was stated.

        The bytes of the file and those that crossed the network are counted apart: a Xet transfer may need fewer, or a few more.
        """

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **{**options, "disable": True})
            self.received = self.most_received = int(options.get("initial") or 0)
            self.transferred = self.most_transferred = 0
            self.check(int(options.get("total") or 0))

        def update(self, n: float | None = 1) -> None:
            self.received += int(n or 0)  # negative when a download starts again: only what is new counts
            if self.received > self.most_received:
                self.most_received = self.received
                patience.heard()
            self.check(self.received)

        def update_transfer(self, n: float | None = 1) -> None:
            self.transferred += int(n or 0)
            if self.transferred > self.most_transferred:
                self.most_transferred = self.transferred
                patience.heard()

        def set_transfer_postfix_str(self, *_: Any, **__: Any) -> None:
            """Xet reports a rate here."""

        def check(self, size: int) -> None:
            if size > file.size:
                raise ModelRefused(
                    f"The Hub stated {file.size:,} bytes for {file.name} of {name}, and sends more."
                )

    # Asked once by ourselves: hf_hub_download would go on asking for half a minute, and its retries close the connections that
    # other threads are using.
    url = hf_hub_url(name, file.name, revision=commit, endpoint=endpoint)
    patience.run(lambda: get_hf_file_metadata(url, token=token, timeout=patience.seconds, endpoint=endpoint))
    patience.run(
        lambda: hf_hub_download(
            name,
            file.name,
            revision=commit,
            cache_dir=constants.HF_HUB_CACHE,
            endpoint=endpoint,
            token=token,
            etag_timeout=patience.seconds,
            tqdm_class=Meter,
        )
    )


def _verify(name: str, path: Path, file: _File, new: bool) -> None:
    """Size always; hash once, when the file has just come. A file that fails is removed, so that it comes again."""
    if path.stat().st_size == file.size and (not new or _digest_fits(path, file)):
        return
    path.resolve().unlink(missing_ok=True)
    path.unlink(missing_ok=True)
    raise _unavailable(name, f"{file.name} arrived damaged")


def _digest_fits(path: Path, file: _File) -> bool:
    with path.open("rb") as stream:
        if len(file.digest) == 64:
            return hashlib.file_digest(stream, "sha256").hexdigest() == file.digest
        if COMMIT.fullmatch(file.digest):
            content = stream.read()
            return (
                hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
                == file.digest
            )
    return True


class _Patience:
    """Runs calls in a thread and gives up on one from which nothing was heard for some seconds.

    huggingface_hub (2.4.0) by itself is patient for minutes: after its first question for a file it asks six more times with a
    timeout of sixty seconds each, and a body that breaks off again and again is asked for without end.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.last = time.monotonic()
        self.gone = False

    def heard(self) -> None:
        """Something came. In a call that was given up this ends it."""
        if self.gone:
            raise TimeoutError("given up")
        self.last = time.monotonic()

    def run(self, call: Callable[[], T]) -> T:
        answer: Future[T] = Future()

        def work() -> None:
            try:
                answer.set_result(call())
            except BaseException as error:
                answer.set_exception(error)

        self.last = time.monotonic()
        threading.Thread(target=work, name="hub", daemon=True).start()
        while not answer.done():
            left = self.last + self.seconds - time.monotonic()
            if left <= 0:
                self.gone = True
                raise TimeoutError(f"no answer within {self.seconds:g} seconds")
            try:
                answer.exception(timeout=left)
            except TimeoutError:
                continue
        return answer.result()


@contextmanager
def _translated(name: str, revision: str | None) -> Iterator[None]:
    """Whatever can go wrong with the Hub, as one of our errors."""
    at = f" at {quote(revision)}" if revision else ""
    try:
        yield
    except ModelError:
        raise
    except GatedRepoError as error:
        raise _gated(name) from error
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise UnknownModel(
            f"The Hub has no model {name}{at}, or it is private.", "Look at its spelling."
        ) from error
    except DisabledRepoError as error:
        raise ModelRefused(f"The Hub has disabled {name}.") from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status == 403:
            raise _gated(name) from error
        if status in (401, 404):
            raise UnknownModel(
                f"The Hub has no model {name}{at}, or it is private.", "Look at its spelling."
            ) from error
        raise _unavailable(name, f"it answered with status {status}") from error
    except TimeoutError as error:
        raise _unavailable(name, "it does not answer") from error
    except (HTTPError, OSError) as error:
        raise _unavailable(name, "it cannot be reached") from error


def _unavailable(name: str, why: str) -> HubUnavailable:
    from attribution.models.sources import catalogue  # late: it asks this module what is cached

    ready = ", ".join(catalogue.available_offline())
    return HubUnavailable(
        f"{name} is not on this machine, and it cannot be had from the Hugging Face Hub now: {why}.",
        f"Available now: {ready}." if ready else "No model is available without it.",
    )


def _gated(name: str) -> GatedModel:
    return GatedModel(
        f"{name} needs its owner's permission.",
        "No token is sent from here: choose a model that is open to all.",
    )


def _remote_code(name: str) -> ModelRefused:
    return ModelRefused(
        f"{name} brings program code of its own (auto_map).", "Such code is never run: choose another model."
    )


# ---- looking at a folder ---------------------------------------------------------------------------------------------------


def inspect(folder: Path, *, name: str = "", settings: Settings = DEFAULTS) -> Inspection:
    """Check a folder before it is loaded: a bundled one, a user's own, or one from the Hub.

    The parameters are counted twice: in the weights' headers, and in the model that the config describes, which is built without
    memory (on the ``meta`` device), since a config of a few bytes can describe a model that fills any machine.

    Raises ``UnknownModel``, ``ModelRefused`` and ``ModelTooLarge``.
    """
    name = name or Path(folder).name
    found = _look(Path(folder), name, settings)
    _check_quantized(found.config, name)
    described = _described_parameters(Path(folder), name)
    if described * 2 > settings.max_model_bytes:  # two bytes each, the least that weights take
        raise ModelTooLarge(
            f"The config of {name} describes a model of {described:,} parameters.",
            f"At most {settings.max_model_bytes // 2:,} are loaded.",
        )
    return replace(found, described=described)


def _look(folder: Path, name: str, settings: Settings) -> Inspection:
    """All checks that need no torch."""
    if not folder.is_dir():
        raise UnknownModel(f"There is no folder for {quote(name)}.")
    files = {path.name for path in folder.iterdir() if path.is_file()}
    _check_gguf(name, files)
    config = _read_config(folder, name, settings)
    if (folder / "tokenizer_config.json").is_file() and _mentions(
        _read_json(folder / "tokenizer_config.json", name), "auto_map"
    ):
        raise _remote_code(name)
    if not any(fnmatch.fnmatchcase(file, pattern) for file in files for pattern in VOCABULARIES):
        raise ModelRefused(
            f"{name} has no tokenizer.", "A folder needs the files that save_pretrained writes for both."
        )
    weights = [file for file in _weights(name, files) if file != INDEX]
    _check_size(name, sum((folder / file).stat().st_size for file in weights), settings)
    shapes = {file: _shapes(folder / file, name) for file in weights}
    if INDEX in files and WEIGHTS not in files:
        _check_index(folder, name, shapes)
    tensors = [shape for held in shapes.values() for shape in held.values()]
    parameters = sum(math.prod(shape) for shape in tensors)
    _check_numbers(config, name, tensors, parameters)
    return Inspection(config, parameters, sum((folder / file).stat().st_size for file in weights))


def _read_config(folder: Path, name: str, settings: Settings) -> dict[str, Any]:
    path = folder / CONFIG
    if not path.is_file():
        raise ModelRefused(f"{name} has no {CONFIG}: it is not a transformers model.")
    _check_config_size(name, path.stat().st_size, settings)
    config = _read_json(path, name)
    if _mentions(config, "auto_map"):
        raise _remote_code(name)
    return config


def _check_quantized(config: dict[str, Any], name: str) -> None:
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


def _shapes(path: Path, name: str) -> dict[str, tuple[int, ...]]:
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


def _described_parameters(folder: Path, name: str) -> int:
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
