"""Requests: their fields, checks and forms, and that every interface is built from them."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

import attribution
from attribution import attribute, compare, estimate, evaluate
from attribution import request as requests
from attribution.errors import AttributionError, BadFile, BadOption, InputError
from attribution.registry import Option
from attribution.request import Request, Target, fields, json_schema, parse
from attribution.settings import DEFAULTS

ROOT = Path(__file__).resolve().parents[1]
FULL = Request(
    "A text",
    "some/model",
    "lime",
    ["a", 1],
    second="another",
    contrast="runner-up",
    position=[0, 2],
    continuation="and on",
    quantity="probability",
    max_new_tokens=8,
    task="sentiment",
    revision="main",
    options={"samples": 64, "hide": "delete"},  # type: ignore[arg-type]
)


class TestForms:
    def test_can_be_hashed_whatever_its_values(self) -> None:
        assert hash(FULL) == hash(replace(FULL, target=("a", 1), position=(0, 2)))
        assert FULL.options == (("hide", "delete"), ("samples", 64))

    @pytest.mark.parametrize("request_", [FULL, Request("x")])
    def test_are_read_back_equal(self, request_: Request) -> None:
        for write, read in ((Request.to_dict, Request.from_dict), (Request.record, Request.from_record)):
            assert read(json.loads(json.dumps(write(request_)))) == request_
        assert Request.read(json.loads(json.dumps(request_.to_dict(defaults=False)))) == request_

    def test_the_record_has_a_separate_target_as_in_files_of_the_first_version(self) -> None:
        record = FULL.record()
        assert record["target"] == {
            "label": ["a", 1],
            "quantity": "probability",
            "max_new_tokens": 8,
            "contrast": "runner-up",
            "position": [0, 2],
            "continuation": "and on",
        }
        assert set(record) == {"text", "model", "method", "target", "options", "task", "revision", "second"}

    def test_a_record_with_an_unknown_field_is_refused(self) -> None:
        with pytest.raises(BadFile, match="not a request"):
            Request.from_record({"text": "x", "model": "m", "method": "lime", "surprise": 1})

    def test_only_what_differs_is_written_where_defaults_are_left_out(self) -> None:
        assert Request("x", task="sentiment").to_dict(defaults=False) == {"text": "x", "task": "sentiment"}

    def test_the_target_is_what_models_see(self) -> None:
        assert Target.of(FULL) == Target(("a", 1), "probability", 8, "runner-up", (0, 2), "and on")

    def test_another_request_may_stand_for_the_text(self) -> None:
        assert Request.of(FULL, method="saliency", options=None) == replace(
            FULL, method="saliency", options=()
        )

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("a", "b", "c", "d", "e"), "5 arguments without a name"),
            ((), "text is missing"),
        ],
    )
    def test_positions_are_counted(self, arguments: tuple[str, ...], message: str) -> None:
        with pytest.raises(InputError, match=message):
            Request.of(*arguments)

    def test_a_duplicate_option_is_refused(self) -> None:
        with pytest.raises(BadOption, match="'samples' is given twice"):
            Request.of("x", samples=3, options={"samples": 4})


class TestForeignValues:
    """Numbers and arrays of numpy, torch, pandas and pyarrow stand for Python's own."""

    @pytest.mark.parametrize(
        ("field", "value", "plain"),
        [
            ("target", np.int64(1), 1),
            ("target", np.str_("positive"), "positive"),
            ("target", np.array(1), 1),
            ("target", np.array(["a", "b"]), ("a", "b")),
            ("target", pd.Index(["a", "b"]), ("a", "b")),
            ("target", {"a": 0, "b": 1}.keys(), ("a", "b")),
            ("target", torch.tensor(1), 1),
            ("contrast", np.int32(0), 0),
            ("position", torch.tensor([0, 2]), (0, 2)),
            ("position", range(2), (0, 1)),
            ("position", [np.int64(3), torch.tensor(4)], (3, 4)),
            ("max_new_tokens", np.uint8(4), 4),
            ("max_new_tokens", torch.tensor(4), 4),
            ("text", np.str_("a text"), "a text"),
            ("options", {"lime": {"samples": np.int64(9)}}, (("lime", (("samples", 9),)),)),
            ("options", {"a": np.bool_(True), "b": pa.scalar(2.0)}, (("a", True), ("b", 2.0))),
        ],
    )
    def test_a_field_takes_them(self, field: str, value: object, plain: object) -> None:
        request = replace(Request("x"), **{field: value})
        checked = getattr(request.checked(), field)
        assert checked == plain and type(checked) is type(plain)
        assert json.loads(json.dumps(request.to_dict())) and hash(request) is not None

    @pytest.mark.parametrize(
        "value", [np.int64(2), np.array(2), torch.tensor(2), np.float32(2.0), pa.scalar(2)]
    )
    def test_an_option_takes_them(self, value: object) -> None:
        assert Option("steps", "int", 8, minimum=1, maximum=9).check(value) == 2
        with pytest.raises(BadOption, match="samples is \\[1, 2\\]"):
            Option("samples", "int", 8).check(np.array([1, 2]))
        assert Option("exact", "bool", False).check(np.bool_(True)) is True

    def test_every_public_function_takes_them(self) -> None:
        text = np.str_("a good film, a bad plot")
        plain = attribute("a good film, a bad plot", method="lime", target=1, samples=50, seed=3)
        other = attribute(
            text,
            method=np.str_("lime"),
            target=torch.tensor(1),
            options={"samples": torch.tensor(50)},
            seed=np.array(3),
        )
        assert other.request == plain.request and np.array_equal(other.scores, plain.scores)
        compared = compare(text, methods=np.array(["saliency", "occlusion"]), output=np.int64(0))
        assert compared.methods == ("saliency", "occlusion")
        assert compared.agreement("overlap", k=np.int64(2)).k == 2
        measured = evaluate(
            pd.Series([text]),
            methods=pd.Index(["saliency"]),
            metrics="token_f1",
            rationales=[np.array([0, 1, 0, 0, 1, 0])],
            seed=np.int64(1),
            bootstrap=torch.tensor(100),
        )
        assert measured.seed == 1 and measured.texts == (str(text),) and not measured.failures


