"""Every request gets exactly one answer, in whatever order things are asked, cancelled, computed or fail."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from attribution import errors
from attribution.models.deadline import Deadline
from attribution.models.scoring import batches, worker
from attribution.models.scoring.queue import Queue
from attribution.models.scoring.tickets import Call, Job, Turn
from attribution.models.scoring.worker import Worker
from tests.waiting import eventually

BUDGET = 12


class Lengths:
    """A model's f without a model: as a ``Scorable`` it says which jobs fit together."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.adapter = SimpleNamespace(budget=BUDGET, pads=True)

    def arguments(self, embeddings: torch.Tensor, places: Any = None) -> dict[str, Any]:
        return {"inputs_embeds": embeddings, "kind": self.kind}


MODEL: Any = torch.nn.Identity()


def job(kind: str = "a", rows: int = 1, width: int = 2) -> Job:
    f: Any = Lengths(kind)
    return Job(f, MODEL, torch.zeros(rows, width, 1))


@dataclass(eq=False)
class Asker:
    """A thread that asks: what it is doing, and the answers that it got."""

    ticket: Job | Turn
    answers: list[str]
    gone: bool = False


class QueueMachine(RuleBasedStateMachine):
    """The steps of ``Worker`` in any order. Each rule is what one thread does while it holds the lock."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = Queue()
        self.askers: list[Asker] = []
        self.leader: Asker | None = None
        self.batch: list[Job] | None = None

    def waiting(self) -> list[Asker]:
        return [asker for asker in self.askers if not asker.answers and asker is not self.leader]

    def gathers(self) -> bool:
        """Whether somebody has begun with a job and not taken its batch yet."""
        return self.leader is not None and isinstance(self.leader.ticket, Job) and self.batch is None

    @rule(kind=st.sampled_from("ab"), rows=st.integers(1, 4), width=st.integers(1, 4), alone=st.booleans())
    def submit(self, kind: str, rows: int, width: int, alone: bool) -> None:
        asker = Asker(Turn() if alone else job(kind, rows, width), [])
        self.askers.append(asker)
        self.queue.submit(asker.ticket)

    @precondition(lambda self: self.waiting())
    @rule(data=st.data())
    def cancel_or_pass_the_deadline(self, data: st.DataObject) -> None:
        asker = data.draw(st.sampled_from(self.waiting()))
        self.queue.withdraw(asker.ticket)
        asker.answers.append("gave up")
        asker.gone = True

    @precondition(lambda self: self.queue.next is not None)
    @rule()
    def begin(self) -> None:
        ticket = self.queue.next
        [self.leader] = [asker for asker in self.askers if asker.ticket is ticket]
        assert self.queue.take_first() is ticket
        assert self.queue.next is None, "nobody else begins meanwhile"
        self.batch = None

    @precondition(lambda self: self.gathers())
    @rule()
    def gather(self) -> None:
        assert self.leader is not None and isinstance(self.leader.ticket, Job)
        self.queue.is_full(self.leader.ticket)  # looks, and takes nothing

    @precondition(lambda self: self.gathers())
    @rule()
    def take_batch(self) -> None:
        assert self.leader is not None and isinstance(self.leader.ticket, Job)
        self.batch = self.queue.take_batch(self.leader.ticket)
        assert self.batch[0] is self.leader.ticket and len(set(map(id, self.batch))) == len(self.batch)
        gone = [asker.ticket for asker in self.askers if asker.gone]
        assert not any(taken in gone for taken in self.batch), "a batch names nobody who gave up before"
        assert len({taken.key for taken in self.batch}) == 1
        rows, width = sum(len(taken.points) for taken in self.batch), max(t.width for t in self.batch)
        assert len(self.batch) == 1 or rows * width <= BUDGET

    @precondition(lambda self: self.leader is not None and not self.gathers())
    @rule(fails=st.booleans())
    def compute(self, fails: bool) -> None:
        assert self.leader is not None
        for ticket in self.batch or [self.leader.ticket]:
            ticket.finish(ValueError("failed") if fails else None)
            [asker] = [asker for asker in self.askers if asker.ticket is ticket]
            if not asker.gone:  # who gave up while it was computed has its answer already
                asker.answers.append("failed" if fails else "computed")
        self.queue.release()
        self.leader = self.batch = None

    @invariant()
    def nobody_has_two_answers(self) -> None:
        assert all(len(asker.answers) <= 1 for asker in self.askers)

    @invariant()
    def who_has_no_answer_waits_or_is_computed(self) -> None:
        taken = [self.leader.ticket, *(self.batch or [])] if self.leader else []
        for asker in self.askers:
            if not asker.answers:
                assert (asker.ticket in list(self.queue)) != (asker.ticket in taken)

    def teardown(self) -> None:
        """Nobody cancels any more: all who wait are answered, in a bounded number of steps."""
        if self.leader is not None:
            if self.batch is None and isinstance(self.leader.ticket, Job):
                self.take_batch()
            self.compute(fails=False)
        for _ in range(len(self.queue)):
            if self.queue.next is not None:
                self.begin()
                if self.leader is not None and isinstance(self.leader.ticket, Job):
                    self.take_batch()
                self.compute(fails=False)
        assert all(len(asker.answers) == 1 for asker in self.askers) and not len(self.queue)


TestQueue = QueueMachine.TestCase
TestQueue.settings = settings(max_examples=80, stateful_step_count=25, deadline=None)


class Scene:
    """A worker whose batches cost nothing, and threads that ask it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.worker = Worker()
        self.computed: list[list[Job]] = []
        self.answers: dict[str, BaseException | str] = {}
        self.threads: list[threading.Thread] = []
        monkeypatch.setattr(batches, "compute", self._compute)
        monkeypatch.setattr(worker, "TICK", 0.001)

    def _compute(self, jobs: list[Job]) -> None:
        self.computed.append(list(jobs))
        for each in jobs:
            each.finish()

    def ask(self, name: str, cancelled: threading.Event | None = None) -> None:
        deadline = Deadline(20, cancelled.is_set if cancelled else lambda: False)

        def run() -> None:
            try:
                self.worker.run(job(), deadline)
                self.answers[name] = "computed"
            except BaseException as error:
                self.answers[name] = error

        self.threads.append(threading.Thread(target=run))
        self.threads[-1].start()

    def join(self) -> None:
        for thread in self.threads:
            thread.join(20)
        assert not any(thread.is_alive() for thread in self.threads)


