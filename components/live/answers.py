"""What travels between the jobs of ``live`` and the pictures of a page: numbered values, the newest of which is drawn."""

import json
from collections.abc import Sequence
from typing import Any

import gradio as gr

from attribution.errors import AttributionError
from attribution.export.drawing.browser import picture_data
from attribution.types import Attribution

from .latest import Snapshot

STALE = {"sequence": -1}
"""What is older than all: it is not drawn. (``gr.skip()`` builds the component anew each time.)"""

QUIET: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
"""How an event of the page is wired."""
PLAIN: dict[str, Any] = {**QUIET, "preprocess": False, "postprocess": False, "trigger_mode": "multiple"}
"""The same with the values as they are: Gradio would take each of them to a thread and back, which costs more than a small model.

The engine checks them all.
"""


def counted(names: Sequence[str]) -> str:
    """A script for an event whose first input is a number that only grows, so that a slow answer can never replace a newer one.

    The other inputs have these names: what was asked is kept for the way to other pages.
    """
    return f"""(sequence, ...values) => {{
  globalThis.attributionSequence = Math.max(Date.now(), (globalThis.attributionSequence || 0) + 1);
  AttributionAddress.named({json.dumps(list(names))}, values);
  return [globalThis.attributionSequence, ...values];
}}"""


def light(result: Attribution) -> dict[str, Any]:
    """The result for a picture. Arrays stay arrays, which Gradio does not walk through, in the seven digits that float32 has."""
    arrays = {"scores": result.scores, "errors": result.errors}
    return {
        **picture_data(result),
        **{name: None if array is None else array.astype("f4") for name, array in arrays.items()},
    }


def failed(error: AttributionError) -> dict[str, Any]:
    """What a picture shows in the place of an answer."""
    return {"error": {"message": error.message, "hint": error.hint}}


def kept(older: tuple[dict[str, Any], ...], newer: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
    """For ``Latest(merge=kept)``, where a step may leave parts as they are: what was not sent yet must not get lost."""
    return tuple(old if new is STALE else new for old, new in zip(older, newer, strict=True))


def numbered(sequence: int, snapshot: Snapshot | None, parts: int) -> tuple[dict[str, Any], ...]:
    """The values of so many pictures, or nothing to change; only what the job gave for a picture is drawn again."""
    if snapshot is None:
        return (STALE,) * parts
    return tuple(
        value if value is STALE else {**value, "sequence": sequence, "step": snapshot.step}
        for value in snapshot.answer
    )


def said(event: gr.EventData) -> dict[str, Any]:
    """What came with an event of a picture."""
    return event._data if isinstance(event._data, dict) else {}


def place(event: gr.EventData) -> tuple[int, int]:
    """The number of the keystroke and of the answer to it that was drawn; anything else is of no keystroke."""
    number, step = said(event).get("sequence"), said(event).get("step")
    return (number, step) if isinstance(number, int) and isinstance(step, int) else (-1, 0)