class TestChecks:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"text": 3}, "text is a number (3)"),
            ({"target": True}, "target is True"),
            ({"target": []}, "target lists 0 labels. It may list 1 to 64"),
            ({"contrast": ["a"]}, "contrast is a list"),
            ({"position": -1}, "position is -1"),
            ({"quantity": "logits"}, "one of logit, log_probability, probability. Did you mean 'logit'"),
            ({"max_new_tokens": 65}, "whole number from 1 to 64"),
            ({"task": 5}, "task is a number (5). It must be a word such as sentiment"),
            ({"revision": 5}, "revision is a number (5)"),
            ({"options": [3]}, "options is a list. It must map names to values"),
        ],
    )
    def test_say_what_was_got_and_what_is_allowed(self, changes: dict[str, Any], message: str) -> None:
        with pytest.raises(InputError) as caught:
            replace(Request("x"), **changes).checked()
        assert message in str(caught.value)

    def test_a_limit_is_that_of_the_settings(self) -> None:
        assert Request("x", max_new_tokens=100).checked(replace(DEFAULTS, max_new_tokens=100))

    def test_the_schema_has_a_description_of_every_field(self) -> None:
        schema = json_schema(method={"enum": ["lime"]})
        assert list(schema["properties"]) == list(fields()) and schema["required"] == ["text"]
        assert all(entry["description"].endswith(".") for entry in schema["properties"].values())
        assert schema["properties"]["method"]["enum"] == ["lime"]

    @pytest.mark.parametrize(
        ("written", "value"),
        [("3", 3), ("0, 2,5", (0, 2, 5)), ("sequence", "sequence"), ("", None), ("x", "x")],
    )
    def test_a_position_is_read_from_text(self, written: str, value: object) -> None:
        assert parse("position", written) == value

    def test_a_command_line_is_read_back(self) -> None:
        parser = argparse.ArgumentParser()
        requests.add_arguments(parser, several=["model"])
        line = ["a text", "--model", "m", "n", "--target", "1", "--position", "0,2", "--option", "samples=3"]
        values = requests.from_arguments(parser.parse_args(line))
        assert values["model"] == ["m", "n"] and values["target"] == "1" and values["position"] == (0, 2)
        assert values["options"] == ["samples=3"] and set(values) == set(fields())


