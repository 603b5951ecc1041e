"""SVG: the static pictures, from which PNG and PDF are made.

Plain shapes and text, without style sheets, scripts or external resources.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attribution.export.drawing import charts
from attribution.export.drawing.canvas import Width
from attribution.export.drawing.colour import ThemeName
from attribution.export.drawing.heatmap import Look, draw, draw_comparison
from attribution.export.reports import build_report
from attribution.formats import Format

if TYPE_CHECKING:
    from attribution.studies.assessment import Assessment
    from attribution.studies.comparison import Comparison
    from attribution.studies.evaluation import Evaluation
    from attribution.types import Attribution

FORMAT = Format("svg", "image/svg+xml")


@FORMAT.writes("attribution")
def write(
    *attributions: Attribution,
    width: Width = 900,
    theme: ThemeName = "light",
    words: bool = True,
    special: bool = False,
) -> bytes:
    """Draw the heatmaps of all results as one figure."""
    return draw(attributions, Look(width, theme, words, special)).to_svg().encode()


@FORMAT.writes("comparison")
def write_comparison(
    comparison: Comparison,
    *,
    width: Width = 900,
    theme: ThemeName = "light",
    words: bool = True,
    special: bool = False,
) -> bytes:
    """Draw the heatmaps, the table of rank agreement and the notes.

    Raises ``EmptyInput`` if no attribution is finished.
    """
    return draw_comparison(comparison, Look(width, theme, words, special)).to_svg().encode()


@FORMAT.writes("evaluation", "assessment")
def write_report(
    result: Evaluation | Assessment, *, width: charts.Width = 900, theme: ThemeName = "light"
) -> bytes:
    """Draw a dot with its interval per method, best first, for each metric.

    A dotted line marks the level of chance.
    """
    return charts.draw_report(build_report(result), width, theme).to_svg().encode()
