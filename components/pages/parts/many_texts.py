"""Metrics over many texts: where the texts come from, the run, and its files."""

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import gradio as gr

from attribution import rationales
from attribution.engine import Engine
from attribution.errors import AttributionError, BadTable, EmptyInput
from attribution.rationales import Rationale
from attribution.settings import Settings
from attribution.tables import open_table

from ...api.evaluation import LATEST, evaluate_within_limits
from ...controls import choices
from ...controls.fields import Field, Values
from ...controls.values import target_arguments
from ...languages import say
from ...live.answers import QUIET, STALE
from ...live.drawing import Drawings, drawing
from ...live.latest import Superseded
from ...live.visitor_store import VisitorStore
from ...pictures.curves import Curves
from ...pictures.intervals import Intervals
from ...pictures.values import evaluation
from ..compare_methods import QUICK

SAVED = ("csv", "json", "tex", "html", "svg", "png")
TABLE_HELP = (
    "CSV, TSV, JSON, JSON Lines or Parquet with a column text (or sentence); the first {most} rows are "
    "measured. A column rationale holds human rationales: character spans such as [[0, 5]], or one number "
    "per word."
)


@dataclass(frozen=True)
class Samples:
    """The rows of a table that a visitor uploaded."""

    name: str
    texts: tuple[str, ...]
    seconds: tuple[str | None, ...]
    rationales: tuple[Rationale | None, ...]


TABLES: VisitorStore[Samples] = VisitorStore()
"""The last table of each visitor."""


class ManyTexts:
    """The tab of many texts. Build it inside the tab, and ``wire`` it once the page has its fields."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        lines = gr.Textbox(
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
                TABLE_HELP.format(most=engine.settings.evaluated_texts),
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
        run = gr.Textbox("", visible="hidden")
        self.lines = Field(lines, "lines", lambda link: link.text("lines"), redraws=False, shared=False)
        self.run = Field(run, "run", lambda _: VisitorStore.new_key(), redraws=False, shared=False)
        """The key of the visitor's evaluation and table."""

    def wire(self, demo: gr.Blocks, controls: Mapping[str, Any]) -> None:
        """Start and stop runs by their buttons only: a run may be long, so no other control starts one."""
        engine = self._engine
        lines, run = self.lines.control, self.run.control

        def read_table(path: str | None, run: str) -> str:
            return _read_table(engine, path, run)

        go, halt = (gr.Textbox(word, visible="hidden") for word in ("go", "stop"))
        measured = {"lines": lines, **controls, "run": run, "go": go}
        start = drawing(demo, measured, [self.intervals, self.curves], partial(_measure, engine))
        stop = {**start, "inputs": [halt if control is go else control for control in start["inputs"]]}
        self.start.click(**start)
        self.stop.click(**stop)
        self.examples.click(example_lines, [controls["model"]], [lines], **QUIET)
        self.file.change(read_table, [self.file, run], [self.about], **QUIET)
        for kind, button in self.files.items():
            script = f"(run) => AttributionAddress.downloadEvaluation({json.dumps(kind)}, run)"
            button.click(None, [run], [self.saved], js=script, api_visibility="private")


def _measure(engine: Engine, values: Values, superseded: Superseded) -> Drawings:
    """The figures over many texts as they grow; when a visitor stops the run, those of the finished texts."""
    run = values["run"]
    if values["go"] == "stop":
        last = LATEST.get(run)
        yield (evaluation.intervals(last, stopped=not last.finished), STALE) if last else ({}, {})
        return
    LATEST.drop(run)
    samples = samples_of(values)
    progress = {"done": 0, "total": len(samples.texts), "stopped": False}
    yield {"panels": [], "progress": progress}, {"more": True}
    last = None
    with closing(
        evaluate_within_limits(
            engine,
            list(samples.texts),
            values["model"],
            values["methods"],
            values["metrics"],
            **{**target_arguments(values), "second": list(samples.seconds)},
            rationales=list(samples.rationales) if any(samples.rationales) else None,
            options={name: options for name, options in QUICK.items() if name in values["methods"]},
            cancelled=superseded,
        )
    ) as steps:
        for last in steps:
            LATEST.put(run, last)
            yield evaluation.intervals(last), {**evaluation.curves(last), "more": not last.finished}
    if last is not None and not last.finished:
        yield evaluation.intervals(last, stopped=True), STALE


def samples_of(values: Values) -> Samples:
    """The rows of the table, else the lines, with the second text of a pair behind a tab.

    Raises ``EmptyInput``.
    """
    if (table := TABLES.get(values["run"])) is not None:
        return table
    lines = [line.strip() for line in (values["lines"] or "").splitlines() if line.strip()]
    if not lines:
        raise EmptyInput("There are no texts.", "Paste some, one per line, or upload a table.")
    paired = choices.takes_second(values["model"])
    pairs = [line.partition("\t") if paired else (line, "", "") for line in lines]
    return Samples(
        "",
        tuple(text for text, _, _ in pairs),
        tuple(second or None for _, _, second in pairs),
        (None,) * len(pairs),
    )


def _read_table(engine: Engine, path: str | None, run: str) -> str:
    """Store the first rows of an uploaded table. Returns a summary, or the error with row and column."""
    TABLES.drop(run)
    if not path:
        return TABLE_HELP.format(most=engine.settings.evaluated_texts)
    try:
        table = read_samples(path, engine.settings)
    except AttributionError as error:
        return f"{error.message} {error.hint}"
    TABLES.put(run, table)
    marked = sum(rationale is not None for rationale in table.rationales)
    return (
        f"{table.name}: {len(table.texts)} texts, {marked} of them with rationales. "
        "They are measured instead of the pasted lines."
    )


def read_samples(path: str, settings: Settings) -> Samples:
    """The first rows of a file. Raises ``BadTable`` with row and column."""
    table = open_table(path, limit_bytes=settings.max_table_bytes)
    columns = table.pick_columns()
    rows = []
    for row in islice(table, settings.evaluated_texts):
        sample = columns.read(row)
        if max(len(sample.text), len(sample.second or "")) > settings.max_characters:
            raise BadTable(
                f"{row.title} is longer than {settings.max_characters:,} characters.", "Please shorten it."
            )
        column = columns.rationale or ""
        rationale = rationales.read(sample.text, sample.rationale, row=row.title, column=column)
        rows.append((sample.text, sample.second, rationale))
    if not rows:
        raise BadTable(f"{table.name} has no rows.", "Choose one with texts.")
    return Samples(table.name, *zip(*rows, strict=True))


def example_lines(model: str) -> str:
    """The model's examples as lines, each made of the lines of one example."""
    rows = [(text, choices.second_of(model, text)) for text in choices.examples_of(model)]
    pairs = [(text, second) if second and isinstance(second, str) else (text,) for text, second in rows]
    return "\n".join("\t".join(" ".join(part.splitlines()) for part in pair) for pair in pairs)
