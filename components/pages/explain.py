"""The live page: type, and see which words drive the prediction."""

from collections.abc import Generator
from contextlib import closing
from functools import partial
from typing import Any

import gradio as gr

from attribution import export, methods
from attribution.engine import Engine
from attribution.errors import AttributionError, Cancelled
from attribution.models import catalogue
from attribution.settings import DEFAULT_METHOD, DEFAULT_MODEL
from attribution.types import Attribution, Quantity
from components import offers, panel
from components.api import bug
from components.asked import CONTINUATION_HELP, ITSELF, NOTHING, POSITION_HELP, Asked, download, share
from components.heatmap import Heatmap
from components.live import Latest, Overtaken, Snapshot
from components.options import from_link, given, option_controls

QUANTITIES = [(name.replace("_", "-"), name) for name in Quantity.__args__]  # type: ignore[attr-defined]

Drawings = Generator[tuple[dict[str, Any], dict[str, Any]], None, None]
"""Values of the picture and of the words."""

STALE = {"sequence": -1}
"""What is older than all: it is not drawn. (``gr.skip()`` builds the component anew each time.)"""

# A number that only grows, so that a slow answer can never replace a newer one.
_COUNT = """(sequence, ...rest) => {
  globalThis.attributionSequence = Math.max(Date.now(), (globalThis.attributionSequence || 0) + 1);
  return [globalThis.attributionSequence, ...rest];
}"""


# The direction of the text box, from the first letter. A browser's own dir="auto" takes seconds for a megabyte.
_DIRECTION = r"""(text) => {
  const first = /\p{L}/u.exec(text.slice(0, 500));
  const rtl = first && /[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u.test(first[0]);
  document.querySelector("#text textarea").dir = rtl ? "rtl" : "ltr";
}"""


