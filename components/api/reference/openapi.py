"""The OpenAPI document of our own REST routes, and a page that shows it without scripts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

from fastapi import Response
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from attribution import formats
from attribution.settings import VERSION, Settings

from ...controls.values import MOST_BESIDE
from ..batch import BATCH
from ..comparison import COMPARE
from ..endpoint import Endpoint
from ..endpoints import ATTRIBUTE, ESTIMATE, EstimateEntry
from ..evaluation import ASSESS, EVALUATE
from ..fields import method_names
from ..lists import METHODS, METRICS, MODELS, MethodEntry, MetricEntry, ModelEntry
from ..runs import file_names
from .answers import (
    AssessmentAnswer,
    AttributionAnswer,
    BatchStep,
    ComparisonAnswer,
    ErrorAnswer,
    EvaluationAnswer,
)

TITLE = "Attribution Visualization Tool"
JSON = "application/json"
LINES = "application/x-ndjson"
REFERENCE = "#/components/schemas/{model}"
ERRORS = {
    "403": "This server does not load the model.",
    "404": "There is no such model, method, metric or file.",
    "413": "The body is too large.",
    "422": "The request is not valid; message and hint say why.",
    "429": "Too many requests; try again after the seconds in Retry-After.",
    "500": "An error of the server, which has logged it under the id in the message.",
    "503": "The server is busy, or the Hub cannot be reached; try again later.",
    "504": "The answer would take longer than this server allows.",
}
TEXT = "This movie is absolutely fantastic!"


@dataclass(frozen=True)
class Operation:
    """One route with one verb. ``answer`` is a type, or None for a file; ``body`` an example."""

    path: str
    endpoint: Endpoint
    answer: Any
    body: dict[str, Any] = field(default_factory=dict)
    name: str = ""
    media_types: tuple[str, ...] = (JSON,)
    parameters: Mapping[str, list[str] | None] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.name or self.endpoint.name

    @property
    def verb(self) -> str:
        return "post" if self.body else "get"


EXPORT = Endpoint("export", "The same as /api/attribute, as a file", "The file.", "text", ATTRIBUTE.fields)
FILE = Endpoint("batch", "A file of a run of the batch page", "The file.")


def list_operations() -> list[Operation]:
    """Every documented route."""
    formats_ = formats.list_formats()
    types = tuple(dict.fromkeys(entry.media_type for entry in formats_.values()))
    methods = ["saliency", "occlusion"]
    return [
        Operation("/api/attribute", ATTRIBUTE, AttributionAnswer, {"text": TEXT, "method": "saliency"}),
        Operation("/api/estimate", ESTIMATE, EstimateEntry, {"text": TEXT, "method": "lime"}),
        Operation("/api/compare", COMPARE, ComparisonAnswer, {"text": TEXT, "methods": methods}),
        Operation(
            "/api/evaluate",
            EVALUATE,
            EvaluationAnswer,
            {"texts": [TEXT, "What a waste."], "methods": methods, "metrics": ["comprehensiveness"]},
        ),
        Operation("/api/assess", ASSESS, AssessmentAnswer, {"text": TEXT, "methods": methods}),
        Operation(
            "/api/batch",
            BATCH,
            BatchStep,
            {"rows": [TEXT, {"text": "What a waste.", "target": "negative"}], "method": "saliency"},
            media_types=(LINES,),
        ),
        Operation(
            "/api/export/{format}",
            EXPORT,
            None,
            {"text": TEXT, "method": "saliency", "beside": ["occlusion"]},
            media_types=types,
            parameters={"format": list(formats_)},
        ),
        Operation("/api/methods", METHODS, list[MethodEntry], name="list_methods"),
        Operation("/api/models", MODELS, list[ModelEntry], name="list_models"),
        Operation("/api/metrics", METRICS, list[MetricEntry], name="list_metrics"),
        Operation(
            "/api/batch/{run}/{file}",
            FILE,
            None,
            name="run_file",
            media_types=("application/octet-stream",),
            parameters={"run": None, "file": list(file_names())},
        ),
    ]


def build_document(settings: Settings) -> dict[str, Any]:
    """The document, in OpenAPI 3.1."""
    operations = list_operations()
    kinds = [(entry.id, "serialization", TypeAdapter(entry.answer)) for entry in operations if entry.answer]
    kinds.append(("error", "serialization", TypeAdapter(ErrorAnswer)))
    answers, definitions = TypeAdapter.json_schemas(kinds, ref_template=REFERENCE)  # type: ignore[arg-type]
    schemas: dict[str, Any] = dict(definitions["$defs"])
    paths: dict[str, Any] = {}
    for entry in operations:
        answer = answers.get((entry.id, "serialization"), {"type": "string", "format": "binary"})
        described = _describe(entry, answer)
        if entry.body:
            name = f"{entry.id.title()}Request"
            schemas[name] = _body_schema(entry.endpoint, settings)
            described["requestBody"] = {
                "required": True,
                "content": {
                    JSON: {"schema": {"$ref": REFERENCE.format(model=name)}, "example": entry.body},
                },
            }
        paths.setdefault(entry.path, {})[entry.verb] = described
    return {
        "openapi": "3.1.0",
        "info": {
            "title": TITLE,
            "version": VERSION,
            "description": "Which tokens drive a language model's prediction.",
        },
        "servers": [{"url": "."}],
        "paths": paths,
        "components": {"schemas": dict(sorted(schemas.items())), "responses": _error_responses()},
    }


def _describe(entry: Operation, answer: dict[str, Any]) -> dict[str, Any]:
    """An operation without its body."""
    errors = {status: {"$ref": f"#/components/responses/Error{status}"} for status in ERRORS}
    content = {media_type.split(";")[0]: {"schema": answer} for media_type in entry.media_types}
    described: dict[str, Any] = {
        "operationId": entry.id,
        "summary": entry.endpoint.summary,
        "responses": {"200": {"description": entry.endpoint.returns, "content": content}, **errors},
    }
    if entry.parameters:
        described["parameters"] = [
            {
                "name": name,
                "in": "path",
                "required": True,
                "schema": {"type": "string"} if choices is None else {"type": "string", "enum": choices},
            }
            for name, choices in entry.parameters.items()
        ]
    return described


def _body_schema(endpoint: Endpoint, settings: Settings) -> dict[str, Any]:
    schema = endpoint.schema(settings)
    if endpoint is ASSESS:
        del schema["required"]
        schema["anyOf"] = [{"required": ["text"]}, {"required": ["attributions"]}]
    if endpoint is EXPORT:
        names = {"type": "array", "items": {"type": "string", "enum": method_names()}}
        beside = {**names, "maxItems": MOST_BESIDE, "description": "Other methods for the same figure."}
        schema["properties"]["beside"] = beside
    return schema


def _error_responses() -> dict[str, Any]:
    content = {JSON: {"schema": {"$ref": REFERENCE.format(model="ErrorAnswer")}}}
    return {f"Error{status}": {"description": words, "content": content} for status, words in ERRORS.items()}


def routes(settings: Settings) -> list[APIRoute]:
    """``GET /openapi.json`` and ``GET /docs``."""
    document = build_document(settings)
    page = render_page(document)

    async def openapi() -> Response:
        return JSONResponse(document)

    async def docs() -> Response:
        policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
        return HTMLResponse(page, headers={"content-security-policy": policy})

    return [
        APIRoute("/openapi.json", openapi, methods=["GET"], include_in_schema=False),
        APIRoute("/docs", docs, methods=["GET"], include_in_schema=False),
    ]


_STYLE = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;"
    "padding:0 1rem}pre{overflow-x:auto;padding:.6rem;background:#8881;border-radius:6px}"
    "h2{margin-top:2.5rem}"
    "table{border-collapse:collapse}th,td{text-align:left;vertical-align:top;padding:.3rem .8rem .3rem 0;"
    "border-bottom:1px solid #8884}summary{cursor:pointer}"
)


def render_page(document: dict[str, Any]) -> str:
    """The document as a page. Without a ``head`` element, into which the scripts of the app would go."""
    schemas = document["components"]["schemas"]
    operations = "".join(
        _render_operation(path, verb, operation, schemas)
        for path, verbs in document["paths"].items()
        for verb, operation in verbs.items()
    )
    types = "".join(
        f'<details id="{name}"><summary><code>{name}</code></summary><pre>{_as_text(schema)}</pre></details>'
        for name, schema in schemas.items()
    )
    errors = "".join(f"<tr><th>{status}<td>{escape(words)}" for status, words in ERRORS.items())
    title = escape(document["info"]["title"])
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><link rel="icon" href="data:,">'
        f'<meta name="viewport" content="width=device-width"><title>{title}: REST</title>'
        f"<style>{_STYLE}</style>"
        f"<h1>{title}: REST</h1><p>For programs: <a href=openapi.json>openapi.json</a>, OpenAPI "
        f"{document['openapi']}.{operations}<h2>Errors</h2><p>An error is "
        f"<code>{{error, message, hint}}</code>.<table>{errors}</table><h2>Schemas</h2>{types}</html>"
    )


def _render_operation(path: str, verb: str, operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    body = operation.get("requestBody", {}).get("content", {}).get(JSON)
    parts = [f"<h2><code>{verb.upper()} {escape(path)}</code></h2><p>{escape(operation['summary'])}."]
    if body:
        schema = schemas[body["schema"]["$ref"].rpartition("/")[2]]
        rows = "".join(
            f"<tr><th><code>{escape(name)}</code><td>{escape(value.get('description', ''))}"
            f"<td>{escape(json.dumps(value.get('default', '')))}"
            for name, value in schema["properties"].items()
        )
        parts.append(f"<pre>{_as_text(body['example'])}</pre>")
        parts.append(
            f"<details><summary>Fields</summary><table><tr><th>Field<th><th>Default{rows}</table></details>"
        )
    for parameter in operation.get("parameters", []):
        choices = ", ".join(parameter["schema"].get("enum", []))
        parts.append(f"<p><code>{parameter['name']}</code> {escape(choices)}")
    parts.append(f"<p>Answer: {escape(operation['responses']['200']['description'])}")
    return "".join(parts)


def _as_text(value: Any) -> str:
    return escape(json.dumps(value, indent=2, ensure_ascii=False))
