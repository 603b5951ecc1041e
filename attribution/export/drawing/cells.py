"""An attribution cut into cells for the static pictures: what is drawn as one box, in reading order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from attribution import sentences
from attribution.models import tasks
from attribution.sentences import WHOLE, is_unsure
from attribution.settings import VERSION
from attribution.types import Attribution, Output, Segment, Token

NAME = "Attribution Visualization Tool"
PALE = 4.0
"""How much larger the scale is where there is no signal: scaled to their own maximum, roundings would look like a finding."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One box.

    ``gap`` is the white space before it; ``scores`` [outputs] is None for text that no token stands for.

    ``errors`` [outputs] are standard errors, None where the method gives none; ``tokens`` are the inputs that
    it stands for.
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

    def seen(self, output: int, span: Output) -> bool:
        """Whether the output could see this cell: a generated token that comes later could not."""
        score = None if self.scores is None else self.scores[output]
        return self.segment != "generated" or bool(score) or span.id == WHOLE or self.start < span.start

    def holds(self, span: Output) -> bool:
        """Whether this cell is, or contains, the token that is explained: a generated one, or one at its place in the text."""
        if self.segment == "generated":
            return span.id != WHOLE and self.start <= span.start < min(self.end, span.end)
        return span.start == span.end and span.position in self.tokens

    def error(self, output: int) -> float | None:
        return None if self.errors is None else self.errors[output]

    def unsure(self, output: int) -> bool:
        """Whether the score cannot be told apart from 0."""
        return (
            self.scores is not None
            and self.errors is not None
            and is_unsure(self.scores[output], self.errors[output])
        )


def cells(attribution: Attribution, words: bool = True, special: bool = False) -> tuple[Cell, ...]:
    """The cells in reading order.

    Tokens whose spans overlap (the pieces of one emoji) are one cell, with ``words`` those of a word too; a
    token of the text with an empty span joins the cell after it, or before it at the end. A cell's score is
    the sum over its tokens, and so is its error. Text without a token is kept, without a score. A special
    token is a cell if ``special``, or if it is explained itself.
    """
    found: list[Cell] = []
    task = tasks.of(attribution.model.task)
    explained = set() if task.writes else {output.position for output in attribution.outputs}
    for segment, text in _sources(attribution).items():
        places = [i for i, token in enumerate(attribution.tokens) if token.segment == segment]
        if places:
            groups = _groups(attribution.tokens, places, words)
            kept = [
                group
                for group in groups
                if special or not attribution.tokens[group[0]].special or explained & {*group}
            ]
            joined = segment == "generated" and not task.encoder_decoder
            before = "" if segment == "text" else " " if joined else "\n"
            found.extend(_segment(attribution, kept, segment, text, before))
    return tuple(found)


def _sources(attribution: Attribution) -> dict[Segment, str]:
    return {
        "text": attribution.text,
        "second": attribution.second,
        "generated": attribution.prediction.text or "",
    }


def _segment(
    source: Attribution, groups: list[list[int]], segment: Segment, text: str, before: str
) -> Iterator[Cell]:
    position, after_special, begun = 0, False, False
    for group in groups:
        first = source.tokens[group[0]]
        scores = tuple(float(score) for score in source.scores[:, group].sum(axis=1))
        errors = (
            None
            if source.errors is None
            else tuple(float(error) for error in source.errors[:, group].sum(axis=1))
        )
        start = min(
            (source.tokens[i].start for i in group if source.tokens[i].end > source.tokens[i].start),
            default=position,
        )
        end = max(source.tokens[i].end for i in group)
        if first.special or end <= start:
            gap = before if before and not begun else " "
            yield Cell(first.text, gap, scores, first.special, segment, start, start, errors, tuple(group))
        else:
            gap = before if before and not begun else ""
            for cell in _untouched(text, position, start, segment, gap):
                yield cell
                gap = ""
            gap = gap or _gap(text[position:start]) or " " * after_special
            yield Cell(text[start:end], gap, scores, False, segment, start, end, errors, tuple(group))
            position = max(position, end)
        after_special, begun = first.special, True
    yield from _untouched(text, position, len(text), segment, "" if begun else before)


