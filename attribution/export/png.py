"""PNG, drawn on the server without a browser: the picture of ``svg`` through resvg."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import regex

from attribution.errors import TooLong, Unsupported
from attribution.export.drawing import charts
from attribution.export.drawing.canvas import Picture, Width
from attribution.export.drawing.colour import ThemeName
from attribution.export.drawing.fonts import dejavu
from attribution.export.drawing.heatmap import Look, draw, draw_comparison
from attribution.export.reports import report_of
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

# What resvg can stumble over where the font at hand lacks it: marks, joiners, tags. See ``_pixels``.
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
    """The picture of ``svg`` with ``scale`` pixels per unit.

    A long picture is drawn at a lower scale, down to 1, so that no side passes ``settings.max_image_pixels``;
    where that is not enough ``TooLong`` is raised. ``Unsupported`` where the package resvg_py is missing.
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
    """The picture of ``svg``.

    Raises ``EmptyInput`` where no attribution is finished, else what ``write`` raises.
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
    """The picture of ``svg``. Raises what ``write`` raises."""
    return rasterise(charts.draw_report(report_of(result), width, theme), scale)


def rasterise(picture: Picture, scale: float) -> bytes:
    """A picture's pixels: see ``write``."""
    limit = DEFAULTS.max_image_pixels
    largest = limit / max(picture.width, picture.height)
    if largest < min(scale, 1.0):
        raise TooLong(
            f"The picture would be {picture.width:,} × {picture.height:,} pixels; {limit:,} at most are "
            "drawn.",
            "Please make it wider, explain fewer outputs, or save it as .svg or .html.",
        )
    return _pixels(picture.markup(), min(scale, largest))


def _pixels(markup: str, zoom: float) -> bytes:
    try:
        from resvg_py import svg_to_bytes
    except ImportError as error:
        raise Unsupported(
            "PNG files need the package resvg_py.", "pip install resvg_py, or save as .svg."
        ) from error
    fonts = [str(path) for path in dejavu()]
    # resvg panics (in linebender/resvg: 732) on some marks that the font lacks. A panic is no Exception, must
    # not reach the server, and the picture without those marks is better than none.
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
