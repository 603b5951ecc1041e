"""Batch runs that are killed at random moments, again and again: ``python -m benchmarks.kills [--runs 50]``.

Each process begins or resumes the same run and is killed (SIGKILL) after a random time, while the folder is
made, while rows are computed or while they are written. After some kills one process may end. Then the
answers are compared with those of a run that nobody disturbed:

- lost: tasks without an answer, or with another one;
- repeated: tasks that were told as kept, and were told again by a later process;
- in flight: texts that were asked for once more than needed, since a process was killed before it had
  written the answer."""

from __future__ import annotations

import argparse
import os
import random
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from attribution.batch import Run, make_plan
from attribution.engine import Engine
from attribution.errors import BatchError
from attribution.models.function import Function
from attribution.tables import open_table

METHODS = ("occlusion", "random")
NAME = "slow"
ROWS = [{"text": f"row {i} of a table {i % 7}", "label": i % 2} for i in range(60)]
"""Some of them are equal, and one has no text."""
ROWS[11] = ROWS[10]
ROWS[40] = {"text": None, "label": 0}  # type: ignore[dict-item]
WHOLE = {row["text"] for row in ROWS}


@dataclass
class Survived:
    """What became of a run."""

    kills: int = 0
    lost: int = 0
    repeated: int = 0
    in_flight: int = 0
    ordered: bool = True

    @property
    def clean(self) -> bool:
        return self.lost == 0 and self.repeated == 0 and self.ordered


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--kills", type=int, default=6, help="of one run")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    outcomes = [survive(options.kills, options.seed + i) for i in range(options.runs)]
    total = {
        name: sum(getattr(outcome, name) for outcome in outcomes)
        for name in ("kills", "lost", "repeated", "in_flight")
    }
    full = disk_full()
    print(f"{options.runs} runs of {len(ROWS) * len(METHODS)} tasks: "
          f"{total['kills']} kills, {total['lost']} lost, "
          f"{total['repeated']} repeated, {total['in_flight']} texts asked for again; "
          f"{'all in order' if all(outcome.ordered for outcome in outcomes) else 'NOT in order'}; "
          f"disk full: {'refused, then resumed' if full else 'FAILED'}")  # fmt: skip
    return 0 if full and all(outcome.clean for outcome in outcomes) else 1


def survive(kills: int, seed: int) -> Survived:
    """One run, killed so many times unless it is quicker."""
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        seconds = _timed(place / "whole", place / "told")
        needed = (place / "told.asked").stat().st_size
        for log in place.glob("told*"):
            log.unlink()
        outcome = Survived()
        while outcome.kills < kills:
            # Sooner or later than a whole run divided by the kills: most die on the way.
            if not _child(place / "run", place / "told", draw.uniform(0, 2 * seconds / kills)):
                break
            outcome.kills += 1
        _child(place / "run", place / "told", None)
        outcome.in_flight = (place / "told.asked").stat().st_size - needed
        _judge(outcome, place)
    return outcome


def _timed(folder: Path, log: Path) -> float:
    started = time.monotonic()
    _child(folder, log, None)
    return time.monotonic() - started


def _child(folder: Path, log: Path, seconds: float | None) -> bool:
    """Begin or resume the run in a process of its own; whether it had to be killed."""
    if (pid := os.fork()) == 0:
        code = 1
        try:
            _compute(folder, log)
            code = 0
        finally:
            os._exit(code)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if seconds is None and status != 0:
        raise RuntimeError(f"a process ended with status {status}")
    return os.WIFSIGNALED(status)


def _compute(folder: Path, log: Path, limit: int = 0) -> None:
    """All steps; what is computed and what is told goes to a log that outlives the process."""
    answers_file, requests_file = (
        os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT) for path in (log, log.with_suffix(".asked"))
    )

    def answers(texts: Sequence[str]) -> list[list[float]]:
        os.write(requests_file, b"." * sum(text in WHOLE for text in texts))
        time.sleep(0.001)
        return [[len(text) / 100, 1 - len(text) / 100] for text in texts]

    function = Function(answers, ("long", "short"), name=NAME)
    table = open_table(ROWS)
    run = Run.create(folder, table, make_plan("rows", table.pick_columns(), [NAME], METHODS))
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    for progress in run.steps(Engine(), models={NAME: function}):
        for result in progress.newest:
            os.write(answers_file, f"{result.place} {result.method}\n".encode())


def _judge(outcome: Survived, place: Path) -> None:
    with Run.open(place / "run") as run, Run.open(place / "whole") as undisturbed:
        mine = {
            (r.place, r.method): r.attribution.scores.tolist() if r.attribution else r.error
            for r in run.results()
        }
        right = {
            (r.place, r.method): r.attribution.scores.tolist() if r.attribution else r.error
            for r in undisturbed.results()
        }
        outcome.lost = (
            sum(mine.get(task) != answer for task, answer in right.items())
            + len(ROWS) * len(METHODS)
            - len(right)
        )
        outcome.ordered = list(mine) == list(right)
    reported = Counter((place / "told").read_text().splitlines())
    outcome.repeated = sum(count - 1 for count in reported.values())


def disk_full() -> bool:
    """Whether a run that may write no more says so, keeps what it has, and goes on when there is room."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        if (pid := os.fork()) == 0:
            code = 1
            try:
                _compute(place / "run", place / "told", limit=60_000)
            except BatchError as error:
                code = 3 if "full" in error.message and "resume" in error.hint else 4
            finally:
                os._exit(code)
        _, status = os.waitpid(pid, 0)
        with Run.open(place / "run") as run:
            before = run.progress()
        _child(place / "run", place / "told", None)
        with Run.open(place / "run") as run:
            after = run.progress()
    return os.waitstatus_to_exitcode(status) == 3 and 0 < before.done < after.done and after.finished


if __name__ == "__main__":
    sys.exit(main())
