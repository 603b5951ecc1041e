"""Pages of other packages: one that breaks is left out, with the reason in the log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest import mock

import gradio as gr
import pytest

from attribution.engine import Engine
from components import pages
from components.pages import leave_out_broken, list_pages, page


def build(_engine: Any, _demo: Any) -> None:
    gr.Markdown("Hello")


def fail(_engine: Any, _demo: Any) -> None:
    gr.Markdown("Half")
    raise RuntimeError("no such table")


@pytest.fixture
def others() -> Iterator[list[Any]]:
    """Pages that another package registers."""
    entries: list[Any] = []
    own = {entry.path: entry for entry in list_pages()}
    list_pages.cache_clear()
    with mock.patch.object(
        pages, "discover", side_effect=lambda *_: own | {str(k): entry for k, entry in enumerate(entries)}
    ):
        yield entries
    list_pages.cache_clear()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"path": "../x"}, "is not one of small letters"),
        ({"path": "api"}, "or is taken"),
        ({"path": None}, "is not one of"),
        ({"order": "late"}, "order 'late' is not a number"),
        ({"order": None}, "order None is not a number"),
        ({"title": ""}, "no title"),
    ],
)
def test_a_page_that_cannot_be_shown_is_left_out(
    changes: dict[str, Any], reason: str, others: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    others.append(page(**{"path": "mine", "title": "Mine", "order": 5, **changes})(build))
    assert len(list_pages()) == 7
    assert reason in caplog.text


def test_a_page_that_fails_is_left_out(others: list[Any], caplog: pytest.LogCaptureFixture) -> None:
    others += [page(path="broken", title="Broken")(fail), page(path="mine", title="Mine")(build)]
    paths = [entry.path for entry in leave_out_broken(mock.create_autospec(Engine))]
    assert "broken" not in paths and paths[-2:] == ["mine", "learn"]
    assert "Left out the page 'Broken': RuntimeError: no such table" in caplog.text


def test_no_two_pages_have_one_place() -> None:
    orders = [entry.order for entry in list_pages()]
    assert len(set(orders)) == len(orders)
