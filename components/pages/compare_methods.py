"""One prediction by several methods: what each shows, how well they agree, and on which words they do not."""

from contextlib import closing
from functools import lru_cache, partial
from typing import Any

import gradio as gr

from attribution.costs.estimates import span
from attribution.engine import Engine
from attribution.errors import AttributionError
from attribution.request import parse
from attribution.studies.agreement import MEASURES
from attribution.studies.comparison import DEFAULTS, Comparison
from attribution.types import Attribution

from ..api.comparison import compare_within_limits
from ..controls import choices
from ..controls.fields import Field, Form, Link, Values
from ..controls.inputs import (
    examples_field,
    first_position_field,
    methods_field,
    model_field,
    target_field,
    text_fields,
)
from ..controls.links import copy_link
from ..controls.values import target_arguments
from ..controls.verdict import Verdict
from ..languages import say
from ..live.answers import QUIET
from ..live.drawing import Drawings, drawing
from ..live.latest import Superseded
from ..pictures.matrix import Matrix
from ..pictures.multiples import Multiples
from ..pictures.panel import Panel
from ..pictures.values import comparison
from . import page

QUICK: dict[str, dict[str, Any]] = {"lime": {"samples": 200}, "shapley": {"exact_up_to": 8}}
"""Options with which slow methods still follow the typing."""


@page(path="methods", title="Compare methods", order=10)
def compare_methods(engine: Engine, demo: gr.Blocks) -> None:
    """One text and one model, several methods."""
    with gr.Row(elem_id="compare", equal_height=False):
        with gr.Column(scale=3, min_width=320):
            text, second = text_fields()
            pictures = Multiples(elem_id="pictures", label=say("Methods"))
            verdict = Verdict()
            agreement = Matrix(elem_id="agreement", label=say("Agreement"))
            words = Panel(elem_id="words", label=say("Prediction and method"))
        with gr.Column(scale=1, min_width=280, elem_id="controls"):
            model, target, position = model_field(engine), target_field(), first_position_field()
            methods, measure = methods_field(DEFAULTS), _measure_field()
            examples = examples_field()
            picked = picked_field()
            form = Form(engine, [text, second, model, target, position, methods, measure, picked, examples])
            copy_link(form.controls)

    def update_costs(name: str) -> Any:
        # Never loads a model: a visitor should not wait for a remark.
        loaded = name in engine.store.loaded()
        return gr.CheckboxGroup(_choices_with_costs(engine, name)) if loaded else gr.skip()

    costs: dict[str, Any] = {
        "fn": update_costs,
        "inputs": [model.control],
        "outputs": [methods.control],
        **QUIET,
    }
    draw = drawing(demo, form.controls, [pictures, agreement, words], partial(_draw, engine))
    form.on_change(**draw)
    pictures.select(comparison.picked, None, [picked.control], **QUIET).then(**draw)
    verdict.wire(engine, demo, form.controls, partial(_collect_attributions, engine))
    form.on_model().then(**draw).then(**costs)
    form.offer(examples.control)
    form.on_open(demo).then(**draw).then(**costs)


def picked_field() -> Field:
    """The row whose words and prediction are shown."""
    number = gr.Number(0, visible="hidden", precision=0)
    return Field(number, "picked", lambda link: link.number("picked", 0), lambda *_: 0, redraws=False)


def _measure_field() -> Field:
    box = gr.Radio(
        [(comparison.TITLES[name], name) for name in MEASURES],
        value=MEASURES[0],
        label=say("Agreement"),
        info=say(
            "τ-b: pairs of words in the same order. ρ: rank correlation of the words. "
            "Overlap: the strongest words only; rank-biased: all ranks, the first ones weighted most."
        ),
        elem_id="measure",
    )

    def from_link(link: Link) -> str:
        measure = link.query.get("measure", "")
        return measure if measure in MEASURES else MEASURES[0]

    return Field(box, "measure", from_link)


@lru_cache(maxsize=64)
def _choices_with_costs(engine: Engine, model: str) -> list[tuple[str, str]]:
    """The methods that fit a loaded model; a slow one with its time for the model's first example."""
    return [(title + _cost(engine, model, name), name) for title, name in choices.method_choices(model)]


def _cost(engine: Engine, model: str, method: str) -> str:
    try:
        estimate = engine.estimate(
            choices.examples_of(model)[0],
            model,
            method,
            second=choices.first_second(model) or None,
            position=parse("position", choices.first_position(model)),
            options=QUICK.get(method),
        )
    except AttributionError:
        return ""  # the method's row will show it
    if estimate.middle <= choices.SLOW / 2:
        return ""
    return f" · {span(estimate.seconds_low, estimate.seconds_high)}"


def _steps(engine: Engine, values: Values, superseded: Superseded) -> Any:
    options = {name: options for name, options in QUICK.items() if name in values["methods"]}
    return compare_within_limits(
        engine,
        values["text"],
        [values["model"]],
        values["methods"],
        options=options,
        cancelled=superseded,
        **target_arguments(values),
    )


def _draw(engine: Engine, values: Values, superseded: Superseded) -> Drawings:
    """The rows, a matrix and the words of one attribution, as a comparison grows."""
    with closing(_steps(engine, values, superseded)) as steps:
        for result in steps:
            yield _parts(values, result)


def _collect_attributions(engine: Engine, values: Values, superseded: Superseded) -> list[Attribution]:
    """The attributions of the rows, from the engine's cache, without those that failed."""
    *_, last = _steps(engine, values, superseded)
    return last.successful()


def _parts(values: Values, result: Comparison) -> tuple[dict[str, Any], ...]:
    row = min(values["picked"] or 0, len(result.attributions) - 1)
    pictures = comparison.pictures(result, row)
    for item, method in zip(pictures["items"], result.methods, strict=True):
        if method in QUICK:  # its numbers differ from those of the live page
            options = QUICK[method].items()
            item["subtitle"] = ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in options)
    return pictures, comparison.matrix(result, values["measure"]), comparison.words(result, row)
