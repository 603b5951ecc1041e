"""The data that the scripts of the interactive picture read."""

from __future__ import annotations

from typing import Any

from attribution import sentences
from attribution.models import tasks
from attribution.types import Attribution


def picture_data(result: Attribution) -> dict[str, Any]:
    """``to_dict()`` with what the scripts need of the task (see ``layout``), and a ``warning``."""
    return {**result.to_dict(), "layout": layout(result), "warning": sentences.unread(result)}


def layout(result: Attribution) -> dict[str, Any]:
    """How the page arranges the texts of a result.

    ``writes`` is whether the model generated a text; ``parts`` are the names of the two texts of a pair, or
    None for a single text.
    """
    return {"writes": tasks.of(result.model.task).writes, "parts": sentences.parts(result)}
