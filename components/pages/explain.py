"""The live page: type, and see which words drive the prediction."""

import json
from collections.abc import Sequence
from contextlib import closing, suppress
from functools import partial
from typing import Any

import gradio as gr

from attribution import export, list_methods
from attribution.engine import Engine
from attribution.errors import AttributionError, Cancelled, MethodError
from attribution.export.writing.code import as_code
from attribution.settings import DEFAULT_MODEL
from attribution.studies.counterfactual import Span, without
from attribution.types import Attribution, Quantity

from ..api.endpoints import bug
from ..controls import choices
from ..controls.inputs import LENGTH, length_slider, model_box, position_box, target_box, text_boxes
from ..controls.options import from_link, given, option_controls, whole
from ..controls.recommendation import first_method, why
from ..controls.recording import AT_ONCE, recorder_of
from ..controls.values import (
    CONTINUATION_HELP,
    ITSELF,
    MOST_BESIDE,
    NOTHING,
    Asked,
    in_browser,
)
from ..controls.verdict import Verdict
from ..languages import say
from ..live.answers import PLAIN, QUIET, STALE, failed, light, said
from ..live.drawing import Drawings, drawing
from ..live.latest import Overtaken
from ..pictures import panel
from ..pictures import without as missing
from ..pictures.heatmap import Heatmap
from ..pictures.multiples import Multiples
from . import page

QUANTITIES = [(name.replace("_", "-"), name) for name in Quantity.__args__]  # type: ignore[attr-defined]
OWN = "own"
"""Stands on the page where a person or a link chose the method."""


