"""Batch runs with their journal against one text after another: ``python -m benchmarks.batch``.

Sentences of 3 to 52 words of the passage (19 on average, as in SST-2). ``one by one`` calls ``attribute``
for each sentence; ``run`` is the whole run with an answer on the disk for each row; ``2 processes`` is the
same by torchrun, each with half of the cores, without the time that processes take to begin. ``--memory``
measures the largest resident set of whole runs and their files, of a small model and ``random``."""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from attribution.batch import Run, files, make_plan
from attribution.batch.processes import Group
from attribution.engine import default_engine
from attribution.tables import open_table
from benchmarks.machine import describe
from benchmarks.measure import Call, Outcome
from benchmarks.memory import grown
from benchmarks.subjects import PASSAGE, subject

MEAN, LEAST, MOST = 19, 3, 52
"""Words of a sentence."""


def sentences(count: int, seed: int = 0) -> list[str]:
    """Different sentences, as long as those of SST-2 are."""
    draw, words = random.Random(seed), PASSAGE.split()
    sentences_ = []
    for _ in range(count):
        length = min(MOST, max(LEAST, round(draw.gammavariate(4.0, MEAN / 4))))
        start = draw.randrange(len(words))
        sentences_.append(" ".join((words * 2)[start : start + length]))
    return list(dict.fromkeys(sentences_))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[128, 1000])
    parser.add_argument("--model", default="minilm", help="minilm or bert-base")
    parser.add_argument("--method", nargs="+", default=["saliency", "integrated_gradients"])
    parser.add_argument(
        "--small", action="store_true", help="a small model, for a look at the command itself"
    )
    parser.add_argument(
        "--memory", type=int, nargs="*", help="measure memory at so many rows instead (1000 100000)"
    )
    parser.add_argument("--worker", metavar="FOLDER", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        _worker(options)
        return
    print(describe())
    if options.memory is not None:
        for count in options.memory or [1000, 100_000]:
            _memory(count)
        return
    for method in options.method:
        for count in options.rows:
            _compare(options, method, count)


def _compare(options: argparse.Namespace, method: str, count: int) -> None:
    texts = sentences(count)
    chosen = subject(options.model, options.small)
    engine = default_engine()
    engine.attribute(texts[0], chosen.adapter, method)
    started = time.perf_counter()
    for text in texts:
        engine.attribute(text, chosen.adapter, method)
    alone = len(texts) / (time.perf_counter() - started)
    with tempfile.TemporaryDirectory() as folder:
        run = _begun(Path(folder), texts, chosen.name, method)
        first, seconds = _timed(run, {chosen.name: chosen.adapter})
        run.close()
    together = len(texts) / seconds
    with tempfile.TemporaryDirectory() as folder:
        _begun(Path(folder), texts, chosen.name, method).close()
        two = len(texts) / _processes(Path(folder), options)
    print(
        f"{options.model}, {method}, {len(texts)} sentences: one by one {alone:.1f} rows/s; "
        f"run {together:.1f} rows/s ({together / alone:.2f}×, first results after {first:.2f} s); "
        f"2 processes {two:.1f} rows/s ({two / alone:.2f}×)",
        flush=True,
    )


def _begun(folder: Path, texts: list[str], model: str, method: str) -> Run:
    table = open_table(texts)
    return Run.create(folder, table, make_plan("sentences", table.pick_columns(), [model], [method]))


def _timed(run: Run, models: dict[str, Any], part: tuple[int, int] = (0, 1)) -> tuple[float, float]:
    """Seconds until the first results are kept, and until all are."""
    started, first = time.perf_counter(), 0.0
    for progress in run.steps(default_engine(), models=models, part=part):
        first = first or (time.perf_counter() - started if progress.newest else 0.0)
    return first, time.perf_counter() - started


def _processes(folder: Path, options: argparse.Namespace) -> float:
    """Seconds that the slower of two processes takes for its share, once both have their model."""
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "benchmarks.batch",
    ]
    command += ["--worker", str(folder), "--model", options.model, *(["--small"] if options.small else [])]
    cores = max(1, (os.cpu_count() or 2) // 2)
    subprocess.run(
        command, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": str(cores)}
    )
    return max(json.loads(path.read_text()) for path in folder.glob("seconds-*.json"))


def _worker(options: argparse.Namespace) -> None:
    group = Group.of()
    chosen = subject(options.model, options.small)
    with Run.open(options.worker) as run:
        default_engine().attribute("once", chosen.adapter, run.plan.methods[0])
        group.meet()
        _, seconds = _timed(run, {chosen.name: chosen.adapter}, (group.number, group.count))
    (Path(options.worker) / f"seconds-{group.number}.json").write_text(json.dumps(seconds))
    group.leave()


def _memory(count: int) -> None:
    growth = grown(_run_all, count, count=1)
    print(f"{count} rows, random: the largest resident set grew by {growth.mebibytes:.0f} MiB, "
          f"{count / growth.seconds:.0f} rows/s with all files {growth.error}", flush=True)  # fmt: skip


def _run_all(count: int) -> Call:
    """A run over so many generated rows, and its files."""
    chosen = subject("minilm", small=True)
    words = PASSAGE.split()
    rows = ({"text": " ".join(words[i % 50 : i % 50 + MEAN]) + f" {i}", "label": i % 2} for i in range(count))

    def call() -> Outcome:
        with tempfile.TemporaryDirectory() as folder:
            table = open_table(rows)
            with Run.create(
                folder, table, make_plan("rows", table.pick_columns(), [chosen.name], ["random"])
            ) as run:
                _timed(run, {chosen.name: chosen.adapter})
                assert run.progress().done == count
                files.archive(run)
        return Outcome(np.zeros(1))

    default_engine().attribute("once", chosen.adapter, "random")
    return call


if __name__ == "__main__":
    main()
