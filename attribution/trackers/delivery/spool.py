"""The queue of items for a tracker: one folder for each run, which outlives the process.

::

    spool.json      tracker, settings, the run's id and name
    items.jsonl     one item a line, in order
    files/          the bytes of tables and artifacts
    sent.json       how far the items were sent, and the last problem
    owner.lock      held by the writing process; sender.lock by the sending one

Only its owner can read the folder, since it contains tracked data. It never contains a password: a tracker's
client reads that from its usual place.
"""

from __future__ import annotations

import json
import math
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from attribution.errors import BadFile
from attribution.trackers import Item, TrackedRun

if TYPE_CHECKING:
    from filelock import BaseFileLock

SCHEMA = "spool/1"
FILE = "spool.json"


def default_folder() -> Path:
    """The queue of runs that name no folder: ``ATTRIBUTION_SPOOL``, or a folder of the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("ATTRIBUTION_SPOOL") or Path(cache) / "attribution" / "trackers")


@dataclass(frozen=True, slots=True)
class Sent:
    """How far the sender got: all items below the number ``lines``, of which ``refused`` were rejected.

    ``bytes`` is the position in the file behind them.
    """

    lines: int = 0
    bytes: int = 0
    refused: int = 0
    problem: str = ""
    over: bool = False


class Spool:
    """The folder of one run.

    ``count`` is the number of the next item to write; ``keyed`` means that the run may be resumed.
    """

    def __init__(
        self, folder: Path, tracker: str, settings: Mapping[str, Any], run: TrackedRun, keyed: bool
    ) -> None:
        self.folder, self.tracker, self.settings, self.run, self.keyed = (
            folder,
            tracker,
            dict(settings),
            run,
            keyed,
        )
        self.items, self.files = folder / "items.jsonl", folder / "files"
        self.count = self.sent.lines
        self._end = 0

    @classmethod
    def create(
        cls, folder: Path, tracker: str, settings: Mapping[str, Any], run: TrackedRun, keyed: bool = False
    ) -> Self:
        """A new spool in an existing folder, or the spool in that folder, to be continued.

        Raises ``OSError``, and ``BadFile`` for the spool of another tracker.
        """
        spool = cls.open(folder) if (folder / FILE).exists() else cls(folder, tracker, settings, run, keyed)
        if spool.tracker != tracker:
            raise BadFile(
                f"{folder} belongs to the tracker {spool.tracker}, not {tracker}.",
                "Please name another folder.",
            )
        spool.begin(settings)
        return spool

    def begin(self, settings: Mapping[str, Any]) -> None:
        """Write the description, and continue behind the queued items, if any."""
        if self.sent.over:
            self.clear()
        self.settings = dict(settings)
        self.files.mkdir(mode=0o700, exist_ok=True)
        self._describe()
        self._continue()

    def _continue(self) -> None:
        """Continue behind the last complete line: a killed process may leave an incomplete one."""
        content = self.items.read_bytes() if self.waits else b""
        self._end = content.rfind(b"\n") + 1
        if self._end:
            self.count = json.loads(content[: self._end].splitlines()[-1])["number"] + 1

    @classmethod
    def open(cls, folder: Path) -> Self:
        """The spool in a folder. Raises ``BadFile``."""
        try:
            data = json.loads((folder / FILE).read_text(encoding="utf-8"))
            if data["schema"] != SCHEMA:
                raise BadFile(f"{folder / FILE} has the schema {str(data['schema'])[:40]!r}, not {SCHEMA!r}.")
            return cls(
                folder,
                str(data["tracker"]),
                dict(data["settings"]),
                TrackedRun(**data["run"]),
                bool(data["keyed"]),
            )
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise BadFile(f"{folder} is not the queue of a tracker ({type(error).__name__}).") from error

    def _describe(self) -> None:
        data = {
            "tracker": self.tracker,
            "settings": self.settings,
            "run": asdict(self.run),
            "keyed": self.keyed,
        }
        _replace(self.folder / FILE, {"schema": SCHEMA, **data})

    def write(self, item: Item, content: bytes | None = None) -> None:
        """Append an item, and write the file that it names, atomically. Raises ``OSError``."""
        if content is not None:
            place = self.files / item.data["file"]
            try:
                place.write_bytes(content)
            except OSError:
                place.unlink(missing_ok=True)
                raise
        line = (
            json.dumps(asdict(item), ensure_ascii=False, allow_nan=False).encode("utf-8", "replace") + b"\n"
        )
        with self.items.open("ab") as file:
            file.truncate(self._end)
            file.seek(self._end)
            file.write(line)
            if item.kind == "finish":
                file.flush()
                os.fsync(file.fileno())
        self._end += len(line)
        self.count += 1

    def bytes(self) -> int:
        """The size of what was not sent."""
        total = self._end - self.sent.bytes
        for file in self.files.iterdir():
            with suppress(FileNotFoundError):  # sent in the meantime
                total += file.stat().st_size
        return total

    def read(self, start: int, limit: int) -> Iterator[tuple[Item, int]]:
        """Up to ``limit`` items from byte ``start`` on, each with the byte behind it; complete lines only."""
        if not self.waits:
            return
        with self.items.open("rb") as file:
            file.seek(start)
            for line in islice(file, limit):
                if not line.endswith(b"\n"):
                    return
                start += len(line)
                yield Item(**json.loads(line)), start

    @property
    def sent(self) -> Sent:
        try:
            return Sent(**json.loads((self.folder / "sent.json").read_text(encoding="utf-8")))
        except (OSError, TypeError, ValueError):
            return Sent()

    @sent.setter
    def sent(self, value: Sent) -> None:
        _replace(self.folder / "sent.json", asdict(value))

    def clear(self) -> None:
        """Delete the items, all of which were sent; keep what is needed to continue the same run."""
        self.items.unlink(missing_ok=True)
        shutil.rmtree(self.files, ignore_errors=True)
        self.sent = replace(self.sent, bytes=0, problem="", over=False)

    def tidy(self) -> None:
        """Delete the folder where everything was sent and the run cannot be resumed."""
        if not self.keyed and not self.waits:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def waits(self) -> bool:
        """Whether anything is left to send."""
        return self.items.exists()


def take_lock(folder: Path, name: str) -> BaseFileLock | None:
    """Take the lock of the ``owner`` or the ``sender`` of a spool; None where another process holds it.

    The lock is released with its process, however that ends.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / f"{name}.lock", timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        return None
    return lock


def _replace(path: Path, data: Mapping[str, Any]) -> None:
    """Write JSON atomically."""
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        temporary.write_text(json.dumps(data), encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def plain_number(value: object) -> float | str | None:
    """A figure in strict JSON types: NaN and infinity as text, None for what is not a number."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else str(number)


def plain_name(name: object, limit: int = 100) -> str:
    """A name that is safe for a file and a figure: ASCII letters, digits and ``_ - .``, never a path."""
    plain = re.sub(r"[^\w.-]+", "_", str(name), flags=re.ASCII)[:limit].strip("._")
    return plain or "unnamed"
