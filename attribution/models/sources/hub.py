"""A name on the Hugging Face Hub -> a verified local folder at one commit.

A model is checked before anything is downloaded: safetensors only (pickled weights can run code), no code of
its own, within the limits of ``Settings``. Files are taken from a fixed list of names, at the commit that was
checked, and compared with the sizes and hashes that the Hub stated. A caller's string never reaches
``from_pretrained``: transformers would take it for a folder of the working directory if there is one of that
name.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from attribution.models.sources import catalogue
from attribution.models.sources.entries import CHECKPOINTS
from attribution.models.sources.inspection import (
    CONFIG,
    EXTRAS,
    MODULE_FILE,
    VOCABULARIES,
    check_config_size,
    check_gguf,
    check_quantized,
    check_size,
    inspect,
    list_weights,
    read_config,
    read_folder,
    remote_code_error,
)
from attribution.models.sources.patience import Patience
from attribution.settings import DEFAULTS, Settings

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9_.-]+")
REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)*")
COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A folder that holds a model as it was at one commit."""

    folder: Path
    revision: str


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file as the Hub describes it; ``digest`` is its SHA-256 if it is large, else git's hash of it."""

    name: str
    size: int
    digest: str


def fetch(
    name: str, *, revision: str | None = None, settings: Settings = DEFAULTS, token: bool | str = False
) -> Snapshot:
    """Download what is missing of ``owner/name``, and return its folder.

    If the Hub is not available, the local cache is used. ``token=False`` sends no token, not even the saved
    one.

    Raises ``UnknownModel``, ``GatedModel``, ``ModelRefused``, ``ModelTooLarge``, and ``HubUnavailable`` if
    the Hub sends nothing for ``settings.hub_timeout_seconds``.
    """
    check_name(name, revision)
    is_commit = revision is not None and COMMIT.fullmatch(revision) is not None
    snapshot = cached(name, revision, settings) if is_commit else None  # a commit never changes
    if snapshot is None:
        try:
            snapshot = _download_snapshot(name, revision, settings, token)
        except HubUnavailable:
            snapshot = cached(name, revision, settings)
            if snapshot is None:
                raise
    inspect(snapshot.folder, name=name, settings=settings)
    return snapshot


def check_name(name: str, revision: str | None = None) -> None:
    """Raise ``UnknownModel`` for anything but ``owner/name`` and a plain revision."""
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
    """The model's folder in the local cache of the Hub if it is complete, without network and torch.

    Without a revision, the last known commit of the main branch is preferred, then the newest folder.
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
            read_folder(store / "snapshots" / commit, name, settings)
            return Snapshot(store / "snapshots" / commit, commit)
        except ModelError:
            continue
    return None


def available_offline() -> tuple[str, ...]:
    """Names of models that need no network: bundled ones, and those of the catalogue in the local cache."""
    local = (entry.name for entry in CHECKPOINTS if cached(entry.name, entry.revision))
    return (*(entry.name for entry in catalogue.bundled()), *local)


def _download_snapshot(name: str, revision: str | None, settings: Settings, token: bool | str) -> Snapshot:
    if constants.is_offline_mode():
        raise _unavailable(name, "this process works offline (HF_HUB_OFFLINE)")
    # Read here, because huggingface_hub reads it once, at import.
    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or None
    patience = Patience(settings.hub_timeout_seconds)
    with translate_errors(name, revision):
        info = patience.run(lambda: _request_info(name, revision, endpoint, token, patience.seconds))
        files = choose_files(name, info, settings, token)
        folder = (
            Path(constants.HF_HUB_CACHE)
            / repo_folder_name(repo_id=name, repo_type="model")
            / "snapshots"
            / str(info.sha)
        )
        _check_disk(name, files, folder)
        for file in files:
            is_new = not (folder / file.name).exists()
            if is_new:
                _download(name, str(info.sha), file, endpoint, token, patience)
            _verify(name, folder / file.name, file, is_new)
            if file.name == CONFIG:  # the first file: if it is refused, nothing else is downloaded
                check_quantized(read_config(folder, name, settings), name)
    return Snapshot(folder, str(info.sha))


def _request_info(
    name: str, revision: str | None, endpoint: str | None, token: bool | str, seconds: float
) -> ModelInfo:
    """The Hub's description of a model. Raises ``HubUnavailable`` for a malformed one."""
    try:
        api = HfApi(endpoint=endpoint, token=token)
        info = api.model_info(name, revision=revision, files_metadata=True, timeout=seconds, token=token)
        if COMMIT.fullmatch(info.sha or "") and all(
            isinstance(sibling.size, int) for sibling in info.siblings or ()
        ):
            return info
    except HTTPError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError) as error:  # such as the page of a proxy
        raise _unavailable(name, "its answer cannot be read") from error
    raise _unavailable(name, "its answer is not complete")


