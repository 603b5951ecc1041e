"""Text before tokenization: cleaning, and the spans of words and characters, in code points."""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache

import regex

from attribution.errors import EmptyInput, InputError, TooLong

# Unpaired surrogates, NUL and the other C0 controls except tab, line feed and carriage return: no tokenizer
# accepts all of them.
_FORBIDDEN = regex.compile(r"[\ud800-\udfff\x00-\x08\x0b\x0c\x0e-\x1f]")
# Visible characters: no white space, and no format characters such as zero-width spaces, tags and bidi marks.
# The replacement character does not count: a text of nothing else is not a text.
_VISIBLE = regex.compile(r"[^\s\p{Cf}\p{Cc}\p{Mn}\p{Me}\ufffd\u2800\u3164\u115f\u1160]")
_GRAPHEME = regex.compile(r"\X")
# A word: letters, marks and digits, joined by inner apostrophes, hyphens or dots (don't, well-known, 3.14).
# A Han or kana character is a word by itself, since spaces do not separate words in these scripts, and so is
# any other visible character.
_WORD = regex.compile(
    r"""[\p{Han}\p{Hiragana}\p{Katakana}]\p{M}*
      | (?:(?![\p{Han}\p{Hiragana}\p{Katakana}])[\p{L}\p{N}_][\p{M}\u200c\u200d]*)+
        (?:['’\-.](?:(?![\p{Han}\p{Hiragana}\p{Katakana}])[\p{L}\p{N}_]\p{M}*)+)*
      | (?!\s)\X""",
    regex.VERBOSE,
)

# The end of a sentence: its mark with closing quotes and brackets before white space, an ideographic mark, or
# a line break.
_SENTENCE_END = regex.compile(r"""[.!?…]+["'”’»)\]]*(?=\s)|[。！？｡]+["'”’»」』）)\]]*|[।॥؟۔]+|\n+""")


def clean(text: object, limit: int) -> str:
    """Replace unpaired surrogates and control characters by U+FFFD; nothing else changes.

    Raises ``InputError`` (not a string), ``TooLong`` (over ``limit`` characters), ``EmptyInput`` (nothing
    visible).
    """
    if not isinstance(text, str):
        raise InputError(f"text is a {type(text).__name__}.", "It must be a string.")
    if len(text) > limit:
        raise TooLong(f"The text has {len(text):,} characters; the limit is {limit:,}.", "Please shorten it.")
    cleaned: str = _FORBIDDEN.sub("\ufffd", text)
    if not _VISIBLE.search(cleaned):
        raise EmptyInput("There is no text to explain.", "Please type a few words.")
    return cleaned


@lru_cache(maxsize=256)
def words(text: str) -> tuple[tuple[int, int], ...]:
    """The spans of the words of ``text`` in order; punctuation marks and ideographs are separate words."""
    return tuple(match.span() for match in _WORD.finditer(text))


@lru_cache(maxsize=256)
def _boundaries(text: str) -> tuple[int, ...]:
    return (*(match.start() for match in _GRAPHEME.finditer(text)), len(text))


def snap_to_characters(text: str, start: int, end: int) -> tuple[int, int]:
    """Strip white space from a span (unless there is nothing else), and widen it to grapheme clusters."""
    while start < end and text[start].isspace() and not text[start:end].isspace():
        start += 1
    while start < end and text[end - 1].isspace() and not text[start:end].isspace():
        end -= 1
    if start >= end:
        return start, start
    edges = _boundaries(text)
    first = edges[bisect_right(edges, start) - 1]
    last = edges[bisect_right(edges, end - 1)]
    return first, last


def word_at(text: str, position: int) -> int | None:
    """The index of the word that holds the code point at ``position``, or None between words."""
    spans = words(text)
    index = bisect_right(spans, (position, len(text) + 1)) - 1
    return index if index >= 0 and spans[index][0] <= position < spans[index][1] else None


@lru_cache(maxsize=256)
def _sentence_starts(text: str) -> tuple[int, ...]:
    return (0, *(match.end() for match in _SENTENCE_END.finditer(text) if match.end() < len(text)))


def sentence_at(text: str, position: int) -> int:
    """The index of the sentence that holds the code point at ``position``."""
    return bisect_right(_sentence_starts(text), position) - 1
