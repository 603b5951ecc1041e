from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Callable, Generator
from typing import Any

import pytest

from components.live.answers import STALE, merge_values
from components.live.latest import THREADS, VISITORS, Latest, Snapshot, Superseded
from tests.loop import run

LONG = 20.0
"""Seconds after which a test gives up; nothing here takes that long unless it is broken."""


class Source:
    """A computation whose every answer waits for a sign of the test. It tells what became of it."""

    def __init__(self, *answers: Any, free: bool = False) -> None:
        self.answers, self.free = answers, free
        self.sign = threading.Semaphore(len(answers) if free else 0)
        self.yielded: list[Any] = []
        self.started, self.closed, self.finished = threading.Event(), threading.Event(), False

    def __call__(self, superseded: Superseded) -> Generator[Any, None, None]:
        self.started.set()
        try:
            for answer in self.answers:
                while not self.sign.acquire(timeout=0.005):
                    if superseded():
                        return
                if isinstance(answer, Exception):
                    raise answer
                self.yielded.append(answer)
                yield answer
            self.finished = True
        finally:
            self.closed.set()

    def go(self, count: int = 1) -> None:
        self.sign.release(count)


async def until(condition: Callable[[], Any]) -> None:
    for _ in range(int(LONG / 0.005)):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("It did not come to that.")


def free(*answers: Any) -> Source:
    return Source(*answers, free=True)


def test_the_first_answer_comes_at_once_and_the_next_when_it_is_there() -> None:
    async def story() -> None:
        latest, source = Latest(), Source("rough", "better", "best")
        first = asyncio.create_task(latest.first("a", 1, source))
        source.go()
        assert await first == Snapshot(1, "rough")
        second = asyncio.create_task(latest.after("a", 1, 1))
        await asyncio.sleep(0.02)
        assert not second.done(), "it waits"
        source.go()
        assert await second == Snapshot(2, "better")
        source.go()
        assert await latest.after("a", 1, 2) == Snapshot(3, "best")
        assert await latest.after("a", 1, 3) is None
        assert source.finished

    run(story())


def test_computing_does_not_wait_for_the_page_which_gets_only_the_newest() -> None:
    async def story() -> None:
        latest, source = Latest(), Source(*range(1, 9))
        first = asyncio.create_task(latest.first("a", 1, source))
        source.go()
        assert await first == Snapshot(1, 1)
        source.go(7)
        await until(lambda: source.finished)
        await until(source.closed.is_set)
        assert await latest.after("a", 1, 1) == Snapshot(8, 8)
        assert await latest.after("a", 1, 8) is None

    run(story())


def test_what_a_newer_answer_leaves_as_it_was_is_not_lost() -> None:
    async def story() -> None:
        latest = Latest(merge=merge_values)
        source = Source(({"a": 1}, {"b": 1}), ({"a": 2}, {"b": 2}), (STALE, {"b": 3}))
        first = asyncio.create_task(latest.first("a", 1, source))
        source.go()
        assert await first == Snapshot(1, ({"a": 1}, {"b": 1}))
        source.go(2)
        await until(source.closed.is_set)
        assert await latest.after("a", 1, 1) == Snapshot(3, ({"a": 2}, {"b": 3}))

    run(story())


def test_only_the_newest_of_those_that_wait_runs() -> None:
    async def story() -> None:
        latest, sources = Latest(patience=LONG), [Source(number) for number in range(1, 6)]
        jobs = []
        for number, source in enumerate(sources, 1):
            jobs.append(asyncio.create_task(latest.first("a", number, source)))
            await until(sources[0].started.is_set)
        for source in sources:
            source.go()
        # The first ran already, and the picture follows it.
        assert await asyncio.gather(*jobs) == [Snapshot(1, 1), None, None, None, Snapshot(1, 5)]
        assert [source.started.is_set() for source in sources] == [True, False, False, False, True]

    run(story())