def explain(engine: Engine, demo: gr.Blocks) -> None:
    """Build the page inside ``demo``."""
    entries = catalogue.entries()
    latest = Latest()
    with gr.Row(elem_id="explain", equal_height=False):
        with gr.Column(scale=3, min_width=320):
            text = gr.Textbox(
                value=offers.examples_of(DEFAULT_MODEL)[0],
                label="Text",
                placeholder="Type a sentence …",
                lines=2,
                max_lines=12,
                elem_id="text",
                html_attributes=gr.InputHTMLAttributes(spellcheck=False, autocorrect="off", autocapitalize="off"),
            )
            second = gr.Textbox(value="", label="Second text", lines=2, max_lines=12, elem_id="second", visible=False)
            picture = Heatmap(source="#text textarea", second_source="#second textarea", elem_id="picture", label="Attribution")
            words = panel.Panel(elem_id="words", label="Prediction and method")
        with gr.Column(scale=1, min_width=280, elem_id="controls"):
            model = gr.Dropdown(
                [e.name for e in entries],
                value=DEFAULT_MODEL,
                label="Model",
                elem_id="model",
                allow_custom_value=engine.store.any_model,
            )
            method = gr.Dropdown(offers.method_choices(DEFAULT_MODEL), value=DEFAULT_METHOD, label="Method", elem_id="method")
            about = gr.Markdown(offers.about_method(DEFAULT_METHOD), elem_id="about")
            cost = gr.Markdown("", elem_id="cost")
            target = gr.Dropdown(
                offers.targets(DEFAULT_MODEL), value=ITSELF, label="Explain", elem_id="target", allow_custom_value=True
            )
            contrast = gr.Dropdown(
                offers.contrasts(DEFAULT_MODEL), value=NOTHING, label="rather than", elem_id="contrast", allow_custom_value=True
            )
            with gr.Accordion("Options", open=False, elem_id="options"):
                with gr.Group(visible=False) as generation:
                    position = gr.Textbox(value="", label="Position", info=POSITION_HELP, elem_id="position", max_length=200)
                    continuation = gr.Textbox(value="", label="Continuation", info=CONTINUATION_HELP, elem_id="continuation")
                quantity = gr.Radio(QUANTITIES, value="logit", label="Explained number", elem_id="quantity")
                length = gr.Slider(
                    1,
                    engine.settings.max_new_tokens,
                    16,
                    step=1,
                    label="Generated tokens, at most",
                    visible=False,
                    elem_id="length",
                )
                groups, controls = option_controls()
            with gr.Accordion("All methods", open=False, elem_id="methods"):
                guide = gr.Markdown(offers.guide(DEFAULT_MODEL))
            with gr.Accordion("Examples", open=True, elem_id="examples-box"):
                examples = gr.Dataset(
                    components=["text"], samples=[[t] for t in offers.examples_of(DEFAULT_MODEL)], label="", show_label=False
                )
            with gr.Accordion("Export and share", open=False, elem_id="share"):
                with gr.Row():
                    buttons = {kind: gr.Button(kind.upper(), size="sm", min_width=60) for kind in export.formats()}
                copy = gr.Button("Link to this example", size="sm")
                shared = gr.Textbox(
                    show_label=False,
                    placeholder="The link, or the saved file",
                    buttons=["copy"],
                    interactive=False,
                    elem_id="shared",
                )
    sequence = gr.Number(0, visible="hidden", precision=0)

    chosen = [text, model, method, target, quantity, length, second, contrast, position, continuation]
    chosen += [control for _, control in controls]
    names = tuple(name for name, _ in controls)

    # Gradio reads a handler's signature to hand it the request, which a partial hides.
    async def redraw(request: gr.Request, number: Any, *values: Any) -> Any:
        if not isinstance(number, int):
            return STALE, STALE
        work = partial(_answers, engine, names, values)
        return _drawn(number, await latest.first(request.session_hash or "", number, work))

    # Where better numbers or more rows follow, the picture asks for them once it has drawn what it got.
    async def more(request: gr.Request, event: gr.EventData) -> Any:
        number, step = _place(event)
        return _drawn(number, await latest.after(request.session_hash or "", number, step))

    def priced(*values: Any) -> str:
        asked = Asked.of(names, values)
        return offers.cost_of(engine, asked.model, asked.method, asked.text, **asked.arguments)

    def left(request: gr.Request) -> None:
        latest.forget(request.session_hash or "")

    def opened(request: gr.Request) -> list[Any]:
        return _open(engine, names, dict(request.query_params))

    quiet: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    # As they are: Gradio would take each of these many values to a thread and back, which costs more than a small model.
    # The engine checks them all.
    plain: dict[str, Any] = {**quiet, "preprocess": False, "postprocess": False, "trigger_mode": "multiple"}
    draw: dict[str, Any] = {**plain, "fn": redraw, "inputs": [sequence, *chosen], "outputs": [picture, words], "js": _COUNT}
    text.change(**draw)
    text.change(None, [text], None, js=_DIRECTION, api_visibility="private")
    changing = [target, contrast, quantity, length, second, position, continuation, *(control for _, control in controls)]
    gr.on([control.change for control in changing], **draw)
    picture.expand(more, None, [picture, words], **plain)
    fitted = [method, target, contrast, length, second, position, continuation, generation, guide, examples]
    # By a person only: a link sets the model together with all that belongs to it.
    model.input(_choose_model, [model, method], fitted, **quiet).then(**draw)
    chosen_method = method.change(_choose_method, [method], [about, *groups.values()], **quiet)
    chosen_method.then(**draw)
    # What a slow run will take is said while it runs; who only types need not be told again.
    chosen_method.then(priced, chosen, [cost], **quiet)
    gr.on([control.change for _, control in controls], priced, chosen, [cost], **quiet)
    words.select(_choose_label, None, [target], **quiet)
    examples.click(_choose_example, [examples, model], [text, second], **quiet)
    for kind, button in buttons.items():
        button.click(None, chosen, [shared], js=download(kind, names), api_visibility="private")
    copy.click(None, chosen, [shared], js=share(names), api_visibility="private")
    demo.unload(left)
    # A link may have chosen text, model and method; the picture of the start text is drawn when the page opens.
    demo.load(opened, None, [*chosen, generation, guide, examples], **quiet).then(
        _choose_method, [method], [about, *groups.values()], **quiet
    ).then(**draw)


def _answers(engine: Engine, names: tuple[str, ...], values: tuple[Any, ...], overtaken: Overtaken) -> Drawings:
    """What the picture and the words show, one after the other as it is computed. An error is an answer, and the last."""
    try:
        asked = Asked.of(names, values)
        results: Any = engine.progress(asked.text, asked.model, asked.method, **asked.arguments, cancelled=overtaken)
        with closing(results):
            for result in results:
                yield _light(result), panel.answer(result)
    except Cancelled:
        return
    except AttributionError as error:
        yield {}, panel.failure(error)
    except Exception:
        yield {}, panel.failure(bug())


