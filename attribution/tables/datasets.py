"""Data sets of the Hugging Face Hub: their files in the local cache at one commit, and never any code.

``hf://datasets/OWNER/NAME[@REVISION][/PART]``: the part is a file, a split (``train``), or a folder and a
split (``sst2/validation``); it may be left out where there is only one.
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
from attribution.tables.kinds import ENDINGS

SOURCE = re.compile(
    r"hf://datasets/(?P<name>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(@(?P<revision>[\w.-]+))?(/(?P<part>.+))?"
)
SHARD = re.compile(r"-\d{5}-of-\d{5}$")


@dataclass(frozen=True, slots=True)
class File:
    """A file of a data set. Files of one ``part`` are one table."""

    path: str
    size: int

    @property
    def part(self) -> str:
        """The path without the ending and the number of a shard: ``data/train``."""
        return SHARD.sub("", self.path.rpartition(".")[0])


def fetch(source: str, limit_bytes: int | None = None) -> list[Path]:
    """The files of one part, in order, downloaded where they are missing. No token is sent.

    Raises ``BadTable`` where there is no such data set or part, it is too large, or needs a permission; and
    ``HubUnavailable``.
    """
    found = SOURCE.fullmatch(source)
    if found is None:
        raise BadTable(
            f"{quote(source, 100)} is not a data set.",
            "It is written hf://datasets/OWNER/NAME[@REVISION][/SPLIT].",
        )
    name, revision, part = found["name"], found["revision"], found["part"] or ""
    if constants.is_offline_mode():
        raise _unavailable(name, "this process works offline (HF_HUB_OFFLINE)")
    endpoint = (
        os.environ.get("HF_ENDPOINT", "").rstrip("/") or None
    )  # read now: huggingface_hub reads it once, at import
    with _translated(name, revision):
        seconds = DEFAULTS.hub_timeout_seconds
        info = HfApi(endpoint=endpoint, token=False).dataset_info(
            name, revision=revision, files_metadata=True, timeout=seconds
        )
        listed = [
            File(s.rfilename, s.size or 0)
            for s in info.siblings or ()
            if s.rfilename.rpartition(".")[2].lower() in ENDINGS
        ]
        chosen = _chosen(name, sorted(listed, key=lambda file: file.path), part)
        _check_size(name, sum(file.size for file in chosen), limit_bytes)
        return [_downloaded(name, file.path, str(info.sha), endpoint) for file in chosen]


def _chosen(name: str, files: list[File], wanted: str) -> list[File]:
    """The files of the part. Raises ``BadTable`` where there is none, or more than one."""
    if not files:
        raise BadTable(
            f"{name} has no file that is read: {', '.join(sorted(set(ENDINGS.values())))}.",
            "Choose another data set.",
        )
    if exact := [file for file in files if file.path == wanted]:
        return exact
    parts: dict[str, list[File]] = {}
    for file in files:
        parts.setdefault(file.part, []).append(file)
    fitting = [part for part in parts if not wanted or part == wanted or part.endswith(f"/{wanted}")]
    if len(fitting) == 1:
        return parts[fitting[0]]
    there = f"There are: {', '.join(list(parts)[:20])}{' and others' if len(parts) > 20 else ''}."
    if fitting:
        which = f"several parts called {quote(wanted)}" if wanted else "several parts"
        raise BadTable(f"{name} has {which}.", f"Name one, as in hf://datasets/{name}/{fitting[0]}. {there}")
    raise BadTable(
        f"{name} has no part {quote(wanted)}.",
        f"{nearest(wanted, parts) if len(parts) > 20 else ''} {there}".strip(),
    )


def _check_size(name: str, size: int, limit: int | None) -> None:
    if limit is not None and size > limit:
        raise BadTable(
            f"{name} has {size / 1e6:,.1f} MB; at most {limit / 1e6:,.1f} are taken.",
            "Choose a smaller part.",
        )
    cache = Path(constants.HF_HUB_CACHE)
    root = next((parent for parent in (cache, *cache.parents) if parent.exists()), None)
    if root is not None and shutil.disk_usage(root).free < size:
        raise BadTable(
            f"{name} needs {size / 1e6:,.1f} MB, more than is free on this machine's disk.", "Make room."
        )


def _downloaded(name: str, path: str, commit: str, endpoint: str | None) -> Path:
    # Asked once by ourselves: hf_hub_download would go on asking for half a minute.
    url = hf_hub_url(name, path, repo_type="dataset", revision=commit, endpoint=endpoint)
    seconds = DEFAULTS.hub_timeout_seconds
    get_hf_file_metadata(url, token=False, timeout=seconds, endpoint=endpoint)
    found = hf_hub_download(
        name,
        path,
        repo_type="dataset",
        revision=commit,
        cache_dir=constants.HF_HUB_CACHE,
        endpoint=endpoint,
        token=False,
        etag_timeout=seconds,
    )
    return Path(found)


@contextmanager
def _translated(name: str, revision: str | None) -> Iterator[None]:
    """Whatever can go wrong with the Hub, as one of our errors."""
    at = f" at {quote(revision)}" if revision else ""
    try:
        yield
    except GatedRepoError as error:
        raise BadTable(
            f"{name} needs its owner's permission.", "No token is sent from here: download it yourself."
        ) from error
    except (RepositoryNotFoundError, RevisionNotFoundError, HFValidationError) as error:
        raise BadTable(
            f"The Hub has no data set {name}{at}, or it is private.", "Look at its spelling."
        ) from error
    except HfHubHTTPError as error:
        raise _unavailable(name, f"it answered with status {error.response.status_code}") from error
    except (HTTPError, TimeoutError, OSError) as error:
        raise _unavailable(name, "it cannot be reached") from error
    except (ValueError, TypeError, KeyError) as error:  # a page of some proxy, for example
        raise _unavailable(name, "its answer cannot be understood") from error


def _unavailable(name: str, why: str) -> HubUnavailable:
    return HubUnavailable(
        f"{name} cannot be had from the Hugging Face Hub now: {why}.", "Try again, or name a file."
    )
