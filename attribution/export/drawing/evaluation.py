"""An evaluation as a file: JSON, CSV, Markdown, HTML, LaTeX, and a picture of dots with intervals as SVG or PNG.

These are no file formats of attributions: ``Evaluation.save`` calls them. Names come from registries and files, so all of them are
escaped.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from csv import writer
from html import escape
from typing import TYPE_CHECKING

from attribution.errors import BadFile, BadOption, nearest, quote
from attribution.export import csv, latex, markdown, png
from attribution.export.drawing.colour import THEMES
from attribution.export.svg import MARGIN, Canvas

if TYPE_CHECKING:
    from attribution.studies.evaluation import Evaluation, Figure

ARROWS = {"higher": "↑", "lower": "↓"}
TEX_ARROWS = {"higher": r"$\uparrow$", "lower": r"$\downarrow$"}
ROW, LABEL, NUMBER = 26, 190, 150
"""Of a panel of the picture: the height of a method, the room for its name and for its numbers."""


def render(evaluation: Evaluation, extension: str) -> bytes:
    """The file of that type. Raises ``BadFile`` for another."""
    kind = extension.lower().lstrip(".")
    if kind not in FORMATS:
        raise BadFile(f"There is no file type {quote(kind)} for an evaluation.", nearest(kind, FORMATS))
    return FORMATS[kind](evaluation)


def _json(evaluation: Evaluation) -> bytes:
    return (json.dumps(evaluation.to_dict(), ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode()


def _csv(evaluation: Evaluation) -> bytes:
    """A row for each method and metric."""
    stream = io.StringIO(newline="")
    rows = writer(stream)
    rows.writerow(["method", "metric", "better", "mean", "low", "high", "texts", "undefined", "ceiling"])
    for figure in evaluation.figures:
        numbers = (figure.mean, figure.low, figure.high, figure.count, figure.undefined, figure.ceiling)
        better = evaluation.column(figure.metric).better
        rows.writerow(
            [
                csv.guard(figure.method),
                csv.guard(figure.metric),
                better,
                *("" if n is None else n for n in numbers),
            ]
        )
    return stream.getvalue().encode("utf-8-sig")


def _markdown(evaluation: Evaluation) -> bytes:
    say = markdown.escape
    heads = [f"{say(evaluation.title(c.name))} {ARROWS[c.better]}" for c in evaluation.columns]
    lines = [
        f"# {say(_heading(evaluation))}",
        "",
        "| method | " + " | ".join(heads) + " |",
        "| --- |" + " --- |" * len(heads),
    ]
    for method in evaluation.methods:
        cells = [say(_cell(evaluation.figure(method, metric))) for metric in evaluation.metrics]
        lines.append(f"| {say(_name(evaluation, method))} | {' | '.join(cells)} |")
    lines += ["", *(f"- {say(line)}" for line in _notes(evaluation)), ""]
    return "\n".join(lines).encode()


def _latex(evaluation: Evaluation) -> bytes:
    """A ``tabular`` in math mode, which needs no package."""
    say = latex.escape
    heads = [f"{say(evaluation.title(c.name))} {TEX_ARROWS[c.better]}" for c in evaluation.columns]
    rows = [" & ".join(["", *heads]) + r" \\ \hline"]
    for method in evaluation.methods:
        cells = []
        for metric in evaluation.metrics:
            figure = evaluation.figure(method, metric)
            first = evaluation.best(metric).method == method
            cells.append(_tex_number(figure, bold=first))
        rows.append(" & ".join([say(_name(evaluation, method)), *cells]) + r" \\")
    body = "\n".join(rows)
    notes = "\n".join(f"% {' '.join(line.split())}" for line in [_heading(evaluation), *_notes(evaluation)])
    return f"{notes}\n\\begin{{tabular}}{{l{'r' * len(heads)}}}\n{body}\n\\end{{tabular}}\n".encode()


def _tex_number(figure: Figure, *, bold: bool) -> str:
    if figure.mean is None:
        return "--"
    value = f"{figure.mean:.3f}"
    said = f"\\mathbf{{{value}}}" if bold else value
    return (
        f"${said}$"
        if figure.low is None or figure.high is None
        else f"${said}\\,[{figure.low:.3f}, {figure.high:.3f}]$"
    )


def _html(evaluation: Evaluation) -> bytes:
    """A page without scripts."""
    style = (
        ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}"
        "table{border-collapse:collapse}th,td{text-align:left;padding:.3rem .8rem;border-bottom:1px solid #8884;"
        "font-variant-numeric:tabular-nums}img{max-width:100%}div{overflow-x:auto}"
    )
    title = escape(_heading(evaluation))
    page = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{title}</title>\n<style>{style}</style>\n'
        f"</head>\n<body>\n<h1>{title}</h1>\n<div>{plot(evaluation)}</div>\n{notebook(evaluation)}\n</body>\n</html>\n"
    )
    return page.encode()


def notebook(evaluation: Evaluation) -> str:
    """The table and the notes as an HTML fragment."""
    heads = "".join(
        f'<th scope="col">{escape(evaluation.title(c.name))} {ARROWS[c.better]}</th>'
        for c in evaluation.columns
    )
    rows = []
    for method in evaluation.methods:
        cells = "".join(
            f"<td>{escape(_cell(evaluation.figure(method, metric)))}</td>" for metric in evaluation.metrics
        )
        rows.append(f'<tr><th scope="row">{escape(_name(evaluation, method))}</th>{cells}</tr>')
    notes = "".join(f"<li>{escape(line)}</li>" for line in _notes(evaluation))
    return (
        f'<div style="overflow-x:auto"><table><thead><tr><th scope="col">method</th>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div><ul>{notes}</ul>"
    )


def _svg(evaluation: Evaluation) -> bytes:
    return plot(evaluation).encode()


def _png(evaluation: Evaluation) -> bytes:
    return png.drawn(plot(evaluation), 2.0)


FORMATS: dict[str, Callable[[Evaluation], bytes]] = {
    "json": _json,
    "csv": _csv,
    "md": _markdown,
    "html": _html,
    "tex": _latex,
    "svg": _svg,
    "png": _png,
}


def plot(evaluation: Evaluation, *, width: int = 900, theme: str = "light") -> str:
    """An SVG. For each metric the methods, best first: a dot with its interval; the random control is a dotted line through all."""
    if not 480 <= width <= 4096:
        raise BadOption(f"width is {width}.", "It must be from 480 to 4096.")
    if theme not in THEMES:
        raise BadOption(f"theme is {quote(theme)}.", nearest(theme, THEMES))
    canvas = Canvas(width, THEMES[theme])
    canvas.title = _heading(evaluation)
    canvas.paragraph(canvas.title, 20, canvas.theme.ink, bold=True)
    canvas.y += 10
    for metric in evaluation.metrics:
        _panel(canvas, evaluation, metric)
    for line in _notes(evaluation):
        canvas.paragraph(line, 12, canvas.theme.muted)
    return canvas.finish().markup()


def _panel(canvas: Canvas, evaluation: Evaluation, metric: str) -> None:
    column = evaluation.column(metric)
    ranking = evaluation.ranking(metric)
    canvas.paragraph(
        f"{evaluation.title(metric)} · {column.better} is better", 15, canvas.theme.ink, bold=True
    )
    canvas.y += 4
    ends = [end for f in ranking for end in (f.mean, f.low, f.high) if end is not None]
    low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)
    room = (high - low) * 0.04 or 0.5
    low, high = low - room, high + room
    left, right = MARGIN + LABEL, canvas.width - MARGIN - NUMBER

    def across(value: float) -> float:
        return left + (right - left) * (value - low) / (high - low)

    control = next((f for f in ranking if _is_control(f.method)), None)
    if control is not None and control.mean is not None:
        _stroke(canvas, across(control.mean), canvas.y, f"v{ROW * len(ranking)}", ' stroke-dasharray="2 4"')
    for figure in ranking:
        middle = canvas.y + ROW / 2
        faint = figure.mean is None or _is_control(figure.method)
        ink = canvas.theme.muted if faint else canvas.theme.ink
        canvas.line(MARGIN, middle + 5, _shortened(_name(evaluation, figure.method)), 14, ink)
        if figure.low is not None and figure.high is not None:
            _stroke(canvas, across(figure.low), middle, f"h{across(figure.high) - across(figure.low):.1f}")
        if figure.mean is not None:
            fill = canvas.theme.muted if faint else canvas.theme.strength[-1]
            canvas.parts.append(
                f'<circle cx="{across(figure.mean):.1f}" cy="{middle:.1f}" r="5" fill="{fill}"/>'
            )
        canvas.line(right + 12, middle + 5, _cell(figure), 13, ink)
        canvas.y += ROW
    canvas.y += 20


def _stroke(canvas: Canvas, x: float, y: float, way: str, more: str = "") -> None:
    canvas.parts.append(
        f'<path d="M{x:.1f} {y:.1f}{way}" stroke="{canvas.theme.muted}" stroke-width="2" fill="none"{more}/>'
    )


def _is_control(method: str) -> bool:
    return method == "random"


def _shortened(name: str) -> str:
    return name if len(name) <= 24 else f"{name[:23]}…"


def _heading(evaluation: Evaluation) -> str:
    count = (
        f"{evaluation.done} of {evaluation.total} texts"
        if not evaluation.finished
        else f"{evaluation.total} texts"
    )
    return (
        f"Quality of explanations of {evaluation.model} on {count if evaluation.total != 1 else 'one text'}"
    )


def _name(evaluation: Evaluation, method: str) -> str:
    return f"{evaluation.title(method)} (control)" if _is_control(method) else evaluation.title(method)


def _cell(figure: Figure) -> str:
    if figure.mean is None:
        return "undefined"
    if figure.low is None or figure.high is None:
        return _number(figure.mean)
    return f"{_number(figure.mean)} [{_number(figure.low)}, {_number(figure.high)}]"


def _number(value: float) -> str:
    return f"{value:.3f}".replace("-", "−") if math.fabs(value) < 1000 else f"{value:.3g}".replace("-", "−")


def _notes(evaluation: Evaluation) -> list[str]:
    """Who is first, what failed, and what the numbers are."""
    found = [evaluation.best(metric).sentence for metric in evaluation.metrics]
    if len(evaluation.metrics) > 1 and evaluation.best().method is not None:
        found.append(evaluation.best().sentence)
    if evaluation.failures:
        place, method, why = evaluation.failures[0]
        found.append(
            f"{len(evaluation.failures)} explanations failed, the first ({method}, text {place + 1}): {why}"
        )
    undefined = sum(figure.undefined for figure in evaluation.figures)
    if undefined:
        found.append(f"{undefined} values are undefined and left out of the means.")
    found.append(
        f"Means over texts; in brackets 95 % of {evaluation.bootstrap:,} bootstrap draws over the texts. Seed {evaluation.seed}. The control "
        "gives each word a random score."
    )
    return found
