"""How much memory a call takes, in a process of its own."""

from __future__ import annotations

import multiprocessing
import resource
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

import numpy as np
import psutil

from benchmarks.measure import Call, threads, timed


@dataclass(frozen=True)
class Grown:
    """By how many bytes the peak resident set grew in a call, its seconds and its result; or its error."""

    peak: int = 0
    seconds: float = float("nan")
    scores: np.ndarray | None = None
    error: str = ""

    @property
    def mebibytes(self) -> float:
        return self.peak / 2**20


def grown(prepare: Callable[..., Call], *arguments: object, count: int, limit: int = 0) -> Grown:
    """Measure the call that ``prepare(*given)`` returns, but not ``prepare``, with ``count`` threads.

    ``limit`` is how many bytes of address space the call may take, 0 for any number. The process is forked
    from one that has loaded the libraries and computed nothing.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.subjects"])
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        try:
            return pool.submit(_measured, prepare, arguments, count, limit).result()
        except BrokenProcessPool:
            return Grown(error="the process was killed")


def _measured(prepare: Callable[..., Call], arguments: tuple[object, ...], count: int, limit: int) -> Grown:
    with threads(count):
        call = prepare(*arguments)
        before = _largest()
        if limit:
            most = int(psutil.Process().memory_info().vms) + limit
            resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
        try:
            seconds, result = timed(call)
        except (MemoryError, RuntimeError) as error:
            # oneDNN says of missing memory that it could not create a primitive.
            if isinstance(error, RuntimeError) and not any(
                word in str(error) for word in ("alloc", "primitive")
            ):
                raise
            return Grown(error="could not allocate more")
    return Grown(_largest() - before, seconds, result.scores)


def _largest() -> int:
    """The largest resident set so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def available() -> int:
    """Bytes of memory that are free."""
    return int(psutil.virtual_memory().available)
