"""The words beside the picture."""

from __future__ import annotations

from dataclasses import replace

import pytest

from components.pictures.panel import answer
from tests.samples import classification


@pytest.mark.parametrize(
    ("notes", "shown"),
    [
        ((), []),
        (("Only words.",), ["Only words."]),
        (("Seed 7, version 1.2.3.", "Another."), ["Seed 7, version 1.2.3.", "Another."]),
        (
            (
                "Taken: 30 points, at most 1.00%.",
                "Taken: 1,054 points, at most 1.00%.",
                "Taken: 9 points, at most 1.00%.",
            ),
            ["Taken: 9 to 1,054 points, at most 1.00%."],
        ),
        (("30 points.", "A note.", "48 points."), ["30 to 48 points.", "A note."]),
        (("30 points.", "30 passes."), ["30 points.", "30 passes."]),
    ],
)
def test_notes_that_differ_in_their_numbers_become_one(notes: tuple[str, ...], shown: list[str]) -> None:
    assert answer(replace(classification("A fine film"), notes=notes))["notes"] == shown
