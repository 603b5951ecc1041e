"""Models behind a loopback endpoint that answers by a fixed rule, and all that an endpoint can do wrong."""

from __future__ import annotations

import logging
import math
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from typing import Any

import numpy as np
import pytest
from huggingface_hub import constants
from huggingface_hub.utils import close_session

from attribution import Attribution, attribute
from attribution.engine import Engine
from attribution.errors import (
    AttributionError,
    BadOption,
    Cancelled,
    DeadlineExceeded,
    GatedModel,
    HubUnavailable,
    ModelRefused,
    NotFinite,
    TooLong,
    TooManyRequests,
    UnknownModel,
    Unsupported,
)
from attribution.models.deadline import Deadline
from attribution.models.features import features_of
from attribution.models.function import Function, FunctionObjective
from attribution.models.sources import connection, endpoints
from attribution.models.sources.remote import remote
from attribution.models.sources.store import Store
from attribution.request import Target
from tests.faults.fake_endpoint import BIAS, WEIGHTS, FakeEndpoint, log_odds, positive

TOKEN = "sk-canary_that_must_not_be_told"
SAVED = "hf_canary_that_must_never_travel"
TEXT = "A good plot, a bad actor: fine!"
LABELS = ("negative", "positive")
TASKS = ("chat", "text-classification")


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The client is online, only the loopback is reachable, and a saved token must not be sent."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", SAVED)
    monkeypatch.setattr(connection, "FIRST_WAIT", 0.01)
    connect = socket.socket.connect

    def only_loopback(self: socket.socket, address: Any) -> None:
        assert address[0] in ("127.0.0.1", "::1"), address
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", only_loopback)
    yield
    close_session()


@pytest.fixture
def endpoint() -> Iterator[FakeEndpoint]:
    with FakeEndpoint() as server:
        yield server


@pytest.fixture(params=TASKS)
def make(request: pytest.FixtureRequest, endpoint: FakeEndpoint) -> Callable[..., Function]:
    """``remote`` for either task."""

    def make_remote(**options: Any) -> Function:
        defaults = {"base_url": endpoint.url, "task": request.param, "labels": LABELS, "token": TOKEN}
        return remote("rule", **{**defaults, **options})

    return make_remote


def one_by_one(model: Function, text: str = TEXT, target: str = "positive") -> dict[str, float]:
    """What hiding each word alone takes away from the log-odds."""
    f = FunctionObjective.explain(model, text, Target(target), Deadline())
    features = features_of(f)
    values = f.evaluate_features(
        features, np.vstack([np.ones(len(features), bool), ~np.eye(len(features), dtype=bool)])
    )[0]
    return dict(zip(features.names, (values[0] - values[1:]).tolist(), strict=True))


def test_hiding_a_word_takes_its_weight_away(make):
    weights = one_by_one(make())
    assert weights == pytest.approx({word: WEIGHTS.get(word, 0.0) for word in weights}, abs=1e-6)
    assert {"good", "bad", "fine", "plot"} <= weights.keys()


def test_occlusion_gives_each_word_its_weight(make):
    result = attribute(TEXT, make(), "occlusion", "positive", quantity="logit")
    expected = [WEIGHTS.get(token.text, 0.0) for token in result.tokens]
    np.testing.assert_allclose(result.scores[0], expected, atol=1e-6)
    assert result.outputs[0].value == pytest.approx(log_odds(TEXT))
    assert result.outputs[0].probability == pytest.approx(positive(TEXT))
    assert Attribution.from_dict(result.to_dict()) == result


def test_lime_gives_each_word_its_weight(make):
    """A linear function is what LIME fits, up to the shrinkage of its ridge penalty."""
    result = attribute("good plot, bad fine", make(), "lime", "positive", samples=2000, parts=1)
    expected = [WEIGHTS.get(token.text, 0.0) for token in result.tokens]
    np.testing.assert_allclose(result.scores[0], expected, atol=0.03)
    assert result.fit is not None and result.fit[0] > 0.99


def test_the_other_label_gets_the_opposite(make):
    assert one_by_one(make(), target="negative")["good"] == pytest.approx(-WEIGHTS["good"], abs=1e-6)


@pytest.mark.parametrize("text", ["这部电影很好，不坏。", "هذا رائع جدا", "so 😀 good"])
def test_words_of_any_script(make, text):
    weights = one_by_one(make(), text)
    assert weights == pytest.approx({word: WEIGHTS.get(word, 0.0) for word in weights}, abs=1e-6)
    assert any(weights.values())


