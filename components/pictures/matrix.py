"""A matrix of numbers: attention from token to token, agreement of method with method."""

from .chart import Chart


class Matrix(Chart):
    """Numbers by row and column. The event ``select`` carries ``{row, column}``, which a person chose.

    The value: ``rows`` and ``columns`` (labels), ``values`` [[number or None]] or ``weights``
    (``chart.packed`` numbers from 0 to 1, row by row), ``signed``, ``scale`` (what has the full colour),
    ``unit``, ``title``; ``numbers`` writes each value into its cell; ``marks`` [[row, column]] are outlined;
    ``axes`` are what rows and columns are called. None is undefined, and said so. With ``causal`` a column
    behind its row comes later and is left empty.
    """

    mounts = "AttributionMatrix"
    assets = ("chart", "matrix")
    emits = ("select",)
