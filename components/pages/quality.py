"""How good are the explanations? Metrics on one text or on many, beside scores at random, and agreement with a person's own marks."""

import json
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any
from zlib import crc32

import gradio as gr

from attribution import list_methods, rationales
from attribution.engine import Engine
from attribution.errors import AttributionError, BadTable, Cancelled, EmptyInput, InputError
from attribution.metrics import find, list_metrics
from attribution.rationales import Rationale
from attribution.settings import DEFAULT_MODEL, Settings
from attribution.studies.evaluation import METHODS, Evaluation
from attribution.studies.measurement import evaluate
from attribution.tables.table import open_table
from attribution.types import Attribution

from ..api.evaluation import KEPT, check, growing
from ..controls import choices
from ..controls.inputs import model_box, position_box, target_box, text_boxes
from ..controls.links import copy_link
from ..controls.options import given
from ..controls.recommendation import evidence
from ..controls.values import ITSELF, written_position
from ..languages import say
from ..live.answers import QUIET, STALE, failed, said
from ..live.drawing import Drawings, drawing
from ..live.latest import Overtaken
from ..live.visitor_store import Kept
from ..pictures import comparison, evaluation
from ..pictures.curves import Curves
from ..pictures.intervals import Intervals
from ..pictures.marks import Marks
from . import page
from .compare_methods import QUICK

START = ("aopc_comprehensiveness", "aopc_sufficiency", "deletion", "insertion")
"""The metrics that the page begins with."""
AGREEMENT = ("kendall_tau", "somers_d", "auprc", "token_f1")
"""How far a method agrees with a person's own marks."""
SAVED = ("csv", "json", "tex", "html", "svg", "png")


@dataclass(frozen=True)
class Samples:
    """The rows of a table that a visitor uploaded."""

    name: str
    texts: tuple[str, ...]
    seconds: tuple[str | None, ...]
    marks: tuple[Rationale | None, ...]


TABLES: Kept[Samples] = Kept()
"""The last table of each visitor."""


@page(path="quality", title="Quality", order=40)
def quality(engine: Engine, demo: gr.Blocks) -> None:
    """Build the page inside ``demo``."""
    with gr.Row(elem_id="compare", equal_height=False):
        with gr.Column(scale=3, min_width=320), gr.Tabs(elem_id="how-many") as tabs:
            with gr.Tab(say("One text"), id="one"):
                text, second = text_boxes(DEFAULT_MODEL)
                marks = Marks(elem_id="marks", label=say("Your own marks"))
                agreement = Intervals(elem_id="agreement", label=say("Agreement with your marks"))
                intervals = Intervals(elem_id="intervals", label=say("Metrics"))
                curves = Curves(elem_id="curves", label=say("Word by word"))
            with gr.Tab(say("Many texts"), id="many"):
                many = _Many(engine)
            if study := evidence():
                with gr.Tab(say("Agreement with human rationales"), id="people"):
                    gr.Markdown(study, elem_id="people", container=True)
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
            measured = gr.Dropdown(
                evaluation.metric_choices(marks=True),
                value=list(START),
                label=say("Metrics"),
                info=say("↑ higher is better, ↓ lower is better."),
                multiselect=True,
                max_choices=engine.settings.evaluated_metrics,
                elem_id="metrics",
            )
            with gr.Accordion(say("All metrics"), open=False):
                gr.Markdown(evaluation.guide())
            examples = gr.Dataset(
                components=["text"], samples=choices.samples(DEFAULT_MODEL), label=say("Examples")
            )
    marked = gr.Textbox("", visible="hidden")
    common = {"model": model, "target": target, "position": position, "methods": chosen, "metrics": measured}
    controls = {"text": text, "second": second, **common, "marks": marked}
    with side:
        copy_link(controls)

    def opened(request: gr.Request) -> list[Any]:
        return _open(engine, dict(request.query_params))

    draw = drawing(demo, controls, [marks, agreement, intervals, curves], partial(_answers, engine))
    draw_marks = drawing(demo, controls, [marks, agreement], partial(_marked, engine))
    gr.on([control.change for control in (text, second, target, position, chosen, measured)], **draw)
    marks.mark(_marks_said, None, [marked], **QUIET).then(**draw_marks)
    fitted = [second, target, position, chosen, examples]
    model.input(_choose_model, [model, chosen], fitted, **QUIET).then(**draw)
    examples.click(choices.chosen_example, [examples, model], [text, second], **QUIET)
    many.wire(engine, demo, common)
    demo.load(opened, None, [*controls.values(), many.lines, many.run, tabs, examples], **QUIET).then(**draw)