def _groups(tokens: tuple[Token, ...], places: list[int], words: bool) -> list[list[int]]:
    groups: list[list[int]] = []
    end, word = -1, None
    waiting: list[int] = []
    for i in places:
        token = tokens[i]
        if token.special:
            groups.append([i])
            word = None
        elif token.end <= token.start:
            waiting.append(i)
        elif token.start < end or (words and token.word is not None and token.word == word):
            groups[_last_plain(tokens, groups)].extend([*waiting, i])
            waiting, end = [], max(end, token.end)
        else:
            groups.append([*waiting, i])
            waiting, end, word = [], token.end, token.word
    if waiting:
        last = _last_plain(tokens, groups)
        if last >= 0:
            groups[last].extend(waiting)
        else:
            groups.append(waiting)
    return groups


def _last_plain(tokens: tuple[Token, ...], groups: list[list[int]]) -> int:
    return next((k for k in reversed(range(len(groups))) if not tokens[groups[k][0]].special), -1)


def _gap(between: str) -> str:
    """A line break, a space or nothing: how far a cell stands from the one before."""
    tail = between[len(between.rstrip()) :]
    return "\n" if "\n" in tail or "\r" in tail else " " if tail else ""


def _untouched(text: str, start: int, end: int, segment: Segment, before: str) -> Iterator[Cell]:
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


def blocks(attribution: Attribution, found: tuple[Cell, ...]) -> list[tuple[str, tuple[Cell, ...]]]:
    """The cells of each text of a pair with its name; else all cells in one block without a name."""
    names = sentences.parts(attribution)
    if names is None:
        return [("", found)]
    first = tuple(cell for cell in found if cell.segment == "text")
    return [(names[0], first), (names[1], tuple(cell for cell in found if cell.segment != "text"))]


def scales(attribution: Attribution, found: tuple[Cell, ...]) -> tuple[float, list[float]]:
    """``shared_scales`` of one result."""
    scale, [each] = shared_scales([(attribution, found)])
    return scale, each


def shared_scales(drawn: Sequence[tuple[Attribution, tuple[Cell, ...]]]) -> tuple[float, list[list[float]]]:
    """The largest absolute score of what is drawn, which the legend shows, and for each output the score of the full colour.

    That is one number for the whole picture, but a larger one for outputs without a signal, which are drawn
    pale.
    """
    tops = [
        [(_largest(found, i), bool(sentences.silence(result, i))) for i in range(len(result.outputs))]
        for result, found in drawn
    ]
    every = [top for row in tops for top in row]
    scale = max(
        (top for top, silent in every if not silent),
        default=PALE * max((top for top, _ in every), default=0.0),
    )
    return scale, [[max(scale, PALE * top) if silent else scale for top, silent in row] for row in tops]


def _largest(found: tuple[Cell, ...], output: int) -> float:
    return max((abs(cell.scores[output]) for cell in found if cell.scores), default=0.0)


def facts(attribution: Attribution) -> tuple[str, str, str, str]:
    """What the model said, the method, what is explained, and the model."""
    request, outputs = attribution.request, attribution.outputs
    explained = [request.quantity.replace("_", " ")]
    if tasks.of(attribution.model.task).measure or sentences.is_regression(attribution):
        explained = []
    elif outputs and outputs[0].contrast:
        explained = [f"difference of {explained[0]}"]
    if len(outputs) == 1:
        explained.append(sentences.number(outputs[0].value))
    target = f"target {sentences.aim(attribution)} ({' '.join(explained)})"
    return sentences.said(attribution), sentences.method(attribution), target, attribution.model.name


def heading(attribution: Attribution) -> tuple[str, str]:
    """What the model said, and what is explained how: the two title lines of a picture."""
    said, *what = facts(attribution)
    return said, " · ".join(what)


def remarks(attribution: Attribution, special: bool) -> list[str]:
    """Every sentence below a picture: the limits of its numbers, and who made it."""
    return [*limits(attribution, special), maker(attribution)]


def limits(attribution: Attribution, special: bool) -> list[str]:
    """What limits trust: no signal, the hidden share, how far the scores add up, how sure they are, the notes."""
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


def maker(*attributions: Attribution) -> str:
    """Name this program and the models that answered, each with its revision."""
    models = (result.model for result in attributions)
    named = dict.fromkeys(
        f"{model.name} @ {model.revision[:12]}" if model.revision else model.name for model in models
    )
    return " · ".join([f"{NAME} {VERSION}", *named])
