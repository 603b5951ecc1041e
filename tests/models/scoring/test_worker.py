"""Batches over requests, memory, leaving out what is not read: always the same numbers."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch

from attribution import Attribution, errors, load
from attribution.engine import Engine
from attribution.models.adapter import Adapter
from attribution.models.deadline import Deadline
from attribution.models.features import features_of
from attribution.models.objective import Objective
from attribution.models.readers import make_objective
from attribution.models.scoring.worker import WORKER
from attribution.models.sources import devices
from attribution.request import Target
from tests.families import FAMILIES

TEXTS = [
    "the film was good",
    "bad",
    "the plot is thin but the film was not bad at all",
    "so awful",
    "it was good , the plot was good !",
]
CLASSIFIERS = [
    "bert",
    "roberta",
    "distilbert",
    "electra",
    "deberta-v2",
    "xlm-roberta",
    "mpnet",
    "albert",
    "modernbert",
]
OTHERS = [
    "gpt2-classifier",
    "bert-nli",
    "bert-tokens",
    "bert-question",
    "bert-similarity",
    "gpt2",
    "llama",
    "bloom",
    "t5",
    "bart",
]


def adapter(family: str) -> Adapter:
    return Adapter(*FAMILIES[family].build())


class Calls:
    """Counts what a module computes."""

    def __init__(self, module: torch.nn.Module) -> None:
        self.shapes: list[tuple[int, ...]] = []
        module.register_forward_pre_hook(self._see, with_kwargs=True)

    def _see(self, _module: Any, args: tuple[Any, ...], more: dict[str, Any]) -> None:
        given = more.get("inputs_embeds", args[0] if args else None)
        self.shapes.append(tuple(given.shape))


def held_up(requests: list[Callable[[], Attribution]]) -> list[Attribution]:
    """The answers of requests that all wait before the first one computes."""
    with ThreadPoolExecutor(len(requests)) as pool:
        with WORKER.exclusive(Deadline()):
            waiting = [pool.submit(request) for request in requests]
            until = time.monotonic() + 20
            while WORKER.waiting < len(requests) and time.monotonic() < until:
                time.sleep(0.005)
        return [one.result(60) for one in waiting]


@contextmanager
def serving() -> Iterator[int]:
    """A thread that computes for all others; its number."""
    stopped = threading.Event()
    thread = threading.Thread(target=WORKER.serve, args=(stopped.is_set,))
    thread.start()
    until = time.monotonic() + 20
    while not WORKER.is_served and time.monotonic() < until:
        time.sleep(0.001)
    assert thread.ident
    try:
        yield thread.ident
    finally:
        stopped.set()
        WORKER.wake()
        thread.join(20)
    assert not thread.is_alive()


def whose(model: torch.nn.Module) -> set[int]:
    """The threads in which a module computes from now on."""
    seen: set[int] = set()
    model.register_forward_pre_hook(lambda *_: seen.add(threading.get_ident()))
    return seen


@pytest.mark.parametrize("family", ["bert", "gpt2", "t5"])
def test_one_thread_computes_for_all_while_it_serves(family: str) -> None:
    model, engine = adapter(family), Engine()
    model.check_embeddings()
    seen = whose(model.model)
    before = engine.attribute(TEXTS[0], model, "saliency", max_new_tokens=2)
    assert seen == {threading.get_ident()}
    seen.clear()
    with serving() as server:
        found = engine.attribute(TEXTS[0], model, "saliency", max_new_tokens=2)
        with ThreadPoolExecutor(4) as pool:
            list(
                pool.map(lambda text: engine.attribute(text, model, "occlusion", max_new_tokens=2), TEXTS[:4])
            )
        assert seen == {server}
    seen.clear()
    np.testing.assert_allclose(found.scores, before.scores, rtol=1e-5, atol=1e-7)
    engine.attribute(TEXTS[1], model, "saliency", max_new_tokens=2)
    assert seen == {threading.get_ident()}, "nobody serves any more"


def test_who_waits_for_many_answers_computes_them() -> None:
    model, engine = adapter("gpt2"), Engine()
    list(engine.attribute_many(TEXTS[:1], model, "saliency", max_new_tokens=1))
    seen = whose(model.model)
    list(engine.attribute_many(TEXTS * 4, model, "saliency", max_new_tokens=1))
    assert threading.get_ident() in seen


def test_where_somebody_serves_already_another_only_waits() -> None:
    model, engine = adapter("gpt2"), Engine()
    list(
        engine.attribute_many(TEXTS[:2], model, "saliency", max_new_tokens=1)
    )  # what is tried once for a model
    seen = whose(model.model)
    with serving() as server:
        found = list(engine.attribute_many(TEXTS, model, "saliency", max_new_tokens=1))
        assert seen == {server}
    assert len(found) == len(TEXTS)


def test_what_must_run_here_runs_here_while_another_serves() -> None:
    with serving() as server:
        assert WORKER.call(threading.get_ident, Deadline()) == server
        with WORKER.exclusive(Deadline()):
            assert WORKER.call(threading.get_ident, Deadline()) == threading.get_ident()
        with pytest.raises(ZeroDivisionError):
            WORKER.call(lambda: 1 / 0, Deadline())
        assert WORKER.call(threading.get_ident, Deadline()) == server, "an error ends nothing"


def test_a_deadline_ends_the_waiting_for_one_who_serves() -> None:
    with serving():
        busy = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            held = pool.submit(WORKER.call, lambda: busy.wait(20), Deadline())
            with pytest.raises(errors.DeadlineExceeded):
                WORKER.call(lambda: None, Deadline(0.1))
            busy.set()
            assert held.result(20)
        assert not WORKER.waiting


def test_one_thread_for_the_calling_thread_alone_and_only_for_a_while() -> None:
    usual = torch.get_num_threads()
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(torch.get_num_threads).result()
        with devices.one_thread():
            assert torch.get_num_threads() == 1
            assert pool.submit(torch.get_num_threads).result() == other
    assert torch.get_num_threads() == usual


@pytest.mark.parametrize("method", ["saliency", "integrated_gradients", "occlusion"])
@pytest.mark.parametrize("family", [*CLASSIFIERS, *OTHERS])
def test_many_texts_are_as_one_by_one(family: str, method: str) -> None:
    model, engine = adapter(family), Engine()
    asked: dict[str, Any] = {
        "max_new_tokens": 3,
        "second": "it was bad" if model.task.second == "required" or "nli" in family else None,
    }
    if method == "integrated_gradients":
        asked["options"] = {"rule": "trapezoid", "steps": 5}
    many = list(engine.attribute_many(TEXTS, model, method, **asked))
    for text, found in zip(TEXTS, many, strict=True):
        alone = engine.attribute(text, model, method, **asked)
        assert isinstance(found, Attribution) and found.tokens == alone.tokens and found.text == text
        assert [o.text for o in found.outputs] == [o.text for o in alone.outputs]
        assert found.scores == pytest.approx(
            alone.scores, rel=1e-3, abs=1e-5 * max(1.0, np.abs(alone.scores).max())
        )


@pytest.mark.parametrize("family", ["bert", "roberta", "bert-tokens", "t5"])
def test_requests_that_wait_for_one_model_share_a_batch(family: str) -> None:
    model, engine = adapter(family), Engine()
    texts = TEXTS if family != "t5" else TEXTS[:3]
    asked = {"continuation": "good"} if family == "t5" else {}
    expected = [engine.attribute(text, model, "saliency", **asked) for text in texts]
    calls = Calls(model.pruned_model if model.task.classifies else model.model)
    found = held_up([lambda text=text: engine.attribute(text, model, "saliency", **asked) for text in texts])  # type: ignore[misc]
    assert len(calls.shapes) < len(texts) and sum(shape[0] for shape in calls.shapes) == len(texts)
    for one, other in zip(found, expected, strict=True):
        assert one.scores == pytest.approx(other.scores, rel=1e-3, abs=1e-6)


def test_a_batch_keeps_to_the_token_budget() -> None:
    model, engine = adapter("bert"), Engine()
    engine.attribute(TEXTS[0], model, "saliency")
    model.budget = 2 * len(engine.attribute(TEXTS[2], model, "saliency").tokens)
    calls = Calls(model.pruned_model)
    held_up([lambda: engine.attribute(TEXTS[2], model, "saliency")] * 5)
    assert sorted(shape[0] for shape in calls.shapes) == [1, 2, 2]


def test_another_model_waits_for_its_own_batch() -> None:
    engine, models = Engine(), [adapter("bert"), adapter("bert")]
    for model in models:
        engine.attribute(TEXTS[0], model, "saliency")
    calls = [Calls(model.pruned_model) for model in models]
    held_up([lambda model=model: engine.attribute(TEXTS[0], model, "saliency") for model in models * 2])  # type: ignore[misc]
    assert [sum(shape[0] for shape in one.shapes) for one in calls] == [2, 2]


def test_what_is_wrong_with_one_request_does_not_touch_the_others_of_its_batch() -> None:
    model, engine = adapter("bert"), Engine()
    expected = engine.attribute(TEXTS[0], model, "saliency").scores
    targets: list[Any] = [None, "no such label", None, 99]

    def ask(target: Any) -> Any:
        try:
            return engine.attribute(TEXTS[0], model, "saliency", target).scores
        except errors.UnknownTarget:
            return "refused"

    first, second, third, fourth = held_up([lambda target=target: ask(target) for target in targets])  # type: ignore[misc]
    assert first == pytest.approx(expected, rel=1e-4, abs=1e-7) and third == pytest.approx(
        expected, rel=1e-4, abs=1e-7
    )
    assert (second, fourth) == ("refused", "refused")


def test_a_batch_that_fails_is_computed_one_by_one() -> None:
    model, engine = adapter("bert"), Engine()
    expected = [engine.attribute(text, model, "saliency").scores for text in TEXTS]

    def fail(_module: Any, _args: Any, more: dict[str, Any]) -> None:
        if len(more["inputs_embeds"]) > 1:
            raise ValueError("not together")

    model.pruned_model.register_forward_pre_hook(fail, with_kwargs=True)
    found = held_up([lambda text=text: engine.attribute(text, model, "saliency") for text in TEXTS])  # type: ignore[misc]
    for one, other in zip(found, expected, strict=True):
        assert one.scores == pytest.approx(other, rel=1e-4, abs=1e-7)


def no_room(model: Adapter, rows: int) -> list[int]:
    """Let a model run out of memory beyond so many rows; the list fills with the rows of each try."""
    tried: list[int] = []

    def fail(_module: Any, _args: Any, more: dict[str, Any]) -> None:
        tried.append(len(more["inputs_embeds"]))
        if tried[-1] > rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    for one in {id(m): m for m in (model.model, model.pruned_model)}.values():
        one.register_forward_pre_hook(fail, with_kwargs=True)
    return tried


@pytest.mark.parametrize("method", ["integrated_gradients", "occlusion", "lime"])
def test_out_of_memory_halves_and_goes_on(method: str) -> None:
    model, engine = adapter("bert"), Engine()
    options = {"lime": {"samples": 60}}.get(method, {})
    expected = engine.attribute(TEXTS[2], model, method, options=options)
    before = model.budget
    tried = no_room(model, 3)
    found = engine.attribute(TEXTS[2], model, method, options=options)
    assert found.scores == pytest.approx(expected.scores, rel=1e-3, abs=1e-6)
    assert max(tried) > 3 and model.budget < before
    tried.clear()
    engine.attribute(TEXTS[2], model, method, options=options)
    assert max(tried) <= 3, "what did not fit once is not tried again"


def test_no_memory_for_a_single_row_is_told() -> None:
    model, engine = adapter("bert"), Engine()
    engine.attribute("good", model, "saliency")
    no_room(model, 0)
    with pytest.raises(errors.NotEnoughMemory, match="shorter text"):
        engine.attribute(TEXTS[0], model, "saliency")


def test_who_gives_up_waiting_leaves_the_queue() -> None:
    model, engine, gone = adapter("bert"), Engine(), threading.Event()
    engine.attribute(TEXTS[0], model, "saliency")
    with ThreadPoolExecutor(1) as pool, WORKER.exclusive(Deadline()):
        waiting = pool.submit(engine.attribute, TEXTS[0], model, "saliency", cancelled=gone.is_set)
        while not WORKER.waiting:
            time.sleep(0.005)
        gone.set()
        with pytest.raises(errors.Cancelled):
            waiting.result(20)
        assert not WORKER.waiting
    assert engine.attribute(TEXTS[0], model, "saliency").scores.any()


@pytest.mark.parametrize("family", ["bert-multi-label", "gpt2", "llama", "gemma2", "t5", "bert-question"])
def test_several_outputs_by_one_backward_pass_are_as_one_by_one(family: str) -> None:
    model, engine = adapter(family), Engine()
    asked: dict[str, Any] = {"second": TEXTS[2]} if model.task.second == "required" else {}
    asked |= {"target": "*"} if model.task.classifies else {"max_new_tokens": 5}
    together = engine.attribute(TEXTS[0], model, "input_x_gradient", **asked)
    assert model.batches_backward and len(together.outputs) > 1
    model.batches_backward = False
    apart = engine.attribute(TEXTS[0], model, "input_x_gradient", **asked)
    assert together.scores == pytest.approx(apart.scores, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("family", CLASSIFIERS[:7])
def test_the_last_layer_is_cut_to_the_place_that_the_head_reads(family: str) -> None:
    model = adapter(family)
    assert model.pruned_model is not model.model
    points = torch.randn(
        3, 7, model.vocabulary().shape[1], generator=torch.Generator().manual_seed(1), requires_grad=True
    )
    mask = torch.tensor([[1] * 7, [1] * 5 + [0] * 2, [1] * 7])
    expected, found = (
        m(inputs_embeds=points, attention_mask=mask).logits for m in (model.model, model.pruned_model)
    )
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    slopes = [torch.autograd.grad(one[:, 0].sum(), points)[0] for one in (found, expected)]
    torch.testing.assert_close(*slopes, rtol=1e-3, atol=1e-6)
    with torch.no_grad():
        costs = [
            sum(shape[0] * shape[1] for shape in linear_inputs(m, points))
            for m in (model.model, model.pruned_model)
        ]
    assert costs[1] < costs[0]


def linear_inputs(model: torch.nn.Module, points: torch.Tensor) -> list[tuple[int, ...]]:
    shapes: list[tuple[int, ...]] = []
    handles = [
        module.register_forward_pre_hook(
            lambda _m, args: shapes.append((args[0].shape[0], args[0][0, ..., 0].numel()))
        )
        for module in model.modules()
        if isinstance(module, torch.nn.Linear)
    ]
    model(inputs_embeds=points)
    for handle in handles:
        handle.remove()
    return shapes


@pytest.mark.parametrize("family", ["gpt2-classifier", "llama-classifier", "modernbert", "albert"])
def test_where_no_layer_can_be_cut_nothing_is(family: str) -> None:
    model = adapter(family)
    assert model.pruned_model is model.model


@pytest.mark.parametrize("family", ["gpt2", "gpt-neo", "gpt-neox", "opt", "llama", "qwen3", "phi", "bloom"])
def test_the_beginning_of_a_decoders_text_is_computed_once(family: str) -> None:
    model = adapter(family)
    text = " ".join(TEXTS)
    f = make_objective(model, text, Target(max_new_tokens=3), Deadline())
    found = features_of(f)
    present = ~np.eye(len(found), dtype=bool)
    model.shares_prefix, model.budget = False, 2 * len(f.tokens)
    whole = f.evaluate_features(found, present)
    model.shares_prefix = None
    first = f.evaluate_features(found, present)
    assert model.shares_prefix
    calls = Calls(model.model)
    shared = f.evaluate_features(found, present)
    assert torch.equal(first, shared), "who comes first gets the numbers of all others"
    torch.testing.assert_close(shared, whole, rtol=1e-3, atol=1e-5)
    assert sum(rows * width for rows, width, _ in calls.shapes) < 0.75 * len(present) * len(f.tokens)


@pytest.mark.parametrize("family", ["mistral", "gemma3"])
def test_a_window_that_slides_has_no_beginning_to_keep(family: str) -> None:
    model = adapter(family)
    f = make_objective(model, " ".join(TEXTS), Target(max_new_tokens=3), Deadline())
    found = features_of(f)
    present = ~np.eye(len(found), dtype=bool)
    model.budget = 2 * len(f.tokens)
    first, second = f.evaluate_features(found, present), f.evaluate_features(found, present)
    assert model.shares_prefix is False
    torch.testing.assert_close(first, second)


def test_a_path_costs_no_pass_of_its_own_for_the_prediction() -> None:
    model, engine = load("bundled/sst2-minilm"), Engine()
    engine.attribute(TEXTS[0], model)
    calls = Calls(model.pruned_model)  # type: ignore[union-attr]
    result = engine.attribute(TEXTS[0], model, options={"rule": "trapezoid", "steps": 9})
    assert [shape[0] for shape in calls.shapes] == [9]
    calls.shapes.clear()
    adaptive = engine.attribute(TEXTS[0], model, options={"tolerance": 1.0})
    assert [shape[0] for shape in calls.shapes] == [9]
    assert adaptive.scores == pytest.approx(result.scores, rel=1e-4)


def test_outputs_that_add_up_take_no_more_points(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    gradients = Objective.gradients

    def counted(self: Objective, points: torch.Tensor) -> Any:
        asked.append((len(self.outputs), len(points)))
        return gradients(self, points)

    monkeypatch.setattr(Objective, "gradients", counted)
    text, model = "the 3rd of March, 1987", load("bundled/dates-t5")
    whole = Engine().attribute(text, model, options={"steps": 65})
    outputs = [count for count, _ in asked]
    assert outputs[0] == len(whole.outputs) > outputs[-1] and outputs == sorted(outputs, reverse=True)
    shares = np.abs(whole.residual) / np.abs(whole.scores).sum(1)  # type: ignore[arg-type]
    assert (shares <= 0.01).sum() >= len(whole.outputs) - outputs[-1]
    first = int(shares.argmin())
    asked.clear()
    alone = Engine().attribute(text, model, position=first, options={"steps": 65})
    assert alone.scores[0] == pytest.approx(whole.scores[first], abs=0.02 * np.abs(alone.scores).sum())


def test_previews_get_better_and_end_with_the_finished_one() -> None:
    engine = Engine()
    text = "It isn't good , and nobody who has seen it would say that it was anything but a waste of time ."
    expected = engine.attribute(text)
    *previews, last = Engine().progress(text)
    assert len(previews) >= 2 and all(one.provisional for one in previews) and not last.provisional
    assert "from 3 points" in previews[0].notes[0] and "from 9 points" in previews[1].notes[0]
    assert last.scores == pytest.approx(expected.scores, rel=1e-3, abs=1e-5) and last.notes == expected.notes
    assert all(one.outputs[0].text == last.outputs[0].text for one in previews)
    again = list(engine.progress(text))
    assert len(again) == 1 and not again[0].provisional, "what is in the cache needs no preview"


def test_an_abandoned_progress_gives_its_model_back() -> None:
    engine = Engine()
    steps = engine.progress("It isn't good , and nobody who has seen it would say so .")
    assert next(steps).provisional
    steps.close()
    [slot] = engine.store._slots.values()
    assert slot.leases == 0
    assert engine.attribute("good").scores.any()


def endless() -> Iterator[str]:
    for k in itertools.count():
        yield f"good {'bad ' * (k % 5)}"


def test_texts_are_read_as_they_are_needed_and_an_end_stops_the_work() -> None:
    model, engine = adapter("bert"), Engine()
    threads = threading.active_count()
    answers = engine.attribute_many(endless(), model, "saliency")
    first = list(itertools.islice(answers, 700))
    assert [one.text for one in first if isinstance(one, Attribution)] == list(
        itertools.islice(endless(), 700)
    )
    answers.close()
    assert threading.active_count() == threads


def test_an_error_stands_in_its_place_or_is_raised_there() -> None:
    model, engine = adapter("bert"), Engine()
    texts: list[Any] = ["good", "", "bad", 7, "the film"]
    found = list(engine.attribute_many(texts, model, "saliency", on_error="yield"))
    assert [type(one).__name__ for one in found] == [
        "Attribution",
        "EmptyInput",
        "Attribution",
        "InputError",
        "Attribution",
    ]
    answers = engine.attribute_many(texts, model, "saliency")
    assert isinstance(next(answers), Attribution)
    with pytest.raises(errors.EmptyInput):
        next(answers)
    assert list(engine.attribute_many([], model, "saliency")) == []
    with pytest.raises(errors.InputError, match="one text"):
        engine.attribute_many("good", model, "saliency")
    with pytest.raises(errors.BadOption, match="on_error"):
        engine.attribute_many(texts, model, "saliency", on_error="ignore")  # type: ignore[arg-type]


def test_what_the_model_reads_alike_is_computed_once() -> None:
    engine = Engine()
    first = engine.attribute("The film was good .")
    calls = Calls(next(iter(engine.store._slots.values())).adapter.pruned_model)  # type: ignore[union-attr]
    for text in ("The film was good . ", "  the  FILM was good .", "The film was good\n."):
        found = engine.attribute(text)
        assert found.text == text.strip("\n") or found.text == text
        assert (found.scores == first.scores).all() and found.request.text == found.text
        assert [t.text.lower() for t in found.tokens] == [t.text.lower() for t in first.tokens]
        assert all(found.text[t.start : t.end] == t.text for t in found.tokens if not t.special)
    assert not calls.shapes
    assert engine.attribute("Thefilm was good .").tokens != first.tokens and calls.shapes
    calls.shapes.clear()
    engine.attribute("The film was good . ", method="occlusion")
    assert calls.shapes, "a method that hides words may see where they end"