@page(path="", title="Explain", order=0)
def explain(engine: Engine, demo: gr.Blocks) -> None:
    """One text, one prediction, one method, and others beside it."""
    with gr.Row(elem_id="explain", equal_height=False):
        with gr.Column(scale=3, min_width=320):
            text, second = text_boxes(DEFAULT_MODEL)
            picture = Heatmap(
                source="#text textarea",
                second_source="#second textarea",
                strikes=True,
                elem_id="picture",
                label=say("Attribution"),
            )
            struck = missing.Without(elem_id="without", label=say("Without these words"))
            others = Multiples(elem_id="others", label=say("Other methods"))
            verdict = Verdict(visible=False)
            words = panel.Panel(elem_id="words", label=say("Prediction and method"))
        with gr.Column(scale=1, min_width=280, elem_id="controls"):
            model = model_box(engine, DEFAULT_MODEL)
            start = first_method(DEFAULT_MODEL)
            method = gr.Dropdown(
                choices.method_choices(DEFAULT_MODEL), value=start, label=say("Method"), elem_id="method"
            )
            about = gr.Markdown(choices.about_method(start), elem_id="about")
            cost = gr.Markdown("", elem_id="cost")
            with gr.Accordion(say("Which method to start with?"), open=False, elem_id="first"):
                reason = gr.Markdown(why(DEFAULT_MODEL))
            beside = gr.Dropdown(
                choices.method_choices(DEFAULT_MODEL),
                value=[],
                label=say("Compare with"),
                multiselect=True,
                max_choices=MOST_BESIDE,
                elem_id="beside",
            )
            target = target_box(DEFAULT_MODEL)
            contrast = gr.Dropdown(
                choices.contrasts(DEFAULT_MODEL),
                value=NOTHING,
                label=say("rather than"),
                elem_id="contrast",
                allow_custom_value=True,
            )
            with gr.Accordion(say("Options"), open=False, elem_id="options"):
                with gr.Group(visible=False) as generation:
                    position = position_box()
                    continuation = gr.Textbox(
                        value="",
                        label=say("Continuation"),
                        info=say(CONTINUATION_HELP),
                        elem_id="continuation",
                    )
                quantity = gr.Radio(
                    QUANTITIES, value="logit", label=say("Explained quantity"), elem_id="quantity"
                )
                length = length_slider(engine)
                groups, options = option_controls(start)
            with gr.Accordion(say("All methods"), open=False, elem_id="methods"):
                guide = gr.Markdown(choices.guide(DEFAULT_MODEL))
            with gr.Accordion(say("Examples"), open=True, elem_id="examples-box"):
                examples = gr.Dataset(
                    components=["text"], samples=choices.samples(DEFAULT_MODEL), label="", show_label=False
                )
            with gr.Accordion(say("Export and share"), open=False, elem_id="share"):
                with gr.Row():
                    files = {
                        kind: gr.Button(kind.upper(), size="sm", min_width=60)
                        for kind in export.list_formats()
                    }
                with gr.Row():
                    link = gr.Button(say("Copy link"), size="sm", min_width=90, elem_id="copy-link")
                    embed = gr.Button(say("Copy embed code"), size="sm", min_width=90, elem_id="copy-embed")
                    code = gr.Button(say("Copy as code"), size="sm", min_width=90, elem_id="copy-code")
                recorder = recorder_of(engine.settings)
                record = gr.Button(say("Record"), size="sm", elem_id="record", visible=recorder is not None)
                gr.Markdown(
                    f"*{recorder.about}*" if recorder else "", elem_id="where", visible=recorder is not None
                )
                language = gr.Radio(
                    [("Python", "library"), ("Client", "client"), ("REST", "rest"), ("curl", "curl")],
                    value="library",
                    show_label=False,
                    container=False,
                    elem_id="code-language",
                )
                shared = gr.Textbox(
                    show_label=False,
                    placeholder=say("The link, the code, or the saved file"),
                    buttons=["copy"],
                    interactive=False,
                    lines=1,
                    max_lines=12,
                    elem_id="shared",
                )

    own = gr.Textbox("", visible="hidden")
    controls = {
        "text": text,
        "model": model,
        "method": method,
        "beside": beside,
        "target": target,
        "quantity": quantity,
        "max_new_tokens": length,
        "second": second,
        "contrast": contrast,
        "position": position,
        "continuation": continuation,
        **options,
    }
    names, chosen = tuple(controls), list(controls.values())

    def asked_of(values: Sequence[Any]) -> Asked:
        return Asked.of(dict(zip(names, values, strict=True)))

    def strike(event: gr.EventData, *values: Any) -> dict[str, Any] | None:
        return _without(engine, asked_of(values), _spans(event))

    def priced(*values: Any) -> str:
        asked = asked_of(values)
        return choices.cost_of(engine, asked.model, asked.method, asked.text, **asked.arguments)

    def written(address: str, language: str, *values: Any) -> str:
        return _code(engine, asked_of(values), address, language)

    def recorded(*values: Any) -> str:
        return _recorded(engine, asked_of(values))

    def opened(request: gr.Request) -> list[Any]:
        return _open(engine, names, dict(request.query_params))

    draw = drawing(demo, controls, [picture, words, others], partial(_answers, engine), told=1)
    text.change(**draw)
    changing = [beside, target, contrast, quantity, length, second, position, continuation, *options.values()]
    gr.on([control.change for control in changing], **draw)
    verdict.wire(engine, demo, controls, partial(_shown, engine))
    beside.change(lambda names: gr.Button(visible=bool(names)), [beside], [verdict.button], **QUIET)
    picture.strike(strike, chosen, [struck], **PLAIN)
    fitted = [
        method,
        beside,
        target,
        contrast,
        length,
        second,
        position,
        continuation,
        generation,
        reason,
        guide,
        examples,
    ]
    # By a person only: a link sets the model together with all that belongs to it.
    model.input(_choose_model, [model, method, beside, own], fitted, **QUIET).then(**draw)
    method.input(None, None, [own], js=f"() => {json.dumps(OWN)}", api_visibility="private")
    chosen_method = method.change(_choose_method, [method], [about, *groups.values()], **QUIET)
    chosen_method.then(**draw)
    # What a slow run will take is said while it runs; who only types need not be told again.
    chosen_method.then(priced, chosen, [cost], **QUIET)
    gr.on([control.change for control in options.values()], priced, chosen, [cost], **QUIET)
    words.select(_choose_label, None, [target], **QUIET)
    examples.click(choices.chosen_example, [examples, model], [text, second], **QUIET)
    for kind, button in files.items():
        # The picture has the visitor's own fonts where the browser draws it.
        function = ("downloadPicture",) if kind == "png" else ("download", kind)
        button.click(
            None, chosen, [shared], js=in_browser(function[0], names, *function[1:]), api_visibility="private"
        )
    link.click(None, chosen, [shared], js=in_browser("copyLink", names), api_visibility="private")
    embed.click(None, chosen, [shared], js=in_browser("copyEmbed", names), api_visibility="private")
    record.click(recorded, chosen, [shared], concurrency_limit=AT_ONCE, api_visibility="private")
    server = gr.Textbox(visible="hidden", value="")
    copy: dict[str, Any] = {**QUIET, "inputs": [server, language, *chosen], "outputs": [shared]}
    copied = "(text) => { navigator.clipboard?.writeText(text).catch(() => {}); }"
    here = "(_, ...rest) => [new URL('.', document.baseURI).href, ...rest]"
    for event in (code.click, language.input):
        event(written, **copy, js=here).then(None, [shared], None, js=copied, api_visibility="private")
    # A link may have chosen text, model and method; the picture of the start text is drawn when the page opens.
    demo.load(opened, None, [*chosen, own, generation, reason, guide, examples], **QUIET).then(
        _choose_method, [method], [about, *groups.values()], **QUIET
    ).then(**draw)


