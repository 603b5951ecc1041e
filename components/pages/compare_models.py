"""One text, one method, several models: what they say, which words drive each, and how two of them differ."""

from contextlib import closing
from functools import partial
from typing import Any

import gradio as gr

from attribution import list_methods
from attribution.engine import Engine
from attribution.models.sources import catalogue
from attribution.settings import DEFAULT_METHOD, DEFAULT_MODEL
from attribution.studies.comparison import Comparison
from attribution.types import WRITERS

from ..controls import choices
from ..controls.inputs import position_box, target_box, text_boxes
from ..controls.links import copy_link
from ..controls.options import whole
from ..controls.values import ITSELF
from ..languages import say
from ..live.answers import QUIET
from ..live.drawing import Drawings, drawing
from ..live.latest import Overtaken
from ..pictures import comparison
from ..pictures.matrix import Matrix
from ..pictures.multiples import Multiples
from ..pictures.panel import Panel
from . import page


@page(path="models", title="Compare models", order=20)
def compare_models(engine: Engine, demo: gr.Blocks) -> None:
    """Build the page inside ``demo``."""
    start = at_hand(engine)
    with gr.Row(elem_id="compare", equal_height=False):
        with gr.Column(scale=3, min_width=320):
            text, second = text_boxes(start[0])
            predictions = Matrix(elem_id="predictions", label=say("Predictions"))
            pictures = Multiples(elem_id="pictures", label=say("Models"))
            words = Panel(elem_id="words", label=say("Prediction and method"))
        with gr.Column(scale=1, min_width=280, elem_id="controls") as side:
            chosen = gr.Dropdown(
                [e.name for e in catalogue.entries()],
                value=start,
                multiselect=True,
                max_choices=engine.settings.compared_models,
                label=say("Models"),
                elem_id="models",
                allow_custom_value=engine.store.any_model,
            )
            method = gr.Dropdown(
                choices.method_choices(*start), value=DEFAULT_METHOD, label=say("Method"), elem_id="method"
            )
            target = target_box(start[0])
            position = position_box(comparison.first_position(start[0]))
            first, other = (
                gr.Dropdown(start, value=start[min(i, len(start) - 1)], label=say(label), elem_id=name)
                for i, (label, name) in enumerate((("Difference of", "first"), ("and", "other")))
            )
            examples = gr.Dataset(
                components=["text"], samples=choices.samples(start[0]), label=say("Examples")
            )
    picked = gr.Number(0, visible="hidden", precision=0)
    controls = {
        "text": text,
        "second": second,
        "models": chosen,
        "method": method,
        "target": target,
        "position": position,
        "first": first,
        "other": other,
        "picked": picked,
    }
    with side:
        copy_link(controls)

    def opened(request: gr.Request) -> list[Any]:
        return _open(engine, dict(request.query_params))

    draw = drawing(demo, controls, [pictures, predictions, words], partial(_answers, engine))
    gr.on([control.change for control in (text, second, method, target, position, first, other)], **draw)
    pictures.select(comparison.picked, None, [picked], **QUIET).then(**draw)
    fitted = [method, position, first, other, examples]
    chosen.input(
        _choose_models, [chosen, method, position, first, other], [second, target, picked, *fitted], **QUIET
    ).then(**draw)
    examples.click(_choose_example, [examples, chosen], [text, second], **QUIET)
    demo.load(opened, None, [text, second, chosen, target, picked, *fitted], **QUIET).then(**draw)


def at_hand(engine: Engine) -> list[str]:
    """Models to begin with: those on this machine for the default model's task, else those that write, if there are two."""
    here = [entry for entry in catalogue.entries() if entry.name in catalogue.available_offline()]
    for tasks in ((choices.task_of(DEFAULT_MODEL),), WRITERS):
        found = [entry.name for entry in here if entry.task in tasks]
        if len(found) > 1:
            return found[: engine.settings.compared_models]
    return [DEFAULT_MODEL]


