"""PNG: the picture of ``svg``, rasterised by resvg without a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import regex

from attribution.errors import TooLong, Unsupported
from attribution.export.drawing import charts
from attribution.export.drawing.canvas import Picture, Width
from attribution.export.drawing.colour import ThemeName
from attribution.export.drawing.fonts import dejavu_files
from attribution.export.drawing.heatmap import Look, draw, draw_comparison
from attribution.export.reports import build_report
from attribution.formats import Format
from attribution.registry import Between
from attribution.settings import DEFAULTS

if TYPE_CHECKING:
    from attribution.studies.assessment import Assessment
    from attribution.studies.comparison import Comparison
    from attribution.studies.evaluation import Evaluation
    from attribution.types import Attribution

FORMAT = Format("png", "image/png")

Scale = Annotated[float, Between(0.5, 4), "Pixels per unit of the SVG."]

# Marks, joiners and tags, which can make resvg panic if the font lacks them. See ``_render``.
_MARKS = regex.compile(r"[\p{M}\p{Cf}]")


@FORMAT.writes("attribution")
def write(
    *attributions: Attribution,
    width: Width = 900,
    scale: Scale = 2.0,
    theme: ThemeName = "light",
    words: bool = True,
    special: bool = False,
) -> bytes:
    """Draw the picture of ``svg`` with ``scale`` pixels per SVG unit.

    The scale of a long picture is reduced, to 1 at least, so that no side exceeds
    ``settings.max_image_pixels``. Raises ``TooLong`` if that is not enough, and ``Unsupported`` if the
    package resvg_py is not installed.
    """
    return rasterise(draw(attributions, Look(width, theme, words, special)), scale)


@FORMAT.writes("comparison")
def write_comparison(
    comparison: Comparison,
    *,
    width: Width = 900,
    scale: Scale = 2.0,
    theme: ThemeName = "light",
    words: bool = True,
    special: bool = False,
) -> bytes:
    """Draw the picture of ``svg``.

    Raises ``EmptyInput`` if no attribution is finished, and what ``write`` raises.
    """
    return rasterise(draw_comparison(comparison, Look(width, theme, words, special)), scale)


@FORMAT.writes("evaluation", "assessment")
def write_report(
    result: Evaluation | Assessment,
    *,
    width: charts.Width = 900,
    scale: Scale = 2.0,
    theme: ThemeName = "light",
) -> bytes:
    """Draw the picture of ``svg``. Raises what ``write`` raises."""
    return rasterise(charts.draw_report(build_report(result), width, theme), scale)


def rasterise(picture: Picture, scale: float) -> bytes:
    """Rasterise a picture: see ``write`` for the limits and errors."""
    limit = DEFAULTS.max_image_pixels
    largest = limit / max(picture.width, picture.height)
    if largest < min(scale, 1.0):
        raise TooLong(
            f"The picture would be {picture.width:,} × {picture.height:,} pixels; a side may have {limit:,}.",
            "Make it wider, explain fewer outputs, or save it as .svg or .html.",
        )
    return _render(picture.to_svg(), min(scale, largest))


def _render(markup: str, zoom: float) -> bytes:
    try:
        from resvg_py import svg_to_bytes
    except ImportError as error:
        raise Unsupported(
            "PNG files need the package resvg_py.", "pip install resvg_py, or save as .svg."
        ) from error
    fonts = [str(path) for path in dejavu_files()]
    # resvg panics on some marks that the font lacks (linebender/resvg#732). A panic is a BaseException that
    # must not reach the server, and a picture without those marks is better than none.
    for svg in (markup, _MARKS.sub("", markup)):
        try:
            return bytes(
                svg_to_bytes(svg_string=svg, zoom=zoom, font_files=fonts, sans_serif_family="DejaVu Sans")
            )
        except BaseException as error:
            if type(error).__name__ not in ("PanicException", "ValueError"):
                raise
            reason = error
    raise Unsupported("This text cannot be drawn as a PNG.", "Save it as .svg or .html.") from reason