def test_who_gives_up_while_a_batch_gathers_is_not_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between looking for others and taking them the lock is free: there one is cancelled and leaves."""
    scene, gone, looked = Scene(monkeypatch), threading.Event(), []

    def another_comes() -> bool:
        looked.append(scene.worker.waiting)
        gone.set()
        left = scene.worker._changed.wait_for(lambda: scene.worker.waiting == 1, 20)
        assert left, "who was cancelled takes itself out"
        return False

    monkeypatch.setattr(scene.worker, "_another_comes", another_comes)
    monkeypatch.setattr(scene.worker, "_requests", 9)
    with scene.worker.exclusive(Deadline()):
        for count, (name, cancelled) in enumerate(
            [("first", None), ("cancelled", gone), ("innocent", None)], 1
        ):
            scene.ask(name, cancelled)
            eventually(lambda count=count: scene.worker.waiting == count)  # type: ignore[misc]
    scene.join()
    assert looked[0] == 2
    assert isinstance(scene.answers.pop("cancelled"), errors.Cancelled)
    assert scene.answers == {"first": "computed", "innocent": "computed"}
    assert [len(batch) for batch in scene.computed] == [2]


def test_a_batch_that_cannot_be_gathered_leaves_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes wrong between taking a request and computing it is the answer of that request."""
    scene, raised = Scene(monkeypatch), []

    def fail() -> bool:
        raise KeyError("no batch")

    monkeypatch.setattr(scene.worker, "_another_comes", fail)
    monkeypatch.setattr(scene.worker, "_requests", 9)

    def serve() -> None:
        try:
            scene.worker.serve(lambda: False)
        except KeyError as error:
            raised.append(error)

    server = threading.Thread(target=serve)
    server.start()
    eventually(lambda: scene.worker.is_served)
    scene.ask("first")
    server.join(20)
    scene.join()
    assert raised == [scene.answers["first"]]
    assert scene.worker.waiting == 0 and not scene.worker.is_served


def test_a_ticket_is_done_once() -> None:
    call = Call(lambda: 7)
    call.run()
    call.finish(ValueError("later"))
    assert call.result == 7 and call.error is None and call.is_done