class _Many:
    """The tab of many texts: where they come from, the run, and its files."""

    def __init__(self, engine: Engine) -> None:
        most = engine.settings.evaluated_texts
        self.lines = gr.Textbox(
            "",
            label=say("Texts, one per line"),
            placeholder=say("Paste one text per line …"),
            lines=6,
            max_lines=12,
            elem_id="lines",
            max_length=engine.settings.max_body_bytes // 2,
        )
        with gr.Row():
            self.examples = gr.Button(say("The model’s examples"), size="sm", elem_id="fill")
            self.start = gr.Button(say("Measure"), variant="primary", size="sm", elem_id="start")
            self.stop = gr.Button(say("Stop"), size="sm", elem_id="stop")
        with gr.Accordion(
            say("Or upload a table, optionally with human rationales"), open=False, elem_id="upload"
        ):
            self.file = gr.File(
                label=say("Table"),
                file_types=[".csv", ".tsv", ".json", ".jsonl", ".parquet"],
                elem_id="table",
            )
            self.about = gr.Textbox(
                TABLE_HELP.format(most=most),
                label=say("Loaded table"),
                interactive=False,
                lines=2,
                elem_id="about-table",
            )
        self.intervals = Intervals(elem_id="many-intervals", label=say("Metrics"))
        self.curves = Curves(elem_id="many-curves", label=say("Word by word"))
        with gr.Row(elem_id="save"):
            self.files = {kind: gr.Button(kind.upper(), size="sm", min_width=60) for kind in SAVED}
        self.saved = gr.Textbox(
            show_label=False,
            container=False,
            interactive=False,
            placeholder=say("The saved file"),
            elem_id="saved",
        )
        self.run = gr.Textbox("", visible="hidden")
        self.go = gr.Textbox("go", visible="hidden")

    def wire(self, engine: Engine, demo: gr.Blocks, common: dict[str, Any]) -> None:
        """A run begins and ends with its buttons only: it may be long, so no change of a control begins it anew."""

        def read(path: str | None, run: str) -> str:
            return _read(engine, path, run)

        controls = {"lines": self.lines, **common, "run": self.run, "go": self.go}
        go = drawing(demo, controls, [self.intervals, self.curves], partial(_measured, engine))
        halt = gr.Textbox("stop", visible="hidden")
        self.start.click(**go)
        self.stop.click(
            **{**go, "inputs": [halt if control is self.go else control for control in go["inputs"]]}
        )
        self.examples.click(_lines_of, [common["model"]], [self.lines], **QUIET)
        self.file.change(read, [self.file, self.run], [self.about], **QUIET)
        for kind, button in self.files.items():
            js = f"(run) => AttributionAddress.downloadEvaluation({json.dumps(kind)}, run)"
            button.click(None, [self.run], [self.saved], js=js, api_visibility="private")


TABLE_HELP = (
    "CSV, TSV, JSON, JSON Lines or Parquet with a column text (or sentence); the first {most} rows are measured. A column rationale "
    "holds human rationales: character spans such as [[0, 5]], or one number per word."
)


def _answers(engine: Engine, asked: dict[str, Any], overtaken: Overtaken) -> Drawings:
    """The words to mark, how far the methods agree with what is marked, and then the metrics and their curves."""
    shown, agreeing = next(_marked(engine, asked, overtaken))
    yield shown, agreeing, evaluation.PENDING, STALE
    try:
        # What people marked is compared above.
        names = [name for name in asked["metrics"] or [] if "rationale" not in find(name).needs]
        if asked["metrics"] and not names:
            raise InputError(
                "These metrics compare with human rationales.",
                "Mark words of the text, or choose other metrics.",
            )
        result = _one(engine, asked, names, None, overtaken)
    except Cancelled:
        raise
    except AttributionError as error:
        yield STALE, STALE, failed(error), {}
    else:
        yield STALE, STALE, evaluation.intervals(result), evaluation.curves(result)


