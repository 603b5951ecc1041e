"""The picture in a terminal: words in their colours, or, where there are none, a list of words with numbers.

This is no file type: it has no extension. No text can act on the terminal: whatever is not a character to be
seen is replaced first, and the only control sequences are those that this module writes itself.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal

import regex

from attribution.export.drawing.cells import Cell, blocks, cells, heading, remarks, scales
from attribution.export.drawing.colour import THEMES, Theme, ThemeName, text_on
from attribution.export.writing.captions import caption, is_captioned, residual, visible
from attribution.sentences import interval, number
from attribution.types import Output

if TYPE_CHECKING:
    from attribution.types import Attribution

Colours = Literal["none", "256", "full"]

STRONG = 0.4
"""The part of the full colour from which on a word is bold (for the target) or underlined (against it)."""
STRONGEST = 5
"""Words that are named with their numbers below a coloured text."""
_LEVELS = (0, 95, 135, 175, 215, 255)
_GRAPHEME = regex.compile(r"\X")
_WIDE = regex.compile(r"\p{Emoji_Presentation}|\p{Emoji}\ufe0f|\p{Regional_Indicator}")
# Controls (ESC, and the one-byte CSI U+009B), lone surrogates, line separators, and what turns the direction
# of all that follows.
_MOVING = regex.compile(r"[\t\n\v\f\r\x85\u2028\u2029]+")
_HARMFUL = regex.compile(r"[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069\ufdd0-\ufdef\ufffe\uffff]")


def colours(environment: Mapping[str, str], is_terminal: bool) -> Colours:
    """What the terminal can show, as it says itself (no-color.org, COLORTERM, TERM)."""
    if not is_terminal or environment.get("NO_COLOR") or environment.get("TERM", "dumb") in ("dumb", ""):
        return "none"
    return "full" if environment.get("COLORTERM", "").lower() in ("truecolor", "24bit") else "256"


def theme(environment: Mapping[str, str]) -> ThemeName:
    """Light where the terminal says that its background is white (COLORFGBG), else dark."""
    return "light" if environment.get("COLORFGBG", "").rpartition(";")[2] in ("7", "15") else "dark"


def harmless(text: str, keep: str = "") -> str:
    """The text with U+FFFD for every character that could act on a terminal, but for those in ``keep``."""
    return str(_HARMFUL.sub(lambda match: match[0] if match[0] in keep else "\ufffd", text))


def one_line(text: str) -> str:
    """The text as part of one line: white space that would move the cursor is a space, and nothing acts on the terminal."""
    return harmless(_MOVING.sub(" ", text))


def draw(
    attribution: Attribution,
    *,
    colours: Colours = "none",
    width: int = 80,
    words: bool = True,
    special: bool = False,
    theme: ThemeName = "dark",
) -> str:
    """Title, one heatmap or list for each output, residual, remarks; lines of ``width`` columns where there are colours."""
    found = cells(attribution, words, special)
    top, each = scales(attribution, found)
    ink = _Ink(THEMES[theme], colours, attribution.signed)
    said, what = heading(attribution)
    lines = [ink.strong(one_line(said).strip()), one_line(what)]
    for i, output in enumerate(attribution.outputs):
        lines += ["", *([one_line(caption(attribution, i))] if is_captioned(attribution) else [])]
        for name, block in blocks(attribution, found):
            lines += [f"{name}:"] if name else []
            draws = (
                _list(block, i, output, attribution.signed)
                if colours == "none"
                else _flow(ink, block, i, output, each[i], width)
            )
            lines += draws
        if colours != "none":
            lines.append(_strongest(found, i, output, attribution.signed))
        lines.append(residual(attribution, i).capitalize())
    lines += ["", _meaning(attribution, top, ink)]
    lines += [
        one_line(line.replace("A dotted line marks", ink.mark)) for line in remarks(attribution, special)
    ]
    return "\n".join(lines) + "\n"


class _Ink:
    """The control sequences (ECMA-48, SGR) of one picture."""

    def __init__(self, theme: Theme, colours: Colours, signed: bool) -> None:
        self.theme, self.colours, self.signed = theme, colours, signed

    @property
    def mark(self) -> str:
        return "(~) marks" if self.colours == "none" else "Slanted letters mark"

    def strong(self, text: str) -> str:
        return text if self.colours == "none" else f"\x1b[1m{text}\x1b[0m"

    def word(self, text: str, score: float, scale: float, unsure: bool = False, framed: bool = False) -> str:
        """Background by score; bold or underlined as a second channel; slanted where it cannot be told apart from 0."""
        fill = self.theme.background(score, scale, self.signed)
        share = abs(score) / scale if scale > 0 else 0.0
        style = ["3"] if unsure else [] if share < STRONG else ["4" if self.signed and score < 0 else "1"]
        if self.colours == "256":
            code = nearest_256(fill)
            black = text_on(hex_256(code)) == "#000000"
            style += ["48", "5", str(code), "38", "5", "16" if black else "231"]
        else:
            style += ["48", "2", *_channels(fill), "38", "2", *_channels(text_on(fill))]
        return f"\x1b[{';'.join(style)}m{_framed(text, framed)}\x1b[0m"


def _framed(text: str, framed: bool) -> str:
    return f"[{text}]" if framed else text


def _flow(ink: _Ink, block: tuple[Cell, ...], i: int, output: Output, scale: float, width: int) -> list[str]:
    """The text in its colours, in the order of its letters: a terminal that knows right to left turns them itself."""
    lines, used = [""], 0
    for k, cell in enumerate(block):
        text = one_line(visible(cell.text))
        gap, wide = " " if cell.gap and used else "", columns(text) + 2 * cell.holds(output)
        if k and (cell.gap == "\n" or (used and used + len(gap) + wide > width)):
            lines.append("")
            gap, used = "", 0
        if cell.scores is None or not cell.seen(i, output):
            shown = _framed(text, cell.holds(output))
        else:
            shown = ink.word(text, cell.scores[i], scale, cell.unsure(i), cell.holds(output))
        lines[-1] += gap + shown
        used += len(gap) + wide
    return lines


def _list(block: tuple[Cell, ...], i: int, output: Output, signed: bool) -> Iterator[str]:
    """One line for each cell: its score, then its text, so that the numbers stand below each other whatever the script."""
    rows = [(_number(cell, i, signed) if cell.seen(i, output) else "", cell) for cell in block]
    wide = max((len(score) for score, _ in rows), default=0)
    for score, cell in rows:
        yield f"  {score:>{wide}}  {_framed(one_line(visible(cell.text)), cell.holds(output))}"


def _number(cell: Cell, i: int, signed: bool) -> str:
    if cell.scores is None:
        return ""
    score = cell.scores[i]
    plus = "+" if signed and score > 0 else ""
    return f"{plus}{interval(score, cell.error(i))}{' ~' if cell.unsure(i) else ''}"


def _strongest(found: tuple[Cell, ...], i: int, output: Output, signed: bool) -> str:
    scored = [
        cell
        for cell in found
        if cell.scores is not None and cell.scores[i] and cell.seen(i, output) and not cell.special
    ]
    scored.sort(key=lambda cell: -abs(cell.scores[i]) if cell.scores else 0.0)
    named = (f"{one_line(visible(cell.text))} {_number(cell, i, signed)}" for cell in scored[:STRONGEST])
    return f"Strongest: {' · '.join(named)}" if scored else "Every score is 0"


def _meaning(result: Attribution, top: float, ink: _Ink) -> str:
    unit = one_line(result.unit)
    if ink.colours == "none":
        return f"Score in {unit}: " + (
            "+ speaks for the target, − against it." if result.signed else "strength without a direction."
        )
    most = ink.word(f" {'+' if result.signed else ''}{number(top)} ", 1.0, 1.0)
    if not result.signed:
        return f"{most} strength without a direction, in {unit}"
    return f"{ink.word(f' {number(-top)} ', -1.0, 1.0)} speaks against the target, {most} for it, in {unit}"


def columns(text: str) -> int:
    """The columns that a text takes: two for each wide character and emoji, none for marks."""
    return sum(_columns(character) for character in _GRAPHEME.findall(text))


def _columns(character: str) -> int:
    if _WIDE.search(character) or unicodedata.east_asian_width(character[0]) in "WF":
        return 2
    return 0 if unicodedata.category(character[0]) in ("Mn", "Me", "Cf") else 1


def nearest_256(colour: str) -> int:
    """The nearest of the 240 fixed colours of a 256-colour terminal: a cube of 6³ from 16 on, 24 greys from 232 on."""
    wanted = [int(channel) for channel in _channels(colour)]

    def distance(code: int) -> int:
        return sum((a - int(b)) ** 2 for a, b in zip(wanted, _channels(hex_256(code)), strict=True))

    cube = [min(range(6), key=lambda k, c=c: abs(_LEVELS[k] - c)) for c in wanted]  # type: ignore[misc]
    grey = max(0, min(23, round((sum(wanted) / 3 - 8) / 10)))
    return min(16 + 36 * cube[0] + 6 * cube[1] + cube[2], 232 + grey, key=distance)


def hex_256(code: int) -> str:
    """``#rrggbb`` of one of the colours 16 to 255."""
    if code >= 232:
        return "#" + f"{8 + 10 * (code - 232):02x}" * 3
    place = code - 16
    return "#" + "".join(f"{_LEVELS[k]:02x}" for k in (place // 36, place // 6 % 6, place % 6))


def _channels(colour: str) -> tuple[str, str, str]:
    return str(int(colour[1:3], 16)), str(int(colour[3:5], 16)), str(int(colour[5:7], 16))
