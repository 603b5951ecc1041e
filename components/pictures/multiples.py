"""Small multiples on the page: several attributions below each other, a row each."""

from .picture import Picture


class Multiples(Picture):
    """Several attributions as rows of coloured words.

    The event ``select`` carries ``item``, the number of the row whose title was clicked.

    The value is ``{"items": [{"title", "subtitle"?, "attribution"?, "error"?}], "row"?, "chosen"?,
    "findings"?}``: ``attribution`` is the ``picture_data`` of an attribution, ``error`` has a ``message``
    and a ``hint``, an item with neither is awaited; ``row`` is the output that is drawn, ``chosen`` the item
    whose title is marked; ``findings`` are ``{"title", "lines"}``, what the rows say together. Each row has
    its own scale. With ``{"error": {"message", "hint"}}`` these words stand in the place of all.
    """

    mounts = "AttributionMultiples"
    assets = ("multiples",)
    emits = ("select",)
