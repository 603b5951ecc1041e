"""How the pictures of a page follow its controls: one job for each visitor, whose answers are drawn one after the other."""

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import gradio as gr

from attribution.errors import AttributionError, Cancelled

from ..bugs import bug
from ..pictures.picture import Picture
from .answers import PLAIN, counted, failed, kept, numbered, place
from .latest import Latest, Overtaken

Drawings = Generator[tuple[dict[str, Any], ...], None, None]
"""Values of the pictures, ``STALE`` for one that stays as it is. The last that changes may say ``more`` follows, and then asks for it."""
Work = Callable[[dict[str, Any], Overtaken], Drawings]
"""From what the controls say, by name. An error that it raises is an answer, and the last."""


def drawing(
    demo: gr.Blocks, controls: Mapping[str, Any], pictures: Sequence[Picture], work: Work, *, told: int = 0
) -> dict[str, Any]:
    """Have ``pictures`` drawn as ``work`` says: an event draws them by ``control.change(**drawing(...))``.

    An error is said in the place of the picture ``told``; the others are empty then.
    """
    latest, names, shown = Latest(merge=kept), list(controls), list(pictures)

    def values_of(number: int, snapshot: Any) -> Any:
        found = numbered(number, snapshot, len(shown))
        return found if len(shown) > 1 else found[0]  # Gradio takes what is for a single output as it is

    def drawn(asked: dict[str, Any], overtaken: Overtaken) -> Drawings:
        def failure(error: AttributionError) -> tuple[dict[str, Any], ...]:
            return tuple(failed(error) if i == told else {} for i in range(len(shown)))

        try:
            yield from work(asked, overtaken)
        except Cancelled:
            return
        except AttributionError as error:
            yield failure(error)
        except Exception:
            yield failure(bug())

    # Gradio reads a handler's signature to hand it the request, which a partial hides.
    async def redraw(request: gr.Request, number: Any, *values: Any) -> Any:
        if not isinstance(number, int):
            return values_of(0, None)
        asked = dict(zip(names, values, strict=True))
        found = await latest.first(
            request.session_hash or "", number, lambda overtaken: drawn(asked, overtaken)
        )
        return values_of(number, found)

    # Where more follows, what was drawn last asks for it.
    async def more(request: gr.Request, event: gr.EventData) -> Any:
        number, step = place(event)
        return values_of(number, await latest.after(request.session_hash or "", number, step))

    def left(request: gr.Request) -> None:
        latest.forget(request.session_hash or "")

    sequence = gr.Number(0, visible="hidden", precision=0)
    gr.on([picture.expand for picture in shown], more, None, shown, **PLAIN)
    demo.unload(left)
    return {
        **PLAIN,
        "fn": redraw,
        "inputs": [sequence, *controls.values()],
        "outputs": shown,
        "js": counted(names),
    }
