"""The study of agreement with people: readers on small files, figures on a function, the page from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attribution import list_methods, load
from attribution.models.tasks import list_tasks
from attribution.studies.recommendation import PLAUSIBLE, TABLE, recommend
from attribution.text import words
from benchmarks.human_agreement import (
    AIMS,
    CHOSEN,
    FAST,
    JSON,
    METRICS,
    PAGE,
    SLOW,
    Report,
    markdown,
    measure,
    sample,
)
from benchmarks.marked import Marked, sst, toxic, yelp

TREES = "(3 (2 It) (4 (2 's) (4 (3 good) (1 \\/))))\n(1 (2 a) (0 (0 bad) (2 -LRB-)))\n"
MAPS = [
    (
        "so good. Really good",
        '<span>so</span> <span class="active">good.</span> '
        "<span>Really</span> <span>good</span> <span></span>",
    ),
    (
        "so good. Really good",
        "<span>so</span> <span>good.</span> "
        '<span class="active">Really</span> <span class="active">good</span>',
    ),
    ("a lone &amp; odd one", "<span>a</span>"),
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("sst", "yelp-hat", "toxic-spans"):
        (tmp_path / name).mkdir()
    (tmp_path / "sst" / "dev.txt").write_text(TREES)
    rows = [f'1,{text},yes,"{marks.replace(chr(34), chr(34) * 2)}"' for text, marks in MAPS]
    (tmp_path / "yelp-hat" / "ham_part1_50words.csv").write_text(
        "\n".join(["Input.label,Input.text,Answer.Q1Answer,Answer.html_output", *rows])
    )
    (tmp_path / "toxic-spans" / "tsd_trial.csv").write_text(
        'spans,text\n"[2, 3, 4, 5, 6]",a moron\n[],fine\n"[90]",short\n"[0, 1]",of it\n'
    )
    return tmp_path


def test_trees_are_read_as_signed_weights_of_their_words(folder: Path) -> None:
    found = sst(folder, "dev")
    assert found.texts == ("It 's good /", "a bad (")
    assert [one.label for one in found.rationales] == ["positive", "positive"]
    np.testing.assert_array_equal(found.rationales[0].over([(0, 2), (6, 10), (11, 12)]), [0, 1, -1])
    np.testing.assert_array_equal(found.rationales[1].over(words(found.texts[1])), [0, -2, 0])


def test_maps_of_several_people_are_put_together(folder: Path) -> None:
    found = yelp(folder)
    assert found.texts == ("so good. Really good",) and found.lost == 1
    assert len(found.rationales[0].annotators) == 2
    np.testing.assert_array_equal(
        found.rationales[0].over([(0, 2), (3, 8), (9, 15), (16, 20)]), [0, 0.5, 0.5, 0.5]
    )


def test_a_word_that_a_map_lacks_is_unknown(folder: Path) -> None:
    path = folder / "yelp-hat" / "ham_part1_50words.csv"
    text = " ".join(f"word{k}" for k in range(12))
    spans = " ".join(f"<span>word{k}</span>" for k in range(12) if k != 5)
    head = path.read_text().splitlines()[0]
    path.write_text("\n".join([head, *[f'1,{text},yes,"{spans}"'] * 2]))
    marks = yelp(folder).rationales[0].over(words(text))
    assert np.flatnonzero(np.isnan(marks)).tolist() == [5]


def test_spans_of_characters_are_read_and_what_does_not_fit_is_counted(folder: Path) -> None:
    found = toxic(folder)
    assert found.texts == ("a moron", "of it") and found.lost == 1 and found.target == "negative"
    np.testing.assert_array_equal(found.rationales[0].over([(0, 1), (2, 7)]), [0, 1])


def test_texts_are_drawn_once_and_in_one_order(folder: Path) -> None:
    data = Marked("many", "", tuple(map(str, range(50))), sst(folder, "dev").rationales * 25)
    first, more = sample(data, 10, 0), sample(data, 20, 0)
    assert first.texts == more.texts[:10] and len(set(more.texts)) == 20
    assert not set(more.texts) & set(sample(data, 30, 0, skipped=20).texts)
    assert sample(data, 10, 1).texts != first.texts


def answers(rows: list[str]) -> list[list[float]]:
    found = [0.5 + 0.3 * ("good" in row) - 0.3 * ("bad" in row) for row in rows]
    return [[1 - p, p] for p in found]


@pytest.fixture
def report(folder: Path) -> dict[str, Any]:
    """The study of a function that knows two words."""
    model, made = load(answers, labels=("negative", "positive")), Report("a machine", "a function", 0)
    for name, data in (("sst-dev", sst(folder, "dev")), ("yelp", yelp(folder))):
        made.add(name, data, measure(data, ("occlusion", "leave_one_in"), {}, 0, model))
        options = {"occlusion": {"hide": "delete"}}
        made.add(name, data, measure(data, ("occlusion",), options, 0, model)[:-1])
    return json.loads(json.dumps(made.to_dict()))


def test_the_figures_of_a_function_that_knows_what_people_know(report: dict[str, Any]) -> None:
    lines = report["sets"]["sst-dev"]["lines"]
    assert [line["method"] for line in lines] == ["occlusion", "leave_one_in", "random", "occlusion"]
    # Of the words It ' s good / people rank good over four and / under three more: 7 pairs, of which the
    # function knows the first 4.
    assert lines[0]["figures"]["somers_d"]["mean"] == pytest.approx((4 / 7 + 1) / 2, abs=1e-4)
    assert lines[3]["options"] == {"hide": "delete"}
    assert all(set(line["figures"]) == set(METRICS) for line in lines)
    assert report["sets"]["yelp"]["lines"][0]["figures"]["person_agreement"]["count"] == 1


def test_the_page_says_what_was_measured(report: dict[str, Any]) -> None:
    page = markdown(report)
    assert '| `occlusion` `hide="delete"` |' in page and "a machine" in page
    assert (
        "0.79" in page
        and "One person with the mean of the others" in page
        and "1 people's marks fit no text" in page
    )


def test_the_page_in_the_repository_is_written_from_its_figures() -> None:
    report = json.loads(JSON.read_text(encoding="utf-8"))
    assert PAGE.read_text(encoding="utf-8") == markdown(report)
    known = list_methods()
    for found in report["sets"].values():
        for line in found["lines"]:
            known[line["method"]].check_options(line["options"])
        assert {"random", *CHOSEN} <= {line["method"] for line in found["lines"]}


def test_every_method_is_measured() -> None:
    assert {*FAST, *SLOW, "random", "reagent"} == set(list_methods()), "add a new method to FAST or SLOW"
    assert set(AIMS) == set(CHOSEN)
    for name, options in CHOSEN.items():
        list_methods()[name].check_options(options)


class TestRecommendation:
    def test_measured_rows_have_the_figure_of_the_study(self) -> None:
        lines = json.loads(JSON.read_text(encoding="utf-8"))["sets"]["sst-dev"]["lines"]
        for row in (*TABLE, PLAUSIBLE):
            if row.agreement is not None:
                [figure] = [
                    line["figures"]["somers_d"]
                    for line in lines
                    if line["method"] == row.method and line["options"] == dict(row.options)
                ]
                assert row.agreement == tuple(round(figure[name], 2) for name in ("mean", "low", "high"))

    def test_rows_work_for_what_they_are_recommended_for(self) -> None:
        for row in (*TABLE, PLAUSIBLE):
            method = list_methods()[row.method]
            method.check_options(row.options)
            assert not [
                task
                for task in list_tasks().values()
                if task.writes in row.writes and method.unsupported_reason(task)
            ]
            assert "function" not in row.kinds or method.needs == "texts"

    @pytest.mark.parametrize("kind", ["encoder", "decoder", "encoder-decoder", "function"])
    @pytest.mark.parametrize("seconds", [0.01, 1.0, 100.0])
    def test_there_is_always_one(self, kind: Any, seconds: float) -> None:
        for writes in (False, True):
            found = recommend(writes, kind, seconds)
            assert found in TABLE and found.suits(writes, kind)
            assert found.seconds <= seconds or seconds < 1

    def test_the_most_plausible_is_first_in_the_study(self) -> None:
        lines = json.loads(JSON.read_text(encoding="utf-8"))["sets"]["sst-dev"]["lines"]
        first = max(lines, key=lambda line: line["figures"]["somers_d"]["mean"])
        assert (PLAUSIBLE.method, dict(PLAUSIBLE.options)) == (first["method"], first["options"])
