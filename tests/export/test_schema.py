"""The published JSON schema, checked with an independent validator: files are valid, valid files are read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from attribution import export
from attribution.export import json as json_format
from attribution.export.writing.schema import build_schema
from attribution.types import Attribution, ModelInfo, Output, Target, Token
from tests.samples import NAMES, methods, sample

FILE = Path(__file__).resolve().parents[2] / "docs" / "schema" / "attribution-1.json"
CHECK = Draft202012Validator(build_schema())


def written(*results: Attribution) -> Any:
    return json.loads(export.render(results, "json"))


def test_it_is_a_schema_and_the_published_one() -> None:
    Draft202012Validator.check_schema(build_schema())
    published = json.loads(FILE.read_text(encoding="utf-8"))
    assert published.pop("$comment") and published == build_schema()


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_of_result_is_valid(name: str) -> None:
    CHECK.validate(written(sample(name)))


def test_several_results_are_valid() -> None:
    CHECK.validate(written(*methods()))


def test_a_full_request_is_valid() -> None:
    data = written(sample("sampled"))
    data["request"]["target"].update(label=["a", 1], contrast="runner-up", position=[3, 1], continuation=" x")
    data["request"].update(
        second="other", task="causal", revision="abc", options={"a": True, "b": 2, "c": 0.5, "d": "x"}
    )
    CHECK.validate(data)
    data["request"]["target"].update(label=None, position="sequence")
    CHECK.validate(data)


def optional(
    data: dict[str, Any], definition: dict[str, Any], definitions: dict[str, Any]
) -> Iterator[tuple[dict[str, Any], str]]:
    """Every place of a document that may be missing: its object and its name."""
    for name, kind in definition["properties"].items():
        if name not in definition["required"]:
            yield data, name
        target = kind.get("items", kind).get("$ref", "").rpartition("/")[2]
        inner = data[name][0] if isinstance(data[name], list) and data[name] else data[name]
        if target and isinstance(inner, dict):
            yield from optional(inner, definitions[target], definitions)


def test_what_may_be_missing_is_not_missed_by_the_reader() -> None:
    data = written(sample("sampled"))
    places = list(optional(data, build_schema()["$defs"]["Attribution"], build_schema()["$defs"]))
    assert len(places) > 20
    for place, name in places:
        del place[name]
    CHECK.validate(data)
    [read] = json_format.read(json.dumps(data).encode())
    assert (
        read.scores.tolist() == sample("sampled").scores.tolist() and read.notes == () and read.errors is None
    )


def _drop(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda data: data.pop(name)


def _put(*path: Any) -> Callable[[dict[str, Any]], object]:
    """Writes the last of ``path`` at the place that the others name."""

    def put(data: Any) -> None:
        for step in path[:-2]:
            data = data[step]
        data[path[-2]] = path[-1]

    return put


@pytest.mark.parametrize(
    "broken",
    [
        *(
            _drop(name)
            for name in (
                "schema",
                "request",
                "model",
                "text",
                "tokens",
                "outputs",
                "scores",
                "prediction",
                "signed",
                "unit",
            )
        ),
        _put("schema", "attribution/2"),
        _put("text", None),
        _put("signed", "yes"),
        _put("tokens", 0, "start", "0"),
        _put("tokens", 0, "segment", "third"),
        _put("tokens", 0, "colour", "red"),
        _put("scores", [1.0, 2.0]),
        _put("scores", 0, 0, "1"),
        _put("errors", [[None]]),
        _put("completeness", 0, {"value": 1.0}),
        _put("request", "target", "quantity", "odds"),
        _put("request", "target", "position", "everywhere"),
        _put("request", "options", {"steps": [1]}),
        _put("request", "options", []),
        _put("model", "task", "vision"),
        _put("notes", "one"),
        _put("versions", {"torch": 2}),
        _put("error", 1.0),
    ],
)
def test_a_broken_document_is_refused(broken: Callable[[dict[str, Any]], object]) -> None:
    data = written(sample("english"))
    broken(data)
    assert not CHECK.is_valid(data)
    assert not CHECK.is_valid({"schema": "attributions/1", "attributions": [written(sample("one")), data]})


@pytest.mark.parametrize(
    "data", [[], 3, None, {}, {"schema": "attributions/1"}, {"schema": "attributions/1", "attributions": []}]
)
def test_another_document_is_refused(data: object) -> None:
    assert not CHECK.is_valid(data)


def test_says_what_the_docstrings_say() -> None:
    definitions = build_schema()["$defs"]
    assert definitions["Token"]["description"].startswith(
        "One token of the model's input. `start` and `end` are code points"
    )
    assert (
        definitions["Target"]["properties"]["continuation"]["description"]
        == "text to explain instead of what the model would generate."
    )
    assert definitions["Attribution"]["properties"]["scores"]["description"].startswith(
        "float64 [outputs, inputs]"
    )
    for kind in (Attribution, ModelInfo, Output, Target, Token):
        assert set(definitions[kind.__name__]["properties"]) - {"schema"} == {
            field.name for field in fields(kind)
        }
