"""What it costs to compute in several threads, and what one thread that computes for all saves.

    python -m benchmarks.teams [--rounds 3]

Each way in processes of its own, in turn: the same integrated gradients of 16 sentences, 16 points each,
with the bundled classifier. ``main`` asks and computes in the main thread; ``threads`` asks from four
threads of a pool, each of which computes in its turn after the main thread has computed once (as a server
did that has no worker); ``worker`` asks from four threads while a fifth computes for all; ``many`` is
``attribute_many``. Medians of rounds, and how many times as long as ``main``."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from benchmarks.machine import describe

WAYS = ("main", "threads", "worker", "many")
TEXTS = [
    f"The plot of part {k} is thin, but the acting is truly wonderful and the music is warm and clever."
    for k in range(16)
]
OPTIONS = {"rule": "gausslegendre", "steps": 16}


def once(way: str) -> float:
    """Seconds for all texts, after one round that warms up."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from attribution.engine import Engine
    from attribution.models.scoring.worker import WORKER

    def ask(text: str) -> None:
        engine.attribute(text, method="integrated_gradients", options=OPTIONS)

    def round_(mark: str) -> float:
        texts = [f"{mark} {text}" for text in TEXTS]  # nothing comes from the cache
        started = time.perf_counter()
        if way == "many":
            list(engine.attribute_many(texts, method="integrated_gradients", options=OPTIONS))
        elif way == "main":
            for text in texts:
                ask(text)
        else:
            list(pool.map(ask, texts))
        return time.perf_counter() - started

    engine, pool = Engine(), ThreadPoolExecutor(4)
    if way == "worker":
        threading.Thread(target=WORKER.serve, args=(lambda: False,), daemon=True).start()
    elif way == "threads":
        ask("A first text.")
    round_("First:")
    return round_("Then:")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--way", choices=WAYS, help="one way, once: what the command starts itself")
    options = parser.parse_args()
    if options.way:
        print(once(options.way))
        return
    print(describe())
    seconds_of: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(options.rounds):
        for way in WAYS:
            command = [sys.executable, "-m", "benchmarks.teams", "--way", way]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            seconds_of[way].append(float(done.stdout.splitlines()[-1]))
    for way, seconds in seconds_of.items():
        ratios = [a / b for a, b in zip(seconds, seconds_of["main"], strict=True)]
        print(
            f"{way:8} {statistics.median(seconds):6.2f} s   "
            f"{min(ratios):.2f} {statistics.median(ratios):.2f} {max(ratios):.2f} × main"
        )


if __name__ == "__main__":
    main()