def test_who_is_overtaken_before_a_turn_hears_it_at_once() -> None:
    """A browser has six connections: requests that wait here would keep the newest from arriving."""

    async def story() -> None:
        latest, busy = Latest(patience=10 * LONG), Source("first")
        first = asyncio.create_task(latest.first("a", 1, busy))
        await until(busy.started.is_set)
        waiting = []
        for number in range(2, 20):
            waiting.append(asyncio.create_task(latest.first("a", number, free(number))))
            await asyncio.sleep(0)
        assert await asyncio.wait_for(asyncio.gather(*waiting[:-1]), LONG) == [None] * 17
        assert not first.done() and not waiting[-1].done()
        busy.go()
        assert await asyncio.gather(first, waiting[-1]) == [Snapshot(1, "first"), Snapshot(1, 19)]

    run(story())


def test_who_gave_a_first_answer_makes_way_at_once() -> None:
    async def story() -> None:
        latest, old = Latest(patience=10 * LONG), Source("rough", "never")
        first = asyncio.create_task(latest.first("a", 1, old))
        old.go()
        assert await first == Snapshot(1, "rough")
        waiting = asyncio.create_task(latest.after("a", 1, 1))
        await asyncio.sleep(0)
        assert await asyncio.wait_for(latest.first("a", 2, free("new")), LONG) == Snapshot(1, "new")
        assert await waiting is None
        assert old.closed.is_set() and old.yielded == ["rough"]
        assert await latest.after("a", 1, 1) is None

    run(story())


def test_who_gave_none_makes_way_after_a_while() -> None:
    async def story() -> None:
        latest, old = Latest(patience=0.05), Source("never")
        first = asyncio.create_task(latest.first("a", 1, old))
        await until(old.started.is_set)
        assert await asyncio.wait_for(latest.first("a", 2, free("new")), LONG) == Snapshot(1, "new")
        assert await first is None
        assert old.closed.is_set()

    run(story())


def test_an_overtaken_job_stops_after_its_first_answer_which_is_still_drawn() -> None:
    async def story() -> None:
        latest, old = Latest(patience=LONG), Source("rough", "never", "never")
        first = asyncio.create_task(latest.first("a", 1, old))
        await until(old.started.is_set)
        second = asyncio.create_task(latest.first("a", 2, free("new")))
        await asyncio.sleep(0.02)
        old.go(3)
        assert await asyncio.wait_for(asyncio.gather(first, second), LONG) == [
            Snapshot(1, "rough"),
            Snapshot(1, "new"),
        ]
        assert old.yielded == ["rough"] and old.closed.is_set()

    run(story())


def test_an_abandoned_generator_is_closed() -> None:
    async def story() -> None:
        latest, source = Latest(), Source("rough", "never")
        first = asyncio.create_task(latest.first("a", 1, source))
        source.go()
        await first
        latest.forget("a")
        await until(source.closed.is_set)
        assert not source.finished
        assert await latest.after("a", 1, 1) is None

    run(story())


def test_the_end_of_the_server_ends_its_jobs() -> None:
    source = Source("never")

    async def story() -> None:
        asyncio.get_running_loop().create_task(Latest(patience=10 * LONG).first("a", 1, source))
        await until(source.started.is_set)

    run(story())
    assert source.closed.wait(LONG)


@pytest.mark.parametrize("is_waiting", [True, False])
def test_an_error_after_a_preview_arrives(is_waiting: bool) -> None:
    async def story() -> None:
        latest, source = Latest(), Source("rough", ValueError("broken"))
        first = asyncio.create_task(latest.first("a", 1, source))
        source.go()
        assert await first == Snapshot(1, "rough")
        if is_waiting:
            second = asyncio.create_task(latest.after("a", 1, 1))
            await asyncio.sleep(0)
            source.go()
        else:
            source.go()
            await until(source.closed.is_set)
            second = asyncio.create_task(latest.after("a", 1, 1))
        with pytest.raises(ValueError, match="broken"):
            await asyncio.wait_for(second, LONG)

    run(story())


def test_an_error_before_any_answer_arrives_and_the_next_request_is_answered() -> None:
    async def story() -> None:
        latest = Latest()
        with pytest.raises(ValueError, match="broken"):
            await latest.first("a", 1, free(ValueError("broken")))
        assert await latest.first("a", 2, free("fine")) == Snapshot(1, "fine")

    run(story())


