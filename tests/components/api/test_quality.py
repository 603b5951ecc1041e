"""The quality of explanations over REST, queued endpoints and the Python client, and in pictures."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest
from gradio_client import Client as GradioClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from attribution import (
    Assessment,
    Client,
    Evaluation,
    assess,
    attribute,
    errors,
    evaluate,
    formats,
    list_metrics,
    rationales,
)
from attribution.engine import Engine
from attribution.models.sources.store import Store
from attribution.settings import DEFAULTS
from components.api import evaluation
from components.api.gateway.waiting_line import WaitingLine
from components.api.quality import work_for
from components.live.visitor_store import VisitorStore
from components.pages.parts.many_texts import SAVED
from components.pictures.values import evaluation as pictures
from tests.browser.test_heatmap import HOSTILE
from tests.loop import run
from tests.samples import TEXTS as SAMPLES
from tests.samples import classification

TEXTS = ["A wonderful film, although slow.", "Not bad at all."]
MARKS: list[list[list[float]]] = [[[2, 11]], [[0, 3, 1], [4, 7, 0.5]]]
ARGUMENTS: dict[str, Any] = {"methods": ["occlusion", "saliency"], "metrics": ["deletion", "kendall_tau"]}


@pytest.fixture(scope="module")
def http(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[Client]:
    result = Client(url)
    yield result
    result.close()


@pytest.fixture(scope="module")
def library_result() -> Evaluation:
    """The result of the library, which all interfaces must return."""
    marks = [rationales.of_spans(text, spans) for text, spans in zip(TEXTS, MARKS, strict=True)]
    return evaluate(TEXTS, methods=ARGUMENTS["methods"], metrics=ARGUMENTS["metrics"], rationales=marks)


def assert_equal(result: Evaluation, expected: Evaluation) -> None:
    assert (result.methods, result.metrics, result.texts) == (
        expected.methods,
        expected.metrics,
        expected.texts,
    )
    for entry, other in zip(result.figures, expected.figures, strict=True):
        assert entry.values == pytest.approx(other.values, abs=1e-5)
        assert (entry.mean, entry.low, entry.high) == pytest.approx(
            (other.mean, other.low, other.high), abs=1e-5
        )


class TestEvaluate:
    def test_rest_says_what_the_library_says(self, http: httpx.Client, library_result: Evaluation) -> None:
        answer = http.post("/api/evaluate", json={"texts": TEXTS, "rationales": MARKS, **ARGUMENTS})
        assert answer.status_code == 200
        assert_equal(Evaluation.from_dict(answer.json()), library_result)
        assert answer.json()["overall"]["sentence"] == library_result.best().sentence
        assert answer.json()["version"]

    def test_a_plain_gradio_client_sees_it_grow(self, url: str, library_result: Evaluation) -> None:
        connection = GradioClient(url, verbose=False)
        *steps, last = connection.submit(texts=TEXTS, rationales=MARKS, **ARGUMENTS, api_name="/evaluate")
        assert steps[-1] == {"done": 2, "total": 2}
        assert_equal(Evaluation.from_dict(last), library_result)

    def test_the_client_gives_the_library_s_objects(self, client: Client, library_result: Evaluation) -> None:
        marks = [rationales.of_spans(text, spans) for text, spans in zip(TEXTS, MARKS, strict=True)]
        steps: list[tuple[int, int]] = []
        assert_equal(
            client.evaluate(TEXTS, rationales=marks, progress=lambda *step: steps.append(step), **ARGUMENTS),
            library_result,
        )
        assert steps == [(1, 2), (2, 2)]
        assert client.list_metrics() == [
            json.loads(json.dumps(entry.to_dict())) for entry in list_metrics().values()
        ]
        with pytest.raises(errors.UnknownMetric, match="delation"):
            client.evaluate(TEXTS, metrics="delation")

    def test_marks_with_signs_are_read_as_such(self, http: httpx.Client) -> None:
        body = {
            "texts": TEXTS[:1],
            "methods": ["occlusion"],
            "metrics": ["kendall_tau"],
            "rationales": [[[2, 11, 1], [27, 31, -1]]],
        }
        result = Evaluation.from_dict(http.post("/api/evaluate", json=body).json())
        marks = rationales.of_spans(TEXTS[0], [[2, 11, 1], [27, 31, -1]], signed=True)
        expected = evaluate(TEXTS[:1], methods="occlusion", metrics="kendall_tau", rationales=[marks])
        assert result.figure("occlusion", "kendall_tau").mean == pytest.approx(
            expected.figure("occlusion", "kendall_tau").mean
        )

    @pytest.mark.parametrize(
        ("body", "kind", "message"),
        [
            ({"texts": None}, "InputError", "'texts' is missing"),
            ({"texts": "one"}, "BadOption", "texts is 'one'. It must be a list"),
            ({"texts": []}, "BadOption", "There are 0 texts. This server takes 1 to 200"),
            ({"texts": ["a"] * 201}, "BadOption", "There are 201 texts"),
            ({"texts": [1]}, "BadOption", "list of strings"),
            ({"methods": ["saliency"] * 9}, "BadOption", "There are 9 methods. This server takes 1 to 8"),
            ({"metrics": ["deletion"] * 9}, "BadOption", "There are 9 metrics"),
            ({"metric": "deletion"}, "BadOption", "no field 'metric'. Did you mean 'metrics'"),
            ({"options": {"lime": 3}}, "BadOption", "options"),
            ({"bootstrap": 5}, "BadOption", "bootstrap is 5"),
            ({"seed": "x"}, "BadOption", "seed is 'x'"),
            ({"second": 4}, "BadOption", "second is 4"),
            ({"task": 5}, "BadOption", "task is a number (5)"),
            ({"rationales": [None]}, "BadOption", "one for each text"),
            ({"rationales": [None, [[0, 99]]]}, "BadTable", "Text 2, column 'rationales': A span ends at 99"),
        ],
    )
    def test_what_is_not_taken_is_refused_in_words(
        self, http: httpx.Client, body: dict[str, Any], kind: str, message: str
    ) -> None:
        answer = http.post("/api/evaluate", json={"texts": TEXTS, **body})
        assert answer.status_code == 422 and answer.json()["error"] == kind
        assert message in f"{answer.json()['message']} {answer.json()['hint']}"

    def test_what_is_not_there_is_not_found(self, http: httpx.Client) -> None:
        for body in ({"methods": ["magic"]}, {"metrics": ["magic"]}, {"model": "nobody"}):
            assert http.post("/api/evaluate", json={"texts": TEXTS, **body}).status_code == 404

    def test_the_limits_stand_in_the_schema(self, http: httpx.Client) -> None:
        document = http.get("/openapi.json").json()
        schemas = document["components"]["schemas"]
        fields = schemas["EvaluateRequest"]["properties"]
        limits = [fields[name]["maxItems"] for name in ("texts", "methods", "metrics")]
        assert limits == [DEFAULTS.evaluated_texts, DEFAULTS.evaluated_methods, DEFAULTS.evaluated_metrics]
        assert set(fields) == {field.name for field in evaluation.EVALUATE.fields}
        assess_fields = schemas["AssessRequest"]["properties"]
        assert assess_fields["seconds"]["maximum"] == DEFAULTS.assessment_seconds
        assert "/api/evaluation/{format}" not in document["paths"]

    def test_when_the_time_is_over_what_is_done_is_answered(self) -> None:
        engine = Engine(dataclasses.replace(DEFAULTS, evaluation_seconds=0.0), Store(DEFAULTS))
        *_, last = evaluation.evaluate_within_limits(
            engine, TEXTS, "bundled/sst2-minilm", ["saliency"], ["sparsity"]
        )
        assert (last.done, last.total, last.finished) == (1, 2, False)

    def test_who_leaves_cancels(self) -> None:
        async def gone() -> bool:
            return True

        def work(cancelled: Callable[[], bool]) -> bool:
            end = time.monotonic() + 10
            while not cancelled() and time.monotonic() < end:
                time.sleep(0.01)
            return cancelled()

        assert run(work_for(SimpleNamespace(is_disconnected=gone), work, WaitingLine(1, 0))) is True

    def test_a_line_that_is_full_refuses_and_moves_on(self) -> None:
        go = threading.Event()

        async def together() -> list[Any]:
            line = WaitingLine(at_once=2, waiting=3)
            tasks = [asyncio.create_task(line.run(go.wait, 30)) for _ in range(8)]
            await asyncio.sleep(0.1)
            refused = [entry for entry in tasks if entry.done()]
            assert len(refused) == 3 and all(
                isinstance(entry.exception(), errors.QueueFull) for entry in refused
            )
            go.set()
            results = [await entry for entry in tasks if entry not in refused]
            return [*results, await line.run(lambda: "later")]

        assert run(together()) == [True] * 5 + ["later"]

    def test_too_many_evaluations_at_once_are_told_to_come_later(self, http: httpx.Client) -> None:
        limit = DEFAULTS.running_evaluations + DEFAULTS.waiting_evaluations
        body = {"texts": TEXTS[1:], "methods": ["lime"], "metrics": ["deletion"], "bootstrap": 100}
        with ThreadPoolExecutor(3 * limit) as pool:
            answers = list(pool.map(lambda _: http.post("/api/evaluate", json=body), range(3 * limit)))
        refused = [entry for entry in answers if entry.status_code == 503]
        assert refused and all(
            entry.json()["error"] == "QueueFull" and "retry-after" in entry.headers for entry in refused
        )
        assert len(answers) - len(refused) >= limit and {entry.status_code for entry in answers} == {200, 503}


class TestAssess:
    def test_rest_and_client_say_what_the_library_says(self, http: httpx.Client, client: Client) -> None:
        names = ["occlusion", "saliency"]
        # One way of hiding words: how many more there is time for differs from run to run.
        expected = assess([attribute(TEXTS[0], method=name) for name in names], seconds=0)
        for result in (
            Assessment.from_dict(
                http.post("/api/assess", json={"text": TEXTS[0], "methods": names, "seconds": 0}).json()
            ),
            client.assess(TEXTS[0], methods=names, seconds=0),
        ):
            assert result.sentences == expected.sentences
            assert [entry.score for entry in result.ranking] == pytest.approx(
                [entry.score for entry in expected.ranking]
            )

    def test_attributions_that_are_there_already_are_judged(self, http: httpx.Client, client: Client) -> None:
        result = [attribute(TEXTS[0], method=name) for name in ("occlusion", "saliency")]
        own = dataclasses.replace(
            result[0],
            scores=np.arange(result[0].scores.size, dtype=float).reshape(result[0].scores.shape),
            request=dataclasses.replace(result[0].request, method="my-own-tool", options=()),
            title="My own tool",
        )
        expected = assess([*result, own], seconds=0)
        body = {
            "attributions": [json.loads(json.dumps(entry.to_dict())) for entry in (*result, own)],
            "seconds": 0,
        }
        for answer in (
            Assessment.from_dict(http.post("/api/assess", json=body).json()),
            client.assess([*result, own], seconds=0),
        ):
            assert {entry.title for entry in answer.ranking} == {"Occlusion", "Saliency", "My own tool"}
            assert answer.sentences == expected.sentences
            assert [entry.score for entry in answer.ranking] == pytest.approx(
                [entry.score for entry in expected.ranking]
            )

    @pytest.mark.parametrize(
        ("change", "kind", "message"),
        [
            (lambda entry: entry.pop("tokens"), "BadFile", "not an attribution"),
            (lambda entry: entry["scores"][0].pop(), "BadFile", "not an attribution"),
            (lambda entry: entry["scores"][0].__setitem__(0, "NaN"), "BadFile", "not finite"),
            (lambda entry: entry["scores"][0].__setitem__(0, 10**400), "BadFile", "not an attribution"),
            (
                lambda entry: entry["tokens"][1].__setitem__("end", 0),
                "BadOption",
                "tokens are not those",
            ),
            (lambda entry: entry.__setitem__("text", "Another text."), "BadFile", "not of the text"),
            (lambda entry: entry["request"].__setitem__("model", "no-such"), "UnknownModel", "no-such"),
            (lambda entry: entry["request"].__setitem__("model", "/etc"), "ModelRefused", "/etc"),
            (lambda entry: entry["request"].__setitem__("method", ["x"]), "BadFile", "method"),
            (
                lambda entry: entry["request"]["target"].__setitem__("label", "no-such"),
                "UnknownTarget",
                "no-such",
            ),
            (
                lambda entry: entry["request"]["target"].__setitem__("quantity", "much"),
                "BadOption",
                "quantity",
            ),
        ],
    )
    def test_attributions_that_cannot_be_judged_are_refused_in_words(
        self, http: httpx.Client, change: Callable[[Any], Any], kind: str, message: str
    ) -> None:
        entry = json.loads(json.dumps(attribute(TEXTS[0], method="saliency").to_dict()))
        change(entry)
        answer = http.post("/api/assess", json={"attributions": [entry], "seconds": 0})
        assert (answer.json()["error"], answer.status_code) == (
            kind,
            {"UnknownModel": 404, "ModelRefused": 403}.get(kind, 422),
        )
        assert message in answer.json()["message"]

    def test_attributions_and_a_text_are_one_too_many(self, http: httpx.Client) -> None:
        entry = attribute(TEXTS[0], method="saliency").to_dict()
        for body in ({"text": TEXTS[0]}, {"methods": ["lime"]}, {"model": "x"}):
            answer = http.post("/api/assess", json={"attributions": [json.loads(json.dumps(entry))], **body})
            assert (answer.json()["error"], answer.status_code) == ("BadOption", 422)
        invalid: tuple[Any, ...] = ([], "x", [1], [{}])
        for several in invalid:
            assert http.post("/api/assess", json={"attributions": several}).status_code == 422

    def test_a_method_that_fails_is_left_out(self, http: httpx.Client) -> None:
        answer = http.post(
            "/api/assess", json={"text": TEXTS[0], "methods": ["reagent", "occlusion"], "seconds": 0}
        )
        assert [entry["method"] for entry in answer.json()["ranking"]] == ["occlusion"]

    @pytest.mark.parametrize(
        ("body", "status", "kind", "message"),
        [
            ({"text": None}, 422, "InputError", "'text' is missing"),
            ({"text": " "}, 422, "EmptyInput", "no text"),
            ({"methods": ["no-such"]}, 404, "UnknownMethod", "no-such"),
            ({"methods": ["saliency"] * 9}, 422, "BadOption", "9 methods"),
            ({"seconds": 11}, 422, "BadOption", "seconds is 11. It must be a number from 0 to 10"),
            ({"seconds": True}, 422, "BadOption", "seconds is True"),
            ({"seed": -1}, 422, "BadOption", "seed is -1"),
            ({"texts": []}, 422, "BadOption", "no field 'texts'. Did you mean 'text'"),
            ({"text": "Good"}, 422, "InputError", "no order to assess"),
        ],
    )
    def test_what_is_not_taken_is_refused_in_words(
        self, http: httpx.Client, body: dict[str, Any], status: int, kind: str, message: str
    ) -> None:
        answer = http.post(
            "/api/assess", json={"text": TEXTS[0], "methods": ["saliency"], "seconds": 0, **body}
        )
        assert (answer.status_code, answer.json()["error"]) == (status, kind)
        assert message in f"{answer.json()['message']} {answer.json()['hint']}"


def test_metrics_are_listed(http: httpx.Client) -> None:
    assert http.get("/api/metrics").json() == [
        json.loads(json.dumps(entry.to_dict())) for entry in list_metrics().values()
    ]


def _nest(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20)
VALUE = st.recursive(SCALARS, _nest, max_leaves=5)
NAMES = st.sampled_from(
    [*(field.name for field in (*evaluation.EVALUATE.fields, *evaluation.ASSESS.fields)), "surprise"]
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(path="assess", rest={"model": ["a", "list"]})
@example(path="evaluate", rest={"options": 3})
@given(
    path=st.sampled_from(["evaluate", "assess", "evaluation/csv"]),
    rest=st.dictionaries(NAMES, VALUE, max_size=3),
)
def test_no_request_ends_in_a_server_error(http: httpx.Client, path: str, rest: dict[str, Any]) -> None:
    usual = {
        "evaluate": {"texts": TEXTS[1:], "metrics": ["sparsity"], "bootstrap": 100},
        "assess": {"text": TEXTS[1], "seconds": 0},
    }
    body = {"methods": ["saliency"], **usual.get(path, {}), **rest}
    answer = http.post(f"/api/{path}", content=json.dumps(body), headers={"content-type": "application/json"})
    assert answer.status_code in (200, 403, 404, 422, 503), answer.text
    json.loads(answer.text, parse_constant=lambda name: pytest.fail(f"{name} in the answer"))


class TestSaved:
    @pytest.mark.parametrize("kind", SAVED)
    def test_a_visitor_s_own_evaluation_is_a_file(
        self, http: httpx.Client, library_result: Evaluation, kind: str
    ) -> None:
        key = VisitorStore.new_key()
        evaluation.LATEST.put(key, library_result)
        answer = http.post(f"/api/evaluation/{kind}", json={"run": key})
        assert answer.status_code == 200
        assert answer.headers["content-disposition"] == f'attachment; filename="quality.{kind}"'
        assert answer.headers["content-type"].startswith(formats.find(kind, "evaluation").media_type)
        if kind == "json":
            assert Evaluation.from_dict(answer.json()).figures == library_result.figures

    def test_evaluations_of_others_are_not_accessible(
        self, http: httpx.Client, library_result: Evaluation
    ) -> None:
        evaluation.LATEST.put("", library_result)
        for run_id in ("", "guess", None, ["a"]):
            answer = http.post("/api/evaluation/csv", json={"run": run_id})
            assert answer.status_code == 422 and "no evaluation to save" in answer.json()["message"]
        assert "file type 'exe'" in http.post("/api/evaluation/exe", json={"run": "a"}).json()["message"]

    def test_every_file_type_of_the_page_is_registered(self) -> None:
        assert set(SAVED) <= formats.list_formats("evaluation").keys()

    def test_the_silent_are_forgotten_first(self) -> None:
        store: VisitorStore[int] = VisitorStore(capacity=2)
        for name in ("a", "b"):
            store.put(name, 1)
        assert store.get("a") == 1  # heard of again
        store.put("c", 2)
        assert [store.get(name) for name in ("a", "b", "c")] == [1, None, 2]
        store.drop("a")
        assert store.get("a") is None
        assert len({VisitorStore.new_key() for _ in range(100)}) == 100


class TestPictures:
    def test_a_panel_for_each_metric_with_its_best_method_first(self, library_result: Evaluation) -> None:
        value = pictures.intervals(library_result)
        deletion, tau = value["panels"]
        assert (deletion["better"], tau["better"]) == ("lower", "higher")
        for panel, metric in zip((deletion, tau), library_result.metrics, strict=True):
            assert [row["name"] for row in panel["rows"]] == [
                library_result.title(entry.method) for entry in library_result.ranking(metric)
            ]
            places = {row["name"]: row["place"] for row in panel["rows"]}
            assert (
                places["Random"] == "control"
                and places[library_result.title(library_result.best(metric).method or "")] == "first"
            )
        assert deletion["ceiling"] is None and -1 < tau["ceiling"] < 1
        assert value["progress"] == {"done": 2, "total": 2, "stopped": False}
        json.dumps(value, allow_nan=False)

    def test_two_texts_tell_nothing_apart_which_is_said_once(self, library_result: Evaluation) -> None:
        value = pictures.intervals(library_result)
        assert (
            value["lead"] == [library_result.best().sentence] and "cannot distinguish it" in value["lead"][0]
        )
        assert [panel["sentence"] for panel in value["panels"]] == ["", ""]

    def test_why_there_is_no_value_is_said_once(self) -> None:
        result = evaluate(TEXTS[:1], methods=["saliency"], metrics=["kendall_tau"], rationales=[None])
        panel = pictures.intervals(result)["panels"][0]
        assert panel["sentence"] == "Nobody has marked this text."
        assert [(row["mean"], row["reason"]) for row in panel["rows"]] == [(None, "")] * 2

    def test_what_fails_is_named(self) -> None:
        result = evaluate(["Fine.", " "], methods=["saliency"], metrics=["sparsity"])
        notes = pictures.intervals(result)["notes"]
        assert notes[0].startswith("Text 2, Saliency: There is no text to explain.")

    def test_options_that_are_not_the_usual_ones_are_told(self) -> None:
        result = evaluate(
            TEXTS[:1], methods=["lime"], metrics=["sparsity"], options={"lime": {"samples": 60}}
        )
        assert "LIME with samples: 60." in pictures.intervals(result)["notes"]

    def test_curves_are_drawn_where_a_metric_has_some(self, library_result: Evaluation) -> None:
        (chart,) = pictures.curves(library_result)["charts"]
        assert chart["title"] == "Deletion ↓" and [line["name"] for line in chart["lines"]] == [
            "Occlusion",
            "Saliency",
            "Random",
        ]
        assert [line["faint"] for line in chart["lines"]] == [False, False, True]
        assert all(len(line["values"]) == len(chart["at"]) for line in chart["lines"])
        assert (chart["at"][0], chart["at"][-1]) == ("0 %", "100 %")
        assert pictures.curves(evaluate(TEXTS[:1], methods="saliency", metrics="sparsity")) == {}

    def test_a_verdict_shows_what_chance_reaches(self) -> None:
        result = assess([attribute(TEXTS[0], method=name) for name in ("occlusion", "saliency")], seconds=0)
        value = pictures.verdict(result)
        (panel,) = value["panels"]
        assert value["lead"] == list(result.sentences) and value["text"] == TEXTS[0]
        assert panel["band"] == [result.control[0], result.control[-1]]
        assert [row["mean"] for row in panel["rows"]] == [entry.score for entry in result.ranking]
        assert panel["rows"][0]["place"] == "first"

    @pytest.mark.parametrize("text", [*SAMPLES.values(), *HOSTILE])
    def test_the_pieces_to_mark_are_the_whole_text(self, text: str) -> None:
        pieces = pictures.pieces(classification(text))
        assert "".join(piece["text"] for piece in pieces) == text
        assert all(
            text[piece["start"] : piece["end"]] == piece["text"] for piece in pieces if "start" in piece
        )

    def test_the_guide_names_every_metric_with_its_better_side(self) -> None:
        guide = pictures.guide()
        for entry in list_metrics().values():
            assert f"**{entry.title} {pictures.ARROWS[entry.better]}**" in guide
