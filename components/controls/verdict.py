"""The button "Which of these should I believe?" and its answer, for pages with several methods."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import gradio as gr

from attribution.engine import Engine
from attribution.studies.assessment import assess
from attribution.types import Attribution

from ..languages import say
from ..live.drawing import Drawings, drawing
from ..live.latest import Superseded
from ..pictures.intervals import Intervals
from ..pictures.values import evaluation

Shown = Callable[[dict[str, Any], Superseded], Sequence[Attribution]]
"""From the values of the controls to the finished attributions.

Raises an ``AttributionError`` where there are none.
"""
ASSESSING = "Hiding and keeping words, to see which explanation the prediction follows …"


class Verdict:
    """The button and the picture below it.

    Build it where it should stand, and ``wire`` it once there are controls.
    """

    def __init__(self, *, visible: bool = True) -> None:
        self.button = gr.Button(
            say("Which of these should I believe?"), size="sm", elem_id="believe", visible=visible
        )
        self.picture = Intervals(elem_id="verdict", label=say("Which one to believe"))

    def wire(self, engine: Engine, demo: gr.Blocks, controls: Mapping[str, Any], shown: Shown) -> None:
        """A click assesses what ``shown`` returns for the values of the ``controls``."""
        self.button.click(**drawing(demo, controls, [self.picture], partial(_draw, engine, shown)))


def _draw(engine: Engine, shown: Shown, values: dict[str, Any], superseded: Superseded) -> Drawings:
    yield ({"panels": [], "note": ASSESSING, "more": True},)
    yield (evaluation.verdict(assess(engine, shown(values, superseded), cancelled=superseded)),)
