"""Split an attribution into cells, the boxes of the static pictures, in reading order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from attribution import sentences
from attribution.models import tasks
from attribution.sentences import WHOLE, is_unsure
from attribution.settings import VERSION
from attribution.types import Attribution, Output, Segment, Token, span

SEGMENTS: tuple[Segment, ...] = ("text", "second", "generated")

NAME = "Attribution Visualization Tool"
PALE = 4.0
"""Factor on the scale of an output without a signal, so that rounding errors do not look like a result."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One box of a picture.

    ``gap`` is the white space before it: a line break, a space or nothing. ``scores`` [outputs] is None for
    text that belongs to no token. ``errors`` [outputs] are standard errors, None if the method has none.
    ``tokens`` are the indices of the inputs that the cell represents.
    """

    text: str
    gap: str
    scores: tuple[float, ...] | None
    special: bool = False
    segment: Segment = "text"
    start: int = 0
    end: int = 0
    errors: tuple[float, ...] | None = None
    tokens: tuple[int, ...] = ()

    def is_visible_to(self, output: int, span: Output) -> bool:
        """Whether the output depends on this cell; generated tokens that come later cannot have caused it."""
        score = None if self.scores is None else self.scores[output]
        return self.segment != "generated" or bool(score) or span.id == WHOLE or self.start < span.start

    def contains(self, span: Output) -> bool:
        """Whether this cell contains the explained token, generated or at a position in the text."""
        if self.segment == "generated":
            return span.id != WHOLE and self.start <= span.start < min(self.end, span.end)
        return span.start == span.end and span.position in self.tokens

    def error(self, output: int) -> float | None:
        """The standard error of the score, None if there is none."""
        return None if self.errors is None else self.errors[output]

    def is_uncertain(self, output: int) -> bool:
        """Whether the score is not distinguishable from 0."""
        return (
            self.scores is not None
            and self.errors is not None
            and is_unsure(self.scores[output], self.errors[output])
        )


def build_cells(attribution: Attribution, words: bool = True, special: bool = False) -> tuple[Cell, ...]:
    """Build the cells in reading order.

    Tokens with overlapping spans (the pieces of one emoji) share a cell, and with ``words`` so do the tokens
    of a word; a token with an empty span (for words, of white space too) joins the next cell, or the last one
    at the end of the text. A token that the model reads as another text, such as [UNK], shows that. The score
    of a cell, and its error, is the sum over its tokens. Text without a token becomes a cell without a score.
    Special tokens are included if ``special`` is set, or if they are explained themselves.
    """
    cells: list[Cell] = []
    task = tasks.of(attribution.model.task)
    explained = set() if task.writes else {output.position for output in attribution.outputs}
    for segment in SEGMENTS:
        places = [i for i, token in enumerate(attribution.tokens) if token.segment == segment]
        if places:
            groups = _group_tokens(attribution.tokens, places, words)
            shown = [
                group
                for group in groups
                if special or not attribution.tokens[group[0]].special or explained & {*group}
            ]
            continues = segment == "generated" and not task.encoder_decoder
            before = "" if segment == "text" else " " if continues else "\n"
            cells.extend(_segment_cells(attribution, shown, segment, words, before))
    return tuple(cells)


def _segment_cells(
    source: Attribution, groups: list[list[int]], segment: Segment, words: bool, before: str
) -> Iterator[Cell]:
    text = source.source(segment)
    position, after_special, begun = 0, False, False
    for group in groups:
        first = source.tokens[group[0]]
        scores = tuple(float(score) for score in source.scores[:, group].sum(axis=1))
        errors = (
            None
            if source.errors is None
            else tuple(float(error) for error in source.errors[:, group].sum(axis=1))
        )
        start, end = span([source.tokens[i] for i in group])
        if first.special or end <= start:
            gap = before if before and not begun else " "
            yield Cell(first.text, gap, scores, first.special, segment, start, start, errors, tuple(group))
        else:
            gap = before if before and not begun else ""
            for cell in _unscored_text(text, position, start, segment, gap):
                yield cell
                gap = ""
            gap = gap or _gap(text[position:start]) or " " * after_special
            shown = first.text if len(group) == 1 and not words else text[start:end]
            yield Cell(shown, gap, scores, False, segment, start, end, errors, tuple(group))
            position = max(position, end)
        after_special, begun = first.special, True
    yield from _unscored_text(text, position, len(text), segment, "" if begun else before)


def _group_tokens(tokens: tuple[Token, ...], places: list[int], words: bool) -> list[list[int]]:
    groups: list[list[int]] = []
    end, word = -1, None
    waiting: list[int] = []
    for i in places:
        token = tokens[i]
        if token.special:
            groups.append([i])
            word = None
        elif token.end <= token.start or (words and not token.text.strip()):
            waiting.append(i)
        elif token.start < end or (words and token.word is not None and token.word == word):
            groups[_last_ordinary_group(tokens, groups)].extend([*waiting, i])
            waiting, end = [], max(end, token.end)
        else:
            groups.append([*waiting, i])
            waiting, end, word = [], token.end, token.word
    if waiting:
        last = _last_ordinary_group(tokens, groups)
        if last >= 0:
            groups[last].extend(waiting)
        else:
            groups.append(waiting)
    return groups


def _last_ordinary_group(tokens: tuple[Token, ...], groups: list[list[int]]) -> int:
    return next((k for k in reversed(range(len(groups))) if not tokens[groups[k][0]].special), -1)


def _gap(between: str) -> str:
    """The white space before a cell, reduced to a line break, a space or nothing."""
    tail = between[len(between.rstrip()) :]
    return "\n" if "\n" in tail or "\r" in tail else " " if tail else ""


def _unscored_text(text: str, start: int, end: int, segment: Segment, before: str) -> Iterator[Cell]:
    between = text[start:end]
    if between.strip():
        lead = between[: len(between) - len(between.lstrip())]
        yield Cell(
            between.strip(),
            before or _gap(lead),
            None,
            False,
            segment,
            start + len(lead),
            start + len(between.rstrip()),
        )


def blocks(attribution: Attribution, cells: tuple[Cell, ...]) -> list[tuple[str, tuple[Cell, ...]]]:
    """Split the cells of a pair into two named blocks; otherwise return one block without a name."""
    names = sentences.parts(attribution)
    if names is None:
        return [("", cells)]
    first = tuple(cell for cell in cells if cell.segment == "text")
    return [(names[0], first), (names[1], tuple(cell for cell in cells if cell.segment != "text"))]


def scales(attribution: Attribution, cells: tuple[Cell, ...]) -> tuple[float, list[float]]:
    """The ``shared_scales`` of a single result."""
    scale, [each] = shared_scales([(attribution, cells)])
    return scale, each


def shared_scales(results: Sequence[tuple[Attribution, tuple[Cell, ...]]]) -> tuple[float, list[list[float]]]:
    """The score that the legend shows, and per result and output the score of the full colour.

    The legend shows the largest absolute score of all cells, which is also the full colour of each output;
    only outputs without a signal have a larger scale, so that they are drawn pale.
    """
    tops = [
        [(_largest_score(cells, i), bool(sentences.silence(result, i))) for i in range(len(result.outputs))]
        for result, cells in results
    ]
    every = [top for row in tops for top in row]
    scale = max(
        (top for top, silent in every if not silent),
        default=PALE * max((top for top, _ in every), default=0.0),
    )
    return scale, [[max(scale, PALE * top) if silent else scale for top, silent in row] for row in tops]


def _largest_score(cells: tuple[Cell, ...], output: int) -> float:
    return max((abs(cell.scores[output]) for cell in cells if cell.scores), default=0.0)


def facts(attribution: Attribution) -> tuple[str, str, str, str]:
    """The prediction, the method, the target, and the model, each in words."""
    request, outputs = attribution.request, attribution.outputs
    explained = [request.quantity.replace("_", " ")]
    if tasks.of(attribution.model.task).measure or sentences.is_regression(attribution):
        explained = []
    elif outputs and outputs[0].contrast:
        explained = [f"difference of {explained[0]}"]
    if len(outputs) == 1 and outputs[0].value is not None:
        explained.append(sentences.number(outputs[0].value))
    target = f"target {sentences.aim(attribution)}" + (f" ({' '.join(explained)})" if explained else "")
    return sentences.prediction(attribution), sentences.method(attribution), target, attribution.model.name


def heading(attribution: Attribution) -> tuple[str, str]:
    """The two title lines of a picture: the prediction, and what is explained how."""
    prediction, *explanation = facts(attribution)
    return prediction, " · ".join(filter(None, explanation))


def remarks(attribution: Attribution, special: bool) -> list[str]:
    """Every line below a picture: the limits of its numbers, and the credit line."""
    return [*limits(attribution, special), credit_line(attribution)]


def limits(attribution: Attribution, special: bool) -> list[str]:
    """What limits trust in the scores: hidden share, missing signal, residual, errors, fit, and notes."""
    lines = []
    mask = np.array([token.special for token in attribution.tokens], dtype=bool)
    total = np.abs(attribution.scores).sum()
    if mask.any() and not special:
        share = np.abs(attribution.scores[:, mask]).sum() / total if total > 0 else 0.0
        lines.append(f"Special tokens are not drawn: {share:.1%} of the sum of absolute scores.")
    if silent := sentences.no_signal(attribution):
        lines.append(silent)
    if attribution.completeness:
        lines.append(sentences.adds_up(attribution))
    lines += [line for line in (sentences.errors(attribution), sentences.fit(attribution)) if line]
    return [*lines, *attribution.notes]


def credit_line(*attributions: Attribution) -> str:
    """The name and version of this program, and the models with their revisions."""
    models = (result.model for result in attributions)
    named = dict.fromkeys(
        f"{model.name} @ {model.revision[:12]}" if model.revision else model.name for model in models
    )
    return " · ".join([f"{NAME} {VERSION}", *filter(None, named)])
