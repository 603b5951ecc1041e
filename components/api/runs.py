"""Runs over tables that visitors begin: a few compute at a time, and each stays on disk for a while, under a name that nobody guesses."""

import json
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from attribution.batch import Plan, Progress, Run, files
from attribution.batch.journal import State, state_of
from attribution.batch.report import Bounds, Collector
from attribution.engine import Engine
from attribution.errors import (
    AttributionError,
    BadTable,
    BatchError,
    QueueFull,
    TooManyRequests,
    UnknownRun,
    error_class,
)
from attribution.settings import Settings
from attribution.tables import Row, Table
from attribution.trackers import log_plan, log_progress, log_run
from attribution.trackers.delivery.session import Session

from ..bugs import bug
from ..controls.recording import recorder_of

Stage = Literal["waiting", "running", "stopped", "finished", "broken"]
ON_PAGE = Bounds(rows=200, picture_bytes=200_000)
"""What the page draws of a run; the files have all of it."""
OWN_MACHINE = "Take a part of it, or run it on your own machine: python -m attribution batch."


@dataclass
class Held:
    """One visitor's run. ``version`` grows with each change; ``seen`` is when somebody last looked at it.

    ``recorded``: with the server's tracker; ``recording``: that is under way.
    """

    name: str
    visitor: str
    folder: Path
    plan: Plan
    collector: Collector
    recorded: bool = False
    recording: bool = False
    state: Stage = "waiting"
    progress: Progress = field(default_factory=lambda: Progress(0, 0, 0))
    message: str = ""
    version: int = 0
    seen: float = field(default_factory=time.monotonic)
    cancelled: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    writing: threading.Lock = field(default_factory=threading.Lock)
    written: int = -1

    @property
    def over(self) -> bool:
        """Whether it computes nothing more."""
        return self.state not in ("waiting", "running")

    @property
    def told(self) -> bool:
        """Whether there is nothing more to say of it either."""
        return self.over and not self.recording

    def become(self, state: Stage, message: str = "") -> None:
        with self.lock:
            self.state, self.message, self.version = state, message, self.version + 1

    def take(self, progress: Progress) -> None:
        with self.lock:
            for result in progress.newest:
                self.collector.add(result)
            self.progress, self.version = replace(progress, newest=()), self.version + 1

    def say(self, message: str) -> None:
        """How the recording ended."""
        with self.lock:
            self.message, self.recording, self.version = message, False, self.version + 1

    def standing(self) -> dict[str, Any]:
        """How far it is, as the page draws it."""
        one = self.progress
        return {
            "done": one.done,
            "failed": one.failed,
            "total": self.plan.total,
            "rate": one.rate,
            "seconds_left": one.seconds_left,
            "state": self.state,
            "message": self.message,
            "files": [[name, f"./api/batch/{self.name}/{name}"] for name in offered()]
            if self.over and one.done
            else [],
        }

    def document(self) -> dict[str, Any]:
        """What there is to see so far; links lead to the page of one text.

        As a text of JSON: Gradio goes through any other value of a stream once more, to send what has changed, while the rows grow.
        """
        with self.lock:
            return {
                "json": json.dumps({**self.collector.document(), "base": "./", "progress": self.standing()})
            }


def offered() -> tuple[str, ...]:
    """The names of a run's files."""
    return (
        files.ARCHIVE,
        files.RESULTS,
        files.PARQUET,
        files.SUMMARY,
        files.REPORT,
        files.WRONG,
        files.WORDS,
    )