def _light(result: Attribution) -> dict[str, Any]:
    """The result for the picture. Arrays stay arrays, which Gradio does not walk through, in the seven digits that float32 has."""
    arrays = {"scores": result.scores, "errors": result.errors}
    return {**result.to_dict(), **{name: None if array is None else array.astype("f4") for name, array in arrays.items()}}


def _drawn(sequence: int, snapshot: Snapshot | None) -> Any:
    """The values of the picture and of the words, or nothing to change."""
    if snapshot is None:
        return STALE, STALE
    place = {"sequence": sequence, "step": snapshot.step}
    return tuple({**value, **place} for value in snapshot.answer)


def _place(event: gr.EventData) -> tuple[int, int]:
    """The number of the keystroke and of the answer to it that the picture has drawn; anything else is of no keystroke."""
    said = event._data if isinstance(event._data, dict) else {}
    number, step = said.get("sequence"), said.get("step")
    return (number, step) if isinstance(number, int) and isinstance(step, int) else (-1, 0)


def _choose_model(model: str, method: str) -> tuple[Any, ...]:
    fitting = offers.method_choices(model)
    keep = method if method in [name for _, name in fitting] else DEFAULT_METHOD
    return (
        gr.Dropdown(fitting, value=keep),
        gr.Dropdown(offers.targets(model), value=ITSELF),
        gr.Dropdown(offers.contrasts(model), value=NOTHING),
        offers.length_slider(model),
        gr.Textbox(value=offers.first_second(model), visible=offers.takes_second(model)),
        "",
        "",
        gr.Group(visible=offers.has_positions(model)),
        gr.Markdown(offers.guide(model)),
        gr.Dataset(samples=[[t] for t in offers.examples_of(model)]),
    )


def _start(model: str) -> dict[str, str]:
    return {"value": offers.first_second(model)} if offers.first_second(model) else {}


def _choose_method(method: str) -> list[Any]:
    return [gr.Markdown(offers.about_method(method)), *(gr.Group(visible=name == method) for name in methods())]


def _choose_label(event: gr.EventData) -> str:
    return str(event.value)


def _choose_example(sample: list[str], model: str) -> tuple[str, Any]:
    return sample[0], offers.second_of(model, sample[0])


def _open(engine: Engine, names: tuple[str, ...], asked: dict[str, str]) -> list[Any]:
    """The controls as a link asks for them, ``?text=...&model=...&method=...&target=...``; what it does not name stays."""
    wanted = catalogue.find(asked.get("model", ""))
    free = asked.get("model") if engine.store.any_model else None
    model = wanted.name if wanted else free or DEFAULT_MODEL
    settings = engine.settings
    fitting = offers.method_choices(model)
    method = next((m.name for m in methods().values() if asked.get("method", "") in (m.name, *m.aliases)), DEFAULT_METHOD)
    method = method if method in [name for _, name in fitting] else DEFAULT_METHOD
    text = asked.get("text", offers.examples_of(model)[0])[: settings.max_characters + 1]
    quantity = asked.get("quantity")
    length = asked.get("max_new_tokens", "")
    return [
        text,
        model,
        gr.Dropdown(fitting, value=method),
        gr.Dropdown(offers.targets(model), value=asked.get("target") or ITSELF),
        quantity if quantity in Quantity.__args__ else gr.skip(),  # type: ignore[attr-defined]
        offers.length_slider(
            model, value=min(int(length), settings.max_new_tokens) if length.isdecimal() and int(length) else 16
        ),
        gr.Textbox(**(given(asked, "second", settings.max_characters + 1) or _start(model)), visible=offers.takes_second(model)),
        gr.Dropdown(offers.contrasts(model), value=asked.get("contrast") or NOTHING),
        gr.Textbox(**given(asked, "position", 200)),
        gr.Textbox(**given(asked, "continuation", settings.max_characters + 1)),
        *(from_link(asked, key, method) for key in names),
        gr.Group(visible=offers.has_positions(model)),
        gr.Markdown(offers.guide(model)),
        gr.Dataset(samples=[[t] for t in offers.examples_of(model)]),
    ]
