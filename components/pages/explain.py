"""The live page: type, and see which words drive the prediction."""

import json
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from attribution.engine import Engine
from attribution.errors import AttributionError, Cancelled, MethodError
from attribution.request import QUANTITIES, Request
from attribution.settings import DEFAULT_MODEL
from attribution.studies.counterfactual import Span, predict_without
from attribution.types import Attribution

from ..bugs import bug
from ..controls import choices
from ..controls.fields import Field, Form, Link, Values
from ..controls.inputs import (
    POSITION_CHARACTERS,
    examples_field,
    length_field,
    model_field,
    position_box,
    target_field,
    text_fields,
)
from ..controls.options import option_fields, show_groups
from ..controls.recommendation import chosen_method, first_method, linked_method, why
from ..controls.values import CONTINUATION_HELP, MOST_BESIDE, NOTHING, PageRequest
from ..controls.verdict import Verdict
from ..languages import say
from ..live.answers import PLAIN, QUIET, STALE, attribution_value, error_value, event_data
from ..live.drawing import Drawings, drawing
from ..live.latest import Superseded
from ..pictures import panel
from ..pictures import without as counterfactual
from ..pictures.heatmap import Heatmap
from ..pictures.multiples import Multiples
from . import page
from .parts.sharing import Sharing

_QUANTITY_CHOICES = [(name.replace("_", "-"), name) for name in QUANTITIES]
OWN = "own"
"""Marks a method chosen by a visitor or a link, which stays as long as it fits the model."""


@page(path="", title="Explain", order=0)
def explain(engine: Engine, demo: gr.Blocks) -> None:
    """One text, one prediction, one method, and others to compare with."""
    with gr.Row(elem_id="explain", equal_height=False):
        with gr.Column(scale=3, min_width=320):
            text, second = text_fields()
            pictures = _Pictures.build()
        with gr.Column(scale=1, min_width=280, elem_id="controls"):
            model = model_field(engine)
            methods = _Methods.build()
            target, contrast = target_field(), _contrast_field()
            with gr.Accordion(say("Options"), open=False, elem_id="options"):
                generation = _generation_fields()
                quantity, length = _quantity_field(), length_field(engine)
                groups, options = option_fields(first_method(DEFAULT_MODEL))
            with gr.Accordion(say("All methods"), open=False, elem_id="methods"):
                guide = _markdown_field(choices.guide)
            with gr.Accordion(say("Examples"), open=True, elem_id="examples-box"):
                examples = examples_field(label="", show_label=False)
            sharing = Sharing(engine)
    fields = [text, model, methods.method, methods.beside, target, quantity, length, second, contrast]
    fields += [*generation, *options, methods.own, methods.reason, guide, examples]
    form = Form(engine, fields)

    def update_cost(*values: Any) -> str:
        return choices.cost_of(engine, PageRequest.read(form.read(values)).request)

    cost: dict[str, Any] = {"fn": update_cost, "inputs": form.inputs, "outputs": [methods.cost], **QUIET}
    method: dict[str, Any] = {
        "fn": _choose_method,
        "inputs": [methods.method.control],
        "outputs": [methods.about, *groups.values()],
        **QUIET,
    }
    shown = [pictures.heatmap, pictures.words, pictures.others]
    draw = drawing(demo, form.controls, shown, partial(_draw, engine), error_in=1)
    form.on_change(**draw)
    form.on_model().then(**draw)
    method_chosen = methods.method.control.change(**method)
    method_chosen.then(**draw)
    # The cost is updated when something expensive is chosen, not on every keystroke.
    method_chosen.then(**cost)
    gr.on([option.control.change for option in options], **cost)
    form.offer(examples.control)
    pictures.wire(engine, demo, form, methods.beside.control, target.control)
    sharing.wire(form)
    # A link may have chosen text, model and method.
    form.on_open(demo).then(**method).then(**draw)


