"""How the pictures of a page follow its controls: one job per visitor, whose answers are drawn in turn."""

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import gradio as gr

from attribution.errors import AttributionError, Cancelled

from ..bugs import bug
from ..pictures.picture import Picture
from .answers import PLAIN, Value, error_value, event_numbers, merge_values, number_requests, number_values
from .latest import Latest, Superseded

Drawings = Generator[tuple[Value, ...], None, None]
"""Values of the pictures, ``STALE`` for one that stays as it is.

The last one that changes may say that ``more`` follow; its picture then asks for them.
"""
Work = Callable[[dict[str, Any], Superseded], Drawings]
"""Computes drawings from the values of the controls by name. An error that it raises is its last answer."""


def drawing(
    demo: gr.Blocks,
    controls: Mapping[str, Any],
    pictures: Sequence[Picture],
    work: Work,
    *,
    error_in: int = 0,
) -> dict[str, Any]:
    """The arguments of an event that draws ``pictures`` by ``work``: ``control.change(**drawing(...))``.

    The picture of number ``error_in`` shows an error; the others are empty then.
    """
    latest, names, outputs = Latest(merge=merge_values), list(controls), list(pictures)

    def numbered(number: int, snapshot: Any) -> Any:
        values = number_values(number, snapshot, len(outputs))
        return values if len(outputs) > 1 else values[0]  # Gradio takes the value of a single output as it is

    # Gradio reads the signature of a handler to pass the request, which a partial would hide.
    async def redraw(request: gr.Request, number: Any, *contents: Any) -> Any:
        if not isinstance(number, int):
            return numbered(0, None)
        values = dict(zip(names, contents, strict=True))
        snapshot = await latest.first(
            request.session_hash or "",
            number,
            lambda superseded: _with_errors(work, values, superseded, len(outputs), error_in),
        )
        return numbered(number, snapshot)

    # The picture that was drawn last asks for what follows.
    async def more(request: gr.Request, event: gr.EventData) -> Any:
        number, step = event_numbers(event)
        return numbered(number, await latest.after(request.session_hash or "", number, step))

    def left(request: gr.Request) -> None:
        latest.forget(request.session_hash or "")

    sequence = gr.Number(0, visible="hidden", precision=0)
    gr.on([picture.expand for picture in outputs], more, None, outputs, **PLAIN)
    demo.unload(left)
    return {
        **PLAIN,
        "fn": redraw,
        "inputs": [sequence, *controls.values()],
        "outputs": outputs,
        "js": number_requests(names),
    }


def _with_errors(
    work: Work, values: dict[str, Any], superseded: Superseded, count: int, error_in: int
) -> Drawings:
    """The drawings of ``work``; an error becomes the value of one of the ``count`` pictures."""

    def failure(error: AttributionError) -> tuple[Value, ...]:
        return tuple(error_value(error) if i == error_in else {} for i in range(count))

    try:
        yield from work(values, superseded)
    except Cancelled:
        return
    except AttributionError as error:
        yield failure(error)
    except Exception:
        yield failure(bug())
