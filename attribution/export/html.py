"""One self-contained, interactive HTML file: the picture of the page, what is known about it, and no request to anywhere.

Several results share one picture: a switch chooses which of them it shows, with the facts about that one. The
file carries a strict content security policy: only the scripts and the style that were written here run.
Without scripts it shows the scores of every result as a table.
"""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from attribution import sentences
from attribution.errors import EmptyInput
from attribution.export.drawing import charts, fragments, notebook
from attribution.export.drawing.browser import picture_data
from attribution.export.drawing.figure import headings
from attribution.export.json import together
from attribution.export.reports import report_of
from attribution.export.reports.comparison import comparison_notes, comparison_report
from attribution.formats import Format
from attribution.models import tasks
from attribution.sentences import number
from attribution.types import Attribution

if TYPE_CHECKING:
    from attribution.studies.assessment import Assessment
    from attribution.studies.comparison import Comparison
    from attribution.studies.evaluation import Evaluation

FORMAT = Format("html", "text/html")
FORMAT.shows("attribution")(notebook.fragment)
FORMAT.shows("comparison")(fragments.comparison)
FORMAT.shows("evaluation", "assessment")(fragments.study)

STATIC = Path(__file__).parent / "static"
_REPORT_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse}th,td{text-align:left;padding:.3rem .8rem;border-bottom:1px solid #8884;"
    "font-variant-numeric:tabular-nums}img{max-width:100%}div{overflow-x:auto}"
)
# A browser ends a script element at "</script" wherever it stands; a JSON reader takes \u003c for "<".
UNSAFE = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


@FORMAT.writes("attribution")
def write(*attributions: Attribution) -> bytes:
    """The document as UTF-8 bytes: at most 100 KB beside the data."""
    return _page(attributions)


@FORMAT.writes("comparison")
def write_comparison(comparison: Comparison) -> bytes:
    """The same document for the finished attributions, with tables of the shares and of the agreement, and the notes.

    Raises ``EmptyInput`` where no attribution is finished.
    """
    results = tuple(result for result in comparison.results if result is not None)
    if not results:
        raise EmptyInput("There is no attribution to draw.", "All of them failed, or are still to come.")
    tables = comparison_report(comparison).tables
    sections = [
        _section(escape(table.title), f'<div class="scroll">{fragments.table(table)}</div>')
        for table in tables
    ]
    notes = "".join(f'<p dir="auto">{escape(note)}</p>' for note in comparison_notes(comparison))
    return _page(results, "".join([*sections, _section("Comparison", notes)]))


@FORMAT.writes("evaluation", "assessment")
def write_report(result: Evaluation | Assessment) -> bytes:
    """The charts, the tables and the notes, without scripts."""
    report = report_of(result)
    title = escape(report.title)
    picture = charts.draw_report(report, 900, "light").markup()
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{_REPORT_STYLE}</style>
</head>
<body>
<h1>{title}</h1>
<div>{picture}</div>
{fragments.report(report)}
</body>
</html>
"""
    return page.encode("utf-8", "replace")


def _page(attributions: tuple[Attribution, ...], sections: str = "") -> bytes:
    """The picture of each result with a switch among them, what is known about each, and ``sections`` about all."""
    style = picture_style() + _asset("document.css")
    scripts = (picture_script(), _asset("document.js"))
    results = [picture_data(attribution) for attribution in attributions]
    data = json.dumps(together(results), ensure_ascii=False, allow_nan=False).translate(UNSAFE)
    common, heads = headings(attributions)
    names = [head.name for head in heads]
    title, what = _title(attributions, common)
    page = f"""<!doctype html>
<html lang="en" dir="ltr">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{escape(policy(style, scripts))}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(f"{_excerpt(attributions[0].text)} · {title}")}</title>
<style>{style}</style>
</head>
<body>
<header>
<div><h1 dir="auto">{escape(title)}</h1><p dir="auto">{escape(what)}</p></div>
<button id="theme" type="button" hidden>Dark</button>
</header>
<main>
{_switch(names)}
<div id="picture"></div>
{"".join(map(_facts, attributions, names))}{sections}
</main>
<script id="attribution" type="application/json">{data}</script>
<script>{scripts[0]}</script>
<script>{scripts[1]}</script>
</body>
</html>
"""
    # A model's label may hold half a surrogate pair, which no file can.
    return page.encode("utf-8", "replace")


def _title(attributions: tuple[Attribution, ...], common: list[str]) -> tuple[str, str]:
    """Method and model of one result; of several what they have in common."""
    if len(attributions) == 1:
        return sentences.method(attributions[0]), attributions[0].model.name
    title, *what = common or [f"{len(attributions)} results"]
    return title, " · ".join(what)


def _switch(names: list[str]) -> str:
    """Radio buttons, of which a browser makes one stop of the tab key and moves by arrows; nothing for one result."""
    if len(names) == 1:
        return ""
    choices = "".join(
        f'<label><input type="radio" name="result" value="{k}" autocomplete="off"{" checked" * (k == 0)}>'
        f'<span dir="auto">{escape(name)}</span></label>'
        for k, name in enumerate(names)
    )
    return f'<fieldset id="results" hidden><legend>Results</legend>{choices}</fieldset>'


def _facts(attribution: Attribution, name: str) -> str:
    """All that is said of one result; without scripts its name and its scores too."""
    title = f'<h2 class="result" dir="auto">{escape(name)}</h2>' if name else ""
    return f"""<article>
