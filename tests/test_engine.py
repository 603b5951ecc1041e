from __future__ import annotations

import dataclasses
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from attribution import attribute, errors, load
from attribution.engine import Engine
from attribution.models import store as store_module
from attribution.models.adapter import Adapter
from attribution.models.store import Source, Store, load_folder
from attribution.settings import DEFAULTS
from tests.tiny import FAMILIES

TEXT = "the movie was good"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model, tokenizer = FAMILIES["bert"]()
    model.save_pretrained(tmp_path / "bert")
    tokenizer.save_pretrained(tmp_path / "bert")
    return tmp_path / "bert"


def test_a_folder_is_a_model(folder: Path, tiny: dict[str, Adapter]) -> None:
    result = attribute(TEXT, str(folder), "saliency")
    assert result.scores == pytest.approx(attribute(TEXT, tiny["bert"], "saliency").scores, rel=1e-4)
    assert attribute(TEXT, load(folder), "saliency").scores == pytest.approx(result.scores, rel=1e-6)


def test_a_checkpoint_without_a_trained_head_is_refused(tmp_path: Path) -> None:
    from transformers import BertModel

    model, tokenizer = FAMILIES["bert"]()
    BertModel(model.config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(errors.NoTrainedHead, match="BertModel"):
        load_folder(tmp_path)
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace('"BertModel"', '"BertForSequenceClassification"'))
    with pytest.raises(errors.NoTrainedHead, match="random"):
        load_folder(tmp_path)


def test_a_server_neither_opens_folders_nor_loads_any_model(folder: Path) -> None:
    engine = Engine(store=Store(any_model=False, folders=False))
    with pytest.raises(errors.ModelError):
        engine.attribute(TEXT, str(folder))
    with pytest.raises(errors.ModelRefused, match="does not load"):
        engine.attribute(TEXT, "somebody/something")


def test_a_family_name_says_what_answers_and_a_plain_name_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "_load", lambda self, source: Adapter(*FAMILIES["bert"](), name=source.name))
    engine = Engine()
    for _ in range(2):
        result = engine.attribute(TEXT, "bert-base-uncased", "saliency", task="sentiment")
        assert result.model.name == result.request.model
        assert "'bert-base-uncased' with the task 'sentiment' is answered by" in result.model.note
        assert engine.attribute(TEXT, result.model.name, "saliency").model.note == ""


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "~", "C:\\x", "a/b/c", ""])
def test_a_strange_name_is_a_typed_error(name: str) -> None:
    with pytest.raises(errors.ModelError):
        Engine().attribute(TEXT, name, "saliency")


