"""A person's own marks: the words of a text, to be marked with the mouse or the keyboard."""

from .chart import Chart


class Marks(Chart):
    """The words of a text.

    The event ``mark`` carries ``{"text", "spans": [[start, end]]}``, what is marked now, in code points of
    the text.

    The value: ``text``, ``pieces`` [{text, start?, end?}], the whole text in reading order, where a piece
    with offsets can be marked, and ``marked`` [[start, end]], what is marked when another text comes. For
    the same text what a person marked stays.
    """

    mounts = "AttributionMarks"
    assets = ("chart", "marks")
    emits = ("mark",)
