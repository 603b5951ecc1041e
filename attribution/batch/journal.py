"""What a run keeps on disk: its rows, written once, and a journal of answers for each process.

Both are SQLite. A journal is written in small transactions (write-ahead log, ``synchronous=FULL``: a
transaction that is over is on the disk), so a process may be killed at any moment. Equal requests have one
answer under their hash, and each row says which answer is its own.
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
    """What has become of a task; a task that is new is not in the journal.

    ``AGAIN``: failed for a reason that may pass.
    """

    DONE = 0
    FAILED = 1
    AGAIN = 2


@dataclass(frozen=True, slots=True)
class Stored:
    """A row of the table as it was read, and the error of reading it."""

    place: int
    line: int
    values: Mapping[str, Any]
    error: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """An attribution or an error as it is kept: compressed JSON."""

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
    """What became of one task: a row's ``place`` and the number of the ``pair`` of model and method."""

    place: int
    pair: int
    answer: Answer

    @property
    def task(self) -> tuple[int, int]:
        return self.place, self.pair

    @property
    def settled(self) -> bool:
        """Whether it is not to be tried again."""
        return self.answer.state < State.AGAIN


def key_of(request: Request) -> bytes:
    """The request's hash: requests with equal ones have the same answer."""
    return hashlib.sha256(json.dumps(asdict(request), sort_keys=True).encode()).digest()


def state_of(answer: Attribution | AttributionError) -> State:
    """Whether a later try may succeed: a full queue, a deadline, missing memory, an absent Hub, a bug."""
    if isinstance(answer, Attribution):
        return State.DONE
    passes = isinstance(answer, BusyError | HubUnavailable) or type(answer) is AttributionError
    return State.AGAIN if passes else State.FAILED


class Rows:
    """The table's rows in a file of their own, which is there whole or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with as_batch_errors(path):
            self._file = sqlite3.connect(
                f"{path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False
            )

    @classmethod
    def write(cls, path: Path, rows: Iterable[Stored]) -> tuple[int, str]:
        """Write them; how many there are and their fingerprint.

        Raises ``BatchError`` and what reading the rows raises.
        """
        new = path.with_suffix(".new")
        with as_batch_errors(path):
            new.unlink(missing_ok=True)
            file = sqlite3.connect(new)
            tally = Tally()
            try:
                file.execute("PRAGMA journal_mode=OFF")  # a file that breaks off is thrown away
                file.execute(
                    "CREATE TABLE rows (place INTEGER PRIMARY KEY, line INTEGER, cells TEXT, error TEXT)"
                )
                file.executemany("INSERT INTO rows VALUES (?, ?, ?, ?)", tally.over(rows))
                file.commit()
                file.close()
                with new.open("rb+") as complete:
                    os.fsync(complete.fileno())
                new.replace(path)
            finally:
                file.close()
                new.unlink(missing_ok=True)
        return tally.count, tally.fingerprint

    def between(self, start: int = 0, stop: int | None = None) -> Iterator[Stored]:
        """The rows at these places, in order."""
        wanted = "SELECT place, line, cells, error FROM rows WHERE place >= ? AND place < ? ORDER BY place"
        with as_batch_errors(self.path):
            for place, line, cells, error in self._file.execute(
                wanted, (start, MOST if stop is None else stop)
            ):
                yield Stored(place, line, json.loads(cells), None if error is None else json.loads(error))

    def bad(self) -> int:
        """How many rows could not be read."""
        with as_batch_errors(self.path):
            return int(self._file.execute("SELECT count(*) FROM rows WHERE error IS NOT NULL").fetchone()[0])

    def close(self) -> None:
        self._file.close()


class Tally:
    """Counts rows and hashes them as they go by."""

    def __init__(self) -> None:
        self.count, self._hash = 0, hashlib.sha256()

    @property
    def fingerprint(self) -> str:
        return self._hash.hexdigest()

    def over(self, rows: Iterable[Stored]) -> Iterator[tuple[int, int, str, str | None]]:
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
        """What is written inside is on the disk afterwards, or none of it is."""
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
        """Write an answer, and that it is the one of these tasks: (place, pair)."""
        self._file.execute(
            "INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", (key, answer.state, answer.body)
        )
        self._file.executemany(
            "INSERT OR REPLACE INTO tasks VALUES (?, ?, ?)", ((place, pair, key) for place, pair in tasks)
        )

    def answer(self, key: bytes) -> Answer | None:
        """The answer under the key, if there is one that will not change."""
        with as_batch_errors(self.path):
            row = self._file.execute(
                "SELECT state, body FROM answers WHERE key = ? AND state < ?", (key, State.AGAIN)
            ).fetchone()
        return None if row is None else Answer(State(row[0]), row[1])

    def entries(self, start: int = 0, stop: int | None = None, *, bodies: bool = True) -> Iterator[Entry]:
        """What became of the tasks of these rows, in order."""
        wanted = (
            f"SELECT place, pair, state, {'body' if bodies else 'NULL'} FROM tasks JOIN answers USING (key) "
            "WHERE place >= ? AND place < ? ORDER BY place, pair"
        )
        with as_batch_errors(self.path):
            for place, pair, state, body in self._file.execute(
                wanted, (start, MOST if stop is None else stop)
            ):
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


MOST = 2**62
"""After every row."""


def _plain(value: Any) -> Any:
    """A cell that JSON has no type for: numpy's numbers as numbers, arrays as lists, all else as text."""
    return (
        value.tolist()
        if hasattr(value, "tolist")
        else value.hex()
        if isinstance(value, bytes)
        else str(value)
    )
