"""A run over a table on the page: how far it is, its rows with their heatmaps, where it goes wrong. The same as the report of the run."""

from attribution.batch.report import report_script, report_style

from .picture import Picture, scripts


class Board(Picture):
    """Draws a document of ``attribution.batch.report`` with what it is about beside it.

    The value, itself or as ``json``: the document, or nothing of it, with ``progress`` (``Progress`` without its results, ``state``,
    ``message``, and ``files``: [[name, address]]), ``preview`` (``name``, ``count``, ``columns``, ``rows`` of the table), ``note``, a
    sentence, or ``error``. A value without rows leaves those that are drawn, unless it is ``fresh``.
    """

    mounts = "AttributionReport"
    assets = ()

    @classmethod
    def drawn_by(cls) -> str:
        return scripts(report_script().replace("</script", "<\\/script"), report_style())