def test_pairs(make):
    result = attribute("good story", make(), "occlusion", "positive", second="bad end")
    assert {
        (t.segment, t.text): s for t, s in zip(result.tokens, result.scores[0], strict=True)
    } == pytest.approx(
        {("text", "good"): 2.0, ("text", "story"): 0.0, ("second", "bad"): -1.5, ("second", "end"): 0.0},
        abs=1e-6,
    )


def test_what_is_sent(endpoint):
    attribute(
        "good",
        remote("rule", base_url=endpoint.url, labels=LABELS, token=TOKEN, extra_body={"seed": 7}),
        "occlusion",
    )
    first = endpoint.requests[0]
    assert first.path == "/v1/chat/completions"
    assert first.headers["authorization"] == f"Bearer {TOKEN}"
    content = first.body["messages"][0]["content"]
    assert content.endswith("Text: good\n\nLabel:") and "negative, positive" in content
    sent = {
        name: first.body[name]
        for name in ("model", "max_tokens", "temperature", "logprobs", "top_logprobs", "seed")
    }
    assert sent == {
        "model": "rule",
        "max_tokens": 1,
        "temperature": 0.0,
        "logprobs": True,
        "top_logprobs": 20,
        "seed": 7,
    }


def test_the_saved_token_does_not_go_to_an_address(make, endpoint):
    one_by_one(make(token=None))
    assert endpoint.requests and all("authorization" not in request.headers for request in endpoint.requests)
    assert SAVED not in str([request.headers for request in endpoint.requests])


def test_the_address_may_stand_for_the_model(endpoint):
    chat = remote(f"{endpoint.url}/v1", labels=LABELS)
    assert one_by_one(chat, "good")["good"] == pytest.approx(2.0, abs=1e-6)
    assert chat.info.name == endpoint.url
    assert one_by_one(remote(f"{endpoint.url}/model", task="text-classification"), "good")[
        "good"
    ] == pytest.approx(2.0, abs=1e-6)


def test_a_classifier_is_asked_for_its_labels(endpoint):
    model = remote(endpoint.url, task="text-classification")
    assert model.info.labels == ("NEGATIVE", "POSITIVE")
    assert len(endpoint.requests) == 1
    assert one_by_one(model, "good", "positive")["good"] == pytest.approx(2.0, abs=1e-6)


def test_a_classifier_that_answers_a_single_text_with_a_flat_list(endpoint):
    endpoint.misbehave("flat")
    assert one_by_one(remote(endpoint.url, task="text-classification"), "good bad")["bad"] == pytest.approx(
        -1.5, abs=1e-6
    )


def test_a_missing_label_is_named(endpoint):
    endpoint.misbehave("one label")
    with pytest.raises(Unsupported, match=r"gave no score for the label 'negative'.*answered for: POSITIVE"):
        one_by_one(remote("rule", base_url=endpoint.url, task="text-classification", labels=LABELS), "good")
    endpoint.misbehave("ok")
    with pytest.raises(Unsupported, match="'mixed'"):
        one_by_one(
            remote("rule", base_url=endpoint.url, task="text-classification", labels=("mixed", "positive")),
            "good",
        )


# The probabilities of a chat model's labels.


def probabilities(
    endpoint: FakeEndpoint, tokens: list[tuple[str, float]], labels=LABELS, **options: Any
) -> list[float]:
    endpoint.first = lambda _: tokens
    model = remote("rule", base_url=endpoint.url, labels=labels, retries=0, **options)
    return model(["x"], Deadline())[0].tolist()


def test_spellings_of_a_label_add_up(endpoint):
    tokens = [
        (" Pos", 0.2),
        ("positive", 0.1),
        ("P", 0.1),
        (" neg", 0.1),
        ("positively", 0.3),
        ("The", 0.1),
        (" ", 0.1),
    ]
    assert probabilities(endpoint, tokens) == pytest.approx([0.2, 0.8])
    assert probabilities(endpoint, tokens, normalise=False) == pytest.approx([0.1, 0.4])


def test_the_same_token_listed_twice_counts_once(endpoint):
    assert probabilities(endpoint, [("pos", 0.4), ("pos", 0.4), ("neg", 0.2)]) == pytest.approx(
        [1 / 3, 2 / 3]
    )


def test_a_label_that_is_not_among_the_tokens_counts_with_its_bound(endpoint):
    tokens = [("pos", 0.5), ("The", 0.3), ("It", 0.05)]
    assert probabilities(endpoint, tokens, normalise=False) == pytest.approx(
        [0.05, 0.5]
    )  # the smallest of the three
    tokens = [("pos", 0.5), ("The", 0.3), ("It", 0.18)]
    assert probabilities(endpoint, tokens, normalise=False) == pytest.approx([0.02, 0.5])  # what they leave
    assert probabilities(endpoint, tokens) == pytest.approx([0.02 / 0.52, 0.5 / 0.52])
    model = remote("rule", base_url=endpoint.url, labels=LABELS)
    model(["x", "y", "z"], Deadline())
    assert (model.function.requests, model.function.bounded) == (3, 3)
    assert model.function.least_mass == pytest.approx(0.5)
    assert "upper bound" in model.info.note


