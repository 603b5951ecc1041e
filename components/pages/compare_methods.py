"""One prediction by several methods: what each says, how far they agree, and on which words they do not."""

from collections.abc import Sequence
from contextlib import closing
from functools import lru_cache, partial
from typing import Any

import gradio as gr

from attribution import list_methods
from attribution.costs.estimates import span
from attribution.engine import Engine
from attribution.errors import AttributionError
from attribution.settings import DEFAULT_MODEL
from attribution.studies.agreement import MEASURES
from attribution.studies.comparison import DEFAULTS, Comparison
from attribution.types import Attribution

from ..api.evaluation import there
from ..controls import choices
from ..controls.inputs import model_box, position_box, target_box, text_boxes
from ..controls.links import copy_link
from ..controls.options import given, whole
from ..controls.values import ITSELF, written_position
from ..controls.verdict import Verdict
from ..languages import say
from ..live.answers import QUIET
from ..live.drawing import Drawings, drawing
from ..live.latest import Overtaken
from ..pictures import comparison
from ..pictures.matrix import Matrix
from ..pictures.multiples import Multiples
from ..pictures.panel import Panel
from . import page

QUICK: dict[str, dict[str, Any]] = {"lime": {"samples": 200}, "shapley": {"exact_up_to": 8}}
"""Options with which slow methods still follow the typing."""


@page(path="methods", title="Compare methods", order=10)
def compare_methods(engine: Engine, demo: gr.Blocks) -> None:
    """Build the page inside ``demo``."""
    with gr.Row(elem_id="compare", equal_height=False):
        with gr.Column(scale=3, min_width=320):
            text, second = text_boxes(DEFAULT_MODEL)
            pictures = Multiples(elem_id="pictures", label=say("Methods"))
            verdict = Verdict()
            agreement = Matrix(elem_id="agreement", label=say("Agreement"))
            words = Panel(elem_id="words", label=say("Prediction and method"))
        with gr.Column(scale=1, min_width=280, elem_id="controls") as side:
            model = model_box(engine, DEFAULT_MODEL)
            target = target_box(DEFAULT_MODEL)
            position = position_box(visible=False)
            chosen = gr.CheckboxGroup(
                choices.method_choices(DEFAULT_MODEL),
                value=_kept(DEFAULT_MODEL, []),
                label=say("Methods"),
                elem_id="methods",
            )
            measure = gr.Radio(
                [(comparison.TITLES[name], name) for name in MEASURES],
                value=MEASURES[0],
                label=say("Agreement"),
                info=say(
                    "τ-b: pairs of words in the same order. ρ: rank correlation of the words. "
                    "Overlap: the strongest words only; rank-biased: all ranks, the first ones weighted most."
                ),
                elem_id="measure",
            )
            examples = gr.Dataset(
                components=["text"], samples=choices.samples(DEFAULT_MODEL), label=say("Examples")
            )
    picked = gr.Number(0, visible="hidden", precision=0)
    controls = {
        "text": text,
        "second": second,
        "model": model,
        "target": target,
        "position": position,
        "methods": chosen,
        "measure": measure,
        "picked": picked,
    }
    with side:
        copy_link(controls)

    def priced(name: str) -> Any:
        # Never loads a model: who opens a page should not wait for a remark.
        return gr.CheckboxGroup(_priced(engine, name)) if name in engine.store.loaded() else gr.skip()

    def opened(request: gr.Request) -> list[Any]:
        return _open(engine, dict(request.query_params))

    draw = drawing(demo, controls, [pictures, agreement, words], partial(_answers, engine))
    gr.on([control.change for control in (text, second, target, position, chosen, measure)], **draw)
    pictures.select(comparison.picked, None, [picked], **QUIET).then(**draw)
    verdict.wire(engine, demo, controls, partial(_shown, engine))
    model.input(
        _choose_model, [model, chosen], [second, target, position, chosen, picked, examples], **QUIET
    ).then(**draw).then(priced, [model], [chosen], **QUIET)
    examples.click(choices.chosen_example, [examples, model], [text, second], **QUIET)
    demo.load(
        opened, None, [text, second, model, target, position, chosen, measure, picked, examples], **QUIET
    ).then(**draw).then(priced, [model], [chosen], **QUIET)


