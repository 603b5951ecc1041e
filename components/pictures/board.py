"""A run over a table on the page: its progress, its rows with their heatmaps, where it goes wrong.

The same document as the report of the run.
"""

from attribution.batch.report import report_script, report_style

from ..assets import elements_after_shared, inline
from .picture import Picture


class Board(Picture):
    """Draws a document of ``attribution.batch.report`` and what surrounds it on the page.

    The value, or its ``json``, holds the document or nothing of it, and any of ``progress`` (``Progress``
    without its results, ``state``, ``message``, and ``files`` [[name, address]]), ``preview`` of the table
    (``name``, ``count``, ``columns``, ``rows``), ``note`` (a sentence) and ``error``. A value without rows
    leaves the rows that are drawn, unless it is ``fresh``.
    """

    mounts = "AttributionReport"
    assets = ()

    @classmethod
    def script_elements(cls) -> str:
        return elements_after_shared(inline(report_script()), report_style())