@dataclass(frozen=True)
class _Pictures:
    """The pictures of the page."""

    heatmap: Heatmap
    without: counterfactual.Without
    others: Multiples
    verdict: Verdict
    words: panel.Panel

    @classmethod
    def build(cls) -> "_Pictures":
        return cls(
            Heatmap(
                source="#text textarea",
                second_source="#second textarea",
                strikes=True,
                elem_id="picture",
                label=say("Attribution"),
            ),
            counterfactual.Without(elem_id="without", label=say("Without these words")),
            Multiples(elem_id="others", label=say("Other methods")),
            Verdict(visible=False),
            panel.Panel(elem_id="words", label=say("Prediction and method")),
        )

    def wire(self, engine: Engine, demo: gr.Blocks, form: Form, beside: Any, target: Any) -> None:
        """Connect clicks in the pictures to their handlers."""

        def strike(event: gr.EventData, *values: Any) -> dict[str, Any] | None:
            return _without(engine, PageRequest.read(form.read(values)).request, _spans(event))

        self.heatmap.strike(strike, form.inputs, [self.without], **PLAIN)
        self.words.select(_choose_label, None, [target], **QUIET)
        self.verdict.wire(engine, demo, form.controls, partial(_collect_attributions, engine))
        beside.change(lambda names: gr.Button(visible=bool(names)), [beside], [self.verdict.button], **QUIET)


@dataclass(frozen=True)
class _Methods:
    """The method, those to compare it with, and the texts about them."""

    method: Field
    beside: Field
    own: Field
    """Holds ``OWN`` or ""."""
    reason: Field
    about: gr.Markdown
    cost: gr.Markdown

    @classmethod
    def build(cls) -> "_Methods":
        start = first_method(DEFAULT_MODEL)
        fitting = choices.method_choices(DEFAULT_MODEL)
        method = gr.Dropdown(fitting, value=start, label=say("Method"), elem_id="method")
        about = gr.Markdown(choices.about_method(start), elem_id="about")
        cost = gr.Markdown("", elem_id="cost")
        with gr.Accordion(say("Which method to start with?"), open=False, elem_id="first"):
            reason = _markdown_field(why)
        beside = gr.Dropdown(
            fitting,
            value=[],
            label=say("Compare with"),
            multiselect=True,
            max_choices=MOST_BESIDE,
            elem_id="beside",
        )
        own = gr.Textbox("", visible="hidden")
        method.input(None, None, [own], js=f"() => {json.dumps(OWN)}", api_visibility="private")
        return cls(
            Field(method, "method", _linked_method, _fit_method, redraws=False),
            Field(beside, "beside", _linked_beside, _fit_beside),
            Field(own, "own", _linked_own, redraws=False, shared=False),
            reason,
            about,
            cost,
        )


def _linked_method(link: Link) -> gr.Dropdown:
    return gr.Dropdown(choices.method_choices(link.model), value=chosen_method(link.model, link.query))


def _linked_own(link: Link) -> str:
    return OWN if linked_method(link.model, link.query) else ""


def _fit_method(models: Sequence[str], values: Values) -> gr.Dropdown:
    """A method that the visitor chose stays if it fits."""
    [model], method = models, values["method"]
    stays = values["own"] and method in choices.method_names(model)
    return gr.Dropdown(choices.method_choices(model), value=method if stays else first_method(model))


def _linked_beside(link: Link) -> gr.Dropdown:
    fitting = choices.method_names(link.model)
    names = [name for name in link.query.get("beside", "").split(",") if name in fitting][:MOST_BESIDE]
    # A value that is set counts as a change, which draws once more, also where it is the same list.
    return gr.Dropdown(choices.method_choices(link.model), **({"value": names} if names else {}))


def _fit_beside(models: Sequence[str], values: Values) -> gr.Dropdown:
    [model], fitting = models, choices.method_names(*models)
    names = [name for name in values["beside"] or [] if name in fitting]
    return gr.Dropdown(choices.method_choices(model), value=names)


def _contrast_field() -> Field:
    box = gr.Dropdown(
        choices.contrasts(DEFAULT_MODEL),
        value=NOTHING,
        label=say("rather than"),
        elem_id="contrast",
        allow_custom_value=True,
    )
    return Field(
        box,
        "contrast",
        lambda link: gr.Dropdown(choices.contrasts(link.model), value=link.query.get("contrast") or NOTHING),
        lambda models, _: gr.Dropdown(choices.contrasts(models[0]), value=NOTHING),
    )


def _quantity_field() -> Field:
    box = gr.Radio(_QUANTITY_CHOICES, value="logit", label=say("Explained quantity"), elem_id="quantity")

    def from_link(link: Link) -> Any:
        return link.query["quantity"] if link.query.get("quantity") in QUANTITIES else gr.skip()

    return Field(box, "quantity", from_link)


