"""What a page takes first: from the table, and the table only."""

from __future__ import annotations

from dataclasses import replace

import pytest

from attribution import list_methods
from attribution.models.sources import catalogue
from attribution.studies import recommendation as table_of_recommendations
from components.controls import recommendation

CLASSIFIER, DECODER, PAIRS = "bundled/sst2-minilm", "bundled/shakespeare-gpt2", "bundled/dates-t5"


def test_each_model_of_the_catalogue_has_a_method_that_fits_it() -> None:
    for entry in catalogue.entries():
        name = recommendation.first_method(entry.name)
        assert list_methods()[name].unsupported_reason(entry.task) is None
        assert list_methods()[name].title in recommendation.why(entry.name)


def test_readers_and_writers_have_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [
        recommendation.first_method(name) for name in (CLASSIFIER, DECODER, PAIRS, "somebody/unknown")
    ] == [
        "deeplift",
        "integrated_gradients",
        "integrated_gradients",
        "integrated_gradients",
    ]
    table = tuple(
        replace(row, seconds=9.0) if row.method == "deeplift" else row
        for row in table_of_recommendations.TABLE
    )
    monkeypatch.setattr(table_of_recommendations, "TABLE", table)
    assert recommendation.first_method(CLASSIFIER) == "saliency", (
        "what takes too long to follow the typing is not first"
    )


def test_what_was_measured_elsewhere_is_said() -> None:
    assert "Agreement with human rationales: Somers' D 0.73" in recommendation.why(CLASSIFIER)
    assert (
        "Agreement with human rationales (measured on another task, sentiment): Somers' D 0.69"
        in recommendation.why(DECODER)
    )


def test_the_study_is_linked_where_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert recommendation.LINK in recommendation.why(CLASSIFIER)
    assert recommendation.evidence().startswith("Do the words with high scores")
    monkeypatch.setattr(recommendation, "EVIDENCE", "docs/not-there.md")
    assert recommendation.evidence() == ""
    assert recommendation.LINK not in recommendation.why(CLASSIFIER)
