"""Lines over steps: figures over a model's layers, a prediction while words are taken out."""

from .chart import Chart


class Curves(Chart):
    """Lines over whole numbers from 0.

    The value is one chart, or ``charts`` and a ``title``. A chart has ``lines`` [{name, values, dots?}],
    ``title``, ``x`` and ``y`` (what the axes count) and perhaps ``range`` [least, most]. ``values`` hold a
    number or None for each x; ``dots`` [[number or None]] are further numbers at each x, drawn faintly.
    ``at`` names each x; a line may be ``faint``.
    """

    mounts = "AttributionCurves"
    assets = ("chart", "curves")
