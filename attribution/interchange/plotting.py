"""Bars with matplotlib, for notebooks and papers that use it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from attribution.errors import BadOption, NotInstalled, quote

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from attribution.parts import Output, Token

SUPPORTS, OPPOSES = "#2166ac", "#b2182b"
"""Blue and red that colour-blind people distinguish (ColorBrewer RdBu)."""


class Scored(Protocol):
    """What is drawn: an attribution."""

    @property
    def tokens(self) -> tuple[Token, ...]: ...

    @property
    def outputs(self) -> tuple[Output, ...]: ...

    @property
    def scores(self) -> np.ndarray: ...

    @property
    def errors(self) -> np.ndarray | None: ...

    @property
    def unit(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def method(self) -> str: ...


def check_index(output: Any, count: int) -> None:
    """Raises ``BadOption`` for an output that does not exist."""
    if not isinstance(output, int) or isinstance(output, bool) or not 0 <= output < count:
        raise BadOption(f"There is no output {quote(output)}.", f"They are numbered from 0 to {count - 1}.")


def draw_bars(result: Scored, output: int, most: int, ax: Axes | None) -> Axes:
    """Draw the scores of an output, special tokens left out. Raises ``NotInstalled`` without matplotlib."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise NotInstalled(
            "plot needs matplotlib, which is not installed here.",
            "pip install matplotlib, or save a picture.",
        ) from error
    places = [i for i, token in enumerate(result.tokens) if not token.special]
    strongest = sorted(places, key=lambda i: -abs(result.scores[output, i]))[:most]
    places = sorted(strongest)
    if ax is None:
        _, ax = pyplot.subplots(figsize=(6.4, 1.2 + 0.24 * len(places)), layout="constrained")
    scores = result.scores[output, places]
    errors = None if result.errors is None else 1.96 * result.errors[output, places]
    colours = [SUPPORTS if score >= 0 else OPPOSES for score in scores]
    rows = np.arange(len(places))
    ax.barh(rows, scores, xerr=errors, color=colours)
    # A text is no formula, whatever dollar signs it holds.
    ax.set_yticks(rows, [result.tokens[i].text for i in places], parse_math=False)
    ax.invert_yaxis()
    ax.axvline(0, color="0.5", linewidth=0.8)
    ax.set_xlabel(result.unit, parse_math=False)
    name = result.title or result.method.replace("_", " ")
    ax.set_title(f"{name}: {result.outputs[output].text}", parse_math=False)
    return ax
