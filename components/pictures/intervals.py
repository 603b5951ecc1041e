"""Figures with their uncertainty: every method as a dot with a whisker, with random scores as a control."""

from .chart import Chart


class Intervals(Chart):
    """Panels of rows, each a dot with a whisker.

    The value: ``panels`` [{title, better ("higher" or "lower"), rows, sentence?, bounds?, range?, band?,
    ceiling?}]. ``bounds`` [low, high] are those of the metric, None for one that has none; ``range`` is all
    that is shown; ``band`` is what chance reaches; ``ceiling``, the best that can be attained, is a dashed
    line. A row has ``name``, ``mean`` (None: undefined, with a ``reason``), ``low`` and ``high`` (None: no
    whisker), ``count`` and a ``place``: ``"first"``, ``"rival"`` (not told apart from the first),
    ``"other"`` or ``"control"``, whose mean is a dotted line through its panel.

    ``lead`` and ``notes`` are sentences above and below; ``progress`` {done, total, stopped} is a bar until
    all is done. ``text`` names the text that a value is about: when a person types another one, the picture
    fades. A value that is ``pending`` keeps what is drawn.
    """

    mounts = "AttributionIntervals"
    assets = ("chart", "intervals")
