"""PNG, drawn on the server without a browser: the picture of ``svg`` through resvg."""

from __future__ import annotations

from typing import TYPE_CHECKING

import regex

from attribution.errors import BadOption, TooLong, Unsupported
from attribution.export import svg
from attribution.export.drawing.colour import ThemeName
from attribution.export.drawing.fonts import dejavu
from attribution.formats import Format
from attribution.settings import DEFAULTS

if TYPE_CHECKING:
    from attribution.types import Attribution

FORMAT = Format("png", "image/png")

# What resvg can stumble over where the font at hand lacks it: marks, joiners, tags. See ``drawn``.
_MARKS = regex.compile(r"[\p{M}\p{Cf}]")


@FORMAT.writes("attribution")
def write(
    *attributions: Attribution,
    width: int = 900,
    scale: float = 2.0,
    theme: ThemeName = "light",
    words: bool = True,
    special: bool = False,
) -> bytes:
    """The picture with ``scale`` pixels per unit of the SVG.

    A long picture is drawn at a lower scale, down to 1, so that no side passes ``settings.max_image_pixels``; where that is not
    enough ``TooLong`` is raised. ``Unsupported`` where the package resvg_py is missing, ``BadOption`` for a scale out of range.
    """
    if not 0.5 <= scale <= 4:
        raise BadOption(f"scale is {scale:g}.", "It must be from 0.5 to 4.")
    picture = svg.draw(attributions, width=width, theme=theme, words=words, special=special)
    limit = DEFAULTS.max_image_pixels
    largest = limit / max(picture.width, picture.height)
    if largest < min(scale, 1.0):
        raise TooLong(
            f"The picture would be {picture.width:,} × {picture.height:,} pixels; {limit:,} at most are drawn.",
            "Please make it wider, explain fewer outputs, or save it as .svg or .html.",
        )
    return drawn(picture.markup(), min(scale, largest))


def drawn(markup: str, zoom: float) -> bytes:
    """An SVG's pixels. Raises ``Unsupported`` where resvg_py is missing or cannot draw it."""
    try:
        from resvg_py import svg_to_bytes
    except ImportError as error:
        raise Unsupported(
            "PNG files need the package resvg_py.", "pip install resvg_py, or save as .svg."
        ) from error
    fonts = [str(path) for path in dejavu()]
    # resvg panics (in linebender/resvg: 732) on some marks that the font lacks. A panic is no Exception, must not reach the
    # server, and the picture without those marks is better than none.
    for attempt in (markup, _MARKS.sub("", markup)):
        try:
            return bytes(
                svg_to_bytes(svg_string=attempt, zoom=zoom, font_files=fonts, sans_serif_family="DejaVu Sans")
            )
        except BaseException as error:
            if type(error).__name__ not in ("PanicException", "ValueError"):
                raise
            reason = error
    raise Unsupported("This text cannot be drawn as a PNG.", "Please save it as .svg or .html.") from reason
