"""Choose fonts for text, measure it, and bring it into visual order.

A renderer that lacks a glyph falls back to any font, bold or serif included, and resvg can even fail. A text
is therefore split into runs of one script, and each run names its font. Widths are measured with that font if
it is installed, else with DejaVu Sans (bundled with matplotlib), and estimated if neither covers the script.
"""

from __future__ import annotations

import importlib.util
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import regex

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

_GRAPHEME = regex.compile(r"\X")
_EMOJI = regex.compile(r"\p{Emoji_Presentation}|\p{Emoji}\ufe0f|\p{Regional_Indicator}")
_SYMBOL = regex.compile(r"[\p{Sm}\p{So}\p{Sk}\p{No}]")
_CJK = {"Cjk": "CJK SC", "Bopomofo": "CJK TC", "Hiragana": "CJK JP", "Katakana": "CJK JP", "Hangul": "CJK KR"}
_IN_DEJAVU = {"", "Symbols2", "Arabic", "Hebrew", "Armenian", "Georgian"}
_FAMILIES = {
    "Emoji": "'Noto Color Emoji', 'Apple Color Emoji', 'Segoe UI Emoji', 'Noto Emoji', 'DejaVu Sans', "
    "sans-serif",
    "Symbols2": "'DejaVu Sans', 'Noto Sans Symbols2', 'Segoe UI Symbol', sans-serif",
    "CJK SC": "'Noto Sans CJK SC', 'Noto Sans SC', 'PingFang SC', 'Microsoft YaHei', sans-serif",
    "CJK TC": "'Noto Sans CJK TC', 'Noto Sans TC', 'PingFang TC', 'Microsoft JhengHei', sans-serif",
    "CJK JP": "'Noto Sans CJK JP', 'Noto Sans JP', 'Hiragino Sans', 'Yu Gothic', sans-serif",
    "CJK KR": "'Noto Sans CJK KR', 'Noto Sans KR', 'Apple SD Gothic Neo', 'Malgun Gothic', sans-serif",
    "": "'Noto Sans', 'Segoe UI', 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif",
}
_SIZE = 100
"""Font size in pixels for measuring glyphs, large enough for rounding not to matter."""


class Run(NamedTuple):
    """A piece of text in one font.

    ``font`` is the script's name in the Noto family, empty for Latin, Greek and Cyrillic.
    """

    text: str
    font: str

    @property
    def family(self) -> str:
        """The CSS font list."""
        return _FAMILIES.get(self.font) or f"'Noto Sans {self.font}', {_FAMILIES['']}"

    @property
    def width(self) -> float:
        """The width in em."""
        return _measure(self.text, self.font)[0]

    @property
    def measured(self) -> bool:
        """Whether the width was measured with a font, rather than estimated."""
        return _measure(self.text, self.font)[1]


def graphemes(text: str) -> list[str]:
    """Split a text into user-perceived characters."""
    return list(_GRAPHEME.findall(text))


@lru_cache(maxsize=4096)
def split_runs(text: str) -> tuple[Run, ...]:
    """Split a text where the font changes; white space belongs to the preceding run."""
    pieces: list[Run] = []
    for character in graphemes(text):
        font = (
            pieces[-1].font
            if pieces and character.isspace() and pieces[-1].font != "Emoji"
            else _choose_font(character)
        )
        if pieces and pieces[-1].font == font:
            pieces[-1] = Run(pieces[-1].text + character, font)
        else:
            pieces.append(Run(character, font))
    return tuple(pieces)


@lru_cache(maxsize=4096)
def _choose_font(character: str) -> str:
    if character.isascii():
        return ""
    if _EMOJI.search(character):
        return "Emoji"
    first = character[0]
    script = unicodedata.name(first, "Latin").split()[0].split("-")[0].title()
    if script in _CJK or (unicodedata.east_asian_width(first) in "WF" and not first.isalpha()):
        return _CJK.get(script, "CJK SC")
    if _SYMBOL.match(first):
        return "Symbols2"
    if script == "Mathematical":
        return "Math"
    return script if script not in ("Latin", "Greek", "Cyrillic") and _is_script(script) else ""


@lru_cache(maxsize=256)
def _is_script(name: str) -> bool:
    """Whether a script has this name: ARABIC (COMMA) is a script, LEFT (QUOTATION MARK) is not."""
    try:
        return bool(regex.compile(rf"\p{{Script={name}}}"))
    except regex.error:
        return False


