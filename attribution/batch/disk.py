"""What a run writes: files that are there whole or not at all, and what the disk says in words."""

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
    ("disk i/o error", "the disk is full or does not take more", "Make room"),
    ("locked", "another process is writing it", "Wait until that one has ended"),
    ("readonly", "it may not be written", "Look at the folder's permissions"),
    ("unable to open", "it cannot be opened", "Look at the folder and its permissions"),
)


@contextmanager
def as_batch_errors(path: Path) -> Iterator[None]:
    """What SQLite and the disk say, as ``BatchError``."""
    try:
        yield
    except sqlite3.Error as error:
        said = str(error).lower()
        reason, advice = next(
            (words for word, *words in _REASONS if word in said), (str(error), "Look at the file")
        )
        raise BatchError(
            f"{path.name}: {reason}.", f"{advice}, and resume: all that was kept is still there."
        ) from error
    except OSError as error:
        raise BatchError(
            f"{path.name}: {error.strerror or error}.",
            "Mend it, and resume: all that was kept is still there.",
        ) from error


@contextmanager
def open_atomic(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes its name when it is complete, and on the disk.

    What a killed process left of such a file is taken away first.
    """
    with as_batch_errors(path):
        for leftover in _leftovers(path):
            leftover.unlink(missing_ok=True)
        temporary = path.with_name(f"{_beginning(path)}{os.getpid()}-{secrets.token_hex(8)}.tmp")
        try:
            with temporary.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def _beginning(path: Path) -> str:
    """How the names of unfinished files begin that this machine's processes write."""
    return f".{path.name}-{zlib.crc32(socket.gethostname().encode()):08x}-"


def _leftovers(path: Path) -> Iterator[Path]:
    """Unfinished files whose process is no longer there; those of other machines are left alone."""
    beginning = _beginning(path)
    for file in path.parent.iterdir() if path.parent.is_dir() else ():
        number = file.name.removeprefix(beginning).split("-")[0]
        ours = file.name.startswith(beginning) and file.suffix == ".tmp" and number.isdecimal()
        if ours and not _lives(int(number)):
            yield file


def _lives(process: int) -> bool:
    """Whether there is such a process, as far as can be told."""
    if os.name != "posix":  # elsewhere asking by a signal would end it
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def write_file(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all. Raises ``BatchError``."""
    with open_atomic(path) as file:
        file.write(content)