def choose_files(name: str, info: ModelInfo, settings: Settings, token: bool | str) -> list[ListedFile]:
    """The files to download, small ones first.

    Raises ``GatedModel``, ``ModelRefused`` and ``ModelTooLarge`` as far as the Hub's description allows it.
    """
    if info.gated and not token:
        raise _gated(name)
    if "custom_code" in (info.tags or ()) or "auto_map" in (info.config or {}):
        raise remote_code_error(name)
    check_quantized(info.config or {}, name)
    check_gguf(name, {s.rfilename for s in info.siblings or ()})
    listed = {
        s.rfilename: s
        for s in info.siblings or ()
        if "/" not in s.rfilename or MODULE_FILE.fullmatch(s.rfilename)
    }
    weights = list_weights(name, set(listed))
    small = [
        file
        for file in listed
        if MODULE_FILE.fullmatch(file)
        or any(fnmatch.fnmatchcase(file, pattern) for pattern in VOCABULARIES + EXTRAS)
    ]
    chosen = [CONFIG, *sorted(small), *weights]
    if CONFIG not in listed:
        raise ModelRefused(f"{name} has no {CONFIG}: it is not a transformers model.")
    if len(chosen) > settings.max_model_files:
        raise ModelTooLarge(
            f"{name} has {len(chosen)} files.", f"At most {settings.max_model_files} are downloaded."
        )
    files = [
        ListedFile(s.rfilename, s.size or 0, (s.lfs.sha256 if s.lfs else s.blob_id) or "")
        for s in (listed[file] for file in chosen)
    ]
    check_config_size(name, files[0].size, settings)
    check_size(name, sum(file.size for file in files), settings)
    return files


def _check_disk(name: str, files: list[ListedFile], folder: Path) -> None:
    missing = sum(file.size for file in files if not (folder / file.name).exists())
    root = next((parent for parent in folder.parents if parent.exists()), None)
    if root is not None and missing and shutil.disk_usage(root).free < missing:
        raise ModelTooLarge(
            f"{name} needs {missing / 1e6:,.0f} MB, more than is free on this machine's disk."
        )


def _download(
    name: str, commit: str, file: ListedFile, endpoint: str | None, token: bool | str, patience: Patience
) -> None:
    class Meter(tqdm):
        """An invisible progress bar that notes progress and stops a file longer than the Hub stated.

        Bytes of the file and bytes transferred are counted separately: a Xet transfer may need fewer, or a
        few more.
        """

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **{**options, "disable": True})
            self.received = self.most_received = int(options.get("initial") or 0)
            self.transferred = self.most_transferred = 0
            self.check(int(options.get("total") or 0))

        def update(self, n: float | None = 1) -> None:
            self.received += int(n or 0)  # negative when a download starts again: only new bytes count
            if self.received > self.most_received:
                self.most_received = self.received
                patience.progress()
            self.check(self.received)

        def update_transfer(self, n: float | None = 1) -> None:
            self.transferred += int(n or 0)
            if self.transferred > self.most_transferred:
                self.most_transferred = self.transferred
                patience.progress()

        def set_transfer_postfix_str(self, *_: Any, **__: Any) -> None:
            """Ignore the rate that Xet reports."""

        def check(self, size: int) -> None:
            if size > file.size:
                raise ModelRefused(
                    f"The Hub stated {file.size:,} bytes for {file.name} of {name}, and sends more."
                )

    # One request beforehand: hf_hub_download would retry for half a minute, and its retries close the
    # connections that other threads are using.
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


def _verify(name: str, path: Path, file: ListedFile, is_new: bool) -> None:
    """Check the size of a file, and the hash of a new one.

    A file that fails is removed, so that it is downloaded again. Raises ``HubUnavailable``.
    """
    if path.stat().st_size == file.size and (not is_new or _digest_fits(path, file)):
        return
    path.resolve().unlink(missing_ok=True)
    path.unlink(missing_ok=True)
    raise _unavailable(name, f"{file.name} arrived damaged")


def _digest_fits(path: Path, file: ListedFile) -> bool:
    with path.open("rb") as stream:
        if len(file.digest) == 64:
            return hashlib.file_digest(stream, "sha256").hexdigest() == file.digest
        if COMMIT.fullmatch(file.digest):
            content = stream.read()
            blob = b"blob %d\0" % len(content) + content
            return hashlib.sha1(blob, usedforsecurity=False).hexdigest() == file.digest
    return True


@contextmanager
def translate_errors(name: str, revision: str | None) -> Iterator[None]:
    """Context manager: raise the errors of huggingface_hub as ``ModelError``."""
    at = f" at {quote(revision)}" if revision else ""
    try:
        yield
    except ModelError:
        raise
    except GatedRepoError as error:
        raise _gated(name) from error
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise UnknownModel(
            f"The Hub has no model {name}{at}, or it is private.", "Check its spelling."
        ) from error
    except DisabledRepoError as error:
        raise ModelRefused(f"The Hub has disabled {name}.") from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status == 403:
            raise _gated(name) from error
        if status in (401, 404):
            raise UnknownModel(
                f"The Hub has no model {name}{at}, or it is private.", "Check its spelling."
            ) from error
        raise _unavailable(name, f"it answered with status {status}") from error
    except TimeoutError as error:
        raise _unavailable(name, "it does not answer") from error
    except (HTTPError, OSError) as error:
        raise _unavailable(name, "it cannot be reached") from error


def _unavailable(name: str, why: str) -> HubUnavailable:
    ready = ", ".join(available_offline())
    return HubUnavailable(
        f"{name} is not on this machine and cannot be downloaded from the Hugging Face Hub: {why}.",
        f"Available now: {ready}." if ready else "No model is available without it.",
    )


def _gated(name: str) -> GatedModel:
    return GatedModel(
        f"{name} needs its owner's permission.",
        "No token is sent from here: choose a model that is open to everybody.",
    )
