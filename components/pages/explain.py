"""The live page: type, and see which words drive the prediction."""

from typing import Any

import gradio as gr

from attribution import export, methods
from attribution.engine import Engine
from attribution.errors import AttributionError, Cancelled
from attribution.models import catalogue
from attribution.settings import DEFAULT_METHOD, DEFAULT_MODEL
from attribution.types import MANY, WRITERS, Attribution, Quantity, joined
from components import offers, panel
from components.api import bug
from components.asked import CONTINUATION_HELP, ITSELF, NOTHING, POSITION_HELP, Asked, download, share
from components.heatmap import Heatmap
from components.live import Latest
from components.options import from_link, given, option_controls

QUANTITIES = [(name.replace("_", "-"), name) for name in Quantity.__args__]  # type: ignore[attr-defined]

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
    async def redraw(request: gr.Request, number: int, *values: Any) -> Any:
        asked = Asked.of(names, values)
        return await _draw(engine, latest, asked, request.session_hash or "", number, ())

    # A long answer comes in parts: the picture asks for the next rows once it has drawn the last.
    async def more(request: gr.Request, event: gr.EventData, *values: Any) -> Any:
        number, ends = _progress(event)
        return await _draw(engine, latest, Asked.of(names, values), request.session_hash or "", number, ends)

    def opened(request: gr.Request) -> list[Any]:
        return _open(engine, names, dict(request.query_params))

    draw: dict[str, Any] = {
        "fn": redraw,
        "inputs": [sequence, *chosen],
        "outputs": [picture, words],
        "js": _COUNT,
        "queue": False,
        "show_progress": "hidden",
        "trigger_mode": "multiple",
        "api_visibility": "private",
    }
    quiet: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    text.change(**draw)
    text.change(None, [text], None, js=_DIRECTION, api_visibility="private")
    changing = [target, contrast, quantity, length, second, position, continuation, *(control for _, control in controls)]
    gr.on([control.change for control in changing], **draw)
    picture.expand(more, chosen, [picture, words], trigger_mode="multiple", **quiet)
    fitted = [method, target, contrast, length, second, position, continuation, generation, guide, examples]
    # By a person only: a link sets the model together with all that belongs to it.
    model.input(_choose_model, [model, method], fitted, **quiet).then(**draw)
    method.change(_choose_method, [method], [about, *groups.values()], **quiet).then(**draw)
    words.select(_choose_label, None, [target], **quiet)
    examples.click(_choose_example, [examples, model], [text, second], **quiet)
    for kind, button in buttons.items():
        button.click(None, chosen, [shared], js=download(kind, names), api_visibility="private")
    copy.click(None, chosen, [shared], js=share(names), api_visibility="private")
    # A link may have chosen text, model and method; the picture of the start text is drawn when the page opens.
    demo.load(opened, None, [*chosen, generation, guide, examples], **quiet).then(
        _choose_method, [method], [about, *groups.values()], **quiet
    ).then(**draw)


FIRST_ROWS = 4
"""Outputs of a long answer that are computed before anything is drawn."""
PART_SECONDS = 0.6
"""Time that a later part may take: short enough that the picture grows before one's eyes."""


def _progress(event: gr.EventData) -> tuple[int, tuple[int, ...]]:
    """The number of the keystroke and the ends of the parts drawn so far, as the picture gave them; anything else is no progress."""
    said = event._data if isinstance(event._data, dict) else {}
    number, ends = said.get("sequence"), said.get("ends")
    if isinstance(number, int) and isinstance(ends, list) and all(isinstance(end, int) and 0 < end <= MANY for end in ends):
        return number, tuple(sorted(set(ends)))
    return -1, ()


async def _draw(engine: Engine, latest: Latest, asked: Asked, visitor: str, sequence: int, ends: tuple[int, ...]) -> Any:
    """The values of the picture and of the words for one keystroke, or nothing if a newer one came.

    ``ends`` are the ends of the parts of a long answer that are drawn already.
    """

    def work(overtaken: Any) -> Any:
        def part(rows: tuple[int, int] | None) -> Attribution:
            return engine.attribute(asked.text, asked.model, asked.method, **asked.arguments, rows=rows, cancelled=overtaken)

        stops: tuple[int, ...]
        try:
            if not _in_parts(asked):
                result, stops = part(None), ()
            else:
                starts = (0, *ends)
                stops = (*ends, ends[-1] + _next_rows(part((starts[-2], starts[-1])))) if ends else (FIRST_ROWS,)
                result = joined([part(rows) for rows in zip(starts, stops, strict=True)])
            unfinished = len(result.outputs) < len(result.prediction.labels) if stops else False
            value = {**result.to_dict(), "sequence": sequence, "ends": list(stops) if unfinished else []}
            return value, panel.answer(result, sequence)
        except Cancelled:
            return None
        except AttributionError as error:
            return {"sequence": sequence}, panel.failure(error, sequence)
        except Exception:
            return {"sequence": sequence}, panel.failure(bug(), sequence)

    found = await latest.run(visitor, sequence, work)
    return (gr.skip(), gr.skip()) if found is None else found


def _in_parts(asked: Asked) -> bool:
    """Whether the rows of this answer are computed part by part: those of a gradient method cost a backward pass each."""
    method = methods().get(asked.method)
    whole = asked.arguments["target"] is None and asked.arguments["position"] is None
    return method is not None and method.needs == "gradients" and offers.task_of(asked.model) in WRITERS and whole


def _next_rows(last: Attribution) -> int:
    """How many outputs take about ``PART_SECONDS``, by the last part's time."""
    return max(1, min(16, int(PART_SECONDS * len(last.outputs) / max(last.seconds, 1e-3))))


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
