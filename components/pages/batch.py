"""A table of texts: every row explained, with what failed, what is wrong and which words count; stop it, come back, take the files."""

import csv
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import anyio
import gradio as gr
from anyio.to_thread import run_sync

from attribution import list_methods
from attribution.batch import plan
from attribution.costs.estimates import span
from attribution.engine import Engine
from attribution.errors import AttributionError, BadTable
from attribution.models.sources import catalogue
from attribution.settings import DEFAULT_MODEL, Settings
from attribution.tables.table import NAMES, Columns, Kind, Table, open_table

from ..api.endpoints import bug
from ..api.guard import client_of
from ..api.runs import Held, limited, runs_of
from ..controls import choices
from ..controls.inputs import target_box
from ..controls.options import option_controls
from ..controls.recommendation import first_method
from ..controls.recording import recorder_of
from ..controls.values import ITSELF
from ..languages import say
from ..live.answers import QUIET, failed
from ..pictures.board import Board
from . import page

EXAMPLE = Path(__file__).parents[1] / "static" / "reviews.csv"
PREVIEWED = 5
"""Rows of a table that are shown before it is explained."""
LOOK_SECONDS = 0.3
"""How often the page hears of its run."""
GROWN = 1.5
"""How much more must be answered before all of it is drawn again, rather than the progress alone."""
NONE = ""
COLUMNS = ("text", "second", "label")
NAMED = ("file", "pasted", *COLUMNS, "models", "methods", "target", "record")
"""The controls of a run, before the methods' options."""
TABLE_FIRST = "Upload a table, paste one, or load the example."

_KEEP = """(name) => {
  const address = new URL(location.href);
  name ? address.searchParams.set("run", name) : address.searchParams.delete("run");
  history.replaceState(history.state, "", address);
}"""