def test_what_is_refused_is_refused_before_anything_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine()
    monkeypatch.setattr(store_module.Store, "_load", lambda *_: pytest.fail("a model was loaded"))
    for arguments in ({"method": "x"}, {"options": {"steps": 1}}, {"target": 1.5}, {"quantity": "x"}, {"max_new_tokens": 0}):
        with pytest.raises(errors.AttributionError):
            engine.attribute(TEXT, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("label", ["positive", "POSITIVE", 1, "1"])
def test_a_label_by_name_or_index(tiny: dict[str, Adapter], label: str | int) -> None:
    assert attribute(TEXT, tiny["bert"], "saliency", label).outputs[0].text == "positive"


def test_one_generated_token_can_be_chosen(tiny: dict[str, Adapter]) -> None:
    every = attribute(TEXT, tiny["gpt2"], "saliency", max_new_tokens=4)
    one = attribute(TEXT, tiny["gpt2"], "saliency", 2, max_new_tokens=4)
    assert one.outputs == every.outputs[2:3]
    assert one.scores == pytest.approx(every.scores[2:3], rel=1e-5)
    with pytest.raises(errors.UnknownTarget, match="from 0 to"):
        attribute(TEXT, tiny["gpt2"], "saliency", 50, max_new_tokens=4)


@pytest.mark.parametrize("count", [1, 125, 126, 127, 200])
@pytest.mark.parametrize("family", list(FAMILIES))
def test_lengths_up_to_the_limit_and_beyond(tiny: dict[str, Adapter], family: str, count: int) -> None:
    text = "a" * count if family.startswith("gpt2") else "a " * count
    special = len(tiny[family].encode("a").tokens) - 1
    room = tiny[family].max_tokens - special - (1 if family == "gpt2" else 0)
    if count > room:
        with pytest.raises(errors.TooLong, match="tokens"):
            attribute(text, tiny[family], "saliency", max_new_tokens=2)
    else:
        assert len(attribute(text, tiny[family], "saliency", max_new_tokens=2).tokens) >= count


def test_a_zero_baseline_is_refused_where_it_is_void(tiny: dict[str, Adapter]) -> None:
    with pytest.raises(errors.BadOption, match="root mean square"):
        attribute(TEXT, tiny["t5"], "integrated_gradients", baseline="zero")
    with pytest.raises(errors.BadOption, match="no mask token"):
        attribute(TEXT, tiny["gpt2"], "integrated_gradients", baseline="mask")


def test_integrated_gradients_take_the_points_that_they_need(tiny: dict[str, Adapter]) -> None:
    shares = []
    for tolerance in (0.5, 0.001):
        result = attribute(TEXT, tiny["bert"], "integrated_gradients", tolerance=tolerance, steps=513)
        shares.append(abs(result.residual[0]) / abs(result.scores).sum())
        assert shares[-1] <= tolerance
    few = attribute(TEXT, tiny["bert"], "integrated_gradients", tolerance=0.0001, steps=3)
    assert "Taken: 3 points" in few.notes[0]
    assert "still larger" in few.notes[0]


def test_a_tokenizer_of_another_model_is_refused() -> None:
    from tests.tiny import bert, bytes_bpe

    with pytest.raises(errors.Unsupported, match="belong together"):
        attribute("Ünïcödé " * 3, load(bert()[0], bytes_bpe()), "saliency")


def test_a_deadline_and_a_cancelled_request() -> None:
    hasty = Engine(dataclasses.replace(DEFAULTS, deadline_seconds=0.0))
    with pytest.raises(errors.DeadlineExceeded):
        hasty.attribute(TEXT)
    with pytest.raises(errors.Cancelled):
        Engine().attribute(TEXT, cancelled=lambda: True)


def test_more_requests_than_may_wait_are_refused(tiny: dict[str, Adapter]) -> None:
    engine = Engine(dataclasses.replace(DEFAULTS, running_requests=1, waiting_requests=1))
    go = threading.Event()

    def busy() -> None:
        with engine._turn(store_deadline()):
            go.wait(20)

    with ThreadPoolExecutor(3) as pool:
        pool.submit(busy)
        while engine._running._value:  # type: ignore[attr-defined]
            time.sleep(0.005)
        waiting = pool.submit(engine.attribute, TEXT, tiny["bert"], "saliency")
        while not engine._waiting:
            time.sleep(0.005)
        with pytest.raises(errors.QueueFull):
            engine.attribute(TEXT, tiny["bert"], "saliency")
        go.set()
        assert waiting.result(30).outputs


def store_deadline():
    from attribution.models.objective import Deadline

    return Deadline()


def test_many_threads_share_a_store_with_room_for_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every answer is right, nothing is loaded twice at the same time, what is leased stays."""
    made = {name: make() for name, make in FAMILIES.items()}  # here, since the global random numbers belong to all threads
    made = {name: make() for name, make in FAMILIES.items()}  # here, since the global random numbers belong to all threads
    sizes = {name: Adapter(*pair).bytes for name, pair in made.items()}
    expected = {
        name: attribute(TEXT, Adapter(*pair, name=name), "saliency", max_new_tokens=2).scores for name, pair in made.items()
    }
    loading: set[str] = set()

    def slow_load(self: Store, source: Source) -> Adapter:
        assert source.name not in loading
        loading.add(source.name)
        time.sleep(0.01)
        loading.discard(source.name)
        return Adapter(*made[source.name], name=source.name)

    monkeypatch.setattr(Store, "_load", slow_load)
    shared = Store(dataclasses.replace(DEFAULTS, store_bytes=max(sizes.values()) * 2))
    from attribution.engine import compute
    from attribution.methods import find
    from attribution.models.objective import Deadline
    from attribution.types import Request, Target

    def ask(name: str) -> bool:
        with shared.lease(Source(name, "hub")) as adapter:
            request = Request(TEXT, name, "saliency", Target(max_new_tokens=2), find("saliency").check_options({}))
            found = compute(adapter, request, find("saliency"), Deadline())
        return found.scores == pytest.approx(expected[name], rel=1e-4, abs=1e-6)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, list(FAMILIES) * 16))
    held = sum(sizes[name] for name in shared.loaded())
    assert held <= shared.settings.store_bytes + max(sizes.values())


def test_a_failed_load_leaves_no_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(self: Store, source: Source) -> Adapter:
        raise errors.ModelRefused("no")

    monkeypatch.setattr(Store, "_load", failing)
    shared = Store()
    for _ in range(3):
        with pytest.raises(errors.ModelRefused), shared.lease(Source("x", "hub")):
            pass
    assert not shared._slots


def test_an_attribution_comes_back_equal_from_json(tiny: dict[str, Adapter], tmp_path: Path) -> None:
    from attribution import Attribution

    for family in FAMILIES:
        result = attribute("the movie 世界 👨‍👩‍👧", tiny[family], "integrated_gradients", steps=4, max_new_tokens=3)
        result.save(tmp_path / "a.json")
        assert Attribution.load(tmp_path / "a.json") == result


def test_words_keep_the_sum_and_normalized_scores_add_up_to_one(tiny: dict[str, Adapter]) -> None:
    result = attribute("movies acting x", tiny["bert"], "input_x_gradient")
    words = result.words()
    assert [token.text for token in words.tokens] == ["[CLS]", "movies", "acting", "x", "[SEP]"]
    assert words.scores.sum() == pytest.approx(result.scores.sum())
    assert abs(result.normalize().scores).sum() == pytest.approx(1.0)
    assert result.top(1)[0][1] == max((s for t, s in zip(result.tokens, result.scores[0], strict=True) if not t.special), key=abs)
