"""All heads of a model at a glance: layers × heads, each a small picture of its attention."""

from .chart import Chart


class HeadGrid(Chart):
    """Every head of every layer.

    The event ``select`` carries ``{layer, head}``, which a person chose; ``turn`` the ``kind``.

    The value: ``layers``, ``heads``; ``thumbs``, the heads' pictures of ``side`` = [rows, columns] as
    ``chart.packed`` numbers of 8 bits, layer by layer, each over its own largest weight; ``figures``
    [{title, unit, meaning, scale, values: [[number or None]]}] to colour the heads by; ``kinds`` [{kind,
    title}] to choose from and ``kind``, the one shown; ``chosen`` [layer, head]; ``note``.
    """

    mounts = "AttributionHeadGrid"
    assets = ("chart", "head_grid")
    emits = ("select", "turn")
