"""The report as bytes: its contents, hostile texts, and its size.

tests/browser/test_batch.py opens it in a browser.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from attribution.batch import report as reports
from attribution.batch.compact import compact_attribution
from attribution.batch.plan import Plan
from attribution.batch.report import SCHEMA, Bounds, Collector
from attribution.batch.result import Result
from attribution.errors import BadOption
from attribution.tables import Columns
from attribution.text import words
from tests.batch.test_words import result
from tests.samples import NAMES, TEXTS, sample

HOSTILE = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<!-- <script> --> ]]>",
    "=HYPERLINK(1) \0 nul",
    "half a \ud83d pair",
    "a\u2028b\u2029c & \"quoted\" 'text'",
    *TEXTS.values(),
]
PLAN = Plan("reviews <b>.csv", Columns("text"), ("m",), ("lime",), count=3, made="2026-01-02T03:04:05+00:00")


def report(rows: Any, plan: Plan, **options: Any) -> bytes:
    """The complete page."""
    return b"".join(reports.report(rows, plan, **options))


def data_of(content: bytes) -> dict[str, Any]:
    [data] = re.findall(
        r'<script id="document" type="application/json">(.*?)</script>', content.decode(), re.DOTALL
    )
    return json.loads(data)  # type: ignore[no-any-return]


def failed_row(place: int, message: str = "There is no text.") -> Result:
    return Result(
        place, 0, {}, "m", "lime", "", error={"error": "EmptyInput", "message": message, "hint": ""}
    )


def test_every_row_is_listed_and_counted() -> None:
    rows = [
        result("good film", [1.0, 0.2], label="positive"),
        result("bad film", [0.5, 0.1], place=1, label="negative"),
        failed_row(2),
    ]
    document = data_of(report(rows, PLAN))
    assert document["schema"] == SCHEMA
    [pair] = document["pairs"]
    assert (pair["answered"], pair["failed"], pair["judged"], pair["mistakes"]) == (2, 1, 2, 1)
    assert pair["accuracy"][0] == 0.5
    assert [row["place"] for row in document["rows"]] == [0, 1, 2]
    assert [row["answers"][0].get("correct") for row in document["rows"]] == [True, False, None]
    assert document["failures"] == [
        {"error": "EmptyInput", "message": "There is no text.", "count": 1, "places": [2]}
    ]
    assert {word[0] for word in document["words"][0]["positive"]} == {"good", "bad", "film"}
    assert document["left_out"] == ""


def test_words_have_their_rows_and_intervals() -> None:
    rows = [result("film", [1.0 + i], place=i) for i in range(3)]
    [group] = data_of(report(rows, PLAN))["words"]
    assert group["rows"] == 3
    [[text, count, mean, low, high]] = group["positive"]
    assert (text, count, mean) == ("film", 3, 2.0)
    assert low == pytest.approx(2 - 4.303 / 3**0.5, abs=1e-3)
    assert high == pytest.approx(2 + 4.303 / 3**0.5, abs=1e-3)


def test_the_order_of_the_results_does_not_matter() -> None:
    rows = [result(f"word{i}", [1.0], place=i) for i in range(5)]
    forward, backward = Collector(PLAN), Collector(PLAN)
    for row in rows:
        forward.add(row)
    for row in reversed(rows):
        backward.add(row)
    assert forward.document()["rows"] == backward.document()["rows"]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str) -> None:
    rows = [replace(result("word", [1.0], label=text), text=text), failed_row(1, text)]
    content = report(rows, replace(PLAN, table=text))
    page = content.decode()
    assert len(re.findall(r"<script[ >]", page)) == len(re.findall("</script>", page)) == 4
    assert "<img" not in page.split("<script", 1)[0]
    assert data_of(content)["rows"][0]["text"] == text.encode("utf-8", "replace").decode()
    assert page.count("\0") == 0


def test_the_policy_allows_exactly_what_is_inlined() -> None:
    page = report([result("a", [1.0])], PLAN).decode()
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    [style] = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    hashes = {base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (*scripts, style)}
    assert set(re.findall("sha256-([^&']+)", policy)) == hashes
    assert "default-src &#x27;none&#x27;" in policy
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page.split("<script", 1)[0])


@pytest.mark.parametrize("name", NAMES)
def test_a_drawing_has_everything_that_the_picture_needs(name: str) -> None:
    attribution = sample(name)
    drawing = json.loads(json.dumps(compact_attribution(attribution)))
    assert _read_back(drawing) == [token.text for token in attribution.tokens]
    np.testing.assert_allclose(drawing["scores"], attribution.scores, rtol=1e-3, atol=1e-12)
    assert len(json.dumps(drawing)) < len(json.dumps(attribution.to_dict()))


def _read_back(drawing: dict[str, Any]) -> list[str]:
    sources = [drawing["text"], drawing["second"] or "", drawing["written"] or ""]
    return [
        token[5] if len(token) > 5 else sources[token[4] % 4][token[0] : token[1]]
        for token in drawing["tokens"]
    ]


class TestBounds:
    def rows(self, count: int) -> list[Result]:
        return [
            result(f"word{i}", [1.0], place=i, label="negative" if i % 10 == 9 else "positive")
            for i in range(count)
        ]

    def test_rows_are_left_out_and_wrong_ones_stay(self) -> None:
        document = data_of(report(self.rows(100), PLAN, bounds=Bounds(20, 10**6)))
        places = [row["place"] for row in document["rows"]]
        assert places == sorted([*[i for i in range(100) if i % 10 != 9][:20], *range(9, 100, 10)])
        assert document["pairs"][0]["answered"] == 100
        assert document["left_out"].startswith("30 of 100 results are listed")

    def test_pictures_are_left_out_and_those_of_wrong_rows_stay(self) -> None:
        size = len(json.dumps(compact_attribution(self.rows(1)[0].attribution), separators=(",", ":")))
        document = data_of(report(self.rows(100), PLAN, bounds=Bounds(100, size * 15)))
        places = {row["place"] for row in document["rows"] if "drawing" in row["answers"][0]}
        assert places >= set(range(9, 100, 10))
        assert 10 < len(places) < 30
        assert "have no picture" in document["left_out"]

    def test_a_long_text_is_shortened_in_the_list_only(self) -> None:
        document = data_of(report([result("a" * 5000, [1.0])], PLAN))
        [row] = document["rows"]
        assert len(row["text"]) == 1000
        assert row["answers"][0]["drawing"]["text"] == "a" * 5000

    def test_a_thousand_rows_are_about_a_megabyte(self) -> None:
        text = "a rather usual sentence with some words in it, as a person writes one"
        row = result(text, [0.123456789 * i for i in range(len(words(text)))])
        content = report((replace(row, place=i) for i in range(1000)), PLAN)
        assert 5e5 < len(content) < 1.5e6
        assert len(data_of(content)["rows"]) == 1000


def test_links_lead_to_a_web_address_only() -> None:
    assert data_of(report([result("a", [1.0])], PLAN, base="https://host/app"))["base"] == "https://host/app/"
    with pytest.raises(BadOption):
        report([], PLAN, base="javascript:alert(1)")


def test_a_run_without_results_has_a_page() -> None:
    document = data_of(report([], PLAN))
    assert (document["rows"], document["pairs"][0]["answered"], document["pairs"][0]["accuracy"]) == (
        [],
        0,
        None,
    )


def test_methods_are_listed_with_their_row() -> None:
    plan = replace(PLAN, methods=("lime", "saliency"))
    rows = [result("a", [1.0]), replace(result("a", [1.0]), method="saliency")]
    [row] = data_of(report(rows, plan))["rows"]
    assert [answer["pair"] for answer in row["answers"]] == [0, 1]
