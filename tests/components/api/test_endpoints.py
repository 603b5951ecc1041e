"""The server for scripts: REST, queued endpoints, Python client; an answer or a clear error for any input."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from gradio_client import Client as GradioClient
from gradio_client.exceptions import AppError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from attribution import Attribution, Client, attribute, errors, list_methods
from attribution.request import fields
from attribution.settings import DEFAULTS
from components.application import ENDPOINTS
from tests.loop import run
from tests.quick import QUICK

TEXT = "This movie is absolutely fantastic!"
HERE = [
    name for name, method in list_methods().items() if method.unsupported_reason("classification") is None
]


@pytest.fixture(scope="module")
def http(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[Client]:
    result = Client(url)
    yield result
    result.close()


def ask(http: httpx.Client, **body: Any) -> httpx.Response:
    # Not httpx's own encoder: it refuses NaN, which clients in other languages send.
    return http.post("/api/attribute", content=json.dumps(body), headers={"content-type": "application/json"})


class TestRest:
    def test_the_answer_is_flat_and_complete(self, http: httpx.Client) -> None:
        answer = ask(http, text=TEXT, method="gradient").json()
        assert [a["token"] for a in answer["attributions"]] == [
            "[CLS]",
            "This",
            "movie",
            "is",
            "absolutely",
            "fantastic",
            "!",
            "[SEP]",
        ]
        assert set(answer["attributions"][0]) >= {"token", "score", "start", "end", "special", "word"}
        assert answer["prediction"]["label"] == "positive"
        assert sum(answer["prediction"]["probabilities"]) == pytest.approx(1, abs=1e-5)
        assert answer["target"]["label"] == "positive"
        assert answer["model"]["resolved"] == "bundled/sst2-minilm"
        assert answer["method"] == "saliency"
        assert answer["residual"] is None
        assert answer["version"]

    @pytest.mark.parametrize("method", HERE)
    def test_the_numbers_are_those_of_the_library(self, http: httpx.Client, method: str) -> None:
        options = QUICK.get(method, {})
        answer = ask(http, text=TEXT, method=method, target="negative", options=options).json()
        expected = attribute(TEXT, method=method, target="negative", **options)
        np.testing.assert_allclose(
            [a["score"] for a in answer["attributions"]], expected.scores[0], rtol=1e-4, atol=1e-6
        )

    def test_generation_has_a_row_for_each_token(self, http: httpx.Client) -> None:
        answer = ask(http, text="the 3rd of March, 1987", model="bundled/dates-t5", method="saliency").json()
        assert answer["prediction"]["text"] == "1987-03-03"
        assert "".join(output["text"] for output in answer["outputs"]) == "1987-03-03"
        assert all(len(output["attributions"]) == len(answer["attributions"]) for output in answer["outputs"])

    @pytest.mark.parametrize(
        ("body", "status", "kind"),
        [
            ({}, 422, "InputError"),
            ({"text": ""}, 422, "EmptyInput"),
            ({"text": " \n\t"}, 422, "EmptyInput"),
            ({"text": "\u200b\ufeff"}, 422, "EmptyInput"),
            ({"text": None}, 422, "InputError"),
            ({"text": 3}, 422, "InputError"),
            ({"text": {"a": 1}}, 422, "InputError"),
            ({"text": "x" * 20_001}, 422, "TooLong"),
            ({"text": "good " * 600}, 422, "TooLong"),
            ({"text": TEXT, "method": "magic"}, 404, "UnknownMethod"),
            ({"text": TEXT, "method": ["lime"]}, 422, "BadOption"),
            ({"text": TEXT, "model": "nobody"}, 404, "UnknownModel"),
            ({"text": TEXT, "model": 7}, 422, "BadOption"),
            ({"text": TEXT, "model": "tests"}, 404, "UnknownModel"),
            ({"text": TEXT, "model": "attribution/methods"}, 403, "ModelRefused"),
            ({"text": TEXT, "model": "../../etc"}, 403, "ModelRefused"),
            ({"text": TEXT, "model": "/etc"}, 403, "ModelRefused"),
            ({"text": TEXT, "model": "bundled/../../tests"}, 404, "UnknownModel"),
            ({"text": TEXT, "model": "https://example.com/a"}, 403, "ModelRefused"),
            ({"text": TEXT, "model": "bert-base-uncased"}, 422, "NoTrainedHead"),
            ({"text": TEXT, "task": "sentimant"}, 422, "BadOption"),
            ({"text": TEXT, "task": 5}, 422, "BadOption"),
            ({"text": TEXT, "target": "angry"}, 422, "UnknownTarget"),
            ({"text": TEXT, "target": 2}, 422, "UnknownTarget"),
            ({"text": TEXT, "target": -1}, 422, "UnknownTarget"),
            ({"text": TEXT, "target": True}, 422, "BadOption"),
            ({"text": TEXT, "target": 1.5}, 422, "BadOption"),
            ({"text": TEXT, "target": []}, 422, "BadOption"),
            ({"text": TEXT, "target": [[1]]}, 422, "BadOption"),
            ({"text": TEXT, "target": [0] * 65}, 422, "BadOption"),
            ({"text": TEXT, "target": [0, 7]}, 422, "UnknownTarget"),
            ({"text": TEXT, "contrast": "angry"}, 422, "UnknownTarget"),
            ({"text": TEXT, "target": 1, "contrast": 1}, 422, "BadOption"),
            ({"text": TEXT, "contrast": {}}, 422, "BadOption"),
            ({"text": TEXT, "position": -1}, 422, "BadOption"),
            ({"text": TEXT, "position": "here"}, 422, "BadOption"),
            ({"text": TEXT, "second": 5}, 422, "InputError"),
            ({"text": TEXT, "second": " "}, 422, "EmptyInput"),
            ({"text": TEXT, "continuation": 5}, 422, "InputError"),
            ({"text": TEXT, "continuation": " indeed"}, 422, "BadOption"),
            ({"text": TEXT, "position": 1}, 422, "BadOption"),
            ({"text": "To be", "model": "bundled/shakespeare-gpt2", "second": "or"}, 422, "InputError"),
            ({"text": "To be", "model": "bundled/shakespeare-gpt2", "position": 99}, 422, "UnknownTarget"),
            (
                {"text": "To be", "model": "bundled/shakespeare-gpt2", "continuation": ", or" * 99},
                422,
                "TooLong",
            ),
            ({"text": TEXT, "quantity": "odds"}, 422, "BadOption"),
            ({"text": TEXT, "max_new_tokens": 0}, 422, "BadOption"),
            ({"text": TEXT, "max_new_tokens": 10**9}, 422, "BadOption"),
            ({"text": TEXT, "options": {"steps": 10**9}}, 422, "BadOption"),
            ({"text": TEXT, "options": {"steps": float("nan")}}, 422, "BadOption"),
            ({"text": TEXT, "options": {"stepz": 3}}, 422, "BadOption"),
            ({"text": TEXT, "options": [3]}, 422, "BadOption"),
            ({"text": TEXT, "method": "lime", "options": {"samples": -1}}, 422, "BadOption"),
            ({"text": TEXT, "method": "attention", "options": {"layer": 99}}, 422, "BadOption"),
            ({"text": TEXT, "methode": "lime"}, 422, "BadOption"),
            ({"text": TEXT, "model": "bundled/dates-t5", "method": "reagent"}, 422, "Unsupported"),
            (
                {"text": TEXT, "method": "lime", "options": {"features": "spans", "spans": "(a+)+$("}},
                422,
                "BadOption",
            ),
        ],
    )
    def test_what_cannot_be_answered_has_its_own_status_and_says_why(
        self, http: httpx.Client, body: dict[str, Any], status: int, kind: str
    ) -> None:
        answer = ask(http, **body)
        assert (answer.status_code, answer.json()["error"]) == (status, kind)
        assert answer.json()["message"]
        assert len(answer.text) < 2_000

    def test_a_name_that_needs_the_hub_while_it_is_away_says_what_there_is(self, http: httpx.Client) -> None:
        answer = ask(http, text=TEXT, model="bert-base-uncased", method="gradient", task="sentiment")
        assert answer.status_code == 503
        assert answer.json()["error"] == "HubUnavailable"
        assert "bundled/sst2-minilm" in answer.json()["hint"]
        assert answer.headers["retry-after"]

    @pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'"text"', b"\xff\xfe", b"[" * 100_000])
    def test_a_body_that_is_no_request_is_refused(self, http: httpx.Client, raw: bytes) -> None:
        assert http.post("/api/attribute", content=raw).status_code == 422

    @pytest.mark.parametrize(
        "text",
        [
            "good \ud800 film",
            "nul \x00 film",
            "👨‍👩‍👧 wonderful",
            "فيلم رائع",
            "<script>alert(1)</script>",
            "${alert(1)} {{value}}",
            "[MASK] [SEP] [CLS]",
            "a",
            "\u202egood",
            "e" + "\u0301" * 200,
            "=1+1",
        ],
    )
    def test_odd_texts_are_answered(self, http: httpx.Client, text: str) -> None:
        answer = ask(http, text=text, method="saliency")
        assert answer.status_code == 200
        assert all(np.isfinite(a["score"]) for a in answer.json()["attributions"])

    @pytest.mark.parametrize("kind", ["png", "html", "json", "csv", "svg"])
    def test_files(self, http: httpx.Client, kind: str) -> None:
        answer = http.post(f"/api/export/{kind}", json={"text": TEXT, "method": "saliency"})
        assert answer.status_code == 200
        assert f".{kind}" in answer.headers["content-disposition"]
        if kind == "png":
            assert Image.open(io.BytesIO(answer.content)).width > 500
        if kind == "json":
            assert Attribution.from_dict(answer.json()).method == "saliency"

    def test_an_unknown_file_type(self, http: httpx.Client) -> None:
        answer = http.post("/api/export/exe", json={"text": TEXT})
        assert answer.status_code == 422
        assert answer.json()["error"] == "BadFile"
        assert answer.json()["hint"]

    def test_an_estimate_takes_what_attribute_takes(self, http: httpx.Client) -> None:
        body = {"text": TEXT, "method": "lime", "target": "negative", "options": {"samples": 60}}
        answer = http.post("/api/estimate", json=body)
        assert answer.status_code == 200
        result = answer.json()
        assert set(result) == {"seconds_low", "seconds_high", "bytes_peak", "passes", "rows", "sentence"}
        assert 0 < result["seconds_low"] <= result["seconds_high"]
        assert result["sentence"].startswith("LIME will take ") and 1 < result["rows"] <= 61
        longer = http.post(
            "/api/estimate", json={**body, "options": {"samples": 5000}, "text": " ".join([TEXT] * 5)}
        ).json()
        assert longer["rows"] > result["rows"] and longer["seconds_low"] > result["seconds_low"]

    @pytest.mark.parametrize(
        ("body", "status", "kind"),
        [
            ({}, 422, "InputError"),
            ({"text": " "}, 422, "EmptyInput"),
            ({"text": "good " * 600}, 422, "TooLong"),
            ({"text": TEXT, "method": "magic"}, 404, "UnknownMethod"),
            ({"text": TEXT, "model": "/etc"}, 403, "ModelRefused"),
            ({"text": TEXT, "target": "angry"}, 422, "UnknownTarget"),
            ({"text": TEXT, "options": {"stepz": 3}}, 422, "BadOption"),
            ({"text": TEXT, "method": "attention", "options": {"layer": 99}}, 422, "BadOption"),
            ({"text": TEXT, "model": "bundled/dates-t5", "method": "reagent"}, 422, "Unsupported"),
            ({"text": TEXT, "methode": "lime"}, 422, "BadOption"),
        ],
    )
    def test_what_cannot_be_estimated_says_why(
        self, http: httpx.Client, body: dict[str, Any], status: int, kind: str
    ) -> None:
        answer = http.post("/api/estimate", json=body)
        assert (answer.status_code, answer.json()["error"]) == (status, kind)
        assert answer.json()["message"]

    def test_lists(self, http: httpx.Client) -> None:
        assert {m["name"] for m in http.get("/api/methods").json()} == set(list_methods())
        models = http.get("/api/models").json()
        assert models[0]["name"] == "bundled/sst2-minilm"
        assert models[0]["available"]
        schemas = http.get("/openapi.json").json()["components"]["schemas"]
        assert schemas["AttributeRequest"] == schemas["EstimateRequest"]


class TestGuard:
    def test_a_large_body_is_refused_before_it_is_read(self, http: httpx.Client) -> None:
        answer = ask(http, text="x" * (DEFAULTS.max_body_bytes + 1))
        assert (answer.status_code, answer.json()["error"]) == (413, "TooLarge")

    def test_a_large_body_without_a_length_is_refused_too(self, http: httpx.Client) -> None:
        chunks = (b"x" * 65_536 for _ in range(DEFAULTS.max_body_bytes // 65_536 + 4))
        try:
            answer = http.post("/api/attribute", content=chunks)
        except (httpx.WriteError, httpx.RemoteProtocolError):
            return  # refused while it was still being sent
        assert answer.status_code == 413

    def test_an_unknown_endpoint_is_not_a_server_error(self, http: httpx.Client) -> None:
        for path in ("/gradio_api/call/nothing", "/gradio_api/run/nothing", "/gradio_api/call/v2/nothing"):
            answer = http.post(path, json={"data": []})
            assert answer.status_code == 404
            assert "attribute" in answer.json()["hint"]

    def test_a_flood_is_told_to_wait(self) -> None:
        import dataclasses

        from components.api.gateway.guard import Guard

        async def fine(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        guard = Guard(fine, dataclasses.replace(DEFAULTS, request_burst=5, requests_per_second=0.001))

        async def post(client: str) -> int:
            sent: list[Any] = []

            async def send(message: Any) -> None:
                sent.append(message)

            scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "client": (client, 1)}
            await guard(scope, None, send)
            return sent[0]["status"]

        async def story() -> tuple[list[int], int]:
            return [await post("10.0.0.1") for _ in range(8)], await post("10.0.0.2")

        flood, other = run(story())
        assert flood == [200] * 5 + [429] * 3
        assert other == 200

        few = dataclasses.replace(DEFAULTS, request_burst=1, requests_per_second=0.001, remembered_clients=1)
        guard = Guard(fine, few)

        async def alternate() -> list[int]:
            return [await post(client) for client in ("10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.1")]

        assert run(alternate()) == [200, 429, 200, 200]


class TestQueued:
    def test_the_public_names(self, url: str) -> None:
        api = GradioClient(url, verbose=False).view_api(return_format="dict")
        assert set(api["named_endpoints"]) == {f"/{endpoint.name}" for endpoint in ENDPOINTS}
        assert not api["unnamed_endpoints"]
        parameters = {p["parameter_name"]: p for p in api["named_endpoints"]["/attribute"]["parameters"]}
        assert list(parameters) == list(fields())
        assert (
            api["named_endpoints"]["/estimate"]["parameters"]
            == api["named_endpoints"]["/attribute"]["parameters"]
        )
        assert parameters["quantity"]["type"]["enum"] == ["logit", "log_probability", "probability"]

    def test_a_plain_gradio_client_gets_the_document(self, url: str) -> None:
        document = GradioClient(url, verbose=False).predict(
            text=TEXT, method="saliency", api_name="/attribute"
        )
        assert Attribution.from_dict(document).prediction.labels == ("negative", "positive")

    def test_an_error_is_a_sentence(self, url: str) -> None:
        with pytest.raises(AppError, match="no text to explain"):
            GradioClient(url, verbose=False).predict(text="", api_name="/attribute")


class TestClient:
    @pytest.mark.parametrize("method", HERE)
    def test_the_same_objects_as_the_library(self, client: Client, method: str) -> None:
        options = QUICK.get(method, {})
        got, expected = (
            client.attribute(TEXT, method=method, **options),
            attribute(TEXT, method=method, **options),
        )
        assert got.tokens == expected.tokens
        assert got.request == expected.request
        np.testing.assert_allclose(got.scores, expected.scores, rtol=1e-4, atol=1e-6)

    @pytest.mark.parametrize(
        ("arguments", "kind"),
        [
            ({"text": " "}, errors.EmptyInput),
            ({"text": "x" * 30_000}, errors.TooLong),
            ({"text": TEXT, "method": "magic"}, errors.UnknownMethod),
            ({"text": TEXT, "model": "nobody"}, errors.UnknownModel),
            ({"text": TEXT, "target": "angry"}, errors.UnknownTarget),
            ({"text": TEXT, "steps": -5}, errors.BadOption),
            ({"text": TEXT, "model": "bert-base-uncased", "task": "sentiment"}, errors.HubUnavailable),
        ],
    )
    def test_the_same_errors_as_the_library(
        self, client: Client, arguments: dict[str, Any], kind: type[Exception]
    ) -> None:
        with pytest.raises(kind):
            client.attribute(**arguments)

    @pytest.mark.parametrize("method", ["lime", "attention"])
    def test_an_estimate_is_the_library_s_object(self, client: Client, method: str) -> None:
        result = client.estimate(TEXT, method=method)
        assert result.describe() in result.sentence
        assert (result.rows is None) == (method == "attention")
        assert "passes" in result.sentence or result.passes is None

    def test_an_estimate_has_the_same_errors(self, client: Client) -> None:
        with pytest.raises(errors.BadOption):
            client.estimate(TEXT, steps=-5)
        with pytest.raises(errors.UnknownTarget):
            client.estimate(TEXT, target="angry")

    def test_lists(self, client: Client) -> None:
        assert {m["name"] for m in client.list_methods()} == set(list_methods())
        assert client.list_models()[0]["name"] == "bundled/sst2-minilm"

    def test_a_server_that_is_not_there(self) -> None:
        with pytest.raises(errors.BusyError, match="no attribution server"):
            Client("http://127.0.0.1:9")


VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from([*(name for name in fields() if name != "text"), "surprise"])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=VALUE | st.text(st.characters(), max_size=40), rest=st.dictionaries(NAMES, VALUE, max_size=3))
def test_no_request_ends_in_a_server_error(http: httpx.Client, text: Any, rest: dict[str, Any]) -> None:
    answer = ask(http, text=text, **{"method": "saliency", **rest})
    assert answer.status_code in (200, 403, 404, 422, 503), answer.text
    json.loads(answer.text, parse_constant=lambda name: pytest.fail(f"{name} in the answer"))
