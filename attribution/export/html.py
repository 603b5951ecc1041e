"""One self-contained, interactive HTML file with the picture of the page and the facts about each result.

Several results share one picture; a switch selects the result that is shown. The file makes no network
requests and carries a strict content security policy: only its own scripts and styles run. Without scripts
it shows the scores of every result as a table.
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
from attribution.export.drawing.figure import compare_facts
from attribution.export.json import wrap_results
from attribution.export.reports import build_report
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
FORMAT.shows("attribution")(notebook.render_attribution)
FORMAT.shows("comparison")(fragments.render_comparison)
FORMAT.shows("evaluation", "assessment")(fragments.render_study)
FORMAT.shows("attentions")(fragments.render_attentions)
FORMAT.shows("model")(fragments.render_model)
FORMAT.shows("list")(fragments.render_list)

STATIC = Path(__file__).parent / "static"
_REPORT_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse}th,td{text-align:left;padding:.3rem .8rem;border-bottom:1px solid #8884;"
    "font-variant-numeric:tabular-nums}img{max-width:100%}div{overflow-x:auto}"
)
# A browser ends a script element at any "</script"; a JSON parser reads \u003c as "<".
UNSAFE = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


@FORMAT.writes("attribution")
def write(*attributions: Attribution) -> bytes:
    """Render the document in UTF-8: the data and at most 100 KB of scripts and styles."""
    return _render_page(attributions)


@FORMAT.writes("comparison")
def write_comparison(comparison: Comparison) -> bytes:
    """Render the finished attributions with tables of shares and agreement, and the notes.

    Raises ``EmptyInput`` if no attribution is finished.
    """
    results = tuple(result for result in comparison.results if result is not None)
    if not results:
        raise EmptyInput("There is no attribution to draw.", "All of them failed or are not finished.")
    tables = comparison_report(comparison).tables
    sections = [
        _section(escape(table.title), f'<div class="scroll">{fragments.render_table(table)}</div>')
        for table in tables
    ]
    notes = "".join(f'<p dir="auto">{escape(note)}</p>' for note in comparison_notes(comparison))
    return _render_page(results, "".join([*sections, _section("Comparison", notes)]))


@FORMAT.writes("evaluation", "assessment")
def write_report(result: Evaluation | Assessment) -> bytes:
    """Render the charts, the tables and the notes, without scripts."""
    report = build_report(result)
    title = escape(report.title)
    picture = charts.draw_report(report, 900, "light").to_svg()
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
{fragments.render_report(report)}
</body>
</html>
"""
    return page.encode("utf-8", "replace")


def _render_page(attributions: tuple[Attribution, ...], sections: str = "") -> bytes:
    """Render the picture with a switch between results, an article for each, and ``sections`` about all."""
    style = picture_style() + _read_asset("document.css")
    scripts = (picture_script(), _read_asset("document.js"))
    results = [picture_data(attribution) for attribution in attributions]
    data = json.dumps(wrap_results(results), ensure_ascii=False, allow_nan=False).translate(UNSAFE)
    common, heads = compare_facts(attributions)
    names = [head.name for head in heads]
    title, subtitle = _page_title(attributions, common)
    page = f"""<!doctype html>
<html lang="en" dir="ltr">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{escape(content_security_policy(style, scripts))}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(f"{_excerpt(attributions[0].text)} · {title}")}</title>
<style>{style}</style>
</head>
<body>
<header>
<div><h1 dir="auto">{escape(title)}</h1><p dir="auto">{escape(subtitle)}</p></div>
<button id="theme" type="button" hidden>Dark</button>
</header>
<main>
{_result_switch(names)}
<div id="picture"></div>
{"".join(map(_article, attributions, names))}{sections}
</main>
<script id="attribution" type="application/json">{data}</script>
<script>{scripts[0]}</script>
<script>{scripts[1]}</script>
</body>
</html>
"""
    # A label may contain a lone surrogate, which UTF-8 cannot encode.
    return page.encode("utf-8", "replace")


def _page_title(attributions: tuple[Attribution, ...], common: list[str]) -> tuple[str, str]:
    """Method and model of a single result, or what several results have in common."""
    if len(attributions) == 1:
        return sentences.method(attributions[0]), attributions[0].model.name
    title, *subtitle = common or [f"{len(attributions)} results"]
    return title, " · ".join(subtitle)


def _result_switch(names: list[str]) -> str:
    """Radio buttons (one tab stop, arrow keys move) to select a result; empty for a single result."""
    if len(names) == 1:
        return ""
    choices = "".join(
        f'<label><input type="radio" name="result" value="{k}" autocomplete="off"{" checked" * (k == 0)}>'
        f'<span dir="auto">{escape(name)}</span></label>'
        for k, name in enumerate(names)
    )
    return f'<fieldset id="results" hidden><legend>Results</legend>{choices}</fieldset>'