class TestCalls:
    @pytest.mark.parametrize("function", [attribute, estimate, compare])
    @pytest.mark.parametrize(
        ("keywords", "meant"),
        [
            ({"positon": 3}, "position"),
            ({"smaples": 64}, "samples"),
            ({"txt": "y"}, "text"),
            ({"option": {}}, "options"),
        ],
    )
    def test_a_mistyped_keyword_names_the_nearest(
        self, function: Any, keywords: dict[str, Any], meant: str
    ) -> None:
        method = {"methods": ["lime"]} if function is compare else {"method": "lime"}
        with pytest.raises(BadOption, match=f"Did you mean '{meant}'"):
            function("A text", **method, **keywords)

    def test_a_parameter_of_its_own_is_considered_too(self) -> None:
        with pytest.raises(BadOption, match=r"compare has no parameter 'modles'\. Did you mean 'models'"):
            compare("A text", modles=["a"])

    def test_options_work_flat_and_in_a_mapping_and_under_the_method_s_name(self) -> None:
        ways: list[dict[str, Any]] = [
            {"samples": 20},
            {"options": {"samples": 20}},
            {"options": {"lime": {"samples": 20}}},
        ]
        results = [attribute("A good film.", method="lime", **way) for way in ways]
        assert results[0].request == results[1].request == results[2].request
        assert dict(results[0].request.options)["samples"] == 20

    def test_flat_options_go_to_the_methods_that_have_them(self) -> None:
        comparison = compare(
            "A good film.", methods=["lime", "saliency"], samples=20, options={"saliency": {}}
        )
        lime, saliency = comparison.successful()
        assert dict(lime.request.options)["samples"] == 20
        assert "samples" not in dict(saliency.request.options)

    def test_an_option_that_no_method_has_is_refused(self) -> None:
        with pytest.raises(AttributionError, match="None of lime, saliency has an option 'steps'"):
            compare("A good film.", methods=["lime", "saliency"], steps=20)

    @pytest.mark.parametrize("package", ["batch", "methods", "metrics", "trackers"])
    def test_packages_are_packages(self, package: str) -> None:
        code = f"import attribution.{package} as package; assert package.__path__"
        subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, check=True, timeout=120)

    @pytest.mark.parametrize("name", ["methods", "metrics"])
    def test_the_old_calls_work_with_a_note(self, name: str) -> None:
        with pytest.warns(DeprecationWarning, match=f"attribution.list_{name}"):
            listed = getattr(attribution, name)()
        assert listed == getattr(attribution, f"list_{name}")()


SEEN = """
import inspect, json
import attribution
from attribution.batch import make_plan
from attribution.client import Client
from attribution.commands import parser
from attribution.export.writing.schema import build_schema
from attribution.request import Request
from attribution.settings import DEFAULTS
from attribution.tables import Columns
from components.api.batch import BATCH
from components.api.comparison import COMPARE
from components.api.endpoints import ATTRIBUTE, ESTIMATE
from components.api.evaluation import ASSESS, EVALUATE
from components.application import build
from components.controls.values import PageRequest
from attribution.export.writing.code import as_code

names = ("attribute", "estimate", "compare", "evaluate", "assess", "run_batch")
seen = {}
for where in (attribution, Client):
    for name in names:
        seen[f"{where.__name__}.{name}"] = "picture" in inspect.signature(getattr(where, name)).parameters
seen["help"] = "picture : what stands beside the text." in attribution.attribute.__doc__
for endpoint in (ATTRIBUTE, ESTIMATE, COMPARE, EVALUATE, ASSESS, BATCH):
    seen[f"REST {endpoint.name}"] = "picture" in endpoint.schema(DEFAULTS)["properties"]
described = build()[0].get_api_info()["named_endpoints"]
for name in ("attribute", "estimate", "compare", "evaluate", "assess", "batch"):
    seen[f"queue {name}"] = any(p["parameter_name"] == "picture" for p in described[f"/{name}"]["parameters"])
for name in ("explain", "batch", "evaluate"):
    seen[f"command {name}"] = "--picture PICTURE" in parser(name).format_help()
plan = make_plan("t", Columns("text"), ["m"], ["lime"], picture="a cat")
seen["plan"] = plan.to_dict()["asked"] == {"picture": "a cat"}
seen["file"] = "picture" in build_schema()["$defs"]["Request"]["properties"]
seen["record"] = Request.from_record(Request("x", picture="a cat").record()).picture == "a cat"
values = {"text": "x", "model": "m", "method": "lime", "picture": "a cat", "lime.samples": 20}
request = PageRequest.read(values).request
seen["page"] = request == Request("x", "m", "lime", options={"samples": 20}, picture="a cat")
for name, code in as_code(request).items():
    seen[f"code {name}"] = "a cat" in code
print(json.dumps(seen))
"""
"""Looks for the field ``picture`` in every interface."""


def test_a_new_field_is_one_edit(tmp_path: Path) -> None:
    for package in ("attribution", "components"):
        ignored = shutil.ignore_patterns("*.safetensors", "__pycache__", "*.pyi")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignored)
    path = tmp_path / "attribution" / "request" / "__init__.py"
    source = path.read_text(encoding="utf-8")
    word = 'kinds.Word("what stands beside the text.", example="cat.png")'
    new = f"    picture: Annotated[str | None, {word}] = None\n"
    assert source.count("    task: Annotated[\n") == 1
    path.write_text(
        source.replace("    task: Annotated[\n", new + "    task: Annotated[\n"), encoding="utf-8"
    )
    done = subprocess.run(
        [sys.executable, "-c", SEEN], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert len(seen) == 36 and all(seen.values()), [where for where, is_seen in seen.items() if not is_seen]
