"""An attribution cut into cells for the static pictures: what is drawn as one box, in reading order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from attribution import sentences
from attribution.sentences import number
from attribution.settings import VERSION
from attribution.types import Attribution, Output, Segment, Token

NAME = "Attribution Visualization Tool"


@dataclass(frozen=True, slots=True)
class Cell:
    """One box. ``gap`` is the white space before it; ``scores`` [outputs] is None for text that no token stands for."""

    text: str
    gap: str
    scores: tuple[float, ...] | None
    special: bool = False
    segment: Segment = "text"
    start: int = 0
    end: int = 0

    def seen(self, output: int, span: Output) -> bool:
        """Whether the output could see this cell: a generated token that comes later could not."""
        score = None if self.scores is None else self.scores[output]
        return self.segment == "text" or bool(score) or self.start < span.start

    def holds(self, span: Output) -> bool:
        """Whether this cell is, or contains, the generated token that is explained."""
        return self.segment == "generated" and self.start <= span.start < min(self.end, span.end)


def cells(attribution: Attribution, words: bool = True, special: bool = False) -> tuple[Cell, ...]:
    """The cells in reading order.

    Tokens whose spans overlap (the pieces of one emoji) are one cell; a token of the text with an empty span joins the cell after
    it, or before it at the end. A cell's score is the sum over its tokens. Text without a token is kept, without a score.
    """
    source = attribution.words() if words else attribution
    found: list[Cell] = []
    for segment, text in (("text", attribution.text), ("generated", attribution.prediction.text or "")):
        places = [i for i, token in enumerate(source.tokens) if token.segment == segment]
        if places:
            before = "" if segment == "text" else "\n" if attribution.model.task == "seq2seq" else " "
            found.extend(_segment(source, places, segment, text, special, before))  # type: ignore[arg-type]
    return tuple(found)


def _segment(source: Attribution, places: list[int], segment: Segment, text: str, special: bool, before: str) -> Iterator[Cell]:
    position, after_special = 0, False
    for group in _groups(source.tokens, places):
        first = source.tokens[group[0]]
        scores = tuple(float(score) for score in source.scores[:, group].sum(axis=1))
        start = min((source.tokens[i].start for i in group if source.tokens[i].end > source.tokens[i].start), default=position)
        end = max(source.tokens[i].end for i in group)
        if first.special:
            if special:
                yield Cell(first.text, " ", scores, True, segment, first.start)
        elif end <= start:
            yield Cell(first.text, " ", scores, False, segment, start)
        else:
            yield from _untouched(text, position, start, segment, before)
            gap = before if position == 0 and before else _gap(text[position:start]) or " " * after_special
            yield Cell(text[start:end], gap, scores, False, segment, start, end)
            position = max(position, end)
        after_special = special and first.special
    yield from _untouched(text, position, len(text), segment, "")


def _groups(tokens: tuple[Token, ...], places: list[int]) -> list[list[int]]:
    groups: list[list[int]] = []
    end = -1
    waiting: list[int] = []
    for i in places:
        token = tokens[i]
        if token.special:
            groups.append([i])
        elif token.end <= token.start:
            waiting.append(i)
        elif token.start < end:
            groups[_last_plain(tokens, groups)].extend([*waiting, i])
            waiting, end = [], max(end, token.end)
        else:
            groups.append([*waiting, i])
            waiting, end = [], token.end
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
        gap = before if start == 0 and before else _gap(lead)
        yield Cell(between.strip(), gap, None, False, segment, start + len(lead))


def scale(attribution: Attribution, found: tuple[Cell, ...]) -> float:
    """The largest absolute score of what is drawn: one scale for the whole picture."""
    return max((abs(score) for cell in found for score in cell.scores or ()), default=0.0)


def heading(attribution: Attribution) -> tuple[str, str]:
    """What the model said, and what is explained how: the two title lines of a picture."""
    prediction, request = attribution.prediction, attribution.request
    if attribution.model.task == "classification":
        best = int(np.argmax(prediction.probabilities))
        said = f"{prediction.labels[best]} {prediction.probabilities[best]:.1%}"
    else:
        said = prediction.text or ""
    target = attribution.outputs[0].text if len(attribution.outputs) == 1 else "every generated token"
    quantity = request.target.quantity.replace("_", " ")
    value = f" {number(attribution.outputs[0].value)}" if len(attribution.outputs) == 1 else ""
    method = request.method.replace("_", " ")
    return said, f"{method[:1].upper()}{method[1:]} · target {target} ({quantity}{value}) · {attribution.model.name}"


def remarks(attribution: Attribution, special: bool) -> list[str]:
    """Every sentence below a picture: the hidden share, how far the scores add up, the notes, the version."""
    lines = []
    mask = np.array([token.special for token in attribution.tokens], dtype=bool)
    total = np.abs(attribution.scores).sum()
    if mask.any() and not special:
        share = np.abs(attribution.scores[:, mask]).sum() / total if total > 0 else 0.0
        lines.append(f"Special tokens are not drawn: {share:.1%} of the sum of absolute scores.")
    if total == 0:
        lines.append("No signal: every score is 0.")
    if attribution.completeness:
        lines.append(sentences.adds_up(attribution))
    revision = f" @ {attribution.model.revision[:12]}" if attribution.model.revision else ""
    return [*lines, *attribution.notes, f"{NAME} {VERSION} · {attribution.model.name}{revision}"]
