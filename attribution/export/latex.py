"""LaTeX: a snippet for the body of a document; its only requirement is the package ``xcolor``.

Each word is a box in the colours of the pictures, underlined as in the pictures: thick for a large score,
dashed for a negative one, dotted where the score is not distinguishable from 0. A comment at the top states
the packages and the engine that the snippet needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import regex

from attribution import sentences
from attribution.export.drawing.cells import Cell, blocks, build_cells, heading, remarks, scales
from attribution.export.drawing.colour import THEMES, text_on
from attribution.export.reports import build_report
from attribution.export.reports.report import Cell as ReportCell
from attribution.export.reports.report import Table
from attribution.export.writing.captions import (
    caption,
    is_captioned,
    replace_controls,
    residual,
    show_invisible,
)
from attribution.formats import Format
from attribution.types import Output

if TYPE_CHECKING:
    from attribution.studies.assessment import Assessment
    from attribution.studies.comparison import Comparison
    from attribution.studies.evaluation import Evaluation
    from attribution.types import Attribution

FORMAT = Format("tex", "application/x-tex", alias="latex")

_ARROWS = {"higher": r"$\uparrow$", "lower": r"$\downarrow$"}
LONGEST = 40
"""Maximum number of characters in a box, inside which TeX cannot break a line."""
_THEME = THEMES["light"]
_GRAPHEME = regex.compile(r"\X")

# Commands that print exactly this character in any font encoding and babel language, without ligatures or
# active characters.
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "%": r"\%",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"{\char34}",
    "`": r"\textasciigrave{}",
}
# Signs used in our own sentences or common in texts, as commands that work with every engine.
_SIGNS = {
    "\ufffd": r"\rule{0.4em}{0.6em}",
    "\u00a0": "~",
    "\u00ad": r"\-",
    "·": r"\textperiodcentered{}",
    "•": r"\textbullet{}",
    "…": r"\dots{}",
    "–": r"\textendash{}",
    "—": r"\textemdash{}",
    "‘": r"\textquoteleft{}",
    "’": r"\textquoteright{}",
    "“": r"\textquotedblleft{}",
    "”": r"\textquotedblright{}",
    "␣": r"\textvisiblespace{}",
    "↵": r"\ensuremath{\hookleftarrow}",
    "⇥": r"\ensuremath{\mapsto}",
    "→": r"\ensuremath{\rightarrow}",
    "−": r"\ensuremath{-}",
    "±": r"\ensuremath{\pm}",
    "×": r"\ensuremath{\times}",
    "≈": r"\ensuremath{\approx}",
    "≤": r"\ensuremath{\leq}",
    "≥": r"\ensuremath{\geq}",
    "²": r"\ensuremath{^2}",
    "₀": r"\ensuremath{_0}",
}
_ESCAPES = str.maketrans(_SPECIAL | _SIGNS)
# Pairs that would form a ligature: a dash, a quotation mark, an inverted question mark.
_LIGATURE = regex.compile(r"(?<=[-',?!])(?=[-',])")
# The letters that pdfLaTeX supports with the encoding T1 (each was compiled); it fails on others.
_T1 = frozenset(
    "£§€©®°µ½¼¾¹³ªº¶¢¥¦¨¬¯´¸÷¤™‰†‡‹›„‚ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞßàáâãäåæçèéêëìíîïðñòóôõöøùúûüýþÿ¡¿«»"
    "ĂăĄąĆćČčĎďĐđĘęĚěĞğİıĹĺĽľŁłŃńŇňŊŋŐőŒœŔŕŘřŚśŞşŠšŢţŤťŮůŰűŸŹźŻżŽž"
)
_PROTECTED_SPACE = "\ufdd0"
_RIGHT_TO_LEFT = regex.compile(
    r"[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]"
)

_MACROS = r"""\par\begingroup
\setlength{\parindent}{0pt}\setlength{\fboxsep}{1.2pt}\raggedright
% \scored{background}{ink}{line}{text}: a word in its colour
\def\scored#1#2#3#4{\colorbox[HTML]{#1}{\color[HTML]{#2}\setbox0=\hbox{\strut#4}%
\rlap{\raise-2.6pt\hbox to\wd0{#3}}\box0}}%
\def\solid#1{\leaders\hrule height#1\hfil}%
\def\dashed#1{\leaders\hbox to3.2pt{\vrule width2pt height#1\hfil}\hfil}%
\def\dotted{\leaders\hbox to1.8pt{\vrule width.7pt height.7pt\hfil}\hfil}%
\def\framed#1{{\setlength{\fboxsep}{0pt}\fbox{#1}}}%
"""


@FORMAT.writes("attribution")
def write(*attributions: Attribution, words: bool = True, special: bool = False) -> bytes:
    """Render the snippet in UTF-8.

    Each result has its title, one captioned paragraph of boxes per output, and its remarks.
    """
    bodies = (
        "".join(_render_result(result, build_cells(result, words, special), special))
        for result in attributions
    )
    body = "\\bigskip\n".join(bodies)
    return (_requirements(body) + _MACROS + body + "\\par\\endgroup\n").encode()


@FORMAT.writes("comparison", "evaluation", "assessment")
def write_report(result: Comparison | Evaluation | Assessment) -> bytes:
    """Render the tables of the report as ``tabular``, without packages; title and notes are comments."""
    report = build_report(result)
    comments = "".join(f"% {' '.join(line.split())}\n" for line in [report.title, *report.notes])
    return (comments + "\n".join(map(_tabular, report.tables))).encode()


def _tabular(table: Table) -> str:
    heads = [f"{escape(c.title)} {_ARROWS[c.better]}" if c.better else escape(c.title) for c in table.columns]
    rows = [[escape(row.name), *(map(_format_cell, row.cells))] for row in table.rows]
    lines = [" & ".join(["", *heads]) + r" \\ \hline", *(" & ".join(row) + r" \\" for row in rows)]
    title = f"% {table.title}\n" if table.title else ""
    body = "\n".join(lines)
    return f"{title}\\begin{{tabular}}{{l{'r' * len(heads)}}}\n{body}\n\\end{{tabular}}\n"


def _format_cell(cell: ReportCell) -> str:
    if isinstance(cell, str):
        return escape(cell)
    if cell.value is None:
        return "--"
    number = f"\\mathbf{{{cell.value:.3f}}}" if cell.best else f"{cell.value:.3f}"
    if cell.low is None or cell.high is None:
        return f"${number}$"
    return f"${number}\\,[{cell.low:.3f}, {cell.high:.3f}]$"


def _render_result(result: Attribution, cells: tuple[Cell, ...], special: bool) -> Iterator[str]:
    prediction, explanation = heading(result)
    largest, row_scales = scales(result, cells)
    yield f"{{\\bfseries {escape(prediction)}}}\\par\n"
    for i, output in enumerate(result.outputs):
        if is_captioned(result):
            yield f"\\smallskip{{\\footnotesize {escape(caption(result, i))}}}\\par\n"
        for name, block in blocks(result, cells):
            yield f"{{\\footnotesize {escape(name)}}}\\par\n" if name else ""
            yield f"\\smallskip {_heatmap(block, i, output, row_scales[i], result.signed)}\\par\n"
        if is_captioned(result):
            yield f"{{\\footnotesize {escape(residual(result, i))}}}\\par\n"
    residuals = [residual(result, 0)] if not is_captioned(result) else []
    yield f"\\smallskip{{\\footnotesize {escape(' · '.join([explanation, *residuals]))}\\par\n"
    yield f"{escape(_legend(result, largest))}\\par\n"
    yield "".join(f"{escape(line)}\\par\n" for line in remarks(result, special))
    yield "}"


def _heatmap(block: tuple[Cell, ...], i: int, output: Output, scale: float, signed: bool) -> str:
    parts = []
    for k, cell in enumerate(block):
        separator = {"\n": "\\\\\n", " ": "\n", "": "%\n\\penalty100\n"}[cell.gap]
        parts.append("" if k == 0 else separator)
        parts.append(
            "%\n\\penalty100\n".join(
                _box(cell, piece, i, output, scale, signed)
                for piece in _split_long(show_invisible(cell.text))
            )
        )
    return "".join(parts)


def _split_long(text: str) -> list[str]:
    characters = _GRAPHEME.findall(text)
    return ["".join(characters[k : k + LONGEST]) for k in range(0, len(characters), LONGEST)]


def _box(cell: Cell, piece: str, i: int, output: Output, scale: float, signed: bool) -> str:
    text = escape(" ".join(piece.split())) if not piece.isspace() else escape(show_invisible(piece))
    if cell.scores is None or not cell.is_visible_to(i, output):
        box = f"{{\\color[HTML]{{{_THEME.muted[1:].upper()}}}{text}}}"
    else:
        score = cell.scores[i]
        fill = _THEME.background(score, scale, signed)
        line = _underline(score, scale, signed, cell.is_uncertain(i))
        box = f"\\scored{{{fill[1:].upper()}}}{{{text_on(fill)[1:].upper()}}}{{{line}}}{{{text}}}"
    return f"\\framed{{{box}}}" if cell.contains(output) else box


def _underline(score: float, scale: float, signed: bool, unsure: bool) -> str:
    thickness = 2 * abs(score) / scale if scale > 0 else 0.0
    if unsure:
        return r"\dotted"
    if thickness < 0.2:
        return r"\hfil"
    return f"\\{'dashed' if signed and score < 0 else 'solid'}{{{thickness:.1f}pt}}"


def _legend(result: Attribution, largest: float) -> str:
    """The legend in words, which is more robust than a colour bar."""
    if not result.signed:
        return (
            f"Purple: up to {sentences.number(largest)} {result.unit}, strength only; a thicker line is a "
            "larger score."
        )
    return (
        f"Score in {result.unit}, full colour at ±{sentences.number(largest)}: orange speaks for the target, "
        "blue (dashed line) against it; "
        "a thicker line is a larger score."
    )


def escape(text: str) -> str:
    """Escape a text so that LaTeX prints it literally; white space collapses to one space."""
    protected = replace_controls(text).replace("\u00a0", _PROTECTED_SPACE)  # str.split would remove it
    plain = " ".join(protected.split()).replace(_PROTECTED_SPACE, "\u00a0")
    return r"\kern0pt{}".join(part.translate(_ESCAPES) for part in _LIGATURE.split(plain))


def _requirements(body: str) -> str:
    """State what the snippet needs in a comment. Never includes input text, which could end the comment."""
    foreign = {c for c in body if not c.isascii()}
    lines = [
        "Which tokens drive a prediction: a snippet for the middle of a LaTeX document.",
        r"It needs \usepackage{xcolor}",
    ]
    if foreign and _T1.issuperset(foreign):
        lines[1] += r", and with pdfLaTeX \usepackage[T1]{fontenc} for the accented letters"
    lines[1] += "."
    if not _T1.issuperset(foreign):
        lines.append(
            "The text has letters beyond Latin ones: compile it with LuaLaTeX or XeLaTeX, not with "
            "pdfLaTeX, and choose a"
        )
        lines.append(r"font that has them, e.g. \usepackage{fontspec}\setmainfont{Noto Serif}.")
    if _RIGHT_TO_LEFT.search(body):
        lines.append(
            r"It runs from right to left: LuaLaTeX with \usepackage[bidi=basic]{babel} and "
            r"\babelprovide[import,main]{...}."
        )
    return "".join(f"% {line}\n" for line in lines)
