"""The picture in a terminal: coloured words, or a list of words and numbers if there are no colours.

This is not a file type, since it has no extension. Input text cannot control the terminal: control characters
are replaced first, so that the only control sequences are those that this module writes.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal

import regex

from attribution.export.drawing.cells import Cell, blocks, build_cells, heading, remarks, scales
from attribution.export.drawing.colour import THEMES, Theme, ThemeName, text_on
from attribution.export.writing.captions import caption, is_captioned, residual, show_invisible
from attribution.sentences import interval, number
from attribution.types import Output

if TYPE_CHECKING:
    from attribution.types import Attribution

Colours = Literal["none", "256", "full"]

STRONG = 0.4
"""Share of the full colour from which a word is bold (for the target) or underlined (against it)."""
STRONGEST = 5
"""Number of words listed with their scores below a coloured text."""
_LEVELS = (0, 95, 135, 175, 215, 255)
_GRAPHEME = regex.compile(r"\X")
_WIDE = regex.compile(r"\p{Emoji_Presentation}|\p{Emoji}\ufe0f|\p{Regional_Indicator}")
# Controls (ESC, and the one-byte CSI U+009B), lone surrogates, line separators, and bidirectional controls,
# which affect all text that follows.
_CURSOR_MOVES = regex.compile(r"[\t\n\v\f\r\x85\u2028\u2029]+")
_HARMFUL = regex.compile(r"[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069\ufdd0-\ufdef\ufffe\uffff]")


def detect_colours(environment: Mapping[str, str], is_terminal: bool) -> Colours:
    """Detect the colours of the terminal from its environment (no-color.org, COLORTERM, TERM)."""
    if not is_terminal or environment.get("NO_COLOR") or environment.get("TERM", "dumb") in ("dumb", ""):
        return "none"
    return "full" if environment.get("COLORTERM", "").lower() in ("truecolor", "24bit") else "256"


def detect_theme(environment: Mapping[str, str]) -> ThemeName:
    """Detect the theme: light if the terminal reports a white background (COLORFGBG), else dark."""
    return "light" if environment.get("COLORFGBG", "").rpartition(";")[2] in ("7", "15") else "dark"


def neutralise(text: str, keep: str = "") -> str:
    """Replace every character that could control a terminal by U+FFFD, except those in ``keep``."""
    return str(_HARMFUL.sub(lambda match: match[0] if match[0] in keep else "\ufffd", text))


def to_one_line(text: str) -> str:
    """Neutralise a text for use within a line: white space that moves the cursor becomes a space."""
    return neutralise(_CURSOR_MOVES.sub(" ", text))


def draw(
    attribution: Attribution,
    *,
    colours: Colours = "none",
    width: int = 80,
    words: bool = True,
    special: bool = False,
    theme: ThemeName = "dark",
) -> str:
    """Draw the title, a heatmap or list with its residual per output, the legend and the remarks.

    With colours the text is wrapped to ``width`` columns.
    """
    cells = build_cells(attribution, words, special)
    largest, row_scales = scales(attribution, cells)
    ink = _Ink(THEMES[theme], colours, attribution.signed)
    prediction, explanation = heading(attribution)
    lines = [ink.strong(to_one_line(prediction).strip()), to_one_line(explanation)]
    for i, output in enumerate(attribution.outputs):
        lines += ["", *([to_one_line(caption(attribution, i))] if is_captioned(attribution) else [])]
        for name, block in blocks(attribution, cells):
            lines += [f"{name}:"] if name else []
            block_lines = (
                _list_lines(block, i, output, attribution.signed)
                if colours == "none"
                else _heatmap_lines(ink, block, i, output, row_scales[i], width)
            )
            lines += block_lines
        if colours != "none":
            lines.append(_strongest_words(cells, i, output, attribution.signed))
        lines.append(residual(attribution, i).capitalize())
    lines += ["", _legend(attribution, largest, ink)]
    lines += [
        to_one_line(line.replace("A dotted line marks", ink.mark)) for line in remarks(attribution, special)
    ]
    return "\n".join(lines) + "\n"


class _Ink:
    """Formats text with the control sequences (ECMA-48, SGR) of one picture."""

    def __init__(self, theme: Theme, colours: Colours, signed: bool) -> None:
        self.theme, self.colours, self.signed = theme, colours, signed

    @property
    def mark(self) -> str:
        return "(~) marks" if self.colours == "none" else "Slanted letters mark"

    def strong(self, text: str) -> str:
        return text if self.colours == "none" else f"\x1b[1m{text}\x1b[0m"

    def word(
        self, text: str, score: float, scale: float, is_uncertain: bool = False, is_explained: bool = False
    ) -> str:
        """Format a word: its background shows the score; bold or underlined is a second channel.

        A word whose score is not distinguishable from 0 is slanted.
        """
        fill = self.theme.background(score, scale, self.signed)
        share = abs(score) / scale if scale > 0 else 0.0
        style = (
            ["3"] if is_uncertain else [] if share < STRONG else ["4" if self.signed and score < 0 else "1"]
        )
        if self.colours == "256":
            code = nearest_256(fill)
            is_light = text_on(hex_256(code)) == "#000000"
            style += ["48", "5", str(code), "38", "5", "16" if is_light else "231"]
        else:
            style += ["48", "2", *_channels(fill), "38", "2", *_channels(text_on(fill))]
        return f"\x1b[{';'.join(style)}m{_frame(text, is_explained)}\x1b[0m"


def _frame(text: str, is_explained: bool) -> str:
    return f"[{text}]" if is_explained else text


def _heatmap_lines(
    ink: _Ink, block: tuple[Cell, ...], i: int, output: Output, scale: float, width: int
) -> list[str]:
    """The coloured text in logical order: terminals with bidirectional text reorder it themselves."""
    lines, used = [""], 0
    for k, cell in enumerate(block):
        text = to_one_line(show_invisible(cell.text))
        gap, width_needed = " " if cell.gap and used else "", count_columns(text) + 2 * cell.contains(output)
        if k and (cell.gap == "\n" or (used and used + len(gap) + width_needed > width)):
            lines.append("")
            gap, used = "", 0
        if cell.scores is None or not cell.is_visible_to(i, output):
            shown = _frame(text, cell.contains(output))
        else:
            shown = ink.word(text, cell.scores[i], scale, cell.is_uncertain(i), cell.contains(output))
        lines[-1] += gap + shown
        used += len(gap) + width_needed
    return lines


def _list_lines(block: tuple[Cell, ...], i: int, output: Output, signed: bool) -> Iterator[str]:
    """One line per cell; the score comes first, so that numbers align whatever the script."""
    rows = [(_format_score(cell, i, signed) if cell.is_visible_to(i, output) else "", cell) for cell in block]
    score_width = max((len(score) for score, _ in rows), default=0)
    for score, cell in rows:
        text = _frame(to_one_line(show_invisible(cell.text)), cell.contains(output))
        yield f"  {score:>{score_width}}  {text}"


def _format_score(cell: Cell, i: int, signed: bool) -> str:
    if cell.scores is None:
        return ""
    score = cell.scores[i]
    plus = "+" if signed and score > 0 else ""
    return f"{plus}{interval(score, cell.error(i))}{' ~' if cell.is_uncertain(i) else ''}"


def _strongest_words(cells: tuple[Cell, ...], i: int, output: Output, signed: bool) -> str:
    scored = [
        cell
        for cell in cells
        if cell.scores is not None and cell.scores[i] and cell.is_visible_to(i, output) and not cell.special
    ]
    scored.sort(key=lambda cell: -abs(cell.scores[i]) if cell.scores else 0.0)
    entries = (
        f"{to_one_line(show_invisible(cell.text))} {_format_score(cell, i, signed)}"
        for cell in scored[:STRONGEST]
    )
    return f"Strongest: {' · '.join(entries)}" if scored else "Every score is 0"


def _legend(result: Attribution, largest: float, ink: _Ink) -> str:
    unit = to_one_line(result.unit)
    if ink.colours == "none":
        return f"Score in {unit}: " + (
            "+ speaks for the target, − against it." if result.signed else "strength without a direction."
        )
    strongest = ink.word(f" {'+' if result.signed else ''}{number(largest)} ", 1.0, 1.0)
    if not result.signed:
        return f"{strongest} strength without a direction, in {unit}"
    opposite = ink.word(f" {number(-largest)} ", -1.0, 1.0)
    return f"{opposite} speaks against the target, {strongest} for it, in {unit}"


def count_columns(text: str) -> int:
    """Count the columns of a text: two per wide character or emoji, none for combining marks."""
    return sum(_count_grapheme_columns(character) for character in _GRAPHEME.findall(text))


def _count_grapheme_columns(character: str) -> int:
    if _WIDE.search(character) or unicodedata.east_asian_width(character[0]) in "WF":
        return 2
    return 0 if unicodedata.category(character[0]) in ("Mn", "Me", "Cf") else 1


def nearest_256(colour: str) -> int:
    """The nearest of the 240 fixed terminal colours: a 6³ cube from code 16, 24 greys from code 232."""
    channels = [int(channel) for channel in _channels(colour)]

    def distance(code: int) -> int:
        return sum((a - int(b)) ** 2 for a, b in zip(channels, _channels(hex_256(code)), strict=True))

    cube = [min(range(6), key=lambda k, c=c: abs(_LEVELS[k] - c)) for c in channels]  # type: ignore[misc]
    grey = max(0, min(23, round((sum(channels) / 3 - 8) / 10)))
    return min(16 + 36 * cube[0] + 6 * cube[1] + cube[2], 232 + grey, key=distance)


def hex_256(code: int) -> str:
    """The colour with a code from 16 to 255, as ``#rrggbb``."""
    if code >= 232:
        return "#" + f"{8 + 10 * (code - 232):02x}" * 3
    place = code - 16
    return "#" + "".join(f"{_LEVELS[k]:02x}" for k in (place // 36, place // 6 % 6, place % 6))


def _channels(colour: str) -> tuple[str, str, str]:
    return str(int(colour[1:3], 16)), str(int(colour[3:5], 16)), str(int(colour[5:7], 16))
