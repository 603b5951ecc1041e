"""What a run stores on disk: its rows, written once, and a journal of answers for each process.

Both are SQLite. A journal is written in small transactions (write-ahead log, ``synchronous=FULL``: a
committed transaction is on the disk), so a process may be killed at any moment. Equal requests share one
answer, stored under their hash; each task refers to its answer.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Self

from attribution.batch.disk import as_batch_errors
from attribution.errors import AttributionError, BusyError, HubUnavailable
from attribution.types import Attribution, Request


class State(IntEnum):
    """The state of a task; a new task is not in the journal.

    ``AGAIN``: failed for a reason that may be temporary.
    """

    DONE = 0
    FAILED = 1
    AGAIN = 2


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A row of the table as it was read, and the error of reading it."""

    place: int
    line: int
    values: Mapping[str, Any]
    error: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """An attribution or an error as it is stored: compressed JSON."""

    state: State
    body: bytes = b""

    @classmethod
    def of(cls, outcome: Attribution | AttributionError) -> Self:
        return cls(state_of(outcome), zlib.compress(json.dumps(outcome.to_dict()).encode(), 1))

    @property
    def attribution(self) -> Attribution | None:
        return None if self.state else Attribution.from_dict(self._content)

    @property
    def error(self) -> Mapping[str, str] | None:
        return self._content if self.state else None

    @property
    def _content(self) -> Any:
        return json.loads(zlib.decompress(self.body))


@dataclass(frozen=True, slots=True)
class Entry:
    """The answer of one task: a row's ``place`` and the number of the ``pair`` of model and method."""

    place: int
    pair: int
    answer: Answer

    @property
    def task(self) -> tuple[int, int]:
        return self.place, self.pair

    @property
    def is_final(self) -> bool:
        """Whether the task is not to be retried."""
        return self.answer.state < State.AGAIN


def key_of(request: Request) -> bytes:
    """The hash of a request; requests with equal hashes have the same answer."""
    return hashlib.sha256(json.dumps(asdict(request), sort_keys=True).encode()).digest()


def state_of(answer: Attribution | AttributionError) -> State:
    """The state of an outcome: ``AGAIN`` for a full queue, a deadline, lack of memory, no Hub, or a bug."""
    if isinstance(answer, Attribution):
        return State.DONE
    is_temporary = isinstance(answer, BusyError | HubUnavailable) or type(answer) is AttributionError
    return State.AGAIN if is_temporary else State.FAILED


