"""Data sets of the Hugging Face Hub: downloads their files at one commit, and never runs any code.

In ``hf://datasets/OWNER/NAME[@REVISION][/PART]`` the part is a file, a split (``train``), or a folder and a
split (``sst2/validation``); it is optional where there is only one.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, constants, get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from attribution.errors import BadTable, HubUnavailable, nearest, quote
from attribution.settings import DEFAULTS
from attribution.tables.kinds import EXTENSIONS

SOURCE = re.compile(
    r"hf://datasets/(?P<name>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(@(?P<revision>[\w.-]+))?(/(?P<part>.+))?"
)
SHARD = re.compile(r"-\d{5}-of-\d{5}$")


@dataclass(frozen=True, slots=True)
class File:
    """A file of a data set; the files of one ``part`` form a table."""

    path: str
    size: int

    @property
    def part(self) -> str:
        """The path without extension and shard number: ``data/train``."""
        return SHARD.sub("", self.path.rpartition(".")[0])


def fetch(source: str, limit_bytes: int | None = None) -> list[Path]:
    """Download the missing files of a part, and return all of them in order. No token is sent.

    Raises ``BadTable`` for an unknown data set or part, one that is too large, or one that needs permission;
    and ``HubUnavailable``.
    """
    match = SOURCE.fullmatch(source)
    if match is None:
        raise BadTable(
            f"{quote(source, 100)} is not a data set.",
            "It must be hf://datasets/OWNER/NAME[@REVISION][/SPLIT].",
        )
    name, revision, part = match["name"], match["revision"], match["part"] or ""
    if constants.is_offline_mode():
        raise _unavailable(name, "this process works offline (HF_HUB_OFFLINE)")
    endpoint = (
        os.environ.get("HF_ENDPOINT", "").rstrip("/") or None
    )  # read at each call, which huggingface_hub does only at import
    with _hub_errors(name, revision):
        seconds = DEFAULTS.hub_timeout_seconds
        info = HfApi(endpoint=endpoint, token=False).dataset_info(
            name, revision=revision, files_metadata=True, timeout=seconds
        )
        files = [
            File(s.rfilename, s.size or 0)
            for s in info.siblings or ()
            if s.rfilename.rpartition(".")[2].lower() in EXTENSIONS
        ]
        selected = _select_part(name, sorted(files, key=lambda file: file.path), part)
        _check_size(name, sum(file.size for file in selected), limit_bytes)
        return [_download(name, file.path, str(info.sha), endpoint) for file in selected]


def _select_part(name: str, files: list[File], wanted: str) -> list[File]:
    """The files of a part. Raises ``BadTable`` where no part, or more than one, matches."""
    if not files:
        raise BadTable(
            f"{name} has no file in a readable format: {', '.join(sorted(set(EXTENSIONS.values())))}.",
            "Choose another data set.",
        )
    if exact := [file for file in files if file.path == wanted]:
        return exact
    parts: dict[str, list[File]] = {}
    for file in files:
        parts.setdefault(file.part, []).append(file)
    matches = [part for part in parts if not wanted or part == wanted or part.endswith(f"/{wanted}")]
    if len(matches) == 1:
        return parts[matches[0]]
    listing = f"There are: {', '.join(list(parts)[:20])}{' and others' if len(parts) > 20 else ''}."
    if matches:
        which = f"several parts called {quote(wanted)}" if wanted else "several parts"
        raise BadTable(
            f"{name} has {which}.", f"Name one, as in hf://datasets/{name}/{matches[0]}. {listing}"
        )
    raise BadTable(
        f"{name} has no part {quote(wanted)}.",
        f"{nearest(wanted, parts) if len(parts) > 20 else ''} {listing}".strip(),
    )


def _check_size(name: str, size: int, limit: int | None) -> None:
    if limit is not None and size > limit:
        raise BadTable(
            f"{name} has {size / 1e6:,.1f} MB; the limit is {limit / 1e6:,.1f} MB.",
            "Choose a smaller part.",
        )
    cache = Path(constants.HF_HUB_CACHE)
    root = next((parent for parent in (cache, *cache.parents) if parent.exists()), None)
    if root is not None and shutil.disk_usage(root).free < size:
        raise BadTable(
            f"{name} needs {size / 1e6:,.1f} MB, more than is free on this machine's disk.",
            "Free some space.",
        )


def _download(name: str, path: str, commit: str, endpoint: str | None) -> Path:
    # Check once: hf_hub_download would retry for half a minute.
    url = hf_hub_url(name, path, repo_type="dataset", revision=commit, endpoint=endpoint)
    seconds = DEFAULTS.hub_timeout_seconds
    get_hf_file_metadata(url, token=False, timeout=seconds, endpoint=endpoint)
    path_in_cache = hf_hub_download(
        name,
        path,
        repo_type="dataset",
        revision=commit,
        cache_dir=constants.HF_HUB_CACHE,
        endpoint=endpoint,
        token=False,
        etag_timeout=seconds,
    )
    return Path(path_in_cache)


@contextmanager
def _hub_errors(name: str, revision: str | None) -> Iterator[None]:
    """Context manager: raise errors of the Hub's client as ``BadTable`` or ``HubUnavailable``."""
    at = f" at {quote(revision)}" if revision else ""
    try:
        yield
    except GatedRepoError as error:
        raise BadTable(
            f"{name} needs its owner's permission.",
            "This program sends no token: download the data set yourself.",
        ) from error
    except (RepositoryNotFoundError, RevisionNotFoundError, HFValidationError) as error:
        raise BadTable(
            f"The Hub has no data set {name}{at}, or it is private.", "Check the spelling."
        ) from error
    except HfHubHTTPError as error:
        raise _unavailable(name, f"it answered with status {error.response.status_code}") from error
    except (HTTPError, TimeoutError, OSError) as error:
        raise _unavailable(name, "it cannot be reached") from error
    except (ValueError, TypeError, KeyError) as error:  # the page of a proxy, for example
        raise _unavailable(name, "its answer is invalid") from error


def _unavailable(name: str, why: str) -> HubUnavailable:
    return HubUnavailable(
        f"{name} is not available from the Hugging Face Hub: {why}.", "Try again, or name a file."
    )
