"""The quality of explanations: metrics on one text or on many, and agreement with human rationales.

Random scores are the control.
"""

import json
from functools import partial
from typing import Any
from zlib import crc32

import gradio as gr

from attribution import rationales
from attribution.engine import Engine
from attribution.errors import AttributionError, Cancelled, InputError
from attribution.metrics import find, list_metrics
from attribution.rationales import Rationale
from attribution.studies.evaluating import evaluate
from attribution.studies.evaluation import METHODS, Evaluation
from attribution.types import Attribution

from ..api.evaluation import check_size
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
from ..controls.recommendation import evidence
from ..controls.values import target_arguments
from ..languages import say
from ..live.answers import QUIET, STALE, error_value, event_data
from ..live.drawing import Drawings, drawing
from ..live.latest import Superseded
from ..pictures.curves import Curves
from ..pictures.intervals import Intervals
from ..pictures.marks import Marks
from ..pictures.values import evaluation
from . import page
from .compare_methods import QUICK
from .parts.many_texts import ManyTexts

START = ("aopc_comprehensiveness", "aopc_sufficiency", "deletion", "insertion")
"""The metrics that the page starts with."""
AGREEMENT = ("kendall_tau", "somers_d", "auprc", "token_f1")
"""The metrics of agreement with a visitor's own marks."""


@page(path="quality", title="Quality", order=40)
def quality(engine: Engine, demo: gr.Blocks) -> None:
    """Metrics on one text, on many, and the study of human rationales."""
    with gr.Row(elem_id="compare", equal_height=False):
        with gr.Column(scale=3, min_width=320), gr.Tabs(elem_id="how-many") as tabs:
            with gr.Tab(say("One text"), id="one"):
                text, second = text_fields()
                marks = Marks(elem_id="marks", label=say("Your own marks"))
                agreement = Intervals(elem_id="agreement", label=say("Agreement with your marks"))
                intervals = Intervals(elem_id="intervals", label=say("Metrics"))
                curves = Curves(elem_id="curves", label=say("Word by word"))
            with gr.Tab(say("Many texts"), id="many"):
                many = ManyTexts(engine)
            if study := evidence():
                with gr.Tab(say("Agreement with human rationales"), id="people"):
                    gr.Markdown(study, elem_id="people", container=True)
        with gr.Column(scale=1, min_width=280, elem_id="controls"):
            model, target, position = model_field(engine), target_field(), first_position_field()
            methods, metrics = methods_field(METHODS), _metrics_field(engine)
            with gr.Accordion(say("All metrics"), open=False):
                gr.Markdown(evaluation.guide())
            examples = examples_field()
            marked = Field(
                gr.Textbox("", visible="hidden"), "marks", lambda link: link.text("marks"), redraws=False
            )
            tab = Field(tabs, from_link=_linked_tab)
            request = [model, target, position, methods, metrics]
            form = Form(engine, [text, second, *request, marked, many.lines, many.run, tab, examples])
            copy_link(form.controls)

    draw = drawing(demo, form.controls, [marks, agreement, intervals, curves], partial(_draw, engine))
    draw_marks = drawing(demo, form.controls, [marks, agreement], partial(_draw_marks, engine))
    form.on_change(**draw)
    marks.mark(marks_value, None, [marked.control], **QUIET).then(**draw_marks)
    form.on_model().then(**draw)
    form.offer(examples.control)
    many.wire(demo, {field.name: field.control for field in request})
    form.on_open(demo).then(**draw)


def _metrics_field(engine: Engine) -> Field:
    most = engine.settings.evaluated_metrics
    box = gr.Dropdown(
        evaluation.metric_choices(marks=True),
        value=list(START),
        label=say("Metrics"),
        info=say("↑ higher is better, ↓ lower is better."),
        multiselect=True,
        max_choices=most,
        elem_id="metrics",
    )

    def from_link(link: Link) -> list[str]:
        names = [name for name in link.query.get("metrics", "").split(",") if name in list_metrics()]
        return names[:most] or list(START)

    return Field(box, "metrics", from_link)


