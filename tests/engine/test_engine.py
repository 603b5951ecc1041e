from __future__ import annotations

import dataclasses
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from attribution import attribute, attribute_many, errors, estimate, load
from attribution.engine import Engine
from attribution.engine.computation import Computation
from attribution.methods import find
from attribution.models.adapter import Adapter
from attribution.models.deadline import Deadline
from attribution.models.sources import store as store_module
from attribution.models.sources.store import Source, Store, load_folder
from attribution.request import Request
from attribution.settings import DEFAULTS, FALLBACK_METHOD
from tests import families as wide
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
    for arguments in (
        {"method": "x"},
        {"options": {"steps": 1}},
        {"target": 1.5},
        {"quantity": "x"},
        {"max_new_tokens": 0},
    ):
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
    with pytest.raises(errors.BadOption, match="divides embeddings by their size"):
        attribute(TEXT, tiny["t5"], "integrated_gradients", baseline="zero")
    with pytest.raises(errors.BadOption, match="no mask token"):
        attribute(TEXT, tiny["gpt2"], "integrated_gradients", baseline="mask")


@pytest.mark.parametrize("family", ["deberta-v2", "qwen2", "gemma3", "modernbert"])
def test_the_automatic_baseline_passes_over_a_token_whose_embedding_is_zero(family: str) -> None:
    model, tokenizer = wide.FAMILIES[family].build()
    pad = tokenizer.pad_token_id
    if pad is not None:
        with torch.no_grad():
            model.get_input_embeddings().weight[pad] = 0
    adapter = load(model, tokenizer)
    result = attribute(TEXT, adapter, "integrated_gradients", max_new_tokens=2, steps=513)
    assert max(abs(np.array(result.residual)) / abs(result.scores).sum(1)) < 0.02
    with pytest.raises(errors.BadOption, match="void"):
        attribute(TEXT, adapter, "integrated_gradients", max_new_tokens=2, baseline="zero")


def test_a_zero_baseline_is_fine_where_positions_are_added(tiny: dict[str, Adapter]) -> None:
    result = attribute(TEXT, tiny["bert"], "integrated_gradients", baseline="zero")
    assert abs(result.residual[0]) < 0.02 * abs(result.scores).sum()


def test_the_last_positions_of_roberta_are_not_there() -> None:
    model, tokenizer = wide.FAMILIES["roberta"].build()
    room = model.config.max_position_embeddings - model.config.pad_token_id - 1
    tokenizer.model_max_length = 10_000
    adapter = load(model, tokenizer)
    assert adapter.max_tokens == room
    assert attribute("a" * (room - 2), adapter, "saliency").scores.shape == (1, room)
    with pytest.raises(errors.TooLong):
        attribute("a" * (room - 1), adapter, "saliency")


def test_a_model_that_reads_embeddings_in_another_scale_is_refused() -> None:
    model, tokenizer = wide.FAMILIES["marian"].build()

    class Scaling(type(model)):  # type: ignore[misc]
        def forward(self, inputs_embeds=None, **more):
            return super().forward(inputs_embeds=None if inputs_embeds is None else 2 * inputs_embeds, **more)

    model.__class__ = Scaling
    with pytest.raises(errors.Unsupported, match="another way"):
        attribute(TEXT, load(model, tokenizer, task="seq2seq"), "saliency", max_new_tokens=2)


@pytest.mark.parametrize("mode", ["mean", "cls"])
def test_a_folder_of_sentence_transformers_is_a_bi_encoder(tmp_path: Path, mode: str) -> None:
    model, tokenizer = wide.FAMILIES["bert-similarity"].build()
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "modules.json").write_text("[]")
    (tmp_path / "1_Pooling").mkdir()
    pooling = {"pooling_mode_cls_token": mode == "cls", "pooling_mode_mean_tokens": mode == "mean"}
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    with torch.no_grad():
        states = [
            model(**tokenizer(t, return_tensors="pt")).last_hidden_state[0] for t in (TEXT, "a fine film")
        ]
    one, other = (s.mean(0) if mode == "mean" else s[0] for s in states)
    result = attribute(TEXT, str(tmp_path), "saliency", second="a fine film")
    assert result.model.task == "similarity"
    assert result.outputs[0].value == pytest.approx(
        float(torch.nn.functional.cosine_similarity(one, other, dim=0)), abs=1e-4
    )


def test_an_encoder_decoder_classifier_is_a_function_of_texts(tmp_path: Path) -> None:
    model, tokenizer = wide.FAMILIES["bart-classifier"].build()
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with torch.no_grad():
        expected = (
            model(**tokenizer(TEXT, return_tensors="pt", return_token_type_ids=False))
            .logits.softmax(-1)[0]
            .tolist()
        )
    result = attribute(TEXT, str(tmp_path), "lime", samples=30)
    assert result.prediction.probabilities == pytest.approx(expected, rel=1e-4)
    assert [token.text for token in result.tokens] == TEXT.split()
    with pytest.raises(errors.Unsupported, match="only answers texts"):
        attribute(TEXT, str(tmp_path), "saliency")
    assert attribute(TEXT, str(tmp_path)).method == FALLBACK_METHOD


