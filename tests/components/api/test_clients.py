"""Clients of other makers, by what they send: gradio_client 1.x, @gradio/client, and agents."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from attribution import attribute
from components.application import ENDPOINTS

TEXT = "What a waste."


@pytest.fixture(scope="module")
def info(url: str) -> dict[str, Any]:
    answer: dict[str, Any] = httpx.get(f"{url}gradio_api/info", timeout=60).json()["named_endpoints"]
    return answer


def events(url: str, body: dict[str, Any]) -> dict[str, Any]:
    """Join the queue as these clients do, and read the stream of events to its end."""
    with httpx.Client(base_url=f"{url}gradio_api/", timeout=60) as http:
        assert http.post("queue/join", json=body).raise_for_status().json()["event_id"]
        with http.stream("GET", "queue/data", params={"session_hash": body["session_hash"]}) as stream:
            for line in stream.iter_lines():
                if line.startswith("data:") and (event := json.loads(line[5:]))["msg"] == "process_completed":
                    return event
    raise AssertionError("the stream ended early")


@pytest.mark.parametrize("session", ["gradio-client-1", "javascript"])
def test_the_queue_answers_by_the_number_of_a_function(url: str, info: dict[str, Any], session: str) -> None:
    config = httpx.get(f"{url}config", timeout=60).json()
    number = next(entry["id"] for entry in config["dependencies"] if entry["api_name"] == "attribute")
    values = {"text": TEXT, "method": "saliency"}
    parameters = info["/attribute"]["parameters"]
    data = [values.get(p["parameter_name"], p["parameter_default"]) for p in parameters]
    body: dict[str, Any] = {"data": data, "fn_index": number, "session_hash": session}
    if session == "javascript":
        body |= {"event_data": None, "trigger_id": None}
    event = events(url, body)
    assert event["success"]
    expected = attribute(TEXT, method="saliency")
    assert event["output"]["data"][0]["scores"][0] == pytest.approx(expected.scores[0].tolist(), rel=1e-4)
    failure = events(url, {**body, "data": ["  ", *data[1:]], "session_hash": f"{session}-2"})
    assert not failure["success"] and "There is no text to explain." in failure["output"]["error"]


def test_agents_find_a_type_and_a_description_of_each_parameter(info: dict[str, Any]) -> None:
    """smolagents' ``Tool.from_space`` reads ``type`` of each parameter."""
    for endpoint in ENDPOINTS:
        for parameter in info[f"/{endpoint.name}"]["parameters"]:
            schema = parameter["type"]
            assert schema.get("type") or schema.get("anyOf"), (endpoint.name, parameter)
