"""The page of quality: what a person marks, and where many texts come from."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from attribution import attribute, errors
from attribution.settings import DEFAULTS
from components.controls.choices import examples_of
from components.pages import quality
from components.pages.parts import many_texts

TEXTS = ["A wonderful film, although slow.", "Not bad at all."]


def event(data: Any) -> Any:
    """What Gradio hands over when a picture tells something."""
    return SimpleNamespace(_data=data)


def test_marks_hold_for_their_text_only() -> None:
    shown, other = attribute(TEXTS[0], method="saliency"), attribute(TEXTS[1], method="saliency")

    marks = quality.marks_value(event({"text": TEXTS[0], "spans": [[2, 11]]}))
    rationale = quality.rationale_of({"marks": marks}, shown)
    assert rationale is not None and rationale.weights == ((2, 11, 1.0),)
    assert quality.rationale_of({"marks": marks}, other) is None


@pytest.mark.parametrize(
    "marks",
    ["", "x", "[]", "3", "{}", '{"of": 1}', "[" * 5000, '{"of": null, "spans": [[0, 1e99]]}', None],
)
def test_a_link_may_say_anything(marks: Any) -> None:
    assert quality.rationale_of({"marks": marks}, attribute(TEXTS[1], method="saliency")) is None


@pytest.mark.parametrize(
    "data",
    [None, {}, {"text": 3, "spans": [[0, 1]]}, {"text": "a", "spans": 3}, {"text": "a", "spans": []}],
)
def test_an_event_may_say_anything(data: Any) -> None:
    assert quality.marks_value(event(data)) == ""


def test_a_table_is_read_with_its_marks(tmp_path: Path) -> None:
    path = tmp_path / "reviews.csv"
    path.write_text('text,rationale\nA fine film.,"[[2, 6]]"\nA bad one.,\n', encoding="utf-8")
    samples = many_texts.read_samples(str(path), DEFAULTS)
    assert samples.texts == ("A fine film.", "A bad one.")
    assert (
        samples.rationales[0] is not None
        and samples.rationales[0].weights == ((2, 6, 1.0),)
        and samples.rationales[1] is None
    )
    first = dataclasses.replace(DEFAULTS, evaluated_texts=1)
    assert many_texts.read_samples(str(path), first).texts == ("A fine film.",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            'text,rationale\nA fine film.,"[[2, 60]]"\n',
            r"Row 1 \(line 2\), column 'rationale': A span ends at 60",
        ),
        (
            'text,rationale\nGood.,"[[0, 1]]"\nA fine film.,"[[2, 4], [3, 6]]"\n',
            r"Row 2 \(line 3\), column 'rationale': .* overlaps",
        ),
        ("text,rationale\n", "has no rows"),
        (f"text\n{'x' * 20_001}\n", r"Row 1 \(line 2\) is longer than 20,000 characters"),
        ("a,b\n1,2\n", "None of the columns"),
    ],
)
def test_what_is_wrong_with_a_table_is_told_by_row_and_column(
    tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "reviews.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(errors.BadTable, match=message):
        many_texts.read_samples(str(path), DEFAULTS)


def test_the_second_text_of_a_pair_stands_behind_a_tab() -> None:
    pair = "a/model-that-may-take-two-texts"
    samples = many_texts.samples_of(
        {"run": "", "lines": "Where is it?\tIt is here.\n\nA single one", "model": pair}
    )
    assert samples.texts == ("Where is it?", "A single one") and samples.seconds == ("It is here.", None)
    lines = many_texts.example_lines("bundled/shakespeare-gpt2").splitlines()
    assert len(lines) == len(examples_of("bundled/shakespeare-gpt2"))
    plain = many_texts.samples_of({"run": "", "lines": "Good\tfilm", "model": "bundled/sst2-minilm"})
    assert plain.texts == ("Good\tfilm",) and plain.seconds == (None,)
    with pytest.raises(errors.EmptyInput, match="no texts"):
        many_texts.samples_of({"run": "", "lines": " \n ", "model": "bundled/sst2-minilm"})
