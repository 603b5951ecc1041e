"""The page of attention."""

from __future__ import annotations

from typing import Any

import pytest

from attribution.engine import Engine
from attribution.errors import EmptyInput
from attribution.models.adapter import Adapter
from components.pages import attention as page

TEXT = "the movie was not good, but the actor was great!"


def values(text: str, model: Any, **changes: Any) -> dict[str, Any]:
    return {
        "text": text,
        "model": model,
        "second": "",
        "max_new_tokens": 4,
        "kind": "",
        "layer": -1,
        "head": 0,
        **changes,
    }


def test_an_answer_begins_with_the_heads_and_ends_with_the_flow(tiny: dict[str, Adapter]) -> None:
    answers = list(page.draw_heads(Engine(), values(TEXT, tiny["bert"]), lambda: False))
    assert [set(part) == {"sequence"} for part in answers[1]] == [True, True, True, True, False]
    assert all(item["attribution"]["tokens"] for item in answers[-1][-1]["items"])
    assert [part[-1]["more"] for part in answers] == [True, True, True, False]


def test_an_error_reaches_the_page(tiny: dict[str, Adapter]) -> None:
    with pytest.raises(EmptyInput):
        list(page.draw_heads(Engine(), values("", tiny["bert"]), lambda: False))
