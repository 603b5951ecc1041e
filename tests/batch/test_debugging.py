"""Wrong and uncertain rows, the words behind them, the tests against scipy, safe links and tables."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from scipy import stats

from attribution.batch.debugging import (
    Debugging,
    check_address,
    debug,
    find_drivers,
    link_to,
    write_cases,
    write_words,
)
from attribution.batch.result import Result
from attribution.batch.statistics import wilson_interval
from attribution.batch.words import score_words
from attribution.errors import BadOption
from attribution.types import Request
from tests.batch.test_words import result
from tests.samples import TEXTS


def rows() -> list[Result]:
    """Rows: "trap" supports positive more in wrong rows than in right ones, "film" equally in both."""
    draw = np.random.default_rng(0)
    results = []
    for i in range(12):
        wrong = i < 5
        scores = [float(draw.normal(3 if wrong else 0.5, 0.1)), float(draw.normal(1, 0.2))]
        results.append(result("trap film", scores, place=i, label="negative" if wrong else "positive"))
    return results


def test_wrong_rows_the_most_confident_first_and_uncertain_ones_the_closest_first() -> None:
    confident = result("a", [1.0], place=0, label="negative")
    attribution = confident.attribution
    assert attribution is not None
    close = replace(attribution, prediction=replace(attribution.prediction, probabilities=(0.49, 0.51)))
    unsure = replace(confident, place=1, attribution=close)
    [findings] = debug(
        [unsure, confident, result("b", [1.0], place=2, label="positive"), result("c", [1.0], place=3)]
    )
    assert [case.place for case in findings.wrong] == [0, 1]
    assert findings.unsure[0].place == 1
    assert findings.unsure[0].margin == pytest.approx(0.02)
    assert (findings.answered, findings.labelled, findings.mistakes) == (4, 3, 2)
    share, low, high = findings.accuracy
    assert share == pytest.approx(1 / 3)
    assert low < share < high


def test_lists_are_cut_and_counts_are_not() -> None:
    debugging = Debugging("m", "lime", listed=3)
    for i in range(10):
        debugging.add(result("a", [1.0], place=i, label="negative"))
    findings = debugging.findings()
    assert [case.place for case in findings.wrong] == [0, 1, 2]
    assert findings.mistakes == 10


def test_the_words_that_drive_wrong_answers_are_counted_in_right_ones_too() -> None:
    [findings] = debug(rows())
    drivers = {driver.word: driver for driver in findings.drivers}
    assert (drivers["trap"].wrong, drivers["trap"].right) == (5, 7)
    assert drivers["trap"].places == (0, 1, 2, 3, 4)
    assert drivers["trap"].share == pytest.approx(5 / 12)


@pytest.mark.parametrize(("count", "of"), [(0, 1), (1, 1), (5, 12), (30, 40)])
def test_shares_have_wilsons_interval(count: int, of: int) -> None:
    expected = stats.binomtest(count, of).proportion_ci(method="wilson")
    assert wilson_interval(count, of) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_words_are_compared_by_welchs_test() -> None:
    [findings] = debug(rows())
    first, second = findings.differences
    assert (first.word, second.word) == ("trap", "film")
    assert findings.tested == 2
    scores = {"wrong": [], "right": []}
    for row in rows():
        scores["wrong" if row.correct is False else "right"].append(float(row.attribution.scores[0, 1]))
    expected = stats.ttest_ind(scores["wrong"], scores["right"], equal_var=False)
    interval = expected.confidence_interval(0.95)
    assert first.p == pytest.approx(expected.pvalue, rel=1e-9)
    assert (first.low, first.high) == pytest.approx((interval.low, interval.high), rel=1e-9)
    assert [word.q for word in findings.differences] == pytest.approx(
        stats.false_discovery_control([first.p, second.p])
    )
    assert first.q < 0.01 < second.q


def test_few_words_without_a_difference_are_significant() -> None:
    draw = np.random.default_rng(1)
    words = [f"w{i}" for i in range(30)]
    results = [
        result(
            " ".join(words), draw.normal(size=30).tolist(), place=i, label="negative" if i % 2 else "positive"
        )
        for i in range(60)
    ]
    [findings] = debug(results)
    assert findings.tested == 30
    assert sum(word.q < 0.05 for word in findings.differences) <= 1


def test_a_word_is_tested_within_one_predicted_class() -> None:
    results = [result("odd", [1.0 + i / 10], place=i, label="positive") for i in range(4)]
    results += [result("odd", [-1.0 - i / 10], "negative", place=4 + i, label="positive") for i in range(4)]
    [findings] = debug(results)
    assert findings.differences == ()


def test_constant_scores_are_not_tested() -> None:
    results = [result("same", [1.0], place=i, label="negative" if i % 2 else "positive") for i in range(8)]
    [findings] = debug(results)
    assert findings.differences == ()


def drivers_of(row: Result) -> tuple[tuple[str, float], ...]:
    assert row.attribution is not None
    return find_drivers(row, score_words(row.attribution, row.predicted))


def test_drivers_support_the_predicted_class() -> None:
    assert [word for word, _ in drivers_of(result("a b c d e", [-9.0, 1.0, 3.0, 2.0, 0.5]))] == [
        "c",
        "d",
        "b",
    ]
    other = result("a b", [-9.0, 1.0])
    explained = replace(other.attribution, outputs=(replace(other.attribution.outputs[0], text="negative"),))
    assert drivers_of(replace(other, attribution=explained))[0] == ("a", -9.0)


class TestLinks:
    def test_a_link_has_the_complete_request(self) -> None:
        request = Request(
            "a & b=1 #?é",
            "bundled/sst2-minilm",
            "lime",
            "positive",
            contrast="negative",
            options=(("samples", 50),),
        )
        address = urlsplit(link_to("http://host/app/", request))
        assert (address.netloc, address.path) == ("host", "/app/")
        query = {name: value[0] for name, value in parse_qs(address.query).items()}
        assert query["text"] == "a & b=1 #?é"
        assert query["samples"] == "50"
        assert (query["model"], query["target"], query["contrast"]) == (
            "bundled/sst2-minilm",
            "positive",
            "negative",
        )
        assert "second" not in query

    def test_a_link_that_is_too_long_is_empty(self) -> None:
        assert link_to("http://host/", Request("a" * 9000, "m", "lime")) == ""

    @pytest.mark.parametrize(
        "base",
        ["javascript:alert(1)", "ftp://host/", "//host/", "http://", "http://h/?a=b", "http://[", "host"],
    )
    def test_only_a_web_address_is_accepted(self, base: str) -> None:
        with pytest.raises(BadOption, match="live page"):
            check_address(base)

    def test_the_address_ends_in_a_slash(self) -> None:
        assert check_address("https://host/app") == check_address("https://host/app/") == "https://host/app/"
        assert check_address("") == ""


class TestTables:
    @pytest.mark.parametrize("text", [*TEXTS.values(), "=HYPERLINK(1)", "nul \0 here", "half \ud83d pair"])
    def test_no_cell_is_run(self, text: str) -> None:
        row = result("word", [1.0], label="negative")
        findings = debug([replace(row, text=text)], base="http://host")
        for table in (write_cases(findings), write_words(findings)):
            assert table.startswith(b"\xef\xbb\xbf")
            for line in csv.reader(io.StringIO(table.decode("utf-8-sig"), newline="")):
                assert not any(cell.startswith(("=", "+", "@", "\t", "\r")) for cell in line)

    def test_the_cells(self) -> None:
        table = write_cases(debug([result("word", [1.0], place=4, label="negative")], base="http://host"))
        first, *_ = csv.DictReader(io.StringIO(table.decode("utf-8-sig"), newline=""))
        assert (first["kind"], first["row"], first["text"], first["predicted"], first["label"]) == (
            "wrong", "5", "word", "positive", "negative",
        )  # fmt: skip
        assert first["words"] == "word +1"
        assert first["link"].startswith("http://host/?text=")

    def test_words(self) -> None:
        lines = list(csv.DictReader(io.StringIO(write_words(debug(rows())).decode("utf-8-sig"), newline="")))
        assert [line["word"] for line in lines] == ["trap", "film"]
        assert float(lines[0]["mean if wrong"]) > 2.5