def test_an_error_does_not_take_the_place_of_the_answer_before_it() -> None:
    async def story() -> None:
        latest, source = Latest(), Source("rough", "better", ValueError("broken"))
        first = asyncio.create_task(latest.first("a", 1, source))
        source.go()
        await first
        source.go(2)
        await until(source.closed.is_set)
        assert await latest.after("a", 1, 1) == Snapshot(2, "better")
        with pytest.raises(ValueError, match="broken"):
            await latest.after("a", 1, 2)

    run(story())


def test_nothing_comes_of_no_answers() -> None:
    async def story() -> None:
        assert await Latest().first("a", 1, free()) is None

    run(story())


def test_a_late_arrival_of_an_older_request_is_dropped_and_visitors_do_not_meet() -> None:
    async def story() -> None:
        latest = Latest()
        assert await latest.first("a", 9, free("nine")) == Snapshot(1, "nine")
        assert await latest.first("a", 3, free("three")) is None
        assert await latest.first("b", 3, free("three of b", "more of b")) is not None
        assert await latest.after("a", 3, 0) is None
        assert await latest.after("nobody", 3, 0) is None

    run(story())


def test_two_visitors_compute_side_by_side() -> None:
    async def story() -> None:
        latest, ours, theirs = Latest(), Source("ours", "ours too"), Source("theirs", "theirs too")
        jobs = [
            asyncio.create_task(latest.first(name, 1, source))
            for name, source in (("a", ours), ("b", theirs))
        ]
        await until(lambda: ours.started.is_set() and theirs.started.is_set())
        theirs.go(2)
        assert (await jobs[1]) in (Snapshot(1, "theirs"), Snapshot(2, "theirs too"))
        ours.go()
        assert await jobs[0] == Snapshot(1, "ours")
        assert await latest.first("b", 2, free("theirs again")) == Snapshot(1, "theirs again")
        ours.go()
        assert await latest.after("a", 1, 1) == Snapshot(2, "ours too")

    run(story())


class Large:
    """An answer that can be watched."""


def test_a_visitor_holds_one_answer_and_none_once_it_is_taken() -> None:
    alive: weakref.WeakSet[Large] = weakref.WeakSet()
    enough = threading.Event()
    most = 0

    def work(superseded: Superseded) -> Generator[Large, None, None]:
        nonlocal most
        for number in range(50):
            if number == 1:
                enough.wait(LONG)
            made = Large()
            alive.add(made)
            yield made
            del made
            most = max(most, len(alive))

    async def story() -> None:
        latest = Latest()
        first = await latest.first("a", 1, work)
        assert first is not None
        del first
        enough.set()
        await until(lambda: latest._visitors["a"].job and latest._visitors["a"].job.ended)
        gc.collect()
        assert len(alive) == 1, "the newest, which nobody took yet"
        assert await latest.after("a", 1, 1) is not None
        gc.collect()
        assert len(alive) == 0
        assert not latest._tasks

    run(story())
    # The newest, the one that takes its place, and the one before it that the loop of the job still names.
    assert most <= 3


def test_the_memory_of_visitors_is_bounded_and_those_who_are_forgotten_stop() -> None:
    async def story() -> None:
        latest, source = Latest(), Source("rough", "never")
        first = asyncio.create_task(latest.first("first", 1, source))
        source.go()
        await first
        for number in range(VISITORS + 5):
            await latest.first(str(number), 1, free(number))
        assert len(latest._visitors) == VISITORS
        await until(source.closed.is_set)

    run(story())


def test_threads_are_bounded_and_everybody_is_answered() -> None:
    running, most, lock = 0, 0, threading.Lock()

    def work(superseded: Superseded) -> Generator[str, None, None]:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        yield "done"
        with lock:
            running -= 1

    async def story() -> list[Any]:
        latest = Latest()
        return await asyncio.gather(*(latest.first(str(number), 1, work) for number in range(3 * THREADS)))

    assert run(story()) == [Snapshot(1, "done")] * 3 * THREADS
    assert most <= THREADS