@page(path="batch", title="Batch", order=30)
def batch(engine: Engine, demo: gr.Blocks) -> None:
    """Build the page inside ``demo``."""
    runs = runs_of(engine)
    settings = engine.settings
    with gr.Row(elem_id="batch", equal_height=False):
        with gr.Column(scale=1, min_width=300, elem_id="controls"):
            file = gr.File(
                label=say("Table: CSV, TSV, JSON or Parquet"),
                file_types=[".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".json", ".parquet", ".pq"],
                elem_id="table",
                height=130,
            )
            pasted = gr.Textbox(
                "", label=say("Or paste it here"), placeholder=say("One text per line, or cells from a spreadsheet"), lines=3, max_lines=6,
                elem_id="pasted",
            )  # fmt: skip
            example = gr.Button(say("Load example"), size="sm", elem_id="example")
            with gr.Row():
                columns = {
                    name: gr.Dropdown(
                        [], value=None, label=say(title), elem_id=f"column-{name}", min_width=120
                    )
                    for name, title in zip(
                        COLUMNS, ("Text column", "Second column", "Label column"), strict=True
                    )
                }
            models = gr.Dropdown(
                [entry.name for entry in catalogue.entries()],
                value=[DEFAULT_MODEL],
                label=say("Models"),
                multiselect=True,
                max_choices=settings.compared_models,
                elem_id="models",
                allow_custom_value=engine.store.any_model,
            )
            chosen = gr.Dropdown(
                choices.method_choices(DEFAULT_MODEL),
                value=[first_method(DEFAULT_MODEL)],
                label=say("Methods"),
                multiselect=True,
                max_choices=settings.compared_methods,
                elem_id="methods",
            )
            target = target_box(DEFAULT_MODEL)
            with gr.Accordion(say("Options"), open=False, elem_id="options"):
                groups, options = option_controls(first_method(DEFAULT_MODEL), titled=True)
            recorder = recorder_of(settings)
            record = gr.Checkbox(
                False,
                label=say("Record this run"),
                info=recorder.about if recorder else None,
                visible=recorder is not None,
                elem_id="record",
            )
            cost = gr.Markdown("", elem_id="cost")
            with gr.Row():
                start = gr.Button(say("Start"), variant="primary", elem_id="start", min_width=90)
                stop = gr.Button(say("Stop"), elem_id="stop", min_width=90)
            with gr.Row():
                name = gr.Textbox(
                    "", label=say("Run"), info=say("Use this name to come back to it later."), max_lines=1, max_length=100, elem_id="run"
                )  # fmt: skip
                resume = gr.Button(say("Resume"), elem_id="resume", min_width=90)
        with gr.Column(scale=3, min_width=320):
            board = Board(value={"note": TABLE_FIRST}, elem_id="board", label=say("Results"))

    given = [file, pasted]
    picked = list(columns.values())
    controls = dict(zip(NAMED, (*given, *picked, models, chosen, target, record), strict=True)) | options
    asked = list(controls.values())

    def asked_of(values: Sequence[Any]) -> dict[str, Any]:
        return dict(zip(controls, values, strict=True))

    def look(path: str | None, text: str) -> list[Any]:
        return _look(settings, path, text)

    def price(*values: Any) -> str:
        return _price(engine, asked_of(values))

    async def begin(request: gr.Request, *values: Any) -> AsyncIterator[tuple[Any, Any]]:
        try:
            held = await run_sync(_begun, engine, asked_of(values), visitor_of(request))
        except AttributionError as error:
            yield gr.skip(), failed(error)
            return
        except Exception:
            yield gr.skip(), failed(bug())
            return
        async for value in follow(held):
            yield held.name, value

    async def go_on(request: gr.Request, name: str) -> AsyncIterator[Any]:
        try:
            held = await run_sync(runs.resume, name.strip(), visitor_of(request))
        except AttributionError as error:
            yield failed(error)
            return
        async for value in follow(held):
            yield value

    async def opened(request: gr.Request) -> AsyncIterator[tuple[Any, Any]]:
        if not (asked := request.query_params.get("run", "")):
            yield gr.skip(), gr.skip()
            return
        try:
            held = runs.find(asked[:100])
        except AttributionError as error:
            yield gr.skip(), failed(error)
            return
        async for value in follow(held):
            yield held.name, value

    def cancel(name: str) -> Any:
        try:
            runs.cancel(name.strip())
        except AttributionError as error:
            return failed(error)
        return gr.skip()

    seen: dict[str, Any] = {"fn": look, "inputs": given, "outputs": [*picked, board], **QUIET}
    priced: dict[str, Any] = {
        "fn": price,
        "inputs": asked,
        "outputs": [cost],
        "show_progress": "hidden",
        "api_visibility": "private",
    }
    file.upload(lambda: "", None, [pasted], **QUIET).then(**seen).then(**priced)
    file.clear(**seen)
    pasted.change(**seen)
    pasted.blur(**priced)
    example.click(_example, None, [pasted], **QUIET).then(**seen).then(**priced)
    seen_options: dict[str, Any] = {
        "fn": _choose_methods,
        "inputs": [chosen],
        "outputs": list(groups.values()),
        **QUIET,
    }
    models.input(_choose_models, [models, chosen], [chosen, target], **QUIET).then(**seen_options).then(
        **priced
    )
    chosen.input(**seen_options)
    gr.on([control.input for control in (*picked, chosen, *options.values())], **priced)
    following: dict[str, Any] = {
        "show_progress": "hidden",
        "api_visibility": "private",
        "concurrency_limit": None,
    }
    loaded = demo.load(opened, None, [name, board], **following)
    resumed = resume.click(go_on, [name], [board], cancels=[loaded], **following)
    start.click(begin, asked, [name, board], cancels=[loaded, resumed], **following)
    stop.click(cancel, [name], [board], **QUIET)
    name.change(None, [name], None, js=_KEEP, api_visibility="private")


async def follow(held: Held) -> AsyncIterator[dict[str, Any]]:
    """What the page draws of a run, each time that something is new: everything now and then, and the progress alone in between."""
    drawn = version = -1
    yield {"fresh": True, "progress": held.standing()}
    while True:
        over, told = held.over, held.told
        if held.version != version:
            version, done = held.version, held.progress.done + held.progress.failed
            whole = over or (done > 0 and done >= GROWN * max(drawn, 0) and done > drawn)
            if whole:
                drawn = done
            yield await run_sync(held.document) if whole else {"progress": held.standing()}
        if told:
            return
        await anyio.sleep(LOOK_SECONDS)


def visitor_of(request: gr.Request) -> str:
    """Who asks, as for the limits on requests."""
    scope = request.request.scope
    return client_of(scope, dict(scope["headers"]))


def table_of(settings: Settings, path: str | None, text: str) -> Table | None:
    """The table that was pasted, else the one that was uploaded, None where there is none. Raises ``BadTable``."""
    if not text.strip():
        return open_table(path, limit_bytes=settings.upload_bytes, name=Path(path).name) if path else None
    if kind := _kind(text):
        return open_table(text.encode("utf-8", "replace"), kind=kind, name="the pasted table")
    lines = [line for line in text.splitlines() if line.strip()]
    return open_table(lines, name="the pasted texts")


def _kind(text: str) -> Kind | None:
    """What a pasted text is: lines of JSON, a table whose header names a text, or None for a text a line."""
    first = text.lstrip().split("\n", 1)[0].strip()
    if first.startswith(("{", "[")):
        return "json" if first.startswith("[") else "jsonl"
    kinds: dict[Kind, str] = {"tsv": "\t", "csv": ";" if ";" in first else ","}
    for kind, delimiter in kinds.items():
        cells = {cell.strip().lower() for cell in next(csv.reader([first], delimiter=delimiter), [])}
        if cells & set(NAMES["text"]):
            return kind
    return None


def _look(settings: Settings, path: str | None, text: str) -> list[Any]:
    """The columns to choose from, those that are probably meant, and the first rows."""
    empty = [gr.Dropdown([], value=None) for _ in COLUMNS]
    try:
        table = table_of(settings, path, text)
        if table is None:
            return [*empty, {"fresh": True, "note": TABLE_FIRST}]
        table = limited(table, settings)
        count, first = _read(table)
        found = _suggested(table)
    except AttributionError as error:
        return [*empty, failed(error)]
    names = list(table.columns)
    choices = [
        names,
        [("–", NONE), *((name, name) for name in names)],
        [("–", NONE), *((name, name) for name in names)],
    ]
    boxes = [gr.Dropdown(choices[i], value=found.get(column) or NONE) for i, column in enumerate(COLUMNS)]
    rows = [[_cell(row.values.get(name)) for name in names] for row in first]
    return [
        *boxes,
        {"fresh": True, "preview": {"name": table.name, "count": count, "columns": names, "rows": rows}},
    ]


def _read(table: Table) -> tuple[int, list[Any]]:
    """How many rows there are, and the first of them. Raises ``BadTable`` where they cannot be read to the end, or are too many."""
    count = 0
    first: list[Any] = []
    for row in table:
        count += 1
        if len(first) < PREVIEWED:
            first.append(row)
    return count, first


def _suggested(table: Table) -> dict[str, str | None]:
    try:
        found = table.picked()
    except BadTable:  # a person will say which it is
        return {"text": table.columns[0]}
    return {"text": found.text, "second": found.second, "label": found.label}


def _cell(value: object) -> str:
    return "" if value is None else str(value)[:200]


def _columns(table: Table, asked: dict[str, Any]) -> Columns:
    return table.picked(
        text=asked["text"] or None,
        second=asked["second"] or NONE,
        label=asked["label"] or NONE,
        rationale=NONE,
    )


def _price(engine: Engine, asked: dict[str, Any]) -> str:
    """About how long the run will take here, from a row of middling length; "" where it cannot be told."""
    models, chosen = asked["models"], asked["methods"]
    try:
        table = table_of(engine.settings, asked["file"], asked["pasted"])
        if table is None or not chosen or not models:
            return ""
        columns = _columns(table, asked)
        samples = [columns.read(row) for row in limited(table, engine.settings) if row.error is None]
        sample = sorted(samples, key=lambda one: len(one.text))[len(samples) // 2]
        given = {"second": sample.second}
        found = [
            engine.estimate(sample.text, model, name, options=_options(asked, name), **given)
            for model in models
            for name in chosen
        ]
    except (AttributionError, IndexError):
        return ""  # the run itself will say it
    low, high = (
        len(samples) * sum(getattr(one, end) for one in found) for end in ("seconds_low", "seconds_high")
    )
    return f"*{len(samples) * len(found):,} attributions: {span(low, high)}, if the server is idle.*"


def _options(asked: dict[str, Any], method: str) -> dict[str, Any]:
    """The options of a method as the controls have them."""
    return {name.partition(".")[2]: value for name, value in asked.items() if name.startswith(f"{method}.")}


def _begun(engine: Engine, asked: dict[str, Any], visitor: str) -> Held:
    """Begin the run that the controls ask for. Raises an ``AttributionError``."""
    table = table_of(engine.settings, asked["file"], asked["pasted"])
    if table is None:
        raise BadTable("There is no table.", TABLE_FIRST)
    models, chosen = asked["models"] or [], asked["methods"] or []
    for model in models:
        engine.store.source(model)
    target = {"target": None if asked["target"] == ITSELF else asked["target"]}
    options = {name: _options(asked, name) for name in chosen}
    made = plan(table.name, _columns(table, asked), models, chosen, options, target)
    return runs_of(engine).begin(table, made, visitor, recorded=bool(asked["record"]))


def _example() -> str:
    return EXAMPLE.read_text(encoding="utf-8")


def _choose_models(models: list[str], chosen: list[str]) -> tuple[Any, Any]:
    """The methods that fit all of the models, those that were chosen where they do, and the labels of the first."""
    fitting, lead = choices.method_choices(*models), models[0] if models else DEFAULT_MODEL
    known = [name for _, name in fitting]
    kept = [name for name in chosen if name in known] or [
        first_method(lead) if first_method(lead) in known else known[0]
    ]
    return gr.Dropdown(fitting, value=kept), gr.Dropdown(choices.targets(lead), value=ITSELF)


def _choose_methods(chosen: list[str]) -> list[Any]:
    return [gr.Group(visible=name in chosen) for name in list_methods()]
