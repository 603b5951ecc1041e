"""Gradio's own routes as scripts call them: short lists, names, mistakes, and what agents read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from gradio_client import Client as GradioClient
from jsonschema import Draft202012Validator

from attribution import Attribution, attribute
from components.api.batch import complete_last
from components.application import ENDPOINTS

TEXT = "What a waste."
BODIES: dict[str, dict[str, Any]] = {
    "attribute": {"text": TEXT},
    "estimate": {"text": TEXT},
    "compare": {"text": TEXT, "methods": ["saliency", "attention"]},
    "assess": {"text": TEXT, "model": "bundled/sst2-minilm", "methods": ["saliency", "attention"]},
    "batch": {"rows": [TEXT, "Wonderful."]},
    "evaluate": {
        "texts": [TEXT],
        "model": "bundled/sst2-minilm",
        "methods": ["saliency"],
        "metrics": ["entropy"],
    },
    "methods": {},
    "models": {},
    "metrics": {},
}
"""The first fields of each endpoint, in their order."""
IN_ONE_STEP = [endpoint.name for endpoint in ENDPOINTS if not endpoint.streams]
SIMPLE = {"string", "integer", "number", "boolean", "array", "object"}


@pytest.fixture(scope="module")
def http(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{url}gradio_api/", timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def described(http: httpx.Client) -> dict[str, Any]:
    return http.get("info").json()["named_endpoints"]


def call(http: httpx.Client, name: str, body: dict[str, Any]) -> tuple[str, Any]:
    """The last event and its data, as curl gets them."""
    event = http.post(f"call/{name}", json=body).raise_for_status().json()["event_id"]
    lines = http.get(f"call/{name.removeprefix('v2/')}/{event}").text.split("\n")
    events = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    data = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    return events[-1], data[-1]


def test_every_endpoint_has_a_body_here() -> None:
    assert set(BODIES) == {endpoint.name for endpoint in ENDPOINTS}


@pytest.mark.parametrize("name", BODIES)
def test_the_first_values_are_enough(http: httpx.Client, name: str) -> None:
    event, [answer] = call(http, name, {"data": list(BODIES[name].values())})
    assert event == "complete"
    assert isinstance(answer, list if name in ("methods", "models", "metrics") else dict)


@pytest.mark.parametrize("name", BODIES)
def test_names_are_enough(http: httpx.Client, name: str) -> None:
    event, [answer] = call(http, f"v2/{name}", BODIES[name])
    assert event == "complete" and answer


@pytest.mark.parametrize("name", IN_ONE_STEP)
def test_the_first_values_are_enough_without_the_queue(http: httpx.Client, name: str) -> None:
    answer = http.post(f"run/{name}", json={"data": list(BODIES[name].values())})
    assert answer.status_code == 200 and answer.json()["data"][0]


def test_the_defaults_are_those_of_the_library(http: httpx.Client) -> None:
    _, [document] = call(http, "attribute", {"data": [TEXT]})
    assert Attribution.from_dict(document).request == attribute(TEXT).request


def test_the_first_values_are_enough_in_the_queue_of_the_clients(http: httpx.Client, url: str) -> None:
    """``@gradio/client`` sends a list as it is."""
    functions = httpx.get(f"{url}config").json()["dependencies"]
    number = next(entry["id"] for entry in functions if entry["api_name"] == "attribute")
    body = {"data": [TEXT], "fn_index": number, "session_hash": "a-session"}
    assert http.post("queue/join", json=body).json()["event_id"]
    with http.stream("GET", "queue/data", params={"session_hash": "a-session"}) as events:
        messages = [json.loads(line[6:]) for line in events.iter_lines() if line.startswith("data: ")]
    [last] = [message for message in messages if message["msg"] == "process_completed"]
    assert last["success"] and last["output"]["data"][0]["text"] == TEXT


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("call/attribute", {"data": []}, 422, "'text' is missing"),
        ("call/attribute", {}, 422, "'data' is missing"),
        ("call/attribute", {"text": TEXT}, 422, "call/v2/attribute"),
        ("call/attribute", {"data": {"text": TEXT}}, 422, "must be a list"),
        ("call/attribute", {"data": [TEXT] * 14}, 422, "takes 13 at most"),
        ("run/attribute", {"data": []}, 422, "'text' is missing"),
        ("api/attribute", {"data": [TEXT] * 14}, 422, "takes 13 at most"),
        ("run/batch", {"data": [[TEXT]]}, 422, "several steps"),
        ("run/evaluate", {"data": [[TEXT]]}, 422, "several steps"),
        ("call/evaluate", {"data": []}, 422, "'texts' is missing"),
        ("call/batch", {"data": []}, 422, "'rows' is missing"),
        ("call/methods", {"data": [1]}, 422, "data has 1 values"),
        ("call/v2/attribute", {"text": TEXT, "methode": "lime"}, 422, "Did you mean 'method'?"),
        ("call/v2/attribute", {"method": "lime"}, 422, "'text' is missing"),
        ("call/v2/attribute", {"text": None}, 422, "'text' is missing"),
        ("call/v2/compare", {"text": TEXT, "method": "lime"}, 422, "Did you mean 'methods'?"),
        ("call/v2/batch", {}, 422, "'rows' is missing"),
        ("call/v2/methods", {"name": "lime"}, 422, "no field 'name'"),
        ("call/v2/attribute", [TEXT], 422, "not a JSON object"),
        ("call/predict", {"data": [TEXT]}, 404, "no such endpoint"),
        ("run/predict", {"data": [TEXT]}, 404, "no such endpoint"),
        ("call/v2/predict", {"text": TEXT}, 404, "no such endpoint"),
        ("api/nothing", {"data": []}, 404, "no such endpoint"),
    ],
)
def test_what_cannot_be_read_says_why(
    http: httpx.Client, path: str, body: Any, status: int, words: str
) -> None:
    answer = http.post(path, json=body)
    assert answer.status_code == status
    assert words in f"{answer.json()['message']} {answer.json()['hint']}"


def test_a_body_that_is_no_json_says_so(http: httpx.Client) -> None:
    answer = http.post("call/attribute", content=b"{")
    assert (answer.status_code, answer.json()["error"]) == (422, "InputError")


def test_numbers_may_be_written_as_text(http: httpx.Client) -> None:
    """The published type of a parameter that takes several types is a string."""
    body = {"text": "Dec. 25th 1999", "model": "bundled/dates-t5", "method": "saliency", "position": "0, 2"}
    _, [document] = call(http, "v2/attribute", body)
    assert [output["position"] for output in document["outputs"]] == [0, 2]
    _, [document] = call(http, "v2/attribute", {"text": TEXT, "method": "saliency", "target": "0"})
    assert document["outputs"][0]["text"] == "negative"


@pytest.mark.parametrize("name", BODIES)
def test_every_parameter_has_a_type_and_a_description(described: dict[str, Any], name: str) -> None:
    entry = described[f"/{name}"]
    assert entry["description"]
    for parameter in entry["parameters"]:
        Draft202012Validator.check_schema(parameter["type"])
        assert parameter["type"]["type"] in SIMPLE, parameter
        assert len(parameter["type"]["description"].split()) > 2, parameter
        assert parameter["python_type"]["description"] == parameter["type"]["description"]
    [returned] = entry["returns"]
    assert returned["type"]["type"] in SIMPLE and returned["type"]["description"]


@pytest.mark.parametrize("name", BODIES)
def test_the_bodies_fit_the_published_types(described: dict[str, Any], name: str) -> None:
    types = {entry["parameter_name"]: entry["type"] for entry in described[f"/{name}"]["parameters"]}
    for field, value in BODIES[name].items():
        Draft202012Validator(types[field]).validate(value)


def test_the_last_object_of_a_batch_has_all_results(url: str) -> None:
    """Texts of falling length: Gradio's differences between such lists in lists are wrong."""
    rows = [f"{'very ' * (9 - k % 10)}good film {k}" for k in range(40)]
    client = GradioClient(url, verbose=False)
    job = client.submit(rows=rows, method="saliency", api_name="/batch")
    last = job.result(timeout=60)
    *steps, end = job.outputs()
    assert (last["done"], last["failed"], last["total"]) == (40, 0, 40)
    assert [result["row"] for result in last["results"]] == list(range(40))
    for row, result in zip(rows, last["results"], strict=True):
        assert Attribution.from_dict(result["attribution"]).text == row
    parts = [result for step in steps for result in step["results"] if step["results"] != end["results"]]
    assert sorted(parts, key=lambda result: result["row"]) == last["results"]
    client.close()


def test_the_results_of_one_step_are_not_repeated() -> None:
    steps = [{"done": 0, "results": []}, {"done": 2, "results": [{"row": 1}, {"row": 0}]}]
    assert list(complete_last(steps)) == steps
    more = [*steps, {"done": 3, "results": [{"row": 2}]}]
    assert [len(step["results"]) for step in complete_last(more)] == [0, 2, 0, 1, 0, 3]
