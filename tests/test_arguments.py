"""Every argument of every public function with values of every kind: an answer, or a typed error."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

import attribution
from attribution import Attribution, AttributionError, Client, load
from attribution.batch import Run
from attribution.engine import Engine, default_engine
from attribution.errors import BadFile, BadOption, BatchError, Cancelled, UnknownMethod
from attribution.models.function import Function
from components.api import endpoints
from components.api.comparison import answer_comparison
from components.api.evaluation import answer_assessment, answer_evaluation
from tests.samples import sample

ITSELF: list[Any] = []
ITSELF.append(ITSELF)
MAPPING: dict[str, Any] = {}
MAPPING["a"] = MAPPING


class Unprintable:
    def __str__(self) -> str:
        raise ValueError("no")


def make_values() -> dict[str, Any]:
    """Values of every kind, by a name for the report. None of them is a name of anything."""
    return {
        "nothing": None,
        "number": 5,
        "negative": -1,
        "fraction": 1.5,
        "nan": float("nan"),
        "infinity": float("inf"),
        "digits": 10**5000,
        "true": True,
        "empty text": "",
        "word": "x",
        "surrogate": "\ud800",
        "zero": "\0",
        "bytes": b"x",
        "empty list": [],
        "texts": ["x"],
        "numbers": [5],
        "lists": [[]],
        "nothings": [None],
        "deep": [[[0, "a"]]],
        "itself": ITSELF,
        "mapping": {"x": 1},
        "no mapping": {},
        "numbered": {5: 1},
        "in itself": MAPPING,
        "set": {1},
        "iterator": iter([5]),
        "array": np.zeros(2),
        "object": object(),
        "unprintable": Unprintable(),
        "class": Unprintable,
        "function": lambda first, second, third: None,
    }


@pytest.fixture(scope="module")
def function() -> Function:
    """A model that answers at once."""
    return load(lambda texts: [[0.25, 0.75]] * len(texts), labels=("no", "yes"), name="quick")  # type: ignore[return-value]


CALLS: dict[str, dict[str, Any]] = {
    "attribute": {"text": "so good", "method": "occlusion"},
    "attribute_many": {"texts": ["so good"], "method": "occlusion"},
    "estimate": {"text": "so good", "method": "occlusion"},
    "compare": {"text": "so good", "methods": ["occlusion", "random"]},
    "evaluate": {"texts": ["so good"], "methods": "occlusion", "metrics": "sparsity", "bootstrap": 100},
    "assess": {"text": "so good", "methods": ["occlusion"], "seconds": 0},
    "run_batch": {"table": ["so good"], "method": "occlusion"},
    "attentions": {"text": "so good"},
}
"""The smallest call of each function that explains."""
MODEL = {"compare": "models"}
CASES = [
    (name, parameter.name)
    for name in CALLS
    for parameter in inspect.signature(getattr(attribution, name)).parameters.values()
    if parameter.kind is not parameter.VAR_KEYWORD
]


def call(target: Any, name: str, arguments: dict[str, Any]) -> Any:
    result = getattr(target, name)(**arguments)
    if isinstance(result, Run):
        result.close()
    return list(result) if isinstance(result, Iterator) else result


ODD = ("a int", "NoneType", "a str ", "object at 0x", "((", "\n")
"""What no sentence for a person contains."""


def find_fault(work: Callable[[], object]) -> str:
    """What is wrong with the outcome: "" for an answer, and for a typed error in plain words."""
    try:
        work()
    except AttributionError as error:
        odd = [
            word for word in ("a int", "NoneType", "a str ", "object at 0x", "((", "\n") if word in str(error)
        ]
        return f"{odd[0]!r} in: {error}" if odd or not error.message else ""
    except Exception as error:
        return f"{type(error).__name__}: {error!s:.100}"
    return ""


def test_every_function_is_tried() -> None:
    functions = {name for name in attribution.__all__ if inspect.isfunction(getattr(attribution, name, None))}
    assert functions - {"load", "remote", "list_methods", "list_metrics"} == set(CALLS)


@pytest.mark.parametrize(("name", "parameter"), CASES, ids=[f"{name}-{argument}" for name, argument in CASES])
def test_a_wrong_value_is_refused_in_words(
    name: str, parameter: str, function: Function, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    faults = {}
    for number, (kind, value) in enumerate(make_values().items()):
        if value is None and (name, parameter) == ("assess", "model"):
            continue  # the default model
        arguments = {MODEL.get(name, "model"): function, **CALLS[name]}
        if name == "run_batch":
            arguments["folder"] = f"run-{number}"
        arguments[parameter] = value
        if fault := find_fault(lambda arguments=arguments: call(attribution, name, arguments)):  # type: ignore[misc]
            faults[kind] = fault
    assert not faults


class Wire:
    """What a server answers to the client, through JSON but without a network."""

    def __init__(self) -> None:
        engine = default_engine()
        self.answers: dict[str, Callable[[Any], Any]] = {
            "/attribute": lambda body: endpoints.answer(engine, body).to_dict(),
            "/compare": lambda body: answer_comparison(engine, body).to_dict(),
            "/assess": lambda body: answer_assessment(engine, body).to_dict(),
            "/evaluate": lambda body: [step.to_dict() for step in answer_evaluation(engine, body)][-1],
        }

    def call(self, endpoint: str, **body: Any) -> Any:
        sent = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
        return json.loads(json.dumps(self.answers[endpoint](json.loads(sent))))

    def stream(self, endpoint: str, **body: Any) -> Iterator[Any]:
        yield self.call(endpoint, **body)


@pytest.fixture
def client() -> Iterator[Client]:
    wire = Wire()
    with (
        # What passes the checks is not computed, on either side.
        mock.patch.object(Engine, "_compute", side_effect=Cancelled("All checks are passed.")),
        mock.patch("attribution.request.connection.Connection"),
        mock.patch.object(Client, "_call", side_effect=wire.call),
        mock.patch.object(Client, "stream", side_effect=wire.stream),
    ):
        yield Client("127.0.0.1:9")


def outcome(work: Callable[[], object]) -> str:
    try:
        work()
    except AttributionError as error:
        return type(error).__name__
    return "an answer"


@pytest.mark.parametrize(
    ("name", "parameter"),
    [case for case in CASES if case[0] in ("attribute", "compare", "evaluate", "assess")],
)
def test_the_client_refuses_what_the_library_refuses(name: str, parameter: str, client: Client) -> None:
    differences = {}
    for kind in make_values():
        results = []
        for target in (attribution, client):
            arguments = {**CALLS[name], parameter: make_values()[kind]}
            results.append(outcome(lambda target=target, arguments=arguments: call(target, name, arguments)))  # type: ignore[misc]
        # An object may be a model for the library, never for a server.
        refused = (
            parameter in ("model", "models") and "an answer" not in results and "Cancelled" not in results
        )
        if results[0] != results[1] and not refused:
            differences[kind] = results
    assert not differences


@pytest.mark.parametrize("target", [attribution, Client], ids=["library", "client"])
@pytest.mark.parametrize(
    ("positional", "keywords", "message"),
    [
        ((), {}, "attribute lacks its argument 'text'"),
        (("a", "m", "lime", None, 5), {}, "5 arguments without a name. Only text, model, method, target"),
        (("a",), {"text": "b"}, "'text' is given twice"),
    ],
)
def test_a_call_that_does_not_fit_is_explained(
    target: Any, positional: tuple[Any, ...], keywords: dict[str, Any], message: str
) -> None:
    first = (object.__new__(Client),) if target is Client else ()
    with pytest.raises(BadOption) as caught:
        target.attribute(*first, *positional, **keywords)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("keywords", "error", "message"),
    [
        ({"methods": ["occlusion", "salency"]}, UnknownMethod, "Did you mean 'saliency'"),
        ({"methods": ["occlusion"], "options": {"occlusion": {"hide": "pads"}}}, BadOption, "hide is 'pads'"),
        ({"methods": ["occlusion"], "previews": True}, BadOption, "has no parameter 'previews'"),
        ({"methods": ["occlusion"], "cancelled": 5}, BadOption, "no option 'cancelled'"),
    ],
)
def test_what_a_comparison_names_wrongly_is_an_error_of_the_call(
    keywords: dict[str, Any], error: type[AttributionError], message: str, function: Function
) -> None:
    for name in ("compare", "assess"):
        place = {MODEL.get(name, "model"): function}
        with pytest.raises(error) as caught:
            getattr(attribution, name)("so good", **place, **keywords)
        assert message in str(caught.value)


def test_assess_has_no_output(client: Client) -> None:
    for target in (attribution, client):
        with pytest.raises(BadOption, match="option 'output'"):
            target.assess("so good", methods=["occlusion"], output=99)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("missing/picture.png", "cannot be written: No such file"),
        ("picture", "has no extension"),
        ("a\0b.json", "cannot be written"),
        (5, "The file is a number"),
        (None, "The file is nothing"),
    ],
)
def test_what_cannot_be_saved_says_why(
    path: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadFile) as caught:
        sample("one").save(path)
    assert message in str(caught.value) and ".tmp" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", ["missing.json", ".", 5, None])
def test_what_cannot_be_loaded_says_why(path: Any) -> None:
    with pytest.raises(BadFile):
        Attribution.load(path)


def test_a_run_is_resumed_without_its_table(function: Function, tmp_path: Path) -> None:
    attribution.run_batch(["so good"], tmp_path / "run", function, "occlusion").close()
    with attribution.run_batch(None, tmp_path / "run", function) as run:
        assert [result.text for result in run.results()] == ["so good"]
    with pytest.raises(BatchError, match="give None for the table"):
        attribution.run_batch(["so bad"], tmp_path / "run", function, "occlusion")