def _marked(engine: Engine, asked: dict[str, Any], overtaken: Overtaken) -> Drawings:
    """The words to mark, and how far the methods agree with what is marked."""
    first = _first(engine, asked, overtaken)
    marks = _marks_of(asked, first)
    spans = [] if marks is None else [[start, end] for start, end, _ in marks.weights]
    shown = {"text": first.text, "pieces": evaluation.pieces(first), "marked": spans}
    if marks is None:
        yield shown, {}
    else:
        names = [name for name in AGREEMENT if name in list_metrics()]
        yield shown, evaluation.intervals(_one(engine, asked, names, marks, overtaken))


def _first(engine: Engine, asked: dict[str, Any], overtaken: Overtaken) -> Attribution:
    """What any of the methods says of the text, whose words are the same for all. Raises the last one's error where all fail."""
    check(engine.settings, [asked["text"]], asked["methods"], ["any"])
    error = AttributionError("No method explains this text.")
    for name in asked["methods"]:
        try:
            own = QUICK.get(name, {})
            return engine.attribute(
                asked["text"], asked["model"], name, options=own, cancelled=overtaken, **_given(asked)
            )
        except Cancelled:
            raise
        except AttributionError as found:
            error = found
    raise error


def _one(
    engine: Engine, asked: dict[str, Any], names: list[str], marks: Rationale | None, overtaken: Overtaken
) -> Evaluation:
    """One text by these metrics; its attributions are in the engine's cache the second time."""
    check(engine.settings, [asked["text"]], asked["methods"], names)
    people = None if marks is None else [marks]
    more = {"rationales": people, "options": _options(asked), "cancelled": overtaken, **_given(asked)}
    return evaluate(engine, [asked["text"]], asked["model"], asked["methods"], names, **more)


def _target(asked: dict[str, Any]) -> dict[str, Any]:
    return {"target": asked["target"] or None, "position": written_position(asked["position"] or "")}


def _given(asked: dict[str, Any]) -> dict[str, Any]:
    return {**_target(asked), "second": asked["second"] or None}


def _options(asked: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: own for name, own in QUICK.items() if name in asked["methods"]}


def _marks_said(event: gr.EventData) -> str:
    """What a person marked as the value of a control; it holds for its text only. Raises nothing: what are no spans are none."""
    text, spans = said(event).get("text"), said(event).get("spans")
    good = isinstance(text, str) and isinstance(spans, list)
    return json.dumps({"of": _mark(text), "spans": spans}) if good and spans else ""


def _mark(text: Any) -> int:
    """A number that tells texts apart."""
    return crc32(str(text).encode(errors="replace"))


def _marks_of(asked: dict[str, Any], shown: Attribution) -> Rationale | None:
    """What is marked in the text that is shown; None where that is nothing, or of another text."""
    try:
        found = json.loads(asked["marks"] or "{}")
        if found["of"] == _mark(shown.text):
            return rationales.read(shown.text, found["spans"], "spans")
    except (AttributionError, ValueError, KeyError, TypeError, RecursionError):
        pass  # a link may say anything
    return None


def _measured(engine: Engine, asked: dict[str, Any], overtaken: Overtaken) -> Drawings:
    """The figures over many texts as they grow; when a person stops, those of the texts that are done."""
    run = asked["run"]
    if asked["go"] == "stop":
        found = KEPT.get(run)
        yield (evaluation.intervals(found, stopped=not found.finished), STALE) if found else ({}, {})
        return
    KEPT.drop(run)
    samples = _samples(asked)
    begun = {"panels": [], "progress": {"done": 0, "total": len(samples.texts), "stopped": False}}
    yield begun, {"more": True}
    people = list(samples.marks) if any(samples.marks) else None
    more: dict[str, Any] = {"rationales": people, "second": list(samples.seconds), "options": _options(asked)}
    last = None
    with closing(
        growing(
            engine,
            list(samples.texts),
            asked["model"],
            asked["methods"],
            asked["metrics"],
            **more,
            **_target(asked),
            cancelled=overtaken,
        )
    ) as steps:
        for last in steps:
            KEPT.put(run, last)
            yield evaluation.intervals(last), {**evaluation.curves(last), "more": not last.finished}
    if last is not None and not last.finished:
        yield evaluation.intervals(last, stopped=True), STALE


