"""A table of texts: every row explained, what failed, what is wrong, which words count."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import anyio
import gradio as gr
from anyio.to_thread import run_sync

from attribution.batch import make_plan
from attribution.costs.estimates import span
from attribution.engine import Engine
from attribution.errors import AttributionError, BadTable
from attribution.settings import DEFAULT_MODEL

from ..api.gateway.guard import client_of
from ..api.runs import VisitorRun, limit_size, runs_of
from ..bugs import bug
from ..controls import choices
from ..controls.fields import Field, Form, Values
from ..controls.inputs import models_field, target_field
from ..controls.options import option_fields, show_groups
from ..controls.recommendation import first_method
from ..controls.recording import recorder_of
from ..controls.values import options_of
from ..languages import say
from ..live.answers import QUIET, error_value
from ..pictures.board import Board
from . import page
from .parts.run_table import TABLE_FIRST, TableInput, columns_of, table_of

POLL_SECONDS = 0.3
"""Seconds between two checks of a run's progress."""
GROWTH = 1.5
"""The factor by which results must grow before everything, not only the progress, is drawn again."""

_KEEP_IN_ADDRESS = """(name) => {
  if (!AttributionAddress.own) return;
  const address = new URL(location.href);
  name ? address.searchParams.set("run", name) : address.searchParams.delete("run");
  history.replaceState(history.state, "", address);
}"""


@page(path="batch", title="Batch", order=35)
def batch(engine: Engine, demo: gr.Blocks) -> None:
    """One table, several models and methods."""
    with gr.Row(elem_id="batch", equal_height=False):
        with gr.Column(scale=1, min_width=300, elem_id="controls"):
            table = TableInput(engine.settings)
            models, methods = models_field(engine, [DEFAULT_MODEL]), _methods_field(engine)
            target = target_field()
            with gr.Accordion(say("Options"), open=False, elem_id="options"):
                groups, options = option_fields(first_method(DEFAULT_MODEL), titled=True)
            record = _record_field(engine)
            cost = gr.Markdown("", elem_id="cost")
            buttons = _Buttons.build()
        with gr.Column(scale=3, min_width=320):
            board = Board(value={"note": TABLE_FIRST}, elem_id="board", label=say("Results"))
    form = Form(engine, [*table.fields, models, methods, target, record, *options])

    def update_price(*values: Any) -> str:
        return _price(engine, form.read(values))

    price: dict[str, Any] = {
        "fn": update_price,
        "inputs": form.inputs,
        "outputs": [cost],
        "show_progress": "hidden",
        "api_visibility": "private",
    }
    shown_options: dict[str, Any] = {
        "fn": lambda names: show_groups(*names),
        "inputs": [methods.control],
        "outputs": list(groups.values()),
        **QUIET,
    }
    table.wire(board, price)
    form.on_model().then(**shown_options).then(**price)
    methods.control.input(**shown_options)
    priced = [*table.columns, methods.control, *(option.control for option in options)]
    gr.on([control.input for control in priced], **price)
    _wire_runs(engine, demo, form, buttons, board)


@dataclass(frozen=True)
class _Buttons:
    """The controls that start, stop and resume a run."""

    start: gr.Button
    stop: gr.Button
    name: gr.Textbox
    resume: gr.Button

    @classmethod
    def build(cls) -> "_Buttons":
        with gr.Row():
            start = gr.Button(say("Start"), variant="primary", elem_id="start", min_width=90)
            stop = gr.Button(say("Stop"), elem_id="stop", min_width=90)
        with gr.Row():
            name = gr.Textbox(
                "",
                label=say("Run"),
                info=say("Use this name to come back to it later."),
                max_lines=1,
                max_length=100,
                elem_id="run",
            )
            resume = gr.Button(say("Resume"), elem_id="resume", min_width=90)
        return cls(start, stop, name, resume)


def _methods_field(engine: Engine) -> Field:
    """Chosen methods stay if they fit all models."""

    def fit(models: Sequence[str], values: Values) -> gr.Dropdown:
        names, first = choices.method_names(*models), first_method(choices.lead(models))
        chosen = [name for name in values["methods"] or [] if name in names]
        default = [first if first in names else names[0]]
        return gr.Dropdown(choices.method_choices(*models), value=chosen or default)

    box = gr.Dropdown(
        choices.method_choices(DEFAULT_MODEL),
        value=[first_method(DEFAULT_MODEL)],
        label=say("Methods"),
        multiselect=True,
        max_choices=engine.settings.compared_methods,
        elem_id="methods",
    )
    return Field(box, "methods", on_model=fit)


def _record_field(engine: Engine) -> Field:
    recorder = recorder_of(engine.settings)
    box = gr.Checkbox(
        False,
        label=say("Record this run"),
        info=recorder.about if recorder else None,
        visible=recorder is not None,
        elem_id="record",
    )
    return Field(box, "record")