<noscript>{title}{_plain(attribution)}</noscript>
{_section("Prediction", _prediction(attribution))}
{_section("How well the scores add up", f"<p>{escape(sentences.adds_up(attribution))}</p>")}
{_section("Uncertainty", _sure(attribution))}
{_section("Notes", "".join(f"<p>{escape(note)}</p>" for note in attribution.notes))}
{_section("How it was made", _record(attribution))}
</article>
"""


@cache
def picture_script() -> str:
    """The script of the picture, D3 included: defines ``AttributionHeatmap``.

    Running it again does no harm.
    """
    return "\n".join(_asset(name) for name in ("vendor/d3.min.js", "cells.js", "palette.js", "heatmap.js"))


@cache
def picture_style() -> str:
    """The style sheet of the picture."""
    return _asset("heatmap.css")


@cache
def _asset(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")


def policy(style: str, scripts: tuple[str, ...]) -> str:
    """The content security policy of a page on which only these run, and nothing is asked of anybody."""

    def allowed(source: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; style-src {allowed(style)}; script-src {' '.join(map(allowed, scripts))}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2><div>{content}</div></section>" if content else ""


def _plain(attribution: Attribution) -> str:
    """What is shown without scripts: the text, and a table of every token and score for each output."""
    names = sentences.parts(attribution)
    error = "" if attribution.errors is None else '<th scope="col">Standard error</th>'
    heads = "".join(
        f'<th scope="col" dir="auto">{escape(sentences.named(output))}</th>{error}'
        for output in attribution.outputs
    )
    text = '<th scope="col">Text</th>' if names else ""
    rows = "".join(_line(attribution, j, names) for j in range(len(attribution.tokens)))
    head = f'<thead><tr><th scope="col">Token ({escape(attribution.unit)})</th>{text}{heads}</tr></thead>'
    texts = (attribution.text, attribution.second) if names else (attribution.text,)
    typed = "".join(f'<p class="typed" dir="auto">{escape(text)}</p>' for text in texts)
    return f'{typed}<div class="scroll"><table>{head}<tbody>{rows}</tbody></table></div>'


def _line(attribution: Attribution, j: int, names: tuple[str, str] | None) -> str:
    """One token: its text, which text of a pair it is of, and for each output its score and perhaps its error."""
    token, errors = attribution.tokens[j], attribution.errors
    cells = [names[token.segment != "text"]] if names else []
    for i in range(len(attribution.outputs)):
        cells.append(number(float(attribution.scores[i, j])))
        if errors is not None:
            cells.append(number(float(errors[i, j])))
    return f'<tr><td dir="auto">{escape(token.text)}</td>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'


def _prediction(attribution: Attribution) -> str:
    """All classes; what was generated or answered; or the one number that the model gives."""
    prediction, task = attribution.prediction, tasks.of(attribution.model.task)
    if prediction.text is not None and task.writes:
        return f'<p class="typed" dir="auto">{escape(prediction.text)}</p>'
    said = f'<p dir="auto">{escape(sentences.said(attribution))}</p>'
    if not prediction.probabilities:
        return said
    if task.summary == tasks.BEST:  # the most probable label stands first in the table
        return _classes(attribution)
    several = task.table_heading and len(attribution.outputs) > 1
    return said + (f"<p>{task.table_heading}</p>" if several else "") + _classes(attribution)


def _classes(attribution: Attribution) -> str:
    prediction = attribution.prediction
    classes = sorted(
        zip(prediction.probabilities, prediction.logits, prediction.labels, strict=True), reverse=True
    )
    rows = "".join(
        f'<tr><td dir="auto">{escape(label)}</td><td>{probability:.1%}</td><td>{number(logit)}</td></tr>'
        for probability, logit, label in classes
    )
    head = (
        '<thead><tr><th scope="col">Class</th><th scope="col">Probability</th><th '
        'scope="col">Logit</th></tr></thead>'
    )
    return f'<div class="scroll"><table>{head}<tbody>{rows}</tbody></table></div>'


def _sure(attribution: Attribution) -> str:
    """Whether there is a signal, the standard errors, the fit."""
    lines = [
        (sentences.no_signal(attribution), True),
        (sentences.errors(attribution), False),
        (sentences.fit(attribution), sentences.is_poor(attribution)),
    ]
    return "".join(f"<p{' class=warn' * warn}>{escape(line)}</p>" for line, warn in lines if line)


def _record(attribution: Attribution) -> str:
    request, model = attribution.request, attribution.model
    chosen = "the model's own prediction" if request.target is None else _listed(request.target)
    facts = {
        "Method": sentences.method(attribution),
        "Target": f"{chosen} ({request.quantity.replace('_', ' ')})",
        "Explained": sentences.target(attribution),
        "Rather than": "" if request.contrast is None else str(request.contrast),
        "Position": "" if request.position is None else _listed(request.position),
        "Continuation": request.continuation or "",
        "Settings": ", ".join(
            f"{name.replace('_', ' ')} = {value}" for name, value in request.options if value != ""
        ),
        "Score": f"{'signed' if attribution.signed else 'unsigned: strength without a direction'}, unit "
        f"{attribution.unit}",
        "Model": f"{model.name} "
        f"({model.architecture}{f', revision {model.revision}' if model.revision else ''})",
        "About the model": model.note,
        "Versions": ", ".join(f"{name} {version}" for name, version in attribution.versions),
        "Time": f"{number(attribution.seconds)} s",
    }
    rows = "".join(
        f'<dt>{name}</dt><dd dir="auto">{escape(value)}</dd>' for name, value in facts.items() if value
    )
    return f"<dl>{rows}</dl>"


def _listed(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _excerpt(text: str, limit: int = 60) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[:limit]}…"
