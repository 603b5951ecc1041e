"""The picture in a notebook: a static HTML fragment with inline styles and without scripts.

The browser lays out the text.
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

from attribution import sentences
from attribution.export.drawing.cells import Cell, blocks, build_cells, heading, remarks, scales
from attribution.export.drawing.colour import THEMES, text_on
from attribution.sentences import interval
from attribution.types import Output

if TYPE_CHECKING:
    from attribution.types import Attribution

_THEME = THEMES["light"]
# Each line of the text has its own direction.
_LINES = "line-height:2;unicode-bidi:plaintext;white-space:pre-wrap;overflow-wrap:anywhere"
_ILLEGAL = re.compile("[\ud800-\udfff\x00-\x08\x0b\x0c\x0e-\x1f]")


def render_attribution(attribution: Attribution) -> str:
    """Render an attribution; cells have their own colours, all other text inherits those of the page."""
    prediction, explanation = heading(attribution)
    cells = build_cells(attribution)
    largest, row_scales = scales(attribution, cells)
    parts = [
        '<div style="font-family:system-ui,sans-serif;max-width:60em">',
        f'<div dir="auto" style="font-size:1.2em;font-weight:600">{_escape(prediction)}</div>',
        f'<div style="opacity:.75;font-size:.85em;margin-bottom:.6em">{_escape(explanation)}</div>',
    ]
    for i, output in enumerate(attribution.outputs):
        if len(attribution.outputs) > 1:
            label = f"{i + 1} · {sentences.output_name(output)} · {sentences.chance(output)}"
            parts.append(f'<div style="opacity:.75;font-size:.85em">{_escape(label)}</div>')
        for name, block in blocks(attribution, cells):
            if name:
                parts.append(f'<div style="opacity:.75;font-size:.8em;margin-top:.4em">{name}</div>')
            spans = "".join(_cell_html(cell, i, output, row_scales[i], attribution.signed) for cell in block)
            # The name replaces the line break before a second text.
            spans = spans.lstrip("\n") if name else spans
            parts.append(f'<div dir="auto" style="{_LINES}">{spans}</div>')
    parts.append(f'<div style="font-size:.8em;margin:.5em 0 .3em">{_legend_html(attribution, largest)}</div>')
    parts.extend(
        f'<div style="opacity:.75;font-size:.8em">{_escape(line)}</div>'
        for line in remarks(attribution, special=False)
    )
    return "\n".join([*parts, "</div>"])


def _cell_html(cell: Cell, i: int, output: Output, largest: float, signed: bool) -> str:
    if cell.scores is None or not cell.is_visible_to(i, output):
        style = (
            "outline:1.5px solid;border-radius:3px;padding:.1em .2em"
            if cell.contains(output)
            else "opacity:.6"
        )
        return f'{cell.gap}<span style="{style}">{_escape(cell.text)}</span>'
    score = cell.scores[i]
    background = _THEME.background(score, largest, signed)
    line = 3 * abs(score) / largest if largest > 0 else 0.0
    border = (
        "2px dotted"
        if cell.is_uncertain(i)
        else f"{line:.1f}px {'dashed' if signed and score < 0 else 'solid'}"
    )
    style = (
        f"background:{background};color:{text_on(background)};border-bottom:{border};padding:.1em "
        ".2em;border-radius:3px"
    )
    outline = ";outline:2px solid" if cell.contains(output) else ""
    title = interval(score, cell.error(i))
    return f'{cell.gap}<span style="{style}{outline}" title="{title}">{_escape(cell.text)}</span>'


def _legend_html(attribution: Attribution, largest: float) -> str:
    ends = (
        [(-largest, "speaks against"), (largest, "speaks for")]
        if attribution.signed
        else [(0.0, "none"), (largest, "strongest")]
    )
    chips = []
    if largest == 0:
        return _escape(attribution.unit)
    for value, meaning in ends:
        background = _THEME.background(value, largest, attribution.signed)
        style = f"background:{background};color:{text_on(background)};padding:.1em .4em;border-radius:3px"
        chips.append(f'<span style="{style}">{sentences.number(value)}</span> {meaning}')
    return f"{' · '.join(chips)} · {_escape(attribution.unit)}"


def _escape(text: str) -> str:
    return escape(_ILLEGAL.sub("\ufffd", text))