def _answers(engine: Engine, asked: dict[str, Any], overtaken: Overtaken) -> Drawings:
    """The rows, a matrix and the words of one attribution, as a comparison grows."""
    with closing(comparison.growing(engine, asked, asked["models"], [asked["method"]], overtaken)) as grown:
        for result in grown:
            yield _parts(asked, result)


def _parts(asked: dict[str, Any], result: Comparison) -> tuple[dict[str, Any], ...]:
    pair = [result.models.index(name) for name in (asked["first"], asked["other"]) if name in result.models]
    both = len(set(pair)) == 2 and all(result.attributions[i] is not None for i in pair)
    more = [comparison.apart(result, *pair)] if both else []
    chosen = asked["picked"] or 0
    return (
        comparison.pictures(result, chosen, more),
        comparison.predictions(result),
        comparison.words(result, chosen),
    )


def _fitted(models: list[str], method: str, position: str, pair: tuple[str, str]) -> dict[str, Any]:
    """The controls that depend on the models; what a person chose stays where it fits."""
    lead = models[0] if models else DEFAULT_MODEL
    fitting = choices.method_choices(*models)
    writes = any(map(choices.has_positions, models))
    ends = [
        name if name in models else models[min(i, len(models) - 1)] if models else None
        for i, name in enumerate(pair)
    ]
    return {
        "method": gr.Dropdown(
            fitting, value=method if method in [name for _, name in fitting] else DEFAULT_METHOD
        ),
        "position": gr.Textbox(
            value=(position or comparison.first_position(lead)) if writes else "", visible=writes
        ),
        "first": gr.Dropdown(models, value=ends[0]),
        "other": gr.Dropdown(models, value=ends[1]),
        "examples": gr.Dataset(samples=choices.samples(lead)),
    }


def _choose_models(models: list[str], method: str, position: str, first: str, other: str) -> tuple[Any, ...]:
    fitted = _fitted(models, method, position, (first, other))
    lead = models[0] if models else DEFAULT_MODEL
    return (
        gr.Textbox(value=choices.first_second(lead), visible=any(map(choices.takes_second, models))),
        gr.Dropdown(choices.targets(lead), value=ITSELF),
        0,
        *fitted.values(),
    )


def _choose_example(sample: list[str], models: list[str]) -> tuple[str, Any]:
    return choices.chosen_example(sample, models[0] if models else DEFAULT_MODEL)


def _open(engine: Engine, asked: dict[str, str]) -> list[Any]:
    """The controls as a link asks for them: ``?text=...&models=a,b&method=...&target=...``; ``model`` is the first of several."""
    longest, most = engine.settings.max_characters + 1, engine.settings.compared_models
    named = [name.strip() for name in asked.get("models", "").split(",") if name.strip()]
    models = [choices.model_of(engine, {"model": name}) for name in named] or _with_others(engine, asked)
    models = list(dict.fromkeys(models))[:most]
    method = next(
        (m.name for m in list_methods().values() if asked.get("method", "") in (m.name, *m.aliases)),
        DEFAULT_METHOD,
    )
    fitted = _fitted(
        models, method, asked.get("position", "")[:200], (asked.get("first", ""), asked.get("other", ""))
    )
    return [
        asked.get("text", choices.examples_of(models[0])[0])[:longest],
        gr.Textbox(
            value=asked.get("second", choices.first_second(models[0]))[:longest],
            visible=any(map(choices.takes_second, models)),
        ),
        models,
        gr.Dropdown(choices.targets(models[0]), value=asked.get("target") or ITSELF),
        whole(asked, "picked", 0),
        *fitted.values(),
    ]


def _with_others(engine: Engine, asked: dict[str, str]) -> list[str]:
    """The model of another page with those at hand of its task; without one, those that the page begins with."""
    if "model" not in asked:
        return at_hand(engine)
    model = choices.model_of(engine, asked)
    here = catalogue.available_offline()
    return [
        model,
        *(e.name for e in catalogue.entries() if e.name in here and e.task == choices.task_of(model)),
    ]