class Rows:
    """The table's rows, in a file that is written atomically."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with as_batch_errors(path):
            self._file = sqlite3.connect(
                f"{path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False
            )

    @classmethod
    def write(cls, path: Path, rows: Iterable[StoredRow]) -> tuple[int, str]:
        """Write rows, and return their number and fingerprint.

        Raises ``BatchError`` and what reading the rows raises.
        """
        new = path.with_suffix(".new")
        with as_batch_errors(path):
            new.unlink(missing_ok=True)
            file = sqlite3.connect(new)
            tally = Tally()
            try:
                file.execute("PRAGMA journal_mode=OFF")  # an incomplete file is deleted
                file.execute(
                    "CREATE TABLE rows (place INTEGER PRIMARY KEY, line INTEGER, cells TEXT, error TEXT)"
                )
                file.executemany("INSERT INTO rows VALUES (?, ?, ?, ?)", tally.count_rows(rows))
                file.commit()
                file.close()
                with new.open("rb+") as complete:
                    os.fsync(complete.fileno())
                new.replace(path)
            finally:
                file.close()
                new.unlink(missing_ok=True)
        return tally.count, tally.fingerprint

    def read(self, start: int = 0, stop: int | None = None) -> Iterator[StoredRow]:
        """Yield the rows from place ``start`` to before ``stop``, in order."""
        query = "SELECT place, line, cells, error FROM rows WHERE place >= ? AND place < ? ORDER BY place"
        with as_batch_errors(self.path):
            for place, line, cells, error in self._file.execute(
                query, (start, END if stop is None else stop)
            ):
                yield StoredRow(place, line, json.loads(cells), None if error is None else json.loads(error))

    def count_bad(self) -> int:
        """How many rows could not be read."""
        with as_batch_errors(self.path):
            return int(self._file.execute("SELECT count(*) FROM rows WHERE error IS NOT NULL").fetchone()[0])

    def close(self) -> None:
        self._file.close()


class Tally:
    """Counts and hashes rows while they are iterated over."""

    def __init__(self) -> None:
        self.count, self._hash = 0, hashlib.sha256()

    @property
    def fingerprint(self) -> str:
        return self._hash.hexdigest()

    def count_rows(self, rows: Iterable[StoredRow]) -> Iterator[tuple[int, int, str, str | None]]:
        """Yield the rows as they are written: place, line, cells and error as JSON."""
        for row in rows:
            cells = json.dumps(row.values, default=_plain)
            self.count += 1
            self._hash.update(cells.encode())
            yield row.place, row.line, cells, None if row.error is None else json.dumps(dict(row.error))


class Journal:
    """The answers that one process has computed; any process may read them meanwhile.

    Raises ``BatchError``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with as_batch_errors(path):
            self._file = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
            self._file.execute("PRAGMA journal_mode=WAL")
            self._file.execute("PRAGMA synchronous=FULL")
            self._file.execute(
                "CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, state INTEGER, body BLOB)"
            )
            self._file.execute(
                "CREATE TABLE IF NOT EXISTS tasks "
                "(place INTEGER, pair INTEGER, key BLOB, PRIMARY KEY (place, pair)) WITHOUT ROWID"
            )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Context manager: write everything inside, or nothing."""
        with as_batch_errors(self.path):
            self._file.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._file.execute("COMMIT")
            except BaseException:
                if self._file.in_transaction:
                    self._file.execute("ROLLBACK")
                raise

    def write(self, key: bytes, answer: Answer, tasks: Iterable[tuple[int, int]]) -> None:
        """Write an answer and the tasks that it belongs to: (place, pair)."""
        self._file.execute(
            "INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", (key, answer.state, answer.body)
        )
        self._file.executemany(
            "INSERT OR REPLACE INTO tasks VALUES (?, ?, ?)", ((place, pair, key) for place, pair in tasks)
        )

    def answer(self, key: bytes) -> Answer | None:
        """The final answer under a key, or None."""
        with as_batch_errors(self.path):
            row = self._file.execute(
                "SELECT state, body FROM answers WHERE key = ? AND state < ?", (key, State.AGAIN)
            ).fetchone()
        return None if row is None else Answer(State(row[0]), row[1])

    def entries(self, start: int = 0, stop: int | None = None, *, bodies: bool = True) -> Iterator[Entry]:
        """Yield the tasks of these rows that were tried, in order."""
        query = (
            f"SELECT place, pair, state, {'body' if bodies else 'NULL'} FROM tasks JOIN answers USING (key) "
            "WHERE place >= ? AND place < ? ORDER BY place, pair"
        )
        with as_batch_errors(self.path):
            for place, pair, state, body in self._file.execute(query, (start, END if stop is None else stop)):
                yield Entry(place, pair, Answer(State(state), body or b""))

    def counts(self) -> dict[State, int]:
        """How many tasks are in each state."""
        with as_batch_errors(self.path):
            return {
                State(state): count
                for state, count in self._file.execute(
                    "SELECT state, count(*) FROM tasks JOIN answers USING (key) GROUP BY state"
                )
            }

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


END = 2**62
"""A place behind every row."""


def _plain(value: Any) -> Any:
    """Convert a cell that JSON has no type for: NumPy values to numbers and lists, the rest to text."""
    return (
        value.tolist()
        if hasattr(value, "tolist")
        else value.hex()
        if isinstance(value, bytes)
        else str(value)
    )