class Runs:
    """All runs of a server. ``begin`` and ``resume`` return at once; a thread of the run's own computes when it is its turn."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.settings = engine, engine.settings
        self._place = tempfile.TemporaryDirectory(prefix="attribution-runs-", ignore_cleanup_errors=True)
        self._held: dict[str, Held] = {}
        self._lock = threading.Lock()
        self.turns = threading.BoundedSemaphore(self.settings.runs_at_once)

    def begin(self, table: Table, plan: Plan, visitor: str = "", *, recorded: bool = False) -> Held:
        """A new run, ``recorded`` with the server's tracker if it has one.

        Raises ``BadTable``, ``BatchError``, ``TooManyRequests`` or ``QueueFull`` where the server does not take it.
        """
        name = secrets.token_urlsafe(16)
        folder = Path(self._place.name) / name
        self._check(visitor)
        try:
            with Run.create(folder, limited(table, self.settings), plan) as run:
                check_size(run.plan, self.settings)
                collector = Collector(run.plan, bounds=ON_PAGE)
                held = Held(name, visitor, folder, run.plan, collector, recorded, progress=run.progress())
            with self._lock:
                self._check(visitor)
                self._held[name] = held
        except AttributionError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self._start(held)
        return held

    def find(self, name: str) -> Held:
        """The run of that name. Raises ``UnknownRun``."""
        self._sweep()
        held = self._held.get(name)
        if held is None:
            raise UnknownRun(
                "There is no run of that name here.",
                "It may be too long ago, or the server has been started again.",
            )
        held.seen = time.monotonic()
        return held

    def cancel(self, name: str) -> None:
        """Stop a run; what is answered is kept. Raises ``UnknownRun``."""
        self.find(name).cancelled.set()

    def resume(self, name: str, visitor: str = "") -> Held:
        """Go on with a run that was stopped; one that is under way, or finished, as it is. Raises as ``begin``, and ``UnknownRun``."""
        held = self.find(name)
        with self._lock:
            if not held.told or (held.progress.finished and not held.progress.failed):
                return held
            self._check(visitor)
            held.cancelled.clear()
            held.become("waiting")
        self._start(held)
        return held

    def file(self, name: str, wanted: str) -> Path:
        """One of the run's files, written anew if there are more answers by now. Raises ``UnknownRun`` and ``BatchError``."""
        held = self.find(name)
        if wanted not in offered():
            raise UnknownRun("A run has no such file.", f"There are: {', '.join(offered())}.")
        with held.writing:
            if held.written != (version := held.version):
                with Run.open(held.folder) as run:
                    files.archive(run)
                held.written = version
        if not (held.folder / wanted).exists():
            raise UnknownRun(f"This server does not write {wanted}.", "results.jsonl has the same.")
        return held.folder / wanted

    def close(self) -> None:
        """Stop and forget everything."""
        for held in self._held.values():
            held.cancelled.set()
        self._place.cleanup()

    def _check(self, visitor: str) -> None:
        active = [held for held in self._held.values() if not held.over]
        if sum(held.visitor == visitor for held in active) >= self.settings.runs_of_one:
            raise TooManyRequests(
                f"{self.settings.runs_of_one} runs of yours are under way.", "Wait for one, or stop it."
            )
        if len(active) >= self.settings.runs_waiting:
            raise QueueFull(f"{len(active)} runs are waiting already.", "Please try again later.")
        self._sweep()
        taken = sum(path.stat().st_size for path in Path(self._place.name).rglob("*") if path.is_file())
        if taken > self.settings.run_bytes:
            raise BatchError("The server has no room for more runs at present.", "Please try again later.")

    def _sweep(self) -> None:
        """Delete the runs that nobody looked at for long, and those that are too many."""
        now = time.monotonic()
        idle = sorted((held for held in list(self._held.values()) if held.over), key=lambda held: held.seen)
        many = max(0, len(self._held) - self.settings.runs_kept)
        for number, held in enumerate(idle):
            if number < many or now - held.seen > self.settings.run_hours * 3600:
                self._held.pop(held.name, None)
                shutil.rmtree(held.folder, ignore_errors=True)

    def _start(self, held: Held) -> None:
        threading.Thread(target=self._compute, args=(held,), name=f"run-{held.name[:6]}", daemon=True).start()

    def _compute(self, held: Held) -> None:
        while not self.turns.acquire(timeout=0.2):
            if held.cancelled.is_set():
                return held.become("stopped")
        try:
            held.become("running")
            with Run.open(held.folder) as run, self._recording(held, run) as session:
                self._again(held, run)
                for progress in run.steps(self.engine, cancelled=held.cancelled.is_set):
                    held.take(progress)
                    if session is not None:
                        log_progress(session, progress)
                held.become("finished" if held.progress.finished else "stopped")
        except AttributionError as error:
            held.become("broken", str(error))
        except Exception:
            held.become("broken", str(bug()))
        finally:
            self.turns.release()

    @contextmanager
    def _recording(self, held: Held, run: Run) -> Iterator[Session | None]:
        """The tracker's session, whose run goes on when the run does; None where nothing is recorded. It never holds up the page's answer."""
        recorder = recorder_of(self.settings) if held.recorded else None
        if recorder is None:
            yield None
            return
        held.recording = True
        session, message = recorder.session(Path(held.plan.table).name, held.name), recorder.lost
        try:
            if session is None:
                yield None
                return
            with session:
                log_plan(session, run.plan)
                yield session
                with suppress(AttributionError):
                    self.file(held.name, files.REPORT)
                log_run(session, run)
                message = recorder.ended(session, "finished" if held.progress.finished else "killed")
        finally:
            held.say(message)

    def _again(self, held: Held, run: Run) -> None:
        """Begin the page's document with what is there, but for the errors that may pass: their rows are tried again."""
        collector = Collector(held.plan, bounds=ON_PAGE)
        for result in run.results():
            if result.error is None or state_of(error_class(result.error["error"])("")) is State.FAILED:
                collector.add(result)
        with held.lock:
            held.collector = collector


@cache
def runs_of(engine: Engine) -> Runs:
    """The runs of an engine's server: the page that begins them and the routes that give their files share them."""
    return Runs(engine)


def limited(table: Table, settings: Settings) -> Table:
    """The table, which stops with ``BadTable`` after as many rows as a visitor's run may have."""
    if len(table.columns) > settings.run_columns:
        raise BadTable(
            f"{table.name} has {len(table.columns):,} columns; at most {settings.run_columns} are taken.",
            OWN_MACHINE,
        )

    def rows() -> Iterator[Row]:
        for row in table:
            if row.place >= settings.run_rows:
                raise BadTable(f"{table.name} has more than {settings.run_rows:,} rows.", OWN_MACHINE)
            yield row

    return Table(table.name, table.columns, rows, table.count)


def check_size(plan: Plan, settings: Settings) -> None:
    """Raises ``BadTable`` for an empty run, and ``BatchError`` for one that asks for more than a visitor's may."""
    if not plan.count:
        raise BadTable(
            f"{plan.table} has no rows.", "Below the names of the columns there is a row for each text."
        )
    for what, names, most in (
        ("models", plan.models, settings.compared_models),
        ("methods", plan.methods, settings.compared_methods),
    ):
        if len(names) > most:
            raise BatchError(f"{len(names)} {what} are named.", f"A run of this server has 1 to {most}.")
    if plan.total > settings.run_attributions:
        raise BatchError(
            f"{plan.count:,} rows by {len(plan.pairs)} methods and models are {plan.total:,} attributions; "
            f"this server computes at most {settings.run_attributions:,} in a run.",
            OWN_MACHINE,
        )
