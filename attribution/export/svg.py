"""SVG: the static pictures, which PNG and PDF are made from.

Plain shapes and text; no style, no script, nothing external.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attribution.export.drawing import charts
from attribution.export.drawing.canvas import Width
from attribution.export.drawing.colour import ThemeName
from attribution.export.drawing.heatmap import Look, draw, draw_comparison
from attribution.export.reports import report_of
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
    """The heatmaps, one figure for all results."""
    return draw(attributions, Look(width, theme, words, special)).markup().encode()


@FORMAT.writes("comparison")
def write_comparison(
    comparison: Comparison,
    *,
    width: Width = 900,
    theme: ThemeName = "light",
    words: bool = True,
    special: bool = False,
) -> bytes:
    """The heatmaps, the agreement of the rankings, the notes.

    Raises ``EmptyInput`` where no attribution is finished.
    """
    return draw_comparison(comparison, Look(width, theme, words, special)).markup().encode()


@FORMAT.writes("evaluation", "assessment")
def write_report(
    result: Evaluation | Assessment, *, width: charts.Width = 900, theme: ThemeName = "light"
) -> bytes:
    """For each measure the methods, best first: a dot with its interval; chance is a dotted line through all."""
    return charts.draw_report(report_of(result), width, theme).markup().encode()