@lru_cache(maxsize=16384)
def _measure(text: str, font: str) -> tuple[float, bool]:
    if font.startswith("CJK"):
        return sum(
            1.0 if unicodedata.east_asian_width(c) in "WF" else 0.5
            for c in text
            if not unicodedata.combining(c)
        ), False
    if font == "Emoji":
        return 1.25 * len(graphemes(text)), False
    face = _load_font(font)
    if face is not None:
        return face.getlength(text) / _SIZE, True
    return sum(0.62 for c in text if unicodedata.category(c) not in ("Mn", "Me", "Cf")), False


@lru_cache(maxsize=64)
def _load_font(font: str) -> FreeTypeFont | None:
    """Load the font; None if it, or Pillow, is not installed."""
    try:
        from PIL import ImageFont
    except ImportError:
        return None
    names = [] if font == "Symbols2" else [f"NotoSans{font}-Regular.ttf"]
    names += [str(path) for path in dejavu_files() if font in _IN_DEJAVU]
    for name in names:
        try:
            return ImageFont.truetype(name, _SIZE)
        except OSError:
            continue
    return None


@lru_cache(maxsize=1)
def dejavu_files() -> tuple[Path, ...]:
    """The files of DejaVu Sans, regular and bold, bundled with matplotlib; empty without matplotlib."""
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        return ()
    folder = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf"
    return tuple(
        path for path in (folder / "DejaVuSans.ttf", folder / "DejaVuSans-Bold.ttf") if path.is_file()
    )


def is_right_to_left(text: str) -> bool:
    """Whether a paragraph runs right to left: its first letter decides (UAX #9, rules P2 and P3)."""
    return next(
        (kind != "L" for kind in map(unicodedata.bidirectional, text) if kind in ("L", "R", "AL")), False
    )


def visual_order(parts: Sequence[str], rtl: bool) -> list[int]:
    """The indices of the parts of a line, from left to right on the screen.

    Implements UAX #9 without explicit formatting and brackets: numbers keep their order (W4, W7), neutrals
    follow their neighbours (N1, N2), then runs are reversed (I1, I2, L2). The order inside a part is left to
    the renderer.
    """
    levels = _embedding_levels("".join(parts), rtl)
    order = list(range(len(levels)))
    for level in range(max(levels, default=0), 0, -1):
        start = 0
        while start < len(order):
            end = start
            while end < len(order) and levels[order[end]] >= level:
                end += 1
            order[start:end] = reversed(order[start:end])
            start = end + 1
    on_screen = {character: position for position, character in enumerate(order)}
    # The position of a part is that of its first visible character.
    starts = [0, *accumulate(map(len, parts))]
    firsts = [
        start + len(part) - len(part.lstrip() or part) for start, part in zip(starts, parts, strict=False)
    ]
    return sorted(range(len(parts)), key=lambda i: on_screen.get(firsts[i], -1))


def _embedding_levels(text: str, rtl: bool) -> list[int]:
    kinds = [_bidi_class(c) for c in text]
    strong = "R" if rtl else "L"
    for i, kind in enumerate(kinds):
        strong = kind if kind in "LR" else strong
        if kind == "1" and strong == "L":
            kinds[i] = "L"
        if (
            kind == "/"
            and 0 < i < len(kinds) - 1
            and kinds[i - 1] in "1L"
            and _bidi_class(text[i - 1]) == _bidi_class(text[i + 1]) == "1"
        ):
            kinds[i] = kinds[i - 1]
    base = "R" if rtl else "L"
    edges = [-1, *(i for i, kind in enumerate(kinds) if kind in "LR1"), len(kinds)]
    for left, right in pairwise(edges):
        sides = [
            base if i in (-1, len(kinds)) else "R" if kinds[i] == "1" else kinds[i] for i in (left, right)
        ]
        for i in range(left + 1, right):
            kinds[i] = sides[0] if sides[0] == sides[1] else base
    return [{"L": 2 if rtl else 0, "R": 1, "1": 2}[kind] for kind in kinds]


def _bidi_class(character: str) -> str:
    """The simplified class: L, R, 1 (digit), / (separator inside numbers such as 3.14), or . (neutral)."""
    kind = unicodedata.bidirectional(character)
    return {"L": "L", "R": "R", "AL": "R", "EN": "1", "AN": "1", "CS": "/", "ES": "/"}.get(kind, ".")
