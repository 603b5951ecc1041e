"""What travels between jobs and the pictures of a page: numbered values, the newest of which is drawn."""

import json
from collections.abc import Sequence
from typing import Any

import gradio as gr

from attribution.errors import AttributionError
from attribution.export.drawing.browser import picture_data
from attribution.types import Attribution

from .latest import Snapshot

Value = dict[str, Any]
"""What a picture draws."""

STALE: Value = {"sequence": -1}
"""Older than everything, so never drawn: the picture stays as it is.

(``gr.skip()`` would rebuild the component.)
"""

QUIET: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
"""How an event of a page is wired."""
PLAIN: dict[str, Any] = {**QUIET, "preprocess": False, "postprocess": False, "trigger_mode": "multiple"}
"""The same with the raw values.

Gradio would hand each of them to a thread and back, which costs more than a small model. The engine checks
them.
"""


def number_requests(names: Sequence[str]) -> str:
    """A script that numbers the requests of an event, so that a slow answer never replaces a newer one.

    The number is the first input. The others have these names; their values are remembered for the links to
    other pages.
    """
    return f"""(sequence, ...values) => {{
  globalThis.attributionSequence = Math.max(Date.now(), (globalThis.attributionSequence || 0) + 1);
  AttributionAddress.named({json.dumps(list(names))}, values);
  return [globalThis.attributionSequence, ...values];
}}"""


def attribution_value(result: Attribution) -> Value:
    """A result for a picture.

    Its arrays stay arrays, which Gradio does not walk through, in float32, which has all the digits there
    are.
    """
    arrays = {"scores": result.scores, "errors": result.errors}
    return {
        **picture_data(result),
        **{name: None if array is None else array.astype("f4") for name, array in arrays.items()},
    }


def error_value(error: AttributionError) -> Value:
    """What a picture shows in place of an answer."""
    return {"error": {"message": error.message, "hint": error.hint}}


def merge_values(older: tuple[Value, ...], newer: tuple[Value, ...]) -> tuple[Value, ...]:
    """For ``Latest(merge=...)``: where a newer answer is stale, the older part, not sent yet, remains."""
    return tuple(old if new is STALE else new for old, new in zip(older, newer, strict=True))


def number_values(sequence: int, snapshot: Snapshot | None, count: int) -> tuple[Value, ...]:
    """The values of ``count`` pictures with their numbers; stale ones where there is nothing new."""
    if snapshot is None:
        return (STALE,) * count
    return tuple(
        value if value is STALE else {**value, "sequence": sequence, "step": snapshot.step}
        for value in snapshot.answer
    )


def event_data(event: gr.EventData) -> dict[str, Any]:
    """What a picture sent with an event."""
    data = event._data  # noqa: SLF001 - Gradio has no public name for it
    return data if isinstance(data, dict) else {}


def event_numbers(event: gr.EventData) -> tuple[int, int]:
    """The request and the answer that a picture has drawn; numbers of no request where the event has none."""
    number, step = event_data(event).get("sequence"), event_data(event).get("step")
    return (number, step) if isinstance(number, int) and isinstance(step, int) else (-1, 0)
