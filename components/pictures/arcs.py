"""One attention head as a network: tokens in two columns, joined where one looks at the other."""

from .chart import Chart


class Arcs(Chart):
    """A network between two columns of tokens.

    The value: ``rows`` (who looks) and ``columns`` (who is looked at), ``arcs`` [[row, column, weight]], the
    strongest first, ``scale`` (the weight of the thickest arc), ``unit``, ``title``, ``axes`` (what the
    columns are called), and ``shown``, how many arcs are drawn at first.
    """

    mounts = "AttributionArcs"
    assets = ("chart", "arcs")
