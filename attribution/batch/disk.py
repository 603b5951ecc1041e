"""What a run writes: files that are there whole or not at all, and what the disk says in words."""

from __future__ import annotations

import os
import secrets
import sqlite3
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
def told(path: Path) -> Iterator[None]:
    """What SQLite and the disk say, as ``BatchError``."""
    try:
        yield
    except sqlite3.Error as error:
        said = str(error).lower()
        reason, advice = next((found for word, *found in _REASONS if word in said), (str(error), "Look at the file"))
        raise BatchError(f"{path.name}: {reason}.", f"{advice}, and resume: all that was kept is still there.") from error
    except OSError as error:
        raise BatchError(
            f"{path.name}: {error.strerror or error}.", "Mend it, and resume: all that was kept is still there."
        ) from error


@contextmanager
def appearing(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes its name when it is complete, and on the disk."""
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    with told(path):
        try:
            with temporary.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def written(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all. Raises ``BatchError``."""
    with appearing(path) as file:
        file.write(content)
