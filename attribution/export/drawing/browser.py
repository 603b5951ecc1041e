"""An attribution as the scripts of the picture take it."""

from __future__ import annotations

from typing import Any

from attribution import sentences
from attribution.models import tasks
from attribution.types import Attribution


def picture_data(result: Attribution) -> dict[str, Any]:
    """``to_dict()`` with what the scripts have to know of its task beside it: see ``layout``."""
    return {**result.to_dict(), "layout": layout(result)}


def layout(result: Attribution) -> dict[str, Any]:
    """How the texts of a result stand on the page: ``writes``, whether the model generated one, and ``parts``, what the two texts of a pair
    are called, None where there is one only."""
    return {"writes": tasks.of(result.model.task).writes, "parts": sentences.parts(result)}