def _samples(asked: dict[str, Any]) -> Samples:
    """The table's rows, else the lines; the second text of a pair stands behind a tab. Raises ``EmptyInput``."""
    if (table := TABLES.get(asked["run"])) is not None:
        return table
    lines = [line.strip() for line in (asked["lines"] or "").splitlines() if line.strip()]
    if not lines:
        raise EmptyInput("There are no texts.", "Paste some, one per line, or upload a table.")
    pairs = [
        line.partition("\t") if choices.takes_second(asked["model"]) else (line, "", "") for line in lines
    ]
    return Samples(
        "",
        tuple(text for text, _, _ in pairs),
        tuple(second or None for _, _, second in pairs),
        (None,) * len(pairs),
    )


def _read(engine: Engine, path: str | None, run: str) -> str:
    """Keep the first rows of an uploaded table, and say what was read, or what is wrong with which row and column."""
    most = engine.settings.evaluated_texts
    TABLES.drop(run)
    if not path:
        return TABLE_HELP.format(most=most)
    try:
        found = _table(path, engine.settings)
    except AttributionError as error:
        return f"{error.message} {error.hint}"
    TABLES.put(run, found)
    marked = sum(marks is not None for marks in found.marks)
    return f"{found.name}: {len(found.texts)} texts, {marked} of them with rationales. They are measured instead of the pasted lines."


def _table(path: str, settings: Settings) -> Samples:
    """The first rows of a file. Raises ``BadTable`` with row and column."""
    table = open_table(path, limit_bytes=settings.max_table_bytes)
    columns = table.picked()
    found = []
    for row in islice(table, settings.evaluated_texts):
        sample = columns.read(row)
        if max(len(sample.text), len(sample.second or "")) > settings.max_characters:
            raise BadTable(
                f"{row.called} is longer than {settings.max_characters:,} characters.", "Please shorten it."
            )
        marks = rationales.read(sample.text, sample.rationale, row=row.called, column=columns.rationale or "")
        found.append((sample.text, sample.second, marks))
    if not found:
        raise BadTable(f"{table.name} has no rows.", "Choose one with texts.")
    texts, seconds, marks_of = zip(*found, strict=True)
    return Samples(table.name, texts, seconds, marks_of)


def _lines_of(model: str) -> str:
    """The model's examples as lines, those of several lines as one."""
    rows = [(text, choices.chosen_example([text], model)[1]) for text in choices.examples_of(model)]
    pairs = [(text, second) if second and isinstance(second, str) else (text,) for text, second in rows]
    return "\n".join("\t".join(" ".join(part.splitlines()) for part in pair) for pair in pairs)


def _kept(model: str, wanted: list[str]) -> list[str]:
    """The wanted methods that fit the model; where there are none, the quick ones that do."""
    fitting = [name for _, name in choices.method_choices(model)]
    return [name for name in wanted if name in fitting] or [name for name in METHODS if name in fitting]


def _choose_model(model: str, wanted: list[str]) -> tuple[Any, ...]:
    return (
        gr.Textbox(value=choices.first_second(model), visible=choices.takes_second(model)),
        gr.Dropdown(choices.targets(model), value=ITSELF),
        gr.Textbox(value=comparison.first_position(model), visible=choices.has_positions(model)),
        gr.CheckboxGroup(choices.method_choices(model), value=_kept(model, wanted)),
        gr.Dataset(samples=choices.samples(model)),
    )


def _open(engine: Engine, asked: dict[str, str]) -> list[Any]:
    """The controls as a link asks for them: ``?text=...&model=...&methods=saliency,lime&metrics=deletion&marks=...&lines=...``."""
    model = choices.model_of(engine, asked)
    settings = engine.settings
    longest = settings.max_characters + 1
    wanted = [asked.get("method", ""), *asked.get("methods", "").split(",")]
    known = [
        m.name for word in wanted for m in list_methods().values() if word.strip() in (m.name, *m.aliases)
    ]
    measured = [name for name in asked.get("metrics", "").split(",") if name in list_metrics()][
        : settings.evaluated_metrics
    ]
    lines = asked.get("lines", "")[:longest]
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
        measured or list(START),
        asked.get("marks", "")[:longest],
        lines,
        Kept.new(),
        gr.Tabs(selected="many")
        if lines
        else gr.Tabs(selected="people")
        if asked.get("tab") == "people"
        else gr.skip(),
        gr.Dataset(samples=choices.samples(model)),
    ]
