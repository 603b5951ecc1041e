"""Atomic writes for the files of a run, and disk errors in plain words."""

from __future__ import annotations

import os
import secrets
import socket
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from attribution.errors import BatchError

_REASONS: Sequence[tuple[str, str, str]] = (
    ("full", "the disk is full", "Make room"),
    ("disk i/o error", "the disk is full or cannot be written", "Make room"),
    ("locked", "another process is writing to it", "Wait until that process has ended"),
    ("readonly", "it is read-only", "Check the folder's permissions"),
    ("unable to open", "it cannot be opened", "Check the folder and its permissions"),
)


@contextmanager
def as_batch_errors(path: Path) -> Iterator[None]:
    """Context manager: raise errors of SQLite and the disk as ``BatchError``."""
    try:
        yield
    except sqlite3.Error as error:
        description = str(error).lower()
        reason, advice = next(
            (words for word, *words in _REASONS if word in description), (str(error), "Check the file")
        )
        raise BatchError(
            f"{path.name}: {reason}.", f"{advice}, then resume: everything stored so far is intact."
        ) from error
    except OSError as error:
        raise BatchError(
            f"{path.name}: {error.strerror or error}.",
            "Solve this, then resume: everything stored so far is intact.",
        ) from error


@contextmanager
def open_atomic(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file that replaces ``path`` when it is complete and on the disk.

    Temporary files of killed processes are deleted first.
    """
    with as_batch_errors(path):
        for leftover in _find_leftovers(path):
            leftover.unlink(missing_ok=True)
        temporary = path.with_name(f"{_prefix(path)}{os.getpid()}-{secrets.token_hex(8)}.tmp")
        try:
            with temporary.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def _prefix(path: Path) -> str:
    """The prefix of the names of temporary files written on this machine."""
    return f".{path.name}-{zlib.crc32(socket.gethostname().encode()):08x}-"


def _find_leftovers(path: Path) -> Iterator[Path]:
    """Find temporary files of processes that have ended; those of other machines are left alone."""
    prefix = _prefix(path)
    for file in path.parent.iterdir() if path.parent.is_dir() else ():
        number = file.name.removeprefix(prefix).split("-")[0]
        ours = file.name.startswith(prefix) and file.suffix == ".tmp" and number.isdecimal()
        if ours and not _is_running(int(number)):
            yield file


def _is_running(process: int) -> bool:
    """Whether the process is running; True where that cannot be determined."""
    if os.name != "posix":  # elsewhere the signal would end the process
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def write_file(path: Path, content: bytes) -> None:
    """Write a file atomically. Raises ``BatchError``."""
    with open_atomic(path) as file:
        file.write(content)
