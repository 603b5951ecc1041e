"""Two colour-blind safe palettes for scores, and a readable text colour for each background.

Signed scores range from blue (against) through the neutral colour of the page to orange (for); unsigned
scores range from neutral to purple. The palettes are safe for all common kinds of colour blindness.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

ThemeName = Literal["light", "dark"]


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of a picture, each ``#rrggbb``.

    The palettes run from neutral to the colour of the largest absolute score.
    """

    page: str
    ink: str
    muted: str
    line: str
    negative: tuple[str, ...]
    positive: tuple[str, ...]
    strength: tuple[str, ...]

    def background(self, score: float, scale: float, signed: bool) -> str:
        """The background of a cell; ``scale`` is the largest absolute score (0 gives the neutral colour)."""
        share = min(abs(score) / scale, 1.0) if scale > 0 else 0.0
        palette = self.strength if not signed else self.positive if score >= 0 else self.negative
        return _mix(palette, round(share, 4))


THEMES: dict[str, Theme] = {
    "light": Theme(
        page="#ffffff",
        ink="#1f2430",
        muted="#5b6372",
        line="#c9ced8",
        negative=("#f7f7f7", "#d1e5f0", "#92c5de", "#4393c3", "#2166ac"),
        positive=("#f7f7f7", "#fee0b6", "#fdb863", "#e08214", "#b35806"),
        strength=("#f7f7f7", "#d8daeb", "#b2abd2", "#8073ac", "#542788"),
    ),
    "dark": Theme(
        page="#11151c",
        ink="#e7e9ee",
        muted="#a3abba",
        line="#39414f",
        negative=("#22262d", "#25445c", "#2c6a99", "#4f9dce", "#9fd2f2"),
        positive=("#22262d", "#57391a", "#905812", "#d68420", "#fdc27a"),
        strength=("#22262d", "#3c3560", "#5f5197", "#8f80cb", "#cabff2"),
    ),
}


def text_on(background: str) -> str:
    """Black or white, whichever has more contrast: at least 4.58 : 1 on any colour."""
    luminance = _luminance(background)
    return "#000000" if (luminance + 0.05) / 0.05 >= 1.05 / (luminance + 0.05) else "#ffffff"


def contrast_ratio(first: str, second: str) -> float:
    """The contrast ratio of two colours, 1 to 21 (WCAG 2.2)."""
    low, high = sorted((_luminance(first), _luminance(second)))
    return (high + 0.05) / (low + 0.05)


@lru_cache(maxsize=4096)
def _mix(palette: tuple[str, ...], share: float) -> str:
    place = share * (len(palette) - 1)
    left = min(int(place), len(palette) - 2)
    part = place - left
    pairs = zip(_channels(palette[left]), _channels(palette[left + 1]), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * part):02x}" for a, b in pairs)


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _luminance(colour: str) -> float:
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (v / 255 for v in _channels(colour))
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