@lru_cache(maxsize=64)
def _priced(engine: Engine, model: str) -> list[tuple[str, str]]:
    """The methods that fit a loaded model; a slow one is named with the time that it takes here for the model's first example."""
    return [(title + _cost(engine, model, name), name) for title, name in choices.method_choices(model)]


def _cost(engine: Engine, model: str, method: str) -> str:
    asked = {"position": written_position(comparison.first_position(model)), "options": QUICK.get(method)}
    try:
        found = engine.estimate(
            choices.examples_of(model)[0], model, method, second=choices.first_second(model) or None, **asked
        )
    except AttributionError:
        return ""  # its own row will say it
    return f" · {span(found.seconds_low, found.seconds_high)}" if found.middle > choices.SLOW / 2 else ""


def _answers(engine: Engine, asked: dict[str, Any], overtaken: Overtaken) -> Drawings:
    """The rows, a matrix and the words of one attribution, as a comparison grows."""
    with closing(
        comparison.growing(engine, asked, [asked["model"]], asked["methods"], overtaken, QUICK)
    ) as grown:
        for result in grown:
            yield _parts(asked, result)


def _shown(engine: Engine, asked: dict[str, Any], overtaken: Overtaken) -> list[Attribution]:
    """The attributions of the rows, which the engine remembers; those that failed are left out."""
    *_, last = comparison.growing(engine, asked, [asked["model"]], asked["methods"], overtaken, QUICK)
    return there(last)


def _parts(asked: dict[str, Any], result: Comparison) -> tuple[dict[str, Any], ...]:
    chosen = min(asked["picked"] or 0, len(result.attributions) - 1)
    pictures = comparison.pictures(result, chosen)
    for row, method in zip(pictures["items"], result.methods, strict=True):
        if method in QUICK:  # other numbers than those of the explain page, so it is said
            row["subtitle"] = ", ".join(
                f"{name.replace('_', ' ')}: {value}" for name, value in QUICK[method].items()
            )
    return pictures, comparison.matrix(result, asked["measure"]), comparison.words(result, chosen)


def _kept(model: str, wanted: Sequence[str]) -> list[str]:
    """The wanted methods that fit the model; where there are none, the quick ones that do."""
    fitting = [name for _, name in choices.method_choices(model)]
    return [name for name in wanted if name in fitting] or [name for name in DEFAULTS if name in fitting]


def _choose_model(model: str, wanted: list[str]) -> tuple[Any, ...]:
    return (
        gr.Textbox(value=choices.first_second(model), visible=choices.takes_second(model)),
        gr.Dropdown(choices.targets(model), value=ITSELF),
        gr.Textbox(value=comparison.first_position(model), visible=choices.has_positions(model)),
        gr.CheckboxGroup(choices.method_choices(model), value=_kept(model, wanted)),
        0,
        gr.Dataset(samples=choices.samples(model)),
    )


def _open(engine: Engine, asked: dict[str, str]) -> list[Any]:
    """The controls as a link asks for them: ``?text=...&model=...&methods=saliency,lime&target=...&measure=spearman``."""
    model = choices.model_of(engine, asked)
    longest = engine.settings.max_characters + 1
    wanted = [asked.get("method", ""), *asked.get("methods", "").split(",")]
    known = [
        m.name for word in wanted for m in list_methods().values() if word.strip() in (m.name, *m.aliases)
    ]
    return [
        asked.get("text", choices.examples_of(model)[0])[:longest],
        gr.Textbox(
            value=asked.get("second", choices.first_second(model))[:longest],
            visible=choices.takes_second(model),
        ),
        model,
        gr.Dropdown(choices.targets(model), value=asked.get("target") or ITSELF),
        gr.Textbox(
            **{"value": comparison.first_position(model), **given(asked, "position", 200)},
            visible=choices.has_positions(model),
        ),
        gr.CheckboxGroup(choices.method_choices(model), value=_kept(model, list(dict.fromkeys(known)))),
        asked["measure"] if asked.get("measure") in MEASURES else MEASURES[0],
        whole(asked, "picked", 0),
        gr.Dataset(samples=choices.samples(model)),
    ]
