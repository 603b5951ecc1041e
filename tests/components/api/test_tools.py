"""The MCP server with the official client: few tools, short answers, the limits of the service."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator
from typing import Any

import anyio
import httpx
import pytest

from attribution import attribute
from attribution.commands import serve as command
from attribution.errors import NotInstalled
from attribution.settings import DEFAULTS
from components.api.tools import NAMES

mcp = pytest.importorskip("mcp", reason="the package mcp is not installed")
TEXT = "This movie is absolutely fantastic!"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server with tools, whose limit of requests is not reached here."""
    from components.application import build, serve

    settings = dataclasses.replace(DEFAULTS, max_body_bytes=20_000)
    demo, engine = build(settings, mcp=True)
    _, url, _ = serve(demo, engine, host="127.0.0.1", block=False, quiet=True)
    yield f"{url.rstrip('/')}/gradio_api/mcp/"
    demo.close()


def session(address: str, work: Any) -> Any:
    """Run ``work(session)`` in a session of the official client."""
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    async def run() -> Any:
        async with (
            streamable_http_client(address) as (read, write, _),
            ClientSession(read, write) as client,
        ):
            await client.initialize()
            return await work(client)

    return anyio.run(run)


def call(address: str, name: str, **arguments: Any) -> Any:
    return session(address, lambda client: client.call_tool(name, arguments))


def answer_of(result: Any) -> Any:
    assert not result.isError, result.content
    return json.loads(result.content[0].text)


def test_there_are_few_tools_and_each_says_what_it_does(address: str) -> None:
    listed = session(address, lambda client: client.list_tools()).tools
    assert [tool.name for tool in listed] == list(NAMES)
    for tool in listed:
        assert len(tool.description) > 40 and "Returns" in tool.description
        for name, schema in tool.inputSchema["properties"].items():
            assert schema["type"] and schema["description"], (tool.name, name)
    explain = listed[0].inputSchema
    assert explain["required"] == ["text"]
    assert explain["properties"]["method"]["default"] == "integrated_gradients"
    assert not session(address, lambda client: client.list_resources()).resources


def test_an_explanation_is_short_and_right(address: str) -> None:
    result = call(address, "explain_prediction", text=TEXT, method="saliency", words=3)
    answer = answer_of(result)
    expected = attribute(TEXT, method="saliency")
    assert answer["prediction"].startswith("positive 9")
    assert [(entry["word"], entry["score"]) for entry in answer["words"]] == [
        (token.text, pytest.approx(score, rel=1e-3)) for token, score in expected.words().top(3)
    ]
    assert answer["notes"] and len(result.content[0].text) < 1500


def test_the_whole_answer_comes_on_request(address: str) -> None:
    answer = answer_of(call(address, "explain_prediction", text=TEXT, method="saliency", full=True))
    assert [entry["token"] for entry in answer["attributions"]][:2] == ["[CLS]", "This"]
    assert {"residual", "outputs", "notes", "version"} <= answer.keys()


def test_the_target_and_the_contrast_count(address: str) -> None:
    answer = answer_of(
        call(
            address,
            "explain_prediction",
            text=TEXT,
            method="saliency",
            target="negative",
            contrast="positive",
        )
    )
    assert answer["target"] == "negative rather than positive"


def test_methods_are_compared(address: str) -> None:
    answer = answer_of(call(address, "compare_methods", text=TEXT, methods=["saliency", "input_x_gradient"]))
    assert list(answer["explanations"]) == ["Saliency", "Input × gradient"]
    assert answer["agreement"]["kendall_tau_b"][0][0] == 1.0


def test_models_and_methods_are_listed(address: str) -> None:
    models = answer_of(call(address, "list_models"))
    assert "bundled/sst2-minilm" in [model["name"] for model in models]
    methods = answer_of(call(address, "list_methods"))
    assert {"lime", "saliency"} <= {method["name"] for method in methods}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"text": "  "}, "There is no text to explain"),
        ({"text": TEXT, "method": "saliensy"}, "Did you mean 'saliency'?"),
        ({"text": TEXT, "model": "../../etc"}, "does not load"),
        ({"text": TEXT, "target": "postive"}, "Did you mean 'positive'?"),
        ({"text": TEXT, "words": 0}, "from 1 to 512"),
        ({"method": "saliency"}, "text"),
    ],
)
def test_errors_say_what_to_do(address: str, arguments: dict[str, Any], message: str) -> None:
    result = call(address, "explain_prediction", **arguments)
    assert result.isError and message in result.content[0].text
    assert "Traceback" not in result.content[0].text


def test_other_endpoints_are_no_tools(address: str) -> None:
    result = call(address, "evaluate", texts=[TEXT])
    assert result.isError


def test_the_limits_of_the_service_hold(address: str) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"filler": "x" * 30_000}}
    headers = {"accept": "application/json, text/event-stream"}
    assert httpx.post(address, json=body, headers=headers).status_code == 413
    body["params"] = {}
    assert httpx.post(address, json=body, headers=headers).status_code == 200
    base = address.removesuffix("/gradio_api/mcp/")
    assert httpx.post(f"{base}/gradio_api/call/explain_prediction", json={"data": [TEXT]}).status_code == 404


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, False),
        ({"SYSTEM": "spaces"}, True),
        ({"SYSTEM": "spaces", "ATTRIBUTION_MCP": "0"}, False),
        ({"ATTRIBUTION_MCP": "true"}, True),
        ({"GRADIO_MCP_SERVER": "True"}, True),
    ],
)
def test_the_flag_has_a_variable(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: bool
) -> None:
    import argparse

    for name in ("SYSTEM", "ATTRIBUTION_MCP", "GRADIO_MCP_SERVER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    assert parser.parse_args([]).mcp is expected
    assert parser.parse_args(["--mcp"]).mcp and not parser.parse_args(["--no-mcp"]).mcp


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from components.application import build

    monkeypatch.setitem(sys.modules, "mcp", None)
    with pytest.raises(NotInstalled, match=r"tool\[mcp\]"):
        build(mcp=True)