def _linked_tab(link: Link) -> Any:
    if link.query.get("lines"):
        return gr.Tabs(selected="many")
    return gr.Tabs(selected="people") if link.query.get("tab") == "people" else gr.skip()


def _draw(engine: Engine, values: Values, superseded: Superseded) -> Drawings:
    """The words to mark and the agreement with what is marked, then the metrics and their curves."""
    shown, agreement = next(_draw_marks(engine, values, superseded))
    yield shown, agreement, evaluation.PENDING, STALE
    try:
        # Metrics of agreement with rationales are shown above.
        names = [name for name in values["metrics"] or [] if "rationale" not in find(name).needs]
        if values["metrics"] and not names:
            raise InputError(
                "These metrics compare with human rationales.",
                "Mark words of the text, or choose other metrics.",
            )
        result = _evaluate(engine, values, names, None, superseded)
    except Cancelled:
        raise
    except AttributionError as error:
        yield STALE, STALE, error_value(error), {}
    else:
        yield STALE, STALE, evaluation.intervals(result), evaluation.curves(result)


def _draw_marks(engine: Engine, values: Values, superseded: Superseded) -> Drawings:
    """The words to mark, and how well the methods agree with what is marked."""
    attribution = _any_attribution(engine, values, superseded)
    rationale = rationale_of(values, attribution)
    spans = [] if rationale is None else [[start, end] for start, end, _ in rationale.weights]
    shown = {"text": attribution.text, "pieces": evaluation.pieces(attribution), "marked": spans}
    if rationale is None:
        yield shown, {}
    else:
        names = [name for name in AGREEMENT if name in list_metrics()]
        yield shown, evaluation.intervals(_evaluate(engine, values, names, rationale, superseded))


def _any_attribution(engine: Engine, values: Values, superseded: Superseded) -> Attribution:
    """The text by the first method that works: its words are the same for all.

    Raises the last error where all fail.
    """
    check_size(engine.settings, [values["text"]], values["methods"], ["any"])
    last = AttributionError("No method explains this text.")
    for name in values["methods"]:
        try:
            return engine.attribute(
                values["text"],
                values["model"],
                name,
                options=QUICK.get(name, {}),
                cancelled=superseded,
                **target_arguments(values),
            )
        except Cancelled:
            raise
        except AttributionError as error:
            last = error
    raise last


def _evaluate(
    engine: Engine, values: Values, metrics: list[str], rationale: Rationale | None, superseded: Superseded
) -> Evaluation:
    """One text by these metrics; its attributions are in the engine's cache the second time."""
    text, methods = values["text"], values["methods"]
    check_size(engine.settings, [text], methods, metrics)
    return evaluate(
        engine,
        [text],
        values["model"],
        methods,
        metrics,
        rationales=None if rationale is None else [rationale],
        options={name: options for name, options in QUICK.items() if name in methods},
        cancelled=superseded,
        **target_arguments(values),
    )


def marks_value(event: gr.EventData) -> str:
    """The visitor's marks as the value of a control, valid for their text only.

    Ignores what are not spans.
    """
    text, spans = event_data(event).get("text"), event_data(event).get("spans")
    valid = isinstance(text, str) and isinstance(spans, list)
    return json.dumps({"of": _fingerprint(text), "spans": spans}) if valid and spans else ""


def _fingerprint(text: Any) -> int:
    """A number that differs between texts."""
    return crc32(str(text).encode(errors="replace"))


def rationale_of(values: Values, attribution: Attribution) -> Rationale | None:
    """The marks in the text that is shown; None if there are none, or of another text."""
    try:
        marks = json.loads(values["marks"] or "{}")
        if marks["of"] == _fingerprint(attribution.text):
            return rationales.read(attribution.text, marks["spans"], "spans")
    except (AttributionError, ValueError, KeyError, TypeError, RecursionError):
        pass  # a link may contain anything
    return None