def test_a_function_gets_a_method_that_fits_where_nobody_names_one() -> None:
    model = load(
        lambda texts: [[0.9, 0.1] if "bad" in t else [0.2, 0.8] for t in texts], labels=("no", "yes")
    )
    result = attribute("not bad at all", model)
    assert (result.method, result.request.method) == (FALLBACK_METHOD, FALLBACK_METHOD)
    assert result == dataclasses.replace(
        attribute("not bad at all", model, FALLBACK_METHOD), seconds=result.seconds
    )
    assert [r.method for r in attribute_many(["not bad", "good"], model)] == [FALLBACK_METHOD] * 2
    assert estimate("not bad", model).rows == 3
    with pytest.raises(errors.Unsupported, match="only answers texts"):
        attribute("not bad at all", model, "integrated_gradients")
    with pytest.raises(errors.BadOption, match="steps"):
        attribute("not bad at all", model, steps=64)


@pytest.mark.parametrize("family", ["gpt2", "t5"])
def test_parts_of_the_outputs_are_the_whole(tiny: dict[str, Adapter], family: str) -> None:
    whole = Engine().attribute(TEXT, tiny[family], "input_x_gradient", max_new_tokens=12)
    *parts, last = Engine().progress(TEXT, tiny[family], "input_x_gradient", max_new_tokens=12)
    counts = [len(part.outputs) for part in (*parts, last)]
    assert counts == sorted(set(counts)) and counts[0] == 4 and counts[-1] == len(whole.outputs) > 4
    assert all(part.provisional for part in parts) and not last.provisional
    for part in (*parts, last):
        assert [o.text for o in part.outputs] == [o.text for o in whole.outputs][: len(part.outputs)]
        assert part.scores == pytest.approx(whole.scores[: len(part.outputs)], rel=1e-5, abs=1e-7)


def test_integrated_gradients_take_the_points_that_they_need(tiny: dict[str, Adapter]) -> None:
    shares = []
    for tolerance in (0.5, 0.001):
        result = attribute(TEXT, tiny["bert"], "integrated_gradients", tolerance=tolerance, steps=513)
        shares.append(abs(result.residual[0]) / abs(result.scores).sum())
        assert shares[-1] <= tolerance
    few = attribute(TEXT, tiny["bert"], "integrated_gradients", tolerance=0.0001, steps=3)
    assert "After 3 points on the path (the maximum)" in few.notes[0]
    assert "still exceeds" in few.notes[0]


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
        with engine.turns.take(Deadline()):
            go.wait(20)

    with ThreadPoolExecutor(3) as pool:
        pool.submit(busy)
        while not engine.turns.running:
            time.sleep(0.005)
        waiting = pool.submit(engine.attribute, TEXT, tiny["bert"], "saliency")
        while not engine.turns.waiting:
            time.sleep(0.005)
        with pytest.raises(errors.QueueFull):
            engine.attribute(TEXT, tiny["bert"], "saliency")
        go.set()
        assert waiting.result(30).outputs


def test_many_threads_share_a_store_with_room_for_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every answer is right, nothing is loaded twice at the same time, what is leased stays."""
    made = {
        name: make() for name, make in FAMILIES.items()
    }  # here, since the global random numbers belong to all threads
    made = {
        name: make() for name, make in FAMILIES.items()
    }  # here, since the global random numbers belong to all threads
    sizes = {name: Adapter(*pair).bytes for name, pair in made.items()}
    expected = {
        name: attribute(TEXT, Adapter(*pair, name=name), "saliency", max_new_tokens=2).scores
        for name, pair in made.items()
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

    def ask(name: str) -> bool:
        with shared.lease(Source(name, "hub")) as adapter:
            request = Request(
                TEXT, name, "saliency", max_new_tokens=2, options=find("saliency").check_options({})
            )
            [found] = Computation(adapter, request, find("saliency"), Deadline()).steps()
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
        result = attribute(
            "the movie 世界 👨‍👩‍👧", tiny[family], "integrated_gradients", steps=4, max_new_tokens=3
        )
        result.save(tmp_path / "a.json")
        assert Attribution.load(tmp_path / "a.json") == result


def test_words_keep_the_sum_and_normalized_scores_add_up_to_one(tiny: dict[str, Adapter]) -> None:
    result = attribute("movies acting x", tiny["bert"], "input_x_gradient")
    words = result.words()
    assert [token.text for token in words.tokens] == ["[CLS]", "movies", "acting", "x", "[SEP]"]
    assert words.scores.sum() == pytest.approx(result.scores.sum())
    assert abs(result.normalize().scores).sum() == pytest.approx(1.0)
    assert result.top(1)[0][1] == max(
        (s for t, s in zip(result.tokens, result.scores[0], strict=True) if not t.special), key=abs
    )
