"""Visitors' runs over tables: a few compute at a time; each stays on disk for hours, by a secret name."""

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
"""The limits of the page's document; the files contain everything."""
OWN_MACHINE = "Take a part of it, or run it on your own machine: python -m attribution batch."


@dataclass
class VisitorRun:
    """One visitor's run.

    Attributes
    ----------
    recorded : whether it is recorded with the server's tracker.
    recording : whether that is under way.
    version : grows with each change.
    last_seen : when a visitor last looked at it, by the monotonic clock.
    archived_version : the version in the files.
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
    last_seen: float = field(default_factory=time.monotonic)
    cancelled: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    archive_lock: threading.Lock = field(default_factory=threading.Lock)
    archived_version: int = -1

    @property
    def over(self) -> bool:
        """Whether nothing more is computed."""
        return self.state not in ("waiting", "running")

    @property
    def settled(self) -> bool:
        """Whether nothing more will change: it is over, and recorded."""
        return self.over and not self.recording

    def set_state(self, state: Stage, message: str = "") -> None:
        with self.lock:
            self.state, self.message, self.version = state, message, self.version + 1

    def add(self, progress: Progress) -> None:
        with self.lock:
            for result in progress.newest:
                self.collector.add(result)
            self.progress, self.version = replace(progress, newest=()), self.version + 1

    def end_recording(self, message: str) -> None:
        """Store how the recording ended."""
        with self.lock:
            self.message, self.recording, self.version = message, False, self.version + 1

    def describe_progress(self) -> dict[str, Any]:
        """The progress, and the links to the files of a run that is over, for the page."""
        progress = self.progress
        links = [[name, f"./api/batch/{self.name}/{name}"] for name in file_names()]
        return {
            "done": progress.done,
            "failed": progress.failed,
            "total": self.plan.total,
            "rate": progress.rate,
            "seconds_left": progress.seconds_left,
            "state": self.state,
            "message": self.message,
            "files": links if self.over and progress.done else [],
        }

    def document(self) -> dict[str, Any]:
        """The results so far, for the page; links lead to the page of one text.

        As a JSON string: Gradio would walk through any other value of a stream to send the differences only.
        """
        with self.lock:
            parts = {**self.collector.document(), "base": "./", "progress": self.describe_progress()}
            return {"json": json.dumps(parts)}


def file_names() -> tuple[str, ...]:
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
    """All runs of a server. ``begin`` and ``resume`` return at once; runs compute in threads, in turn."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.settings = engine, engine.settings
        self._folder = tempfile.TemporaryDirectory(prefix="attribution-runs-", ignore_cleanup_errors=True)
        self._runs: dict[str, VisitorRun] = {}
        self._lock = threading.Lock()
        self.turns = threading.BoundedSemaphore(self.settings.runs_at_once)

    def begin(self, table: Table, plan: Plan, visitor: str = "", *, recorded: bool = False) -> VisitorRun:
        """Start a new run, ``recorded`` with the server's tracker if it has one.

        Raises ``BadTable``, ``BatchError``, ``TooManyRequests`` or ``QueueFull`` if the server refuses it.
        """
        name = secrets.token_urlsafe(16)
        folder = Path(self._folder.name) / name
        self._check(visitor)
        try:
            with Run.create(folder, limit_size(table, self.settings), plan) as run:
                check_size(run.plan, self.settings)
                collector = Collector(run.plan, bounds=ON_PAGE)
                entry = VisitorRun(
                    name, visitor, folder, run.plan, collector, recorded, progress=run.progress()
                )
            with self._lock:
                self._check(visitor)
                self._runs[name] = entry
        except AttributionError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self._start(entry)
        return entry

    def find(self, name: str) -> VisitorRun:
        """The run of that name. Raises ``UnknownRun``."""
        self._sweep()
        entry = self._runs.get(name)
        if entry is None:
            raise UnknownRun(
                "There is no run of that name here.",
                "It may have expired, or the server was restarted.",
            )
        entry.last_seen = time.monotonic()
        return entry

    def cancel(self, name: str) -> None:
        """Stop a run; its results are preserved. Raises ``UnknownRun``."""
        self.find(name).cancelled.set()

    def resume(self, name: str, visitor: str = "") -> VisitorRun:
        """Resume a stopped run; one that is under way or finished is returned unchanged.

        Raises ``UnknownRun``, and the errors of ``begin``.
        """
        entry = self.find(name)
        with self._lock:
            if not entry.settled or (entry.progress.finished and not entry.progress.failed):
                return entry
            self._check(visitor)
            entry.cancelled.clear()
            entry.set_state("waiting")
        self._start(entry)
        return entry

    def file(self, name: str, file_name: str) -> Path:
        """One of the run's files, written again if there are new results.

        Raises ``UnknownRun`` and ``BatchError``.
        """
        entry = self.find(name)
        if file_name not in file_names():
            raise UnknownRun("A run has no such file.", f"There are: {', '.join(file_names())}.")
        with entry.archive_lock:
            if entry.archived_version != (version := entry.version):
                with Run.open(entry.folder) as run:
                    files.archive(run)
                entry.archived_version = version
        if not (entry.folder / file_name).exists():
            raise UnknownRun(f"This server does not write {file_name}.", "results.jsonl has the same.")
        return entry.folder / file_name

    def close(self) -> None:
        """Stop and forget everything."""
        for entry in self._runs.values():
            entry.cancelled.set()
        self._folder.cleanup()

    def _check(self, visitor: str) -> None:
        active = [entry for entry in self._runs.values() if not entry.over]
        if sum(entry.visitor == visitor for entry in active) >= self.settings.runs_of_one:
            raise TooManyRequests(
                f"{self.settings.runs_of_one} runs of yours are under way.", "Wait for one, or stop it."
            )
        if len(active) >= self.settings.runs_waiting:
            raise QueueFull(f"{len(active)} runs are waiting already.", "Please try again later.")
        self._sweep()
        taken = sum(path.stat().st_size for path in Path(self._folder.name).rglob("*") if path.is_file())
        if taken > self.settings.run_bytes:
            raise BatchError("The server has no room for more runs at present.", "Please try again later.")

    def _sweep(self) -> None:
        """Delete the runs that nobody looked at for long, and the oldest ones beyond the limit."""
        now = time.monotonic()
        idle = sorted(
            (entry for entry in list(self._runs.values()) if entry.over), key=lambda entry: entry.last_seen
        )
        excess = max(0, len(self._runs) - self.settings.runs_kept)
        for number, entry in enumerate(idle):
            if number < excess or now - entry.last_seen > self.settings.run_hours * 3600:
                self._runs.pop(entry.name, None)
                shutil.rmtree(entry.folder, ignore_errors=True)

    def _start(self, entry: VisitorRun) -> None:
        threading.Thread(
            target=self._compute, args=(entry,), name=f"run-{entry.name[:6]}", daemon=True
        ).start()

    def _compute(self, entry: VisitorRun) -> None:
        while not self.turns.acquire(timeout=0.2):
            if entry.cancelled.is_set():
                return entry.set_state("stopped")
        try:
            entry.set_state("running")
            with Run.open(entry.folder) as run, self._record(entry, run) as session:
                self._restore(entry, run)
                for progress in run.steps(self.engine, cancelled=entry.cancelled.is_set):
                    entry.add(progress)
                    if session is not None:
                        log_progress(session, progress)
                entry.set_state("finished" if entry.progress.finished else "stopped")
        except AttributionError as error:
            entry.set_state("broken", str(error))
        except Exception:
            entry.set_state("broken", str(bug()))
        finally:
            self.turns.release()

    @contextmanager
    def _record(self, entry: VisitorRun, run: Run) -> Iterator[Session | None]:
        """Context manager: the tracker's session, which a resumed run continues; None if nothing is recorded.

        It never delays the page's answer.
        """
        recorder = recorder_of(self.settings) if entry.recorded else None
        if recorder is None:
            yield None
            return
        entry.recording = True
        session, message = recorder.session(Path(entry.plan.table).name, entry.name), recorder.failure
        try:
            if session is None:
                yield None
                return
            with session:
                log_plan(session, run.plan)
                yield session
                with suppress(AttributionError):
                    self.file(entry.name, files.REPORT)
                log_run(session, run)
                message = recorder.finish(session, "finished" if entry.progress.finished else "killed")
        finally:
            entry.end_recording(message)

    def _restore(self, entry: VisitorRun, run: Run) -> None:
        """Begin the page's document with the results in the journal, without those that will be retried."""
        collector = Collector(entry.plan, bounds=ON_PAGE)
        for result in run.results():
            if result.error is None or state_of(error_class(result.error["error"])("")) is State.FAILED:
                collector.add(result)
        with entry.lock:
            entry.collector = collector


@cache
def runs_of(engine: Engine) -> Runs:
    """The runs of an engine's server, shared by the page that begins them and the routes for their files."""
    return Runs(engine)


def limit_size(table: Table, settings: Settings) -> Table:
    """The table, which raises ``BadTable`` after the maximum number of rows of a visitor's run."""
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
    """Raise ``BadTable`` for an empty run, ``BatchError`` for one beyond the limits of a visitor's run."""
    if not plan.count:
        raise BadTable(
            f"{plan.table} has no rows.", "Below the names of the columns there is a row for each text."
        )
    for noun, names, limit in (
        ("models", plan.models, settings.compared_models),
        ("methods", plan.methods, settings.compared_methods),
    ):
        if len(names) > limit:
            raise BatchError(f"{len(names)} {noun} are named.", f"A run of this server has 1 to {limit}.")
    if plan.total > settings.run_attributions:
        raise BatchError(
            f"{plan.count:,} rows by {len(plan.pairs)} methods and models are {plan.total:,} attributions; "
            f"this server computes at most {settings.run_attributions:,} in a run.",
            OWN_MACHINE,
        )