def test_fewer_log_probabilities_are_asked_for_where_it_is_said(endpoint):
    tokens = [("pos", 0.6), ("The", 0.2), ("neg", 0.1)]
    assert probabilities(endpoint, tokens, normalise=False, top_logprobs=2) == pytest.approx([0.2, 0.6])
    assert endpoint.requests[-1].body["top_logprobs"] == 2


def test_no_label_among_the_tokens(endpoint):
    with pytest.raises(Unsupported, match="No label is among the first tokens of the answer: 'I', 'am'"):
        probabilities(endpoint, [("I", 0.9), (" am", 0.1)])


def test_a_token_that_begins_two_labels(endpoint):
    tokens = [("un", 0.5), ("re", 0.4), ("The", 0.1)]
    with pytest.raises(Unsupported, match="'un' begins the labels 'unclear' and 'unrelated' alike"):
        probabilities(endpoint, tokens, labels=("unclear", "unrelated", "relevant"))
    tokens = [("uncl", 0.5), ("unre", 0.3), ("u", 0.001)]
    assert probabilities(endpoint, tokens, labels=("unclear", "unrelated")) == pytest.approx([0.625, 0.375])


@pytest.mark.parametrize(
    ("labels", "match"),
    [
        ((), "two labels"),
        (("positive",), "two labels"),
        (("positive", " Positive"), "begins with the label"),
        (("pos", "positive"), "'positive' begins with the label 'pos'"),
        (("1", "2", "10"), "'10' begins with the label '1'"),
        (("a", " "), "empty"),
        (("a", None), "A label is nothing"),
        ("ab", "single string"),
    ],
)
def test_labels_that_a_chat_model_cannot_tell_apart(labels, match):
    with pytest.raises(BadOption, match=match):
        remote("m", base_url="http://127.0.0.1:9", labels=labels)


def test_prompts(endpoint):
    def message(prompt: str | None, text: str = "so {second} {labels} {0}", second: str | None = None) -> str:
        model = remote("m", base_url=endpoint.url, labels=LABELS, prompt=prompt, retries=0)
        row = text if second is None else (text, second)
        model([row], Deadline())
        return endpoint.requests[-1].body["messages"][0]["content"]

    assert message('{"json": {}}\n{labels}?\nText: {text}\n\nLabel:') == (
        '{"json": {}}\nnegative, positive?\nText: so {second} {labels} {0}\n\nLabel:'
    )
    assert "First text: {text}\n\nSecond text: {labels}\n\n" in message(None, "{text}", "{labels}")
    with pytest.raises(BadOption, match="no place for the text"):
        message("Which?")
    with pytest.raises(BadOption, match="no place for the second text"):
        message("Text: {text}\n\nLabel:", "a", "b")
    with pytest.raises(BadOption, match="a pair of texts"):
        message("Text: {text}\n\nSecond text: {second}\n\nLabel:", "a")


# Failures.


def raised_by(model: Function) -> AttributionError:
    """The error of one request, checked for everything that it must not contain."""
    with pytest.raises(AttributionError) as raised:
        model(["good"], Deadline())
    shown = (
        "".join(traceback.format_exception(raised.value)) + repr(raised.value) + str(raised.value.to_dict())
    )
    assert TOKEN not in shown and SAVED not in shown
    assert raised.value.__context__ is None  # the client's errors hold the request
    return raised.value