def _generation_fields() -> list[Field]:
    """The position and the continuation, in a group for models whose answer consists of tokens."""
    with gr.Group(visible=choices.has_positions(DEFAULT_MODEL)) as group:
        position = position_box()
        continuation = gr.Textbox(
            value="", label=say("Continuation"), info=say(CONTINUATION_HELP), elem_id="continuation"
        )
    return [
        Field(
            position,
            "position",
            lambda link: gr.Textbox(**link.update("position", POSITION_CHARACTERS)),
            lambda *_: "",
        ),
        Field(
            continuation,
            "continuation",
            lambda link: gr.Textbox(**link.update("continuation")),
            lambda *_: "",
        ),
        Field(group, on_model=lambda models, _: gr.Group(visible=choices.has_positions(models[0]))),
    ]


def _markdown_field(text_of: Any) -> Field:
    """A text about the model."""
    return Field(
        gr.Markdown(text_of(DEFAULT_MODEL)), on_model=lambda models, _: gr.Markdown(text_of(models[0]))
    )


def _choose_method(method: str) -> list[Any]:
    return [gr.Markdown(choices.about_method(method)), *show_groups(method)]


def _choose_label(event: gr.EventData) -> str:
    return str(event.value)


def _draw(engine: Engine, values: Values, superseded: Superseded) -> Drawings:
    """The heatmap, the words and the methods to compare with, one after the other as they are computed.

    The part of an answer that is drawn last requests the next one.
    """
    page_request = PageRequest.read(values)
    results = engine.progress(page_request.request, cancelled=superseded)
    awaited = _others_value(page_request, [])
    with closing(results):
        for result in results:
            unfinished = result.provisional or bool(page_request.beside)
            yield {**attribution_value(result), "more": unfinished}, panel.answer(result), awaited
    yield from _others(engine, page_request, superseded)


def _others(engine: Engine, page_request: PageRequest, superseded: Superseded) -> Drawings:
    """The methods to compare with, one by one; the error of a method takes its place."""
    items: list[dict[str, Any]] = []
    for name in page_request.beside:
        title = choices.method_title(name)
        try:
            result = engine.attribute(page_request.of_method(name), cancelled=superseded)
            items.append({"title": result.title, "attribution": attribution_value(result)})
        except Cancelled:
            raise
        except AttributionError as error:
            items.append({"title": title, **error_value(error)})
        unfinished = len(items) < len(page_request.beside)
        yield STALE, STALE, {**_others_value(page_request, items), "more": unfinished}


def _others_value(page_request: PageRequest, items: list[dict[str, Any]]) -> dict[str, Any]:
    """The value of ``Multiples``: the finished items, and the titles of those to come."""
    awaited = [{"title": choices.method_title(name)} for name in page_request.beside[len(items) :]]
    return {"items": [*items, *awaited]}


def _collect_attributions(engine: Engine, values: Values, superseded: Superseded) -> list[Attribution]:
    """The attributions of all methods shown, from the engine's cache; failing methods are skipped."""
    page_request = PageRequest.read(values)
    results = [engine.attribute(page_request.request, cancelled=superseded)]
    for name in page_request.beside:
        with suppress(MethodError):
            results.append(engine.attribute(page_request.of_method(name), cancelled=superseded))
    return results


def _spans(event: gr.EventData) -> list[Span]:
    """The words that the visitor struck out. Ignores invalid spans; never raises."""
    spans = []
    for item in event_data(event).get("spans") or []:
        span = item if isinstance(item, dict) else {}
        start, end, segment = span.get("start"), span.get("end"), span.get("segment")
        if isinstance(start, int) and isinstance(end, int) and segment in ("text", "second"):
            spans.append(Span(segment, start, end))
    return spans


def _without(engine: Engine, request: Request, spans: list[Span]) -> dict[str, Any] | None:
    """The prediction without these words; None if there are none."""
    if not spans:
        return None
    arguments = {"second": request.second, "max_new_tokens": request.max_new_tokens}
    try:
        return counterfactual.answer(predict_without(engine, request.text, request.model, spans, **arguments))
    except AttributionError as error:
        return error_value(error)
    except Exception:
        return error_value(bug())