def _answers(engine: Engine, said: dict[str, Any], overtaken: Overtaken) -> Drawings:
    """The picture, the words and the methods beside, one after the other as they are computed.

    Of the parts of an answer, the one that is drawn last asks for what follows.
    """
    asked = Asked.of(said)
    results: Any = engine.progress(
        asked.text, asked.model, asked.method, **asked.arguments, cancelled=overtaken
    )
    first = _beside(asked, [])
    with closing(results):
        for result in results:
            follows = {"more": result.provisional or bool(asked.beside)}
            yield {**light(result), **follows}, panel.answer(result), first
    yield from _others(engine, asked, overtaken)


def _others(engine: Engine, asked: Asked, overtaken: Overtaken) -> Drawings:
    """The methods beside, one by one; an error of one of them stands in its place."""
    done: list[dict[str, Any]] = []
    for name in asked.beside:
        # The method's own options are those of the chosen one.
        arguments = {key: value for key, value in asked.arguments.items() if key != "options"}
        try:
            result = engine.attribute(asked.text, asked.model, name, **arguments, cancelled=overtaken)
            done.append({"title": result.title, "attribution": light(result)})
        except Cancelled:
            raise
        except AttributionError as error:
            done.append({"title": _title(name), **failed(error)})
        yield STALE, STALE, {**_beside(asked, done), "more": len(done) < len(asked.beside)}


def _shown(engine: Engine, said: dict[str, Any], overtaken: Overtaken) -> list[Attribution]:
    """The finished attributions of the chosen method and those beside it, which the engine remembers; what fails is left out."""
    asked = Asked.of(said)
    found = [engine.attribute(asked.text, asked.model, asked.method, **asked.arguments, cancelled=overtaken)]
    arguments = {key: value for key, value in asked.arguments.items() if key != "options"}
    for name in asked.beside:
        with suppress(MethodError):
            found.append(engine.attribute(asked.text, asked.model, name, **arguments, cancelled=overtaken))
    return found


def _beside(asked: Asked, done: list[dict[str, Any]]) -> dict[str, Any]:
    """The value of the methods beside: what is done, and the names of those to come."""
    return {"items": [*done, *({"title": _title(name)} for name in asked.beside[len(done) :])]}


def _title(name: str) -> str:
    found = list_methods().get(name)
    return found.title if found else name


def _spans(event: gr.EventData) -> list[Span]:
    """The words that a person struck out. Raises nothing: what is no span is none."""
    found = []
    for one in said(event).get("spans") or []:
        span = one if isinstance(one, dict) else {}
        start, end, segment = span.get("start"), span.get("end"), span.get("segment")
        if isinstance(start, int) and isinstance(end, int) and segment in ("text", "second"):
            found.append(Span(segment, start, end))
    return found


def _without(engine: Engine, asked: Asked, spans: list[Span]) -> dict[str, Any] | None:
    """What the model says without these words; None where there are none."""
    if not spans:
        return None
    given = {name: asked.arguments[name] for name in ("second", "max_new_tokens")}
    try:
        return missing.answer(without(engine, asked.text, asked.model, spans, **given))
    except AttributionError as error:
        return failed(error)
    except Exception:
        return failed(bug())


