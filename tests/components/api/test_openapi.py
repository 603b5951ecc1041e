"""The document of the REST routes: valid, complete, and what the server answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from attribution.settings import DEFAULTS
from components.api.reference.openapi import ERRORS, build_document, list_operations

OPERATIONS = {entry.id: entry for entry in list_operations()}
ANSWERED = [name for name in OPERATIONS if name != "run_file"]
DOCUMENT = build_document(DEFAULTS)


@pytest.fixture(scope="module")
def http(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=60) as client:
        yield client


def validate(value: Any, schema: dict[str, Any]) -> None:
    Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(value)


def described(name: str) -> dict[str, Any]:
    entry = OPERATIONS[name]
    operation: dict[str, Any] = DOCUMENT["paths"][entry.path][entry.verb]
    return operation


def send(http: httpx.Client, name: str, **changes: Any) -> httpx.Response:
    entry = OPERATIONS[name]
    body = {**entry.body, **changes} if entry.body else None
    return http.request(entry.verb, entry.path.replace("{format}", "json"), json=body)


def test_the_document_is_valid(http: httpx.Client) -> None:
    document = http.get("openapi.json").json()
    OpenAPIV31SpecValidator(document).validate()
    assert document["info"]["title"] == "Attribution Visualization Tool"
    assert document["components"] == json.loads(json.dumps(DOCUMENT["components"]))


def test_only_our_own_routes_are_in_it_and_each_has_a_name() -> None:
    assert all(path.startswith("/api/") for path in DOCUMENT["paths"])
    names = [operation["operationId"] for verbs in DOCUMENT["paths"].values() for operation in verbs.values()]
    assert names == list(OPERATIONS) and len(set(names)) == len(names)


@pytest.mark.parametrize("name", [name for name in OPERATIONS if OPERATIONS[name].body])
def test_the_example_fits_its_schema(name: str) -> None:
    content = described(name)["requestBody"]["content"]["application/json"]
    validate(content["example"], content["schema"])


@pytest.mark.parametrize("name", ANSWERED)
def test_the_answer_fits_its_schema(http: httpx.Client, name: str) -> None:
    answer = send(http, name)
    assert answer.status_code == 200, answer.text
    content = described(name)["responses"]["200"]["content"]
    media_type = answer.headers["content-type"].split(";")[0]
    if OPERATIONS[name].answer is not None:
        lines = answer.text.splitlines() if media_type.endswith("ndjson") else [answer.text]
        for line in lines:
            validate(json.loads(line), content[media_type]["schema"])
    assert media_type in content


@pytest.mark.parametrize("model", ["bundled/dates-t5", "bundled/shakespeare-gpt2"])
def test_the_answers_of_generating_models_fit_too(http: httpx.Client, model: str) -> None:
    answer = send(http, "attribute", model=model, text="the 3rd of March", contrast=None)
    schema = described("attribute")["responses"]["200"]["content"]["application/json"]["schema"]
    validate(answer.json(), schema)
    failed = send(http, "compare", model=None, models=[model], methods=["saliency", "reagent"])
    if failed.status_code == 200:
        validate(
            failed.json(), described("compare")["responses"]["200"]["content"]["application/json"]["schema"]
        )


@pytest.mark.parametrize("name", [name for name in ANSWERED if OPERATIONS[name].body])
def test_an_error_fits_its_schema(http: httpx.Client, name: str) -> None:
    answer = send(http, name, surprise=1)
    assert str(answer.status_code) in ERRORS and str(answer.status_code) in described(name)["responses"]
    response = DOCUMENT["components"]["responses"][f"Error{answer.status_code}"]
    validate(answer.json(), response["content"]["application/json"]["schema"])


def test_a_run_that_is_not_there(http: httpx.Client) -> None:
    answer = http.get("api/batch/nothing/results.jsonl")
    assert answer.status_code == 404 and answer.json()["error"] == "UnknownRun"


def test_every_documented_format_is_written(http: httpx.Client) -> None:
    [parameter] = described("export")["parameters"]
    content = described("export")["responses"]["200"]["content"]
    for extension in parameter["schema"]["enum"]:
        answer = http.post(f"api/export/{extension}", json={"text": "Good.", "method": "saliency"})
        assert answer.status_code in (200, 422, 501)
        if answer.status_code == 200:
            assert answer.headers["content-type"].split(";")[0] in content


def test_the_page_loads_nothing(http: httpx.Client) -> None:
    page = http.get("docs")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "<script" not in page.text and "http" not in page.text.replace(str(http.base_url), "")
    for entry in OPERATIONS.values():
        assert f"{entry.verb.upper()} {entry.path}" in page.text
