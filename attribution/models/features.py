"""Features: inputs that are hidden and shown together (tokens, words, sentences or user-defined spans)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import regex
import torch
from torch import Tensor

from attribution import text as texts
from attribution.errors import BadOption, TooLong
from attribution.registry import Length
from attribution.types import Prediction, Token, span

Unit = Literal["words", "tokens", "characters", "sentences", "spans", "given"]
UNIT_HELP = (
    "What is hidden as one: words, tokens, characters, sentences, spans and the other words, or given: the "
    "spans alone, while the rest of the text stays as it is."
)
SPANS_HELP = (
    "For features='spans' and 'given': a regular expression, or offsets such as 0-12,20-31; in Python also a "
    "list of pairs or of texts."
)

Hide = Literal["auto", "mask", "pad", "unk", "eos", "mean", "zero", "delete"]
HIDE_HELP = (
    "What stands for a hidden feature: that token's embedding, the mean embedding, zeros, "
    "or nothing at all (delete). "
    "auto: the mask token if there is one."
)


def join_spans(spans: object) -> object:
    """The text of spans given as a list of pairs (start, end) or of texts; anything else as it is."""
    items = list(spans) if isinstance(spans, list | tuple) else []
    if items and all(isinstance(item, str) for item in items):
        return "|".join(regex.escape(item) for item in sorted(items, key=len, reverse=True))
    if items and all(isinstance(item, list | tuple) and len(item) == 2 for item in items):
        return ",".join(f"{start}-{end}" for start, end in items)
    return spans


SPANS = Length(1000, join_spans)
PATTERN_SECONDS = 0.5
"""Seconds after which a user's regular expression is aborted."""
MOST_REPEATS = 1000
"""Largest product of the bounds of repeats such as {3,5}, which are unrolled before the timeout applies."""
_REPEAT = regex.compile(r"\{(\d*),?(\d*)\}")


@dataclass(frozen=True)
class Features:
    """``groups[i]`` are the inputs of feature ``i``; ``names[i]`` is its text.

    Special tokens belong to no feature and are never hidden. Generated tokens are single features whatever
    the unit, since each output sees a different part of them.
    """

    groups: tuple[tuple[int, ...], ...]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.groups)

    def present_inputs(self, present: np.ndarray, inputs: int) -> np.ndarray:
        """Which inputs are present: bool [rows, features] → bool [rows, inputs]."""
        mask: np.ndarray = np.ones((len(present), inputs), dtype=bool)
        for i, group in enumerate(self.groups):
            mask[:, list(group)] = present[:, i, None]
        return mask

    def spread(self, values: Tensor, inputs: int, visible: Tensor | None = None) -> Tensor:
        """Divide each feature's value equally among its inputs: [outputs, features] → [outputs, inputs].

        Inputs outside ``visible``, bool [outputs, inputs], get 0.
        """
        scores = torch.zeros(len(values), inputs, dtype=torch.float64)
        for i, group in enumerate(self.groups):
            scores[:, list(group)] = (values[:, i] / len(group)).to("cpu", torch.float64)[:, None]
        return scores if visible is None else scores * visible


class Tokenized(Protocol):
    """A tokenized text (or pair), such as f or an attribution."""

    @property
    def text(self) -> str: ...

    @property
    def second(self) -> str | None: ...

    @property
    def tokens(self) -> tuple[Token, ...]: ...

    @property
    def prediction(self) -> Prediction: ...


def features_of(f: Tokenized, unit: Unit = "words", spans: str = "") -> Features:
    """The features of an objective's inputs.

    Raises ``BadOption`` for spans that cannot be parsed or match nothing.
    """
    takes_spans = unit in ("spans", "given")
    if takes_spans and not spans:
        raise BadOption(
            f"features={unit!r} needs spans.", "Give a regular expression, or offsets such as 0-12,20-31."
        )
    if spans and not takes_spans:
        raise BadOption("spans are given, but features is not 'spans'.", "Add features='spans' or 'given'.")
    keys: dict[tuple[object, ...], list[int]] = {}
    sources = _sources(f)
    marked: dict[str, list[tuple[int, int]]] = {}
    if takes_spans:
        marked = {segment: _find_spans(sources[segment], spans) for segment in ("text", "second")}
        if not any(marked.values()):
            raise BadOption(
                "The spans name no part of the text.",
                "Check the pattern or the offsets; they count characters from 0.",
            )
    for i, token in enumerate(f.tokens):
        if not token.special and (key := _key(token, i, unit, sources, marked)):
            keys.setdefault(key, []).append(i)
    groups = tuple(tuple(group) for group in keys.values())
    return Features(groups, tuple(_name(f.tokens, group, sources) for group in groups))


def check_count(features: Features, limit: int, method: str) -> Features:
    """Return the features unchanged. Raises ``TooLong`` where there are more than ``limit``."""
    if len(features) > limit:
        raise TooLong(
            f"{method} takes {limit} features at most; this text has {len(features)}.",
            "Use larger features such as sentences, or a shorter text.",
        )
    return features


def _sources(f: Tokenized) -> dict[str, str]:
    return {"text": f.text, "second": f.second or "", "generated": f.prediction.text or ""}


def _key(
    token: Token, i: int, unit: str, sources: dict[str, str], marked: dict[str, list[tuple[int, int]]]
) -> tuple[object, ...]:
    """The key of an input: inputs with equal keys form one feature; an empty one belongs to none."""
    if token.segment == "generated" or unit in ("tokens", "characters"):
        if unit == "given":
            return ()
        return ("token", i)
    if unit == "sentences":
        return (token.segment, "sentence", texts.sentence_at(sources[token.segment], token.start))
    if unit in ("spans", "given"):
        for k, (start, end) in enumerate(marked[token.segment]):
            if start < max(token.end, token.start + 1) and token.start < end:
                return (token.segment, "span", k)
        if unit == "given":
            return ()
    return (token.segment, "word", token.word) if token.word is not None else ("token", i)


def _find_spans(text: str, spans: str) -> list[tuple[int, int]]:
    """The spans of a text that a regular expression or offsets select, ordered and without overlap."""
    offsets = regex.fullmatch(r"\s*\d+\s*-\s*\d+(\s*,\s*\d+\s*-\s*\d+)*\s*", spans)
    if offsets:
        pairs = [tuple(int(n) for n in part.split("-")) for part in spans.split(",")]
        if any(a >= b for a, b in pairs):
            raise BadOption(
                "A span's end is not after its start.",
                "Offsets are start-end, the end not included: 0-12,20-31.",
            )
        return [(a, b) for a, b in pairs if a < len(text)]
    if math.prod(max(int(a or 1), int(b or 1), 1) for a, b in _REPEAT.findall(spans)) > MOST_REPEATS:
        raise BadOption(
            "The regular expression repeats too much.",
            f"Its bounds in braces may multiply to {MOST_REPEATS}; + and * have none.",
        )
    try:
        return [m.span() for m in regex.finditer(spans, text, timeout=PATTERN_SECONDS) if m.end() > m.start()]
    except regex.error as error:
        raise BadOption(
            f"spans is not a regular expression: {str(error)[:80]}.", r"Examples: \b\w+ing\b or 0-12,20-31."
        ) from error
    except TimeoutError as error:
        raise BadOption(
            "The regular expression takes too long on this text.", "Use a simpler one, or offsets."
        ) from error


def _name(tokens: Sequence[Token], group: tuple[int, ...], sources: dict[str, str]) -> str:
    start, end = span([tokens[i] for i in group])
    return sources[tokens[group[0]].segment][start:end] or tokens[group[0]].text