def _code(engine: Engine, asked: Asked, server: str, language: str) -> str:
    """What the page shows as code, or why there is none."""
    try:
        return as_code(engine.request(asked.text, asked.model, asked.method, **asked.arguments), server)[
            language
        ]
    except AttributionError as error:
        return f"{error.message} {error.hint}"


def _recorded(engine: Engine, asked: Asked) -> str:
    """Record what is shown with the server's tracker; what became of it."""
    recorder = recorder_of(engine.settings)
    if recorder is None:
        return ""
    try:
        return recorder.attribution(
            engine.attribute(asked.text, asked.model, asked.method, **asked.arguments)
        )
    except AttributionError as error:
        return f"{error.message} {error.hint}"


def _choose_model(model: str, method: str, beside: list[str], own: str) -> tuple[Any, ...]:
    """What a model brings along; a method that a person chose stays where it fits."""
    fitting = choices.method_choices(model)
    known = [name for _, name in fitting]
    return (
        gr.Dropdown(fitting, value=method if own and method in known else first_method(model)),
        gr.Dropdown(fitting, value=[name for name in beside if name in known]),
        gr.Dropdown(choices.targets(model), value=ITSELF),
        gr.Dropdown(choices.contrasts(model), value=NOTHING),
        choices.length_slider(model),
        gr.Textbox(value=choices.first_second(model), visible=choices.takes_second(model)),
        "",
        "",
        gr.Group(visible=choices.has_positions(model)),
        gr.Markdown(why(model)),
        gr.Markdown(choices.guide(model)),
        gr.Dataset(samples=choices.samples(model)),
    )


def _start(model: str) -> dict[str, str]:
    return {"value": choices.first_second(model)} if choices.first_second(model) else {}


def _choose_method(method: str) -> list[Any]:
    return [
        gr.Markdown(choices.about_method(method)),
        *(gr.Group(visible=name == method) for name in list_methods()),
    ]


def _choose_label(event: gr.EventData) -> str:
    return str(event.value)


def _open(engine: Engine, names: Sequence[str], asked: dict[str, str]) -> list[Any]:
    """The controls as a link asks for them, ``?text=...&model=...&method=...&target=...``; what it does not name stays."""
    model = choices.model_of(engine, asked)
    settings = engine.settings
    fitting = choices.method_choices(model)
    known = [name for _, name in fitting]
    named = next(
        (m.name for m in list_methods().values() if asked.get("method", "") in (m.name, *m.aliases)), ""
    )
    method = named if named in known else first_method(model)
    beside = [name for name in asked.get("beside", "").split(",") if name in known][:MOST_BESIDE]
    quantity = asked.get("quantity")
    length = min(whole(asked, "max_new_tokens", LENGTH) or LENGTH, settings.max_new_tokens)
    values = {
        "text": asked.get("text", choices.examples_of(model)[0])[: settings.max_characters + 1],
        "model": model,
        "method": gr.Dropdown(fitting, value=method),
        # A value set is a change, which draws once more, also where it is the same list.
        "beside": gr.Dropdown(fitting, **({"value": beside} if beside else {})),
        "target": gr.Dropdown(choices.targets(model), value=asked.get("target") or ITSELF),
        "quantity": quantity if quantity in Quantity.__args__ else gr.skip(),  # type: ignore[attr-defined]
        "max_new_tokens": choices.length_slider(model, value=length),
        "second": gr.Textbox(
            **(given(asked, "second", settings.max_characters + 1) or _start(model)),
            visible=choices.takes_second(model),
        ),
        "contrast": gr.Dropdown(choices.contrasts(model), value=asked.get("contrast") or NOTHING),
        "position": gr.Textbox(**given(asked, "position", 200)),
        "continuation": gr.Textbox(**given(asked, "continuation", settings.max_characters + 1)),
    }
    return [
        *(values[name] if name in values else from_link(asked, name, method) for name in names),
        OWN if method == named else "",
        gr.Group(visible=choices.has_positions(model)),
        gr.Markdown(why(model)),
        gr.Markdown(choices.guide(model)),
        gr.Dataset(samples=choices.samples(model)),
    ]
