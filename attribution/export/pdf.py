"""PDF: the picture of ``svg`` on one page of its size, typeset by Typst without a browser.

Text stays text, and the fonts are embedded.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from attribution.errors import TooLong, Unsupported
from attribution.export.drawing import charts
from attribution.export.drawing.canvas import Picture, Text, Width, replace_illegal
from attribution.export.drawing.colour import ThemeName
from attribution.export.drawing.fonts import dejavu_files
from attribution.export.drawing.heatmap import Look, draw, draw_comparison
from attribution.export.reports import build_report
from attribution.formats import Format

if TYPE_CHECKING:
    from attribution.studies.assessment import Assessment
    from attribution.studies.comparison import Comparison
    from attribution.studies.evaluation import Evaluation
    from attribution.types import Attribution

FORMAT = Format("pdf", "application/pdf")

POINT = 0.75
"""Points per SVG unit, which is a CSS pixel of 1/96 inch."""
LONGEST = 14_400
"""Maximum length of a side in points (ISO 32000-1, annex C.2)."""

# Texts are passed as data, never as markup. Typst sets them itself, because its usvg (0.47) misplaces the
# letters of scripts such as Devanagari within an image (linebender/resvg#1043).
_PAGE = b"""#let picture = json("picture.json")
#set document(title: picture.title, date: none)
#set page(width: picture.width * 1pt, height: picture.height * 1pt, margin: 0pt)
#set text(top-edge: "baseline", bottom-edge: "baseline")
#place(image("shapes.svg", width: 100%, height: 100%, alt: picture.title))
#for (x, y, size, fill, fonts, weight, centred, body) in picture.texts {
  let run = box(text(body, size: size * 1pt, fill: rgb(fill), font: fonts, weight: weight))
  place(dy: y * 1pt, context place(dx: x * 1pt - if centred { measure(run).width / 2 } else { 0pt }, run))
}
"""


@FORMAT.writes("attribution")
def write(
    *attributions: Attribution,
    width: Width = 900,
    theme: ThemeName = "light",
    words: bool = True,
    special: bool = False,
) -> bytes:
    """Typeset the picture of ``svg``; equal input and fonts give equal bytes.

    Raises ``Unsupported`` if the package typst is not installed, and ``TooLong`` if the picture exceeds the
    largest page that PDF allows.
    """
    return typeset(draw(attributions, Look(width, theme, words, special)))


@FORMAT.writes("comparison")
def write_comparison(
    comparison: Comparison,
    *,
    width: Width = 900,
    theme: ThemeName = "light",
    words: bool = True,
    special: bool = False,
) -> bytes:
    """Typeset the picture of ``svg``.

    Raises ``EmptyInput`` if no attribution is finished, and what ``write`` raises.
    """
    return typeset(draw_comparison(comparison, Look(width, theme, words, special)))


@FORMAT.writes("evaluation", "assessment")
def write_report(
    result: Evaluation | Assessment, *, width: charts.Width = 900, theme: ThemeName = "light"
) -> bytes:
    """Typeset the picture of ``svg``. Raises what ``write`` raises."""
    return typeset(charts.draw_report(build_report(result), width, theme))


def typeset(picture: Picture) -> bytes:
    """Typeset a picture as one page: see ``write`` for the errors."""
    longest = max(picture.width, picture.height) * POINT
    if longest > LONGEST:
        raise TooLong(
            f"The page would be {longest:,.0f} points long; PDF allows {LONGEST:,}.",
            "Make it wider, explain fewer outputs, or save it as .svg or .html.",
        )
    try:
        import typst
    except ImportError as error:
        raise Unsupported(
            "PDF files need the package typst.", "pip install typst, or save as .svg."
        ) from error
    data = {
        "title": picture.title,
        "width": picture.width * POINT,
        "height": picture.height * POINT,
        "texts": [_text_entry(part) for part in picture.parts if isinstance(part, Text)],
    }
    files: Any = {
        "main.typ": _PAGE,
        "shapes.svg": picture.to_svg(texts=False).encode(),
        "picture.json": json.dumps(data).encode(),
    }
    return typst.compile(files, format="pdf", font_paths=_find_fonts())


def _text_entry(part: Text) -> dict[str, Any]:
    """A text as ``_PAGE`` reads it: lengths in points, and the CSS font list without generic families."""
    return {
        "x": part.x * POINT,
        "y": part.y * POINT,
        "size": part.size * POINT,
        "fill": part.fill,
        "fonts": [name.strip(" '") for name in part.run.family.split(",") if name.strip() != "sans-serif"],
        "weight": "bold" if part.bold else "regular",
        "centred": part.centred,
        "body": " ".join(
            replace_illegal(part.run.text).expandtabs(1).splitlines()
        ),  # Typst would break the line
    }


@cache
def _find_fonts() -> Any:
    """The system's fonts and DejaVu Sans, as for PNG. Cached: the search takes most of the time."""
    import typst

    return typst.Fonts(include_embedded_fonts=False, font_paths=[path.parent for path in dejavu_files()[:1]])