def _wire_runs(engine: Engine, demo: gr.Blocks, form: Form, buttons: _Buttons, board: Board) -> None:
    """Begin, stop and resume runs, and follow the one that the address names."""
    runs = runs_of(engine)

    async def begin(request: gr.Request, *values: Any) -> AsyncIterator[tuple[Any, Any]]:
        async for step in _follow_named(_begin, engine, form.read(values), visitor_of(request)):
            yield step

    async def resume(request: gr.Request, name: str) -> AsyncIterator[Any]:
        async for _, value in _follow_named(runs.resume, name.strip(), visitor_of(request)):
            yield value

    async def open_run(request: gr.Request) -> AsyncIterator[tuple[Any, Any]]:
        if not (name := request.query_params.get("run", "")):
            yield gr.skip(), gr.skip()
            return
        async for step in _follow_named(runs.find, name[:100]):
            yield step

    def cancel(name: str) -> Any:
        try:
            runs.cancel(name.strip())
        except AttributionError as error:
            return error_value(error)
        return gr.skip()

    following: dict[str, Any] = {
        "show_progress": "hidden",
        "api_visibility": "private",
        "concurrency_limit": None,
    }
    name = buttons.name
    opened = demo.load(open_run, None, [name, board], **following)
    resumed = buttons.resume.click(resume, [name], [board], cancels=[opened], **following)
    buttons.start.click(begin, form.inputs, [name, board], cancels=[opened, resumed], **following)
    buttons.stop.click(cancel, [name], [board], **QUIET)
    name.change(None, [name], None, js=_KEEP_IN_ADDRESS, api_visibility="private")


async def _follow_named(find: Callable[..., VisitorRun], *arguments: Any) -> AsyncIterator[tuple[Any, Any]]:
    """Yield the name of the run that ``find`` returns with each value of the board, or an error."""
    try:
        run = await run_sync(find, *arguments)
    except AttributionError as error:
        yield gr.skip(), error_value(error)
        return
    except Exception:
        yield gr.skip(), error_value(bug())
        return
    async for value in follow(run):
        yield run.name, value


async def follow(run: VisitorRun) -> AsyncIterator[dict[str, Any]]:
    """Yield the values of the board: the full document at intervals, the progress in between."""
    drawn_results = version = -1
    yield {"fresh": True, "progress": run.describe_progress()}
    while True:
        over, settled = run.over, run.settled
        if run.version != version:
            version, done = run.version, run.progress.done + run.progress.failed
            everything = over or (
                done > 0 and done >= GROWTH * max(drawn_results, 0) and done > drawn_results
            )
            if everything:
                drawn_results = done
            yield await run_sync(run.document) if everything else {"progress": run.describe_progress()}
        if settled:
            return
        await anyio.sleep(POLL_SECONDS)


def visitor_of(request: gr.Request) -> str:
    """The visitor's address, as in the limits on requests."""
    scope = request.request.scope
    return client_of(scope, dict(scope["headers"]))


def _price(engine: Engine, values: Values) -> str:
    """The estimated time of the run, from a row of median length; "" if unknown."""
    models, methods = values["models"], values["methods"]
    try:
        table = table_of(engine.settings, values["file"], values["pasted"])
        if table is None or not methods or not models:
            return ""
        columns = columns_of(table, values)
        samples = [columns.read(row) for row in limit_size(table, engine.settings) if row.error is None]
        sample = sorted(samples, key=lambda sample: len(sample.text))[len(samples) // 2]
        estimates = [
            engine.estimate(sample.text, model, name, options=options_of(name, values), second=sample.second)
            for model in models
            for name in methods
        ]
    except (AttributionError, IndexError):
        return ""  # the run itself will show it
    low = len(samples) * sum(estimate.seconds_low for estimate in estimates)
    high = len(samples) * sum(estimate.seconds_high for estimate in estimates)
    return f"*{len(samples) * len(estimates):,} attributions: {span(low, high)}, if the server is idle.*"


def _begin(engine: Engine, values: Values, visitor: str) -> VisitorRun:
    """Begin the run that the controls describe. Raises an ``AttributionError``."""
    table = table_of(engine.settings, values["file"], values["pasted"])
    if table is None:
        raise BadTable("There is no table.", TABLE_FIRST)
    models, methods = values["models"] or [], values["methods"] or []
    for model in models:
        engine.store.source(model)
    options = {name: options_of(name, values) for name in methods}
    columns, target = columns_of(table, values), values["target"] or None
    plan = make_plan(table.name, columns, models, methods, options=options, target=target)
    return runs_of(engine).begin(table, plan, visitor, recorded=bool(values["record"]))