@pytest.mark.parametrize(
    ("mode", "kind", "match"),
    [
        ("drop", HubUnavailable, "cannot be reached"),
        ("half", HubUnavailable, "cannot be reached"),
        ("garbage", Unsupported, "not JSON"),
        ("null", Unsupported, "another shape"),
        ("list", Unsupported, "another shape"),
        ("shapes", Unsupported, "another shape"),
        ("nan", Unsupported, "another shape"),  # the client itself stumbles over NaN
        ("loud", NotFinite, "probabilit"),
        ("400", Unsupported, "answered 400: Said as you wish"),
        ("401", GatedModel, "answered 401.*token=..."),
        ("403", GatedModel, "answered 403"),
        ("404", UnknownModel, "answered 404"),
        ("413", TooLong, "answered 413"),
        ("429", TooManyRequests, "answered 429"),
        ("500", HubUnavailable, "answered 500"),
        ("503", HubUnavailable, "answered 503"),
    ],
)
def test_every_failure_is_a_typed_error(make, endpoint, mode, kind, match, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    endpoint.misbehave(mode)
    error = raised_by(make(retries=1))
    assert type(error) is kind
    with pytest.raises(kind, match=match):
        raise error
    tried = 2 if mode in ("drop", "half", "429", "500", "503") else 1
    assert len(endpoint.requests) == tried
    shown = caplog.text + "".join(capfd.readouterr())
    assert TOKEN not in shown and SAVED not in shown


@pytest.mark.parametrize("mode", ["drop", "429", "500", "503"])
def test_what_may_pass_is_tried_again(make, endpoint, mode):
    endpoint.misbehave(mode, times=2)
    assert make()(["good"], Deadline())[0, 1] == pytest.approx(positive("good"))
    assert len(endpoint.requests) == 3


def test_without_log_probabilities(endpoint):
    endpoint.misbehave("no logprobs")
    error = raised_by(remote("m", base_url=endpoint.url, labels=LABELS))
    assert (
        type(error) is Unsupported
        and "no log-probabilities" in error.message
        and "top_logprobs" in error.hint
    )


def test_nobody_answers_at_the_address():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    error = raised_by(remote("m", base_url=address, labels=LABELS, token=TOKEN, retries=1))
    assert type(error) is HubUnavailable and address in error.message


def test_an_endpoint_that_hangs(make, endpoint):
    endpoint.misbehave("hang")
    error = raised_by(make(timeout=0.2))
    assert type(error) is HubUnavailable and "within 0.2 seconds" in error.message
    assert len(endpoint.requests) == 1


def test_an_endpoint_that_says_the_token_back(make, endpoint):
    endpoint.misbehave("echo")
    error = raised_by(make())
    assert "[token]" in error.message


def test_offline(make, monkeypatch, endpoint):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    error = raised_by(make())
    assert type(error) is HubUnavailable and "HF_HUB_OFFLINE" in error.message
    assert not endpoint.requests


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were waited for, without waiting."""
    seconds: list[float] = []

    class Event(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            if timeout is None or threading.current_thread().name[:6] != "remote":
                return super().wait(timeout)
            seconds.append(timeout)
            return False

    monkeypatch.setattr(connection.threading, "Event", Event)
    return seconds


def test_retry_after_is_honoured(make, endpoint, waits):
    endpoint.misbehave("429", times=1, retry_after="7")
    make()(["good"], Deadline())
    assert waits == [7.0]
    endpoint.misbehave("503", times=1, retry_after=formatdate(__import__("time").time() + 9, usegmt=True))
    make()(["good"], Deadline())
    assert 6 < waits[-1] <= 9
    endpoint.misbehave("500", times=2, retry_after="soon")
    make()(["good"], Deadline())
    assert waits[2:] == [0.01, 0.02]


def test_a_long_retry_after_is_told_at_once(make, endpoint, waits):
    endpoint.misbehave("429", retry_after="3600")
    error = raised_by(make())
    assert type(error) is TooManyRequests and "3600 seconds" in error.hint
    assert waits == [] and len(endpoint.requests) == 1


# Several at once.


def test_several_texts_are_asked_at_once_and_keep_their_order(make, endpoint):
    endpoint.meet = threading.Barrier(3)  # nobody is answered before three ask
    texts = ["good", "bad", "fine", "awful", "great", "good good"]
    answers = make(parallel=3)(texts, Deadline())[:, 1].tolist()
    assert answers == pytest.approx([positive(text) for text in texts])
    assert endpoint.busiest == 3


def test_no_more_than_parallel_over_all_threads(make, endpoint):
    model = make(parallel=2)
    endpoint.requests.clear()
    endpoint.pause = 0.02
    with ThreadPoolExecutor(8) as pool:
        results = list(
            pool.map(
                lambda text: one_by_one(model, text), ["good film", "bad film", "fine good", "awful bad"] * 2
            )
        )
    for weights in results:
        assert weights == pytest.approx({word: WEIGHTS.get(word, 0.0) for word in weights}, abs=1e-6)
    assert endpoint.busiest == 2
    assert model.function.requests == len(endpoint.requests)


def test_equal_texts_are_asked_once(make, endpoint):
    model = make()
    endpoint.requests.clear()
    f = FunctionObjective.explain(model, "good bad", Target(), Deadline())
    f.evaluate_features(features_of(f), np.array([[1, 0], [1, 0], [0, 1], [1, 0]], dtype=bool))
    assert len(endpoint.requests) == 3  # the text, and two others


def test_one_failure_ends_the_others(make, endpoint):
    model = make(parallel=2)
    endpoint.requests.clear()
    endpoint.misbehave("403")
    with pytest.raises(GatedModel):
        model([f"good {i}" for i in range(8)], Deadline())
    assert len(endpoint.requests) <= 2
    endpoint.misbehave("ok")
    assert model(["good"], Deadline())[0, 1] == pytest.approx(positive("good"))


def test_the_deadline_is_honoured_between_batches(make, endpoint):
    model = make(parallel=1)
    endpoint.requests.clear()
    with pytest.raises(Cancelled):
        model([f"good {i}" for i in range(40)], Deadline(cancelled=lambda: len(endpoint.requests) > 0))
    assert 0 < len(endpoint.requests) <= endpoints.ROUNDS
    with pytest.raises(DeadlineExceeded):
        model(["good"], Deadline(0.0, started=0.0))


# Who may ask what.


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"base_url": "ftp://127.0.0.1/model"}, "not one of http"),
        ({"base_url": "file:///etc/passwd"}, "not one of http"),
        ({"base_url": "http://"}, "not one of http"),
        ({"base_url": "127.0.0.1:8000"}, "not one of http"),
        ({"base_url": "http://127.0.0.1:99999999"}, "cannot be read"),
        ({"base_url": "http://[::1"}, "cannot be read"),
        ({"base_url": "http://127.0.0.1/a b"}, "not one of http"),
        ({"base_url": f"http://user:{TOKEN}@127.0.0.1"}, "a user name or a password"),
        ({"model": "ftp://127.0.0.1/model", "base_url": None}, "not one of http"),
        ({"model": "", "base_url": None}, "no model"),
        ({"provider": "openai"}, "both given"),
        ({"token": f"{TOKEN}\n"}, "not allowed in an HTTP header"),
        ({"token": f"{TOKEN}é"}, "not allowed in an HTTP header"),
        ({"token": ""}, "not allowed in an HTTP header"),
        ({"task": "chatting"}, "Did you mean 'chat'"),
        ({"timeout": 0}, "timeout is 0"),
        ({"timeout": math.nan}, "timeout is nan"),
        ({"retries": 11}, "from 0 to 10"),
        ({"parallel": 0}, "from 1 to 32"),
        ({"parallel": 1.5}, "whole number"),
        ({"top_logprobs": 0}, "from 1 to 100"),
        ({"task": "text-classification", "prompt": "{text}"}, "takes no prompt"),
    ],
)
def test_options_that_are_refused(options, match):
    with pytest.raises(BadOption, match=match) as raised:
        remote(**{"model": "m", "base_url": "http://127.0.0.1:9", "labels": LABELS, **options})
    assert TOKEN not in "".join(traceback.format_exception(raised.value))


def test_nothing_that_is_shown_holds_the_token(make):
    model = make()
    result = attribute("good", model, "occlusion")
    shown = (
        repr(model)
        + repr(model.function)
        + repr(model.info)
        + str(result.to_dict())
        + repr(vars(model))
        + repr(vars(model.function))
    )
    assert TOKEN not in shown


def test_a_query_of_the_address_is_not_shown(endpoint):
    model = remote(f"{endpoint.url}/v1?key={TOKEN}", labels=LABELS)
    assert TOKEN not in str(attribute("good", model, "occlusion").to_dict())
    endpoint.misbehave("403")
    raised_by(model)


@pytest.mark.parametrize("store", [Store(any_model=False, folders=False), Store(any_model=True)])
def test_no_name_makes_a_remote_model(endpoint, store):
    with pytest.raises(AttributionError) as raised:
        Engine(store=store).attribute("good", endpoint.url, "occlusion")
    assert not endpoint.requests
    assert store.any_model or isinstance(raised.value, ModelRefused | UnknownModel | BadOption)


def test_an_unknown_provider_is_named():
    error = raised_by(remote("m", provider="nobody", labels=LABELS, token=TOKEN))
    assert type(error) is Unsupported and "nobody" in error.message


def test_gradients_are_refused_with_what_works(make):
    with pytest.raises(
        Unsupported, match=r"Saliency needs the model's gradients, but this model only answers texts\..*lime"
    ):
        attribute("good", make(), "saliency")


def test_the_bias_is_what_is_left_without_words(make):
    f = FunctionObjective.explain(make(), "good bad", Target("positive"), Deadline())
    assert f.evaluate_features(features_of(f), np.zeros((1, 2), bool))[0, 0].item() == pytest.approx(
        BIAS, abs=1e-6
    )
