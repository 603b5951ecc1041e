"""The live page: type, and see which words drive the prediction."""

import json
from dataclasses import dataclass
from typing import Any

import gradio as gr

from attribution import export, methods
from attribution.engine import Engine
from attribution.errors import AttributionError, Cancelled
from attribution.models import catalogue
from attribution.models.labels import EVERY, RUNNER_UP
from attribution.registry import Option
from attribution.settings import DEFAULT_METHOD, DEFAULT_MODEL
from attribution.types import MANY, Attribution, Quantity, Task, joined
from components import panel
from components.api import bug
from components.heatmap import Heatmap
from components.live import Latest

ITSELF = "the model's own prediction"
"""The choice in the target list that stands for no target."""

EVERYTHING = "every label"
NOTHING = "nothing else"
"""The choice in the contrast list that stands for no contrast."""
POSITION_HELP = "Which token: a number from 0, several with commas, or 'sequence' for the whole written text. Empty: all."
CONTINUATION_HELP = "Explain this text instead of what the model would write."

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
                value=_examples(DEFAULT_MODEL)[0],
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
            method = gr.Dropdown(_method_choices(DEFAULT_MODEL), value=DEFAULT_METHOD, label="Method", elem_id="method")
            about = gr.Markdown(_about(DEFAULT_METHOD), elem_id="about")
            target = gr.Dropdown(
                _targets(DEFAULT_MODEL), value=ITSELF, label="Explain", elem_id="target", allow_custom_value=True
            )
            contrast = gr.Dropdown(
                _contrasts(DEFAULT_MODEL), value=NOTHING, label="rather than", elem_id="contrast", allow_custom_value=True
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
                groups, controls = _option_controls()
            with gr.Accordion("All methods", open=False, elem_id="methods"):
                guide = gr.Markdown(_guide(DEFAULT_MODEL))
            with gr.Accordion("Examples", open=True, elem_id="examples-box"):
                examples = gr.Dataset(
                    components=["text"], samples=[[t] for t in _examples(DEFAULT_MODEL)], label="", show_label=False
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
        asked = _Asked.of(names, values)
        return await _draw(engine, latest, asked, request.session_hash or "", number, ())

    # A long answer comes in parts: the picture asks for the next rows once it has drawn the last.
    async def more(request: gr.Request, event: gr.EventData, *values: Any) -> Any:
        number, ends = _progress(event)
        return await _draw(engine, latest, _Asked.of(names, values), request.session_hash or "", number, ends)

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
    fitted = [method, target, contrast, length, second, generation, guide, examples]
    # By a person only: a link sets the model together with all that belongs to it.
    model.input(_choose_model, [model, method], fitted, **quiet).then(**draw)
    method.change(_choose_method, [method], [about, *groups.values()], **quiet).then(**draw)
    words.select(_choose_label, None, [target], **quiet)
    examples.click(_choose_example, [examples, model], [text, second], **quiet)
    for kind, button in buttons.items():
        button.click(None, chosen, [shared], js=_download(kind, names), api_visibility="private")
    copy.click(None, chosen, [shared], js=_share(names), api_visibility="private")
    # A link may have chosen text, model and method; the picture of the start text is drawn when the page opens.
    demo.load(opened, None, [*chosen, generation, guide, examples], **quiet).then(
        _choose_method, [method], [about, *groups.values()], **quiet
    ).then(**draw)


@dataclass(frozen=True)
class _Asked:
    """What the controls say, as the engine takes it."""

    text: str
    model: str
    method: str
    arguments: dict[str, Any]

    @classmethod
    def of(cls, names: tuple[str, ...], values: tuple[Any, ...]) -> "_Asked":
        """From the values of the controls; a position that cannot be read is left to the engine to refuse."""
        text, model, method, target, quantity, length, second, contrast, position, continuation, *rest = values
        options = {key.split(".")[1]: value for key, value in zip(names, rest, strict=True) if key.split(".")[0] == method}
        arguments = {
            "target": None if target in (None, "", ITSELF) else EVERY if target == EVERYTHING else target,
            "quantity": quantity,
            "max_new_tokens": int(length),
            "second": second or None,
            "contrast": None if contrast in (None, "", NOTHING) else contrast,
            "position": _position(position or ""),
            "continuation": continuation or None,
            "options": options,
        }
        return cls(text, model, method, arguments)


def _position(written: str) -> Any:
    """``3``, ``0, 2, 5`` or ``sequence`` as the engine takes it."""
    parts = [part.strip() for part in written.split(",") if part.strip()]
    if parts and all(part.isdecimal() for part in parts):
        numbers = [int(part[:9]) for part in parts]
        return numbers[0] if len(numbers) == 1 else numbers
    return written.strip() or None


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


async def _draw(engine: Engine, latest: Latest, asked: _Asked, visitor: str, sequence: int, ends: tuple[int, ...]) -> Any:
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


def _in_parts(asked: _Asked) -> bool:
    """Whether the rows of this answer are computed part by part: those of a gradient method cost a backward pass each."""
    method = methods().get(asked.method)
    whole = asked.arguments["target"] is None and asked.arguments["position"] is None
    return method is not None and method.needs == "gradients" and _task(asked.model) in ("causal", "seq2seq") and whole


def _next_rows(last: Attribution) -> int:
    """How many outputs take about ``PART_SECONDS``, by the last part's time."""
    return max(1, min(16, int(PART_SECONDS * len(last.outputs) / max(last.seconds, 1e-3))))


def _examples(model: str) -> tuple[str, ...]:
    entry = catalogue.find(model)
    return (entry.examples if entry else ()) or ("This movie is absolutely fantastic!",)


def _task(model: str) -> Task | None:
    """What the model is for, or None where that shows only once it is loaded."""
    entry = catalogue.find(model)
    return entry.task if entry else None


def _method_choices(model: str) -> list[tuple[str, str]]:
    """The methods that fit the model's task."""
    task = _task(model)
    return [(m.title, m.name) for m in methods().values() if task is None or m.why_not(task) is None]


def _about(method: str) -> str:
    """What a method costs, under its name; what it shows stands beside the picture."""
    return f"*Cost: {methods()[method].cost}.*"


def _guide(model: str) -> str:
    """Every method: first those that fit the model, then the others with the reason."""
    task = _task(model)
    fitting = [m for m in methods().values() if task is None or m.why_not(task) is None]
    others = [m for m in methods().values() if m not in fitting]
    lines = [f"**{m.title}.** {m.summary} {m.caveat} *Cost: {m.cost}.*" for m in fitting]
    lines += [f"**{m.title}** does not fit this model: {m.why_not(task)}" for m in others if task]
    return "\n\n".join(lines)


def _targets(model: str) -> list[str]:
    """The labels to choose from, where they are known before the model is loaded."""
    labels = catalogue.labels(model)
    return [ITSELF, *labels, *([EVERYTHING] if len(labels) > 1 else [])]


def _contrasts(model: str) -> list[str]:
    return [NOTHING, RUNNER_UP, *catalogue.labels(model)]


def _choose_model(model: str, method: str) -> tuple[Any, ...]:
    fitting = _method_choices(model)
    keep = method if method in [name for _, name in fitting] else DEFAULT_METHOD
    return (
        gr.Dropdown(fitting, value=keep),
        gr.Dropdown(_targets(model), value=ITSELF),
        gr.Dropdown(_contrasts(model), value=NOTHING),
        _length(model),
        gr.Textbox(value=_seconds(model)[0], visible=_takes_second(model)),
        gr.Group(visible=_task(model) != "classification"),
        gr.Markdown(_guide(model)),
        gr.Dataset(samples=[[t] for t in _examples(model)]),
    )


def _length(model: str, **more: Any) -> gr.Slider:
    return gr.Slider(visible=_task(model) in ("causal", "seq2seq", None), **more)


def _seconds(model: str) -> tuple[str, ...]:
    entry = catalogue.find(model)
    return (entry.seconds if entry else ()) or ("",)


def _start(model: str) -> dict[str, str]:
    """The second text that a pair begins with."""
    return {"value": _seconds(model)[0]} if _seconds(model)[0] else {}


def _takes_second(model: str) -> bool:
    """Whether a model reads two texts, or may."""
    return _task(model) in ("question_answering", "similarity", None)


def _choose_method(method: str) -> list[Any]:
    return [gr.Markdown(_about(method)), *(gr.Group(visible=name == method) for name in methods())]


def _choose_label(event: gr.EventData) -> str:
    return str(event.value)


def _choose_example(sample: list[str], model: str) -> tuple[str, Any]:
    return sample[0], _second_of(model, sample[0])


def _second_of(model: str, text: str) -> Any:
    """The second text that belongs to an example."""
    entry = catalogue.find(model)
    return dict(zip(entry.examples, entry.seconds, strict=True)).get(text, "") if entry and entry.seconds else gr.skip()


def _option_controls() -> tuple[dict[str, gr.Group], list[tuple[str, Any]]]:
    """For each method a group of controls, built from its signature; controls are named ``method.option``."""
    groups, controls = {}, []
    for name, method in methods().items():
        with gr.Group(visible=name == DEFAULT_METHOD) as groups[name]:
            controls += [(f"{name}.{option.name}", _control(option)) for option in method.options]
    return groups, controls


def _control(option: Option) -> Any:
    label, about = option.name.replace("_", " ").capitalize(), option.help or None
    if option.kind == "choice":
        return gr.Dropdown(list(option.choices), value=option.default, label=label, info=about)
    if option.kind == "bool":
        return gr.Checkbox(value=bool(option.default), label=label, info=about)
    if option.kind == "text":
        return gr.Textbox(str(option.default), label=label, info=about, max_length=int(option.maximum or 0))
    whole = option.kind == "int"
    return gr.Number(
        option.default, label=label, info=about, minimum=option.minimum, maximum=option.maximum, precision=0 if whole else None
    )


def _open(engine: Engine, names: tuple[str, ...], asked: dict[str, str]) -> list[Any]:
    """The controls as a link asks for them, ``?text=...&model=...&method=...&target=...``; what it does not name stays."""
    wanted = catalogue.find(asked.get("model", ""))
    free = asked.get("model") if engine.store.any_model else None
    model = wanted.name if wanted else free or DEFAULT_MODEL
    settings = engine.settings
    fitting = _method_choices(model)
    method = next((m.name for m in methods().values() if asked.get("method", "") in (m.name, *m.aliases)), DEFAULT_METHOD)
    method = method if method in [name for _, name in fitting] else DEFAULT_METHOD
    text = asked.get("text", _examples(model)[0])[: settings.max_characters + 1]
    quantity = asked.get("quantity")
    length = asked.get("max_new_tokens", "")
    return [
        text,
        model,
        gr.Dropdown(fitting, value=method),
        gr.Dropdown(_targets(model), value=asked.get("target") or ITSELF),
        quantity if quantity in Quantity.__args__ else gr.skip(),  # type: ignore[attr-defined]
        _length(model, value=min(int(length), settings.max_new_tokens) if length.isdecimal() and int(length) else 16),
        gr.Textbox(**(_given(asked, "second", settings.max_characters + 1) or _start(model)), visible=_takes_second(model)),
        gr.Dropdown(_contrasts(model), value=asked.get("contrast") or NOTHING),
        gr.Textbox(**_given(asked, "position", 200)),
        gr.Textbox(**_given(asked, "continuation", settings.max_characters + 1)),
        *(_from_link(asked, key, method) for key in names),
        gr.Group(visible=_task(model) != "classification"),
        gr.Markdown(_guide(model)),
        gr.Dataset(samples=[[t] for t in _examples(model)]),
    ]


def _given(asked: dict[str, str], name: str, longest: int) -> dict[str, str]:
    """A text of a link as the value of its control; nothing where the link does not name it, since a value set is a change."""
    return {"value": asked[name][:longest]} if name in asked else {}


def _from_link(asked: dict[str, str], key: str, method: str) -> Any:
    """The value of one option in a link, if it is there, belongs to the method and is allowed."""
    owner, name = key.split(".")
    if owner != method or name not in asked:
        return gr.skip()
    option = next(o for o in methods()[owner].options if o.name == name)
    try:
        return option.check(asked[name] if option.kind in ("choice", "text") else json.loads(asked[name]))
    except (AttributionError, ValueError):
        return gr.skip()


# The browser asks for a file, or builds a link, from the same values that draw the picture.
_BODY = """
const names = %s;
const body = { text, model, method, quantity, max_new_tokens: length };
if (target && target !== %s) body.target = target === %s ? "*" : target;
if (contrast && contrast !== %s) body.contrast = contrast;
if (second) body.second = second;
if (continuation) body.continuation = continuation;
const places = (position || "").split(",").map((part) => part.trim()).filter(Boolean);
const numbers = places.every((part) => /^[0-9]+$/.test(part)) ? places.map(Number) : null;
if (places.length) body.position = numbers ? (numbers.length === 1 ? numbers[0] : numbers) : position.trim();
const options = {};
names.forEach((name, i) => { if (name.split(".")[0] === method) options[name.split(".")[1]] = values[i]; });
"""


def _body(names: tuple[str, ...]) -> str:
    return _BODY % tuple(json.dumps(value) for value in (names, ITSELF, EVERYTHING, NOTHING))


def _download(kind: str, names: tuple[str, ...]) -> str:
    return f"""async (text, model, method, target, quantity, length, second, contrast, position, continuation, ...values) => {{
{_body(names)}
body.options = options;
const answer = await fetch(new URL("api/export/{kind}", document.baseURI), {{
  method: "POST", headers: {{ "content-type": "application/json" }}, body: JSON.stringify(body) }});
if (!answer.ok) {{ const error = await answer.json(); return error.message + " " + error.hint; }}
const name = /filename="([^"]+)"/.exec(answer.headers.get("content-disposition"))[1];
const file = document.createElement("a");
file.href = URL.createObjectURL(await answer.blob());
file.download = name;
file.click();
setTimeout(() => URL.revokeObjectURL(file.href), 10000);
return "Saved " + name;
}}"""


def _share(names: tuple[str, ...]) -> str:
    return f"""(text, model, method, target, quantity, length, second, contrast, position, continuation, ...values) => {{
{_body(names)}
const link = new URL(window.location.pathname, window.location.href);
Object.entries({{ ...body, ...options }}).forEach(([name, value]) => link.searchParams.set(name, value));
navigator.clipboard?.writeText(link.href).catch(() => {{}});
return link.href;
}}"""
