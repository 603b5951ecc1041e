from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from components.live import VISITORS, Latest
from tests.loop import run


def test_only_the_newest_of_those_that_wait_runs() -> None:
    ran: list[int] = []

    def slow(number: int) -> Callable[[Callable[[], bool]], int]:
        def work(overtaken: Callable[[], bool]) -> int:
            ran.append(number)
            time.sleep(0.1)
            return number

        return work

    async def story() -> list[int | None]:
        latest = Latest()
        jobs = []
        for number in range(1, 6):
            jobs.append(asyncio.create_task(latest.run("a", number, slow(number))))
            await asyncio.sleep(0.01)
        return await asyncio.gather(*jobs)

    assert run(story()) == [1, None, None, None, 5]
    assert ran == [1, 5]


def test_a_slow_computation_makes_way_after_a_while() -> None:
    def endless(overtaken: Callable[[], bool]) -> str:
        until = time.monotonic() + 20
        while time.monotonic() < until:
            if overtaken():
                return "made way"
            time.sleep(0.005)
        return "went on"

    async def story() -> tuple[str | None, str | None]:
        latest = Latest(patience=0.05)
        first = asyncio.create_task(latest.run("a", 1, endless))
        await asyncio.sleep(0.02)
        second = asyncio.create_task(latest.run("a", 2, lambda _: "newest"))
        return await first, await second

    assert run(story()) == ("made way", "newest")


def test_a_late_arrival_of_an_older_request_is_dropped_and_visitors_do_not_meet() -> None:
    async def story() -> list[str | None]:
        latest = Latest()
        newest = await latest.run("a", 9, lambda _: "nine")
        older = await latest.run("a", 3, lambda _: "three")
        other = await latest.run("b", 3, lambda _: "three of b")
        return [newest, older, other]

    assert run(story()) == ["nine", None, "three of b"]


def test_the_memory_of_visitors_is_bounded() -> None:
    async def story() -> int:
        latest = Latest()
        for number in range(VISITORS + 50):
            await latest.run(str(number), 1, lambda _: None)
        return len(latest._visitors)

    assert run(story()) == VISITORS
