"""GitHub Flavored Markdown: the facts about each result as a list, and a table of words per output.

Everything that could be markup is escaped, so that a CommonMark renderer shows the text literally. Control
characters become U+FFFD. Bidirectional controls become numeric character references, so that they take effect
in the rendered text but not in the source.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import regex

from attribution import sentences
from attribution.export.drawing.cells import NAME, remarks
from attribution.export.drawing.figure import compare_facts
from attribution.export.reports import build_report
from attribution.export.reports.report import cell_text
from attribution.export.writing.captions import caption, is_captioned, replace_controls, residual
from attribution.formats import Format
from attribution.sentences import number

if TYPE_CHECKING:
    from attribution.studies.assessment import Assessment
    from attribution.studies.comparison import Comparison
    from attribution.studies.evaluation import Evaluation
    from attribution.types import Attribution

FORMAT = Format("md", "text/markdown; charset=utf-8", alias="markdown")

_ENTITIES = {"|": "&#124;", "\\": "&#92;", "`": "&#96;", "<": "&lt;", ">": "&gt;", "&": "&amp;"}
_ESCAPES = str.maketrans(_ENTITIES | {c: f"\\{c}" for c in "*_[]~$"})
# Written as numeric references: white space that Markdown would trim, collapse or break a line at,
# bidirectional controls, and the colon that makes a URL a link.
_AS_REFERENCE = regex.compile(
    r"^\s|\s$|(?<=\s)\s|[^\S ]|[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]|:(?=//)"
)


@FORMAT.writes("attribution")
def write(*attributions: Attribution, words: bool = True) -> bytes:
    """Render the document in UTF-8.

    With ``words`` the tokens of a word share a row; special tokens always have their own rows. ``share`` is
    the part of |score| in the sum over all tokens; ``rank`` 1 is the largest |score|, not counting special
    tokens.
    """
    _, heads = compare_facts(attributions)
    parts = [
        part
        for result, head in zip(attributions, heads, strict=True)
        for part in _sections(result, head.name, words)
    ]
    return "\n\n".join([*parts, ""]).encode()


@FORMAT.writes("comparison", "evaluation", "assessment")
def write_report(result: Comparison | Evaluation | Assessment) -> bytes:
    """Render the title, the tables and the notes of a report; arrows mark the better direction."""
    report = build_report(result)
    lines = [f"# {escape(report.title)}", ""]
    for table in report.tables:
        lines += [f"## {escape(table.title)}", ""] if table.title else []
        heads = [escape(table.corner), *(escape(column.text) for column in table.columns)]
        lines += [_row(heads), "|" + " --- |" * len(heads)]
        lines += [
            _row([escape(row.name), *(escape(cell_text(cell)) for cell in row.cells)]) for row in table.rows
        ]
        lines += [""]
    return "\n".join([*lines, *(f"- {escape(note)}" for note in report.notes), ""]).encode()


def _sections(result: Attribution, name: str, words: bool) -> Iterator[str]:
    """Yield the title, the facts, and a table per output."""
    shown = result.words() if words else result
    yield f"## {NAME}{f': {escape(name)}' if name else ''}"
    yield "\n".join(f"- **{name}:** {value}" for name, value in _facts(result))
    for i in range(len(result.outputs)):
        if is_captioned(result):
            yield f"### {escape(caption(result, i))}"
            yield f"{escape(residual(result, i)).capitalize()}."
        yield "\n".join(_score_table(shown, i, "word" if words else "token"))


def escape(text: str) -> str:
    """Escape a text so that Markdown shows it literally, in paragraphs and in table cells."""
    marked = replace_controls(text).translate(_ESCAPES)
    return str(_AS_REFERENCE.sub(lambda match: f"&#{ord(match[0])};", marked))


def _facts(result: Attribution) -> Iterator[tuple[str, str]]:
    model = result.model
    yield "Model", escape(f"{model.name} @ {model.revision[:12]}" if model.revision else model.name)
    yield "Prediction", escape(sentences.prediction(result))
    settings = ", ".join(f"{name}={value}" for name, value in result.request.options if value != "")
    yield "Method", escape(sentences.method(result) + (f" ({settings})" if settings else ""))
    yield "Target", escape(sentences.target(result))
    if not is_captioned(result):
        yield "Residual", escape(residual(result, 0).removeprefix("residual "))
    yield (
        "Score",
        escape(f"{'signed' if result.signed else 'strength without a direction'}, in {result.unit}"),
    )
    for note in remarks(result, special=True):
        yield "Note", escape(note)


def _score_table(shown: Attribution, i: int, name: str) -> Iterator[str]:
    """Yield the header, the alignment row, and one row per token of ``shown``."""
    names = sentences.parts(shown)
    heads = [
        name,
        *(["text"] if names else []),
        "score",
        "share",
        "rank",
        *(["standard error"] if shown.errors is not None else []),
    ]
    yield _row(heads)
    yield _row([":--" if head in (name, "text") else "--:" for head in heads])
    strengths = np.abs(shown.scores[i])
    total, ranks = float(strengths.sum()), _ranks(shown, i)
    for j, token in enumerate(shown.tokens):
        part = [names[token.segment != "text"]] if names else []
        error = [] if shown.errors is None else [number(float(shown.errors[i, j]))]
        share = f"{strengths[j] / total:.1%}" if total > 0 else "0.0%"
        yield _row(
            [escape(token.text), *part, number(float(shown.scores[i, j])), share, ranks.get(j, ""), *error]
        )


def _ranks(shown: Attribution, i: int) -> dict[int, str]:
    places = [j for j, token in enumerate(shown.tokens) if not token.special]
    places.sort(key=lambda j: -abs(shown.scores[i, j]))
    return {j: str(k) for k, j in enumerate(places, 1)}


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