def _article(attribution: Attribution, name: str) -> str:
    """The facts about one result; without scripts also its name and its scores."""
    title = f'<h2 class="result" dir="auto">{escape(name)}</h2>' if name else ""
    return f"""<article>
<noscript>{title}{_static_view(attribution)}</noscript>
{_section("Prediction", _prediction_html(attribution))}
{_section("How well the scores add up", f"<p>{escape(sentences.adds_up(attribution))}</p>")}
{_section("Uncertainty", _uncertainty_html(attribution))}
{_section("Notes", "".join(f"<p>{escape(note)}</p>" for note in attribution.notes))}
{_section("How it was made", _provenance_html(attribution))}
</article>
"""


@cache
def picture_script() -> str:
    """The script of the picture, which defines ``AttributionHeatmap``; D3 is included.

    Running it twice is harmless.
    """
    return "\n".join(
        _read_asset(name) for name in ("vendor/d3.min.js", "cells.js", "palette.js", "heatmap.js")
    )


@cache
def picture_style() -> str:
    """The style sheet of the picture."""
    return _read_asset("heatmap.css")


@cache
def _read_asset(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")


def content_security_policy(style: str, scripts: tuple[str, ...]) -> str:
    """A content security policy that allows only this style and these scripts, and no network requests."""

    def hash_source(source: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; style-src {hash_source(style)}; "
        f"script-src {' '.join(map(hash_source, scripts))}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2><div>{content}</div></section>" if content else ""


def _static_view(attribution: Attribution) -> str:
    """The view without scripts: the text, and a table of the scores of every token for each output."""
    names = sentences.parts(attribution)
    error = "" if attribution.errors is None else '<th scope="col">Standard error</th>'
    heads = "".join(
        f'<th scope="col" dir="auto">{escape(sentences.output_name(output))}</th>{error}'
        for output in attribution.outputs
    )
    text = '<th scope="col">Text</th>' if names else ""
    rows = "".join(_token_row(attribution, j, names) for j in range(len(attribution.tokens)))
    head = f'<thead><tr><th scope="col">Token ({escape(attribution.unit)})</th>{text}{heads}</tr></thead>'
    texts = (attribution.text, attribution.second) if names else (attribution.text,)
    typed = "".join(f'<p class="typed" dir="auto">{escape(text)}</p>' for text in texts)
    return f'{typed}<div class="scroll"><table>{head}<tbody>{rows}</tbody></table></div>'


def _token_row(attribution: Attribution, j: int, names: tuple[str, str] | None) -> str:
    """The table row of token ``j``: its text, its part of a pair, and a score (and error) per output."""
    token, errors = attribution.tokens[j], attribution.errors
    cells = [names[token.segment != "text"]] if names else []
    for i in range(len(attribution.outputs)):
        cells.append(number(float(attribution.scores[i, j])))
        if errors is not None:
            cells.append(number(float(errors[i, j])))
    return f'<tr><td dir="auto">{escape(token.text)}</td>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'


def _prediction_html(attribution: Attribution) -> str:
    """The prediction: all classes, the generated text or answer, or the value of a regression."""
    prediction, task = attribution.prediction, tasks.of(attribution.model.task)
    if prediction.text is not None and task.writes:
        return f'<p class="typed" dir="auto">{escape(prediction.text)}</p>'
    prediction_line = f'<p dir="auto">{escape(sentences.prediction(attribution))}</p>'
    if not prediction.probabilities:
        return prediction_line
    if task.summary == tasks.BEST:  # the table starts with the most probable label
        return _class_table(attribution)
    has_heading = task.table_heading and len(attribution.outputs) > 1
    return (
        prediction_line + (f"<p>{task.table_heading}</p>" if has_heading else "") + _class_table(attribution)
    )


def _class_table(attribution: Attribution) -> str:
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


def _uncertainty_html(attribution: Attribution) -> str:
    """Whether there is a signal, the standard errors, and the fit of a surrogate model."""
    lines = [
        (sentences.unread(attribution), True),
        (sentences.no_signal(attribution), True),
        (sentences.errors(attribution), False),
        (sentences.fit(attribution), sentences.is_poor(attribution)),
    ]
    return "".join(f"<p{' class=warn' * warn}>{escape(line)}</p>" for line, warn in lines if line)


def _provenance_html(attribution: Attribution) -> str:
    request, model = attribution.request, attribution.model
    chosen = "the model's own prediction" if request.target is None else _join_values(request.target)
    facts = {
        "Method": sentences.method(attribution),
        "Target": f"{chosen} ({request.quantity.replace('_', ' ')})",
        "Explained": sentences.target(attribution),
        "Rather than": "" if request.contrast is None else str(request.contrast),
        "Position": "" if request.position is None else _join_values(request.position),
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


def _join_values(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _excerpt(text: str, limit: int = 60) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[:limit]}…"
